//! Fields that came in records of their own, kept until their span ends. Bounded: beyond the limit the fields kept longest are given up.

use super::callsites::Callsites;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use throughline::Value;
use throughline::record::{Record, Values, ValuesIter};
use throughline::ring::{RawRecord, Word};

/// No further record.
const NONE: u32 = u32::MAX;

/// Records of kind Fields, by span. Their memory is used again, so that keeping one allocates nothing once the table has grown.
#[derive(Debug)]
pub(super) struct Late {
    slots: Vec<Slot>,
    free: u32,
    chains: HashMap<Word, Chain, BuildHasherDefault<IdHasher>>,
    /// Spans in the order of their first fields; some have ended meanwhile.
    order: VecDeque<Word>,
    kept: usize,
    limit: usize,
}

#[derive(Debug)]
struct Slot {
    raw: RawRecord,
    next: u32,
}

/// Records of one span, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    first: u32,
    last: u32,
}

impl Late {
    /// Keeps at most `limit` records (of about 500 bytes).
    pub(super) fn new(limit: usize) -> Late {
        Late {
            slots: Vec::new(),
            free: NONE,
            chains: HashMap::default(),
            order: VecDeque::new(),
            kept: 0,
            limit: limit.max(1),
        }
    }

    /// Keeps a record for `span`, and says how many had to be given up for it.
    pub(super) fn keep(&mut self, span: Word, raw: &RawRecord) -> u64 {
        let mut given_up = 0;
        while self.kept >= self.limit {
            given_up += self.give_up_oldest();
        }
        let at = self.place(raw);
        self.kept += 1;
        match self.chains.get_mut(&span) {
            Some(chain) => {
                self.slots[chain.last as usize].next = at;
                chain.last = at;
            }
            None => {
                self.chains.insert(span, Chain { first: at, last: at });
                self.order.push_back(span);
                if self.order.len() > 2 * self.limit {
                    self.order.retain(|span| self.chains.contains_key(span));
                }
            }
        }
        given_up
    }

    /// The records of a span that ended, to be given back with [`Late::release`].
    #[inline]
    pub(super) fn take(&mut self, span: Word) -> Option<Chain> {
        if self.kept == 0 { None } else { self.chains.remove(&span) }
    }

    /// Makes a chain's memory free again, and says how many records it had.
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

    /// Gives up everything, and says how many records that were.
    pub(super) fn clear(&mut self) -> u64 {
        let kept = self.kept as u64;
        *self = Late::new(self.limit);
        kept
    }

    fn give_up_oldest(&mut self) -> u64 {
        while let Some(span) = self.order.pop_front() {
            if let Some(chain) = self.chains.remove(&span) {
                return self.release(chain);
            }
        }
        0
    }

    fn place(&mut self, raw: &RawRecord) -> u32 {
        let at = self.free;
        if at == NONE {
            self.slots.push(Slot { raw: raw.clone(), next: NONE });
            return self.slots.len() as u32 - 1;
        }
        let slot = &mut self.slots[at as usize];
        self.free = slot.next;
        slot.next = NONE;
        slot.raw.head = raw.head;
        slot.raw.len = raw.len;
        slot.raw.body[..raw.len].copy_from_slice(&raw.body[..raw.len]);
        at
    }
}

/// Fields of a record, and after them those kept for it.
#[derive(Clone, Debug)]
pub(super) struct Merged<'a> {
    names: std::slice::Iter<'a, &'static str>,
    values: ValuesIter<'a>,
    next: u32,
    late: &'a Late,
    callsites: &'a Callsites,
}

impl<'a> Merged<'a> {
    #[inline]
    pub(super) fn new(
        names: &'a [&'static str],
        values: Values<'a>,
        chain: Option<Chain>,
        late: &'a Late,
        callsites: &'a Callsites,
    ) -> Merged<'a> {
        Merged {
            names: names.iter(),
            values: values.into_iter(),
            next: chain.map_or(NONE, |chain| chain.first),
            late,
            callsites,
        }
    }
}

impl<'a> Iterator for Merged<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(value) = self.values.next() {
                return Some((self.names.next().copied().unwrap_or(NAMELESS), value));
            }
            (self.names, self.values) = self.next_kept()?;
        }
    }

    #[inline(always)]
    fn fold<B, F: FnMut(B, Self::Item) -> B>(mut self, init: B, mut f: F) -> B {
        let mut acc = init;
        loop {
            let (mut names, values) = (self.names.clone(), self.values.clone());
            acc = values.fold(acc, |acc, value| f(acc, (names.next().copied().unwrap_or(NAMELESS), value)));
            match self.next_kept() {
                Some(next) => (self.names, self.values) = next,
                None => return acc,
            }
        }
    }
}

/// More values than names is no record of ours; the values keep their place.
const NAMELESS: &str = "?";

impl<'a> Merged<'a> {
    /// The next record's names and values.
    #[inline]
    fn next_kept(&mut self) -> Option<(std::slice::Iter<'a, &'static str>, ValuesIter<'a>)> {
        while self.next != NONE {
            let slot = &self.late.slots[self.next as usize];
            self.next = slot.next;
            if let Some(Record::Fields(fields)) = Record::parse(&slot.raw) {
                let names = self.callsites.get(fields.callsite).map_or(&[][..], |e| &e.names);
                return Some((names.iter(), fields.values.into_iter()));
            }
        }
        None
    }
}

/// Hashes ids, which are consecutive: a multiplication spreads them (Knuth).
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_usize(usize::from(b) ^ self.0 as usize);
        }
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        let x = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = x ^ x >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline::ring::{Head, RecordKind};

    fn raw(span: Word) -> RawRecord {
        let mut raw = RawRecord::new();
        raw.head = Head::new(RecordKind::Fields, 3, 0, 0);
        raw.body[1] = span;
        raw.len = 7;
        raw
    }

    #[test]
    fn memory_is_used_again() {
        let mut late = Late::new(100);
        for span in 1..10_000 {
            assert_eq!(late.keep(span, &raw(span)) + late.keep(span, &raw(span)), 0);
            let chain = late.take(span).unwrap();
            assert_eq!(late.release(chain), 2);
        }
        assert_eq!((late.slots.len(), late.kept), (2, 0));
        assert!(late.order.len() <= 200, "{}", late.order.len());
        assert!(late.take(5).is_none());
    }

    #[test]
    fn beyond_the_limit_the_oldest_are_given_up_and_counted() {
        let mut late = Late::new(10);
        let given_up: u64 = (1..=25).map(|span| late.keep(span, &raw(span))).sum();
        assert_eq!(given_up, 15);
        assert!(late.take(15).is_none());
        assert!(late.take(16).is_some());
        assert_eq!(late.clear(), 10);
    }
}
