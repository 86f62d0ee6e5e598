//! Random schedules of pushes and reads on every kind of ring: no record is torn, none is read twice, and the
//! ledger balances.
#![cfg(not(loom))]

use proptest::prelude::*;
use throughline::adapter::ring::{Head, MAX_BODY, Mode, RawRecord, RecordKind, Ring, Slot};

#[derive(Clone, Debug)]
enum Step {
    /// Push a record of this many words.
    Push(usize),
    /// Read at most this many records.
    Read(usize),
    /// Copy a record, then push this many others before committing it.
    ReadLate(usize),
    /// Read everything, and after each record push another one of this many words.
    ReadUntil(usize),
    /// Drop the reader, wherever it is, and make another one.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..=MAX_BODY).prop_map(Step::Push),
        4 => (1usize..=8).prop_map(Step::Push),
        1 => (1usize..10).prop_map(Step::Read),
        1 => (1usize..10).prop_map(Step::ReadLate),
        1 => (1usize..20).prop_map(Step::ReadUntil),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 30 } else { 200 })
}

struct Run<'a> {
    ring: &'a Ring<'a>,
    /// The number of words of each record pushed, by the record's number.
    words: Vec<usize>,
    refused: usize,
    seen: Vec<usize>,
}

impl Run<'_> {
    fn push(&mut self, words: usize) {
        let n = self.words.len();
        self.words.push(words);
        if !self.ring.push(Head::new(RecordKind::Event, n as u32, 0, 0), &vec![n; words], n) {
            self.refused += 1;
        }
    }

    fn check(&mut self, raw: &RawRecord) {
        let n = raw.head.callsite as usize;
        assert!(raw.body[..self.words[n]].iter().all(|w| *w == n), "record {n} is torn");
        self.seen.push(n);
    }
}

fn run(mode: Mode, capacity: usize, steps: Vec<Step>) {
    let slots: Vec<Slot> = (0..capacity).map(|_| Slot::new()).collect();
    let ring = Ring::new(&slots, mode);
    let mut run = Run { ring: &ring, words: vec![], refused: 0, seen: vec![] };
    let mut raw = RawRecord::new();
    let mut first_loss_seen = false;
    let mut reader = ring.reader().unwrap();
    for step in steps {
        match step {
            Step::Push(words) => run.push(words),
            Step::Read(n) => {
                for _ in 0..n {
                    if reader.next(&mut raw) && reader.commit() {
                        run.check(&raw);
                    }
                }
                if let Some(loss) = reader.take_loss() {
                    // The time given to `push` is the record's number, so the first lost record must already
                    // have been pushed.
                    assert!(loss.first < run.words.len() && loss.count <= loss.total);
                    first_loss_seen = true;
                }
            }
            Step::ReadLate(n) => {
                let found = reader.next(&mut raw);
                for _ in 0..n {
                    run.push(3);
                }
                if found && reader.commit() {
                    run.check(&raw);
                }
            }
            Step::ReadUntil(words) => {
                let (end, there) = (ring.head(), run.words.len());
                assert!(reader.slots_before(end) <= capacity);
                let (before, mut given) = (run.seen.len(), 0);
                let count = reader.drain_until(end, |raw| {
                    run.check(raw);
                    run.push(words);
                    given += 1;
                });
                assert_eq!(count, given);
                assert!(run.seen[before..].iter().all(|n| *n < there), "nothing that came after");
                if mode == Mode::LocalOldest {
                    assert_eq!(reader.slots_before(end), 0, "all that was there");
                }
            }
            Step::Reopen => {
                assert!(ring.reader().is_none(), "there is one");
                drop(reader);
                reader = ring.reader().unwrap();
            }
        }
    }
    // Read twice: records that were written during a scan belong to the next one.
    for _ in 0..2 {
        while reader.next(&mut raw) {
            if reader.commit() {
                run.check(&raw);
            }
        }
    }
    assert_eq!(run.seen.len() + ring.lost(), run.words.len(), "pushed = read + lost");
    if matches!(mode, Mode::SharedOldest | Mode::LocalOldest) {
        assert_eq!(ring.lost(), run.refused);
    } else {
        assert_eq!(run.seen.last().copied(), run.words.len().checked_sub(1));
    }
    assert!(run.seen.is_sorted_by(|a, b| a < b), "in order, none twice: {:?}", run.seen);
    assert!(first_loss_seen || reader.take_loss().is_some() == (ring.lost() > 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shared_oldest(steps in steps()) { run(Mode::SharedOldest, 16, steps); }

    #[test]
    fn shared_newest(steps in steps()) { run(Mode::SharedNewest, 16, steps); }

    #[test]
    fn local_oldest(steps in steps()) { run(Mode::LocalOldest, 16, steps); }

    #[test]
    fn local_newest(steps in steps()) { run(Mode::LocalNewest, 16, steps); }
}

#[test]
fn the_longest_record_has_the_words_that_its_docs_say() {
    assert_eq!(MAX_BODY, if usize::BITS == 64 { 56 } else { 54 });
}
