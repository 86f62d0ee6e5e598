use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use throughline::adapter::ring::{Head as RecordHead, RecordKind};

fn raw(span: Word, mark: Word) -> RawRecord {
    let mut raw = RawRecord::new();
    raw.head = RecordHead::new(RecordKind::Fields, 3, 0, 0);
    (raw.body[0], raw.body[1]) = (mark, span);
    raw.len = 7;
    raw
}

/// Keeps a record that replaces those with the same mark, and returns how many were dropped or refused, and how
/// many replaced.
fn keep(late: &mut Late, span: Word, mark: Word) -> (u64, u64) {
    keep_at(late, span, mark, 0)
}

fn keep_at(late: &mut Late, span: Word, mark: Word, time: u64) -> (u64, u64) {
    let is_same = |other: &RawRecord| other.body[0] == mark;
    match late.keep(span, &raw(span, mark), time, is_same, is_same) {
        Kept::Yes { dropped, replaced } => (dropped, replaced),
        Kept::Full => (1, 0),
    }
}

#[test]
fn memory_is_used_again() {
    let mut late = Late::new(100);
    for span in 1..10_000 {
        assert_eq!((keep(&mut late, span, 0), keep(&mut late, span, 1)), ((0, 0), (0, 0)));
        let chain = late.take(span).unwrap();
        assert_eq!(late.release(chain), 2);
    }
    assert_eq!((late.slots.len(), late.kept, late.buckets.len()), (2, 0, BUCKETS));
    assert!(late.take(5).is_none());
}

#[test]
fn beyond_the_limit_the_oldest_are_given_up_and_counted() {
    let mut late = Late::new(10);
    let given_up: u64 = (1..=25).map(|span| keep(&mut late, span, 0).0).sum();
    assert_eq!(given_up, 15);
    assert!(late.take(15).is_none());
    assert!(late.take(16).is_some());
    assert_eq!(late.clear(), 10);
}

#[test]
fn a_span_has_its_share_and_no_more() {
    let mut late = Late::new(16_384);
    keep(&mut late, 1, 0);
    let refused: u64 = (0..30_000).map(|mark| keep(&mut late, 2, mark).0).sum();
    assert_eq!(refused, 30_000 - SHARE as u64);
    assert_eq!(keep(&mut late, 2, 5), (0, 1), "what it has may still change");
    assert!(late.take(1).is_some(), "another span keeps its own");
}

/// A plain model of [`Late`]: each span with the marks and times of its records, oldest first.
#[derive(Default)]
struct Model(VecDeque<(Word, Vec<(Word, u64)>)>);

impl Model {
    fn kept(&self) -> usize {
        self.0.iter().map(|(_, marks)| marks.len()).sum()
    }

    fn keep(&mut self, span: Word, mark: Word, time: u64, limit: usize) -> (u64, u64) {
        let own = self.0.iter_mut().find(|(kept, _)| *kept == span);
        let mut replaced = 0;
        if let Some((_, marks)) = own {
            if let Some(at) = marks.iter().position(|(kept, _)| *kept == mark) {
                if marks[at].1 > time {
                    return (0, 1);
                }
                marks.remove(at);
                replaced = 1;
            } else if marks.len() >= SHARE.min(limit / 8).max(1) {
                return (1, 0);
            }
        }
        let mut given_up = 0;
        while self.kept() >= limit {
            given_up += self.0.pop_front().map_or(0, |(_, marks)| marks.len() as u64);
        }
        match self.0.iter_mut().find(|(kept, _)| *kept == span) {
            Some((_, marks)) => marks.insert(marks.partition_point(|(_, kept)| *kept <= time), (mark, time)),
            None => self.0.push_back((span, vec![(mark, time)])),
        }
        (given_up, replaced)
    }

    fn take(&mut self, span: Word) -> Option<Vec<(Word, u64)>> {
        let at = self.0.iter().position(|(kept, _)| *kept == span)?;
        self.0.remove(at).map(|(_, marks)| marks)
    }
}

proptest! {
    #[test]
    fn keeps_what_a_plain_list_keeps(
        limit in 1usize..200, spans in 1usize..300,
        steps in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..4, 0usize..30, 0u64..50), 0..2000),
    ) {
        let (mut late, mut model) = (Late::new(limit), Model::default());
        for (n, (index, what, mark, early)) in (100..).zip(steps) {
            // Half of them come in order.
            let time = n - early.saturating_sub(25);
            // Use ids of two threads.
            let span = index.index(spans) + 1;
            let span = span | (span & 1) << (Word::BITS - 8);
            if what > 0 {
                prop_assert_eq!(keep_at(&mut late, span, mark, time), model.keep(span, mark, time, limit));
            } else {
                let chain = late.take(span);
                let marks = chain.map(|_| late.records(chain).map(|raw| raw.body[0]).collect::<Vec<_>>());
                let expected = model.take(span).map(|marks| marks.into_iter().map(|(mark, _)| mark).collect());
                prop_assert_eq!(&marks, &expected);
                if let (Some(chain), Some(marks)) = (chain, marks) {
                    prop_assert_eq!(late.release(chain), marks.len() as u64);
                }
            }
            prop_assert_eq!(late.kept, model.kept());
            prop_assert!(late.slots.len() <= limit);
        }
    }
}
