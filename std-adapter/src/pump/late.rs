//! Fields that came in records of their own, kept until their span ends. Their number is limited; beyond the
//! limit the oldest fields are dropped.

use throughline::adapter::ring::{RawRecord, Word};

/// Marks the end of a list.
const NONE: u32 = u32::MAX;
/// Initial number of buckets; a power of two.
const BUCKETS: usize = 64;

/// Records of kind Fields by span. The records of a span form a chain, which is found through a hash table;
/// chains are dropped in the order of their first records. All links are in the records' own slots, and slots
/// are reused, so keeping a record allocates nothing once the table has grown.
#[derive(Debug)]
pub(super) struct Late {
    slots: Vec<Slot>,
    free: u32,
    /// The first chain of each bucket. The number of buckets is a power of two, and at least the number of
    /// slots.
    buckets: Box<[u32]>,
    oldest: u32,
    newest: u32,
    kept: usize,
    limit: usize,
}

#[derive(Debug)]
struct Slot {
    /// The next record of the span, or the next free slot.
    next: u32,
    /// Valid in the first record of a chain.
    head: Head,
    raw: RawRecord,
}

/// A chain and its links to other chains.
#[derive(Clone, Copy, Debug)]
struct Head {
    span: Word,
    /// The chain's last record.
    last: u32,
    /// The next chain of the same bucket.
    neighbour: u32,
    /// The chains begun just before and just after this one.
    older: u32,
    newer: u32,
}

/// The records of one span, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

impl Chain {
    /// Whether the chain has only one record.
    #[inline]
    pub(super) fn is_single(self) -> bool {
        self.first == self.last
    }
}

impl Late {
    /// Keeps at most `limit` records of about 500 bytes each.
    pub(super) fn new(limit: usize) -> Late {
        Late {
            slots: Vec::new(),
            free: NONE,
            buckets: vec![NONE; BUCKETS].into(),
            oldest: NONE,
            newest: NONE,
            kept: 0,
            limit: limit.max(1),
        }
    }

    /// Keeps a record for `span`. Returns how many records were dropped to make room.
    #[inline]
    pub(super) fn keep(&mut self, span: Word, raw: &RawRecord) -> u64 {
        let mut given_up = 0;
        while self.kept >= self.limit {
            given_up += self.give_up_oldest();
        }
        let at = self.place(raw);
        self.kept += 1;
        let bucket = self.bucket(span);
        let mut first = self.buckets[bucket];
        while first != NONE {
            let head = self.slots[first as usize].head;
            if head.span == span {
                self.slots[head.last as usize].next = at;
                self.slots[first as usize].head.last = at;
                return given_up;
            }
            first = head.neighbour;
        }
        let neighbour = std::mem::replace(&mut self.buckets[bucket], at);
        let older = std::mem::replace(&mut self.newest, at);
        *self.newer_link(older) = at;
        self.slots[at as usize].head = Head { span, last: at, neighbour, older, newer: NONE };
        given_up
    }

    /// Takes the records of a span that ended out of the table. Give them back with [`Late::release`].
    #[inline(always)]
    pub(super) fn take(&mut self, span: Word) -> Option<Chain> {
        if self.kept == 0 {
            return None;
        }
        let bucket = self.bucket(span);
        let mut before = NONE;
        let mut first = self.buckets[bucket];
        while first != NONE {
            let head = self.slots[first as usize].head;
            if head.span == span {
                match before {
                    NONE => self.buckets[bucket] = head.neighbour,
                    before => self.slots[before as usize].head.neighbour = head.neighbour,
                }
                *self.newer_link(head.older) = head.newer;
                *self.older_link(head.newer) = head.older;
                return Some(Chain { first, last: head.last });
            }
            before = first;
            first = head.neighbour;
        }
        None
    }

    /// The records of a chain returned by [`Late::take`].
    pub(super) fn records(&self, chain: Option<Chain>) -> Records<'_> {
        Records { slots: &self.slots, next: chain.map_or(NONE, |chain| chain.first) }
    }

    /// Frees the memory of a chain and returns how many records it had.
    #[inline]
    pub(super) fn release(&mut self, chain: Chain) -> u64 {
        let mut n = 1;
        let mut at = chain.first;
        while at != chain.last {
            at = self.slots[at as usize].next;
            n += 1;
        }
        self.slots[chain.last as usize].next = self.free;
        self.free = chain.first;
        self.kept -= n;
        n as u64
    }

    /// Drops everything and returns how many records that were.
    pub(super) fn clear(&mut self) -> u64 {
        let kept = self.kept as u64;
        *self = Late::new(self.limit);
        kept
    }

    #[cold]
    fn give_up_oldest(&mut self) -> u64 {
        let oldest = self.slots.get(self.oldest as usize).map(|slot| slot.head.span);
        oldest.and_then(|span| self.take(span)).map_or(0, |chain| self.release(chain))
    }

    #[inline]
    fn place(&mut self, raw: &RawRecord) -> u32 {
        let at = self.free;
        let Some(slot) = self.slots.get_mut(at as usize) else { return self.grow(raw) };
        self.free = slot.next;
        slot.next = NONE;
        slot.raw.head = raw.head;
        slot.raw.len = raw.len;
        slot.raw.body[..raw.len].copy_from_slice(&raw.body[..raw.len]);
        at
    }

    #[cold]
    fn grow(&mut self, raw: &RawRecord) -> u32 {
        let at = self.slots.len() as u32;
        let head = Head { span: 0, last: at, neighbour: NONE, older: NONE, newer: NONE };
        self.slots.push(Slot { next: NONE, head, raw: raw.clone() });
        if self.slots.len() > self.buckets.len() {
            self.buckets = vec![NONE; 2 * self.buckets.len()].into();
            let mut first = self.oldest;
            while first != NONE {
                let Head { span, newer, .. } = self.slots[first as usize].head;
                let bucket = self.bucket(span);
                self.slots[first as usize].head.neighbour =
                    std::mem::replace(&mut self.buckets[bucket], first);
                first = newer;
            }
        }
        at
    }

    /// The bucket of a span. The ids of a thread are consecutive, so a multiplication spreads them (Knuth).
    #[inline]
    fn bucket(&self, span: Word) -> usize {
        let spread = (span as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (spread >> 32) as usize & (self.buckets.len() - 1)
    }

    /// The link to the chain after `chain`, or to the oldest chain for `NONE`.
    #[inline]
    fn newer_link(&mut self, chain: u32) -> &mut u32 {
        if chain == NONE { &mut self.oldest } else { &mut self.slots[chain as usize].head.newer }
    }

    /// The link to the chain before `chain`, or to the newest chain for `NONE`.
    #[inline]
    fn older_link(&mut self, chain: u32) -> &mut u32 {
        if chain == NONE { &mut self.newest } else { &mut self.slots[chain as usize].head.older }
    }
}

/// Iterates over the records of a chain.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    slots: &'a [Slot],
    next: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a RawRecord;

    #[inline]
    fn next(&mut self) -> Option<&'a RawRecord> {
        if self.next == NONE {
            return None;
        }
        let slot = &self.slots[self.next as usize];
        self.next = slot.next;
        Some(&slot.raw)
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn memory_is_used_again() {
        let mut late = Late::new(100);
        for span in 1..10_000 {
            assert_eq!(late.keep(span, &raw(span, 0)) + late.keep(span, &raw(span, 1)), 0);
            let chain = late.take(span).unwrap();
            assert_eq!(late.release(chain), 2);
        }
        assert_eq!((late.slots.len(), late.kept, late.buckets.len()), (2, 0, BUCKETS));
        assert!(late.take(5).is_none());
    }

    #[test]
    fn beyond_the_limit_the_oldest_are_given_up_and_counted() {
        let mut late = Late::new(10);
        let given_up: u64 = (1..=25).map(|span| late.keep(span, &raw(span, 0))).sum();
        assert_eq!(given_up, 15);
        assert!(late.take(15).is_none());
        assert!(late.take(16).is_some());
        assert_eq!(late.clear(), 10);
    }

    /// A plain model of [`Late`]: each span with the marks of its records, oldest first.
    #[derive(Default)]
    struct Model(VecDeque<(Word, Vec<Word>)>);

    impl Model {
        fn kept(&self) -> usize {
            self.0.iter().map(|(_, marks)| marks.len()).sum()
        }

        fn keep(&mut self, span: Word, mark: Word, limit: usize) -> u64 {
            let mut given_up = 0;
            while self.kept() >= limit {
                given_up += self.0.pop_front().map_or(0, |(_, marks)| marks.len() as u64);
            }
            match self.0.iter_mut().find(|(kept, _)| *kept == span) {
                Some((_, marks)) => marks.push(mark),
                None => self.0.push_back((span, vec![mark])),
            }
            given_up
        }

        fn take(&mut self, span: Word) -> Option<Vec<Word>> {
            let at = self.0.iter().position(|(kept, _)| *kept == span)?;
            self.0.remove(at).map(|(_, marks)| marks)
        }
    }

    proptest! {
        #[test]
        fn keeps_what_a_plain_list_keeps(
            limit in 1usize..200, spans in 1usize..300, steps in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..4), 0..2000),
        ) {
            let (mut late, mut model) = (Late::new(limit), Model::default());
            for (mark, (index, what)) in steps.into_iter().enumerate() {
                // Use ids of two threads.
                let span = index.index(spans) + 1;
                let span = span | (span & 1) << (Word::BITS - 8);
                if what > 0 {
                    prop_assert_eq!(late.keep(span, &raw(span, mark)), model.keep(span, mark, limit));
                } else {
                    let chain = late.take(span);
                    let marks = chain.map(|_| late.records(chain).map(|raw| raw.body[0]).collect());
                    prop_assert_eq!(&marks, &model.take(span));
                    if let (Some(chain), Some(marks)) = (chain, marks) {
                        prop_assert_eq!(late.release(chain), marks.len() as u64);
                    }
                }
                prop_assert_eq!(late.kept, model.kept());
                prop_assert!(late.slots.len() <= limit);
            }
        }
    }
}
