//! Fields that came in records of their own, kept until their span ends. Their number is limited; beyond the
//! limit the oldest fields are dropped. A span has a share of that, so that one that gets more and more fields
//! costs other spans none; and a record whose fields all came again makes room for the later one.

use throughline::adapter::ring::{RawRecord, Word};

/// The time of records that come after all others of their span.
pub(super) const LAST: u64 = u64::MAX;

/// Marks the end of a list.
const NONE: u32 = u32::MAX;
/// Initial number of buckets; a power of two.
const BUCKETS: usize = 64;
/// The most records of one span. A span has 128 attributes at most unless the configuration says otherwise.
const SHARE: usize = 128;

/// Records of kind Fields by span. The records of a span form a chain in the order of their times, because threads that a
/// future was on are not read in the order in which it was on them. A chain is found through a hash table;
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
    /// The most records of one span.
    share: usize,
}

/// What became of a record that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is kept. The numbers of records that were dropped to make room, and of those of its own span that it
    /// replaces.
    Yes { dropped: u64, replaced: u64 },
    /// Its span has its share already.
    Full,
}

#[derive(Debug)]
struct Slot {
    /// The next record of the span, or the next free slot.
    next: u32,
    /// Valid in the first record of a chain.
    head: Head,
    /// When it was recorded; see [`WallTime::order_of`](crate::wall_time::WallTime::order_of).
    time: u64,
    raw: RawRecord,
}

/// A chain and its links to other chains.
#[derive(Clone, Copy, Debug)]
struct Head {
    span: Word,
    /// The chain's last record.
    last: u32,
    /// The number of its records.
    len: u32,
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
            limit: limit.clamp(1, NONE as usize - 1),
            share: SHARE.min(limit / 8).max(1),
        }
    }

    /// Keeps the first record for `span`, and returns how many were dropped to make room; `None` if there is one already.
    #[inline]
    pub(super) fn keep_first(&mut self, span: Word, raw: &RawRecord, time: u64) -> Option<u64> {
        self.find(span).is_none().then(|| self.begin(span, raw, time))
    }

    /// Keeps a record for `span` that was made at `time`. An earlier record of the span goes if `replaces` says that
    /// nothing of it is left to show, and this one does if `is_replaced` says so of it for a later record. Cost: that of
    /// `replaces` for each record of the span.
    pub(super) fn keep(
        &mut self,
        span: Word,
        raw: &RawRecord,
        time: u64,
        replaces: impl Fn(&RawRecord) -> bool,
        is_replaced: impl Fn(&RawRecord) -> bool,
    ) -> Kept {
        let Some(first) = self.find(span) else {
            return Kept::Yes { dropped: self.begin(span, raw, time), replaced: 0 };
        };
        let last = self.slots[first as usize].head.last;
        match time >= self.slots[last as usize].time {
            true => self.keep_more(first, span, raw, time, replaces),
            false => self.keep_between(first, span, raw, time, replaces, is_replaced),
        }
    }

    /// Keeps a further record of a span whose chain begins with `first` and has no later one.
    fn keep_more(
        &mut self,
        first: u32,
        span: Word,
        raw: &RawRecord,
        time: u64,
        replaces: impl Fn(&RawRecord) -> bool,
    ) -> Kept {
        let mut replaced = 0;
        if let Some(before) = self.replaced(first, replaces) {
            if self.slots[before as usize].next == NONE {
                self.write(before, raw, time);
                return Kept::Yes { dropped: 0, replaced: 1 };
            }
            self.unlink(first, before);
            replaced = 1;
        } else if self.slots[first as usize].head.len as usize >= self.share {
            return Kept::Full;
        }
        Kept::Yes { dropped: self.add(span, raw, time), replaced }
    }

    /// Keeps a record of a span that has a later one already.
    #[cold]
    fn keep_between(
        &mut self,
        first: u32,
        span: Word,
        raw: &RawRecord,
        time: u64,
        replaces: impl Fn(&RawRecord) -> bool,
        is_replaced: impl Fn(&RawRecord) -> bool,
    ) -> Kept {
        let (mut at, mut before) = (first, None);
        while at != NONE {
            let slot = &self.slots[at as usize];
            if slot.time > time {
                if is_replaced(&slot.raw) {
                    return Kept::Yes { dropped: 0, replaced: 1 };
                }
            } else if before.is_none() && replaces(&slot.raw) {
                before = Some(at);
            }
            at = slot.next;
        }
        match before {
            Some(before) => self.unlink(first, before),
            None if self.slots[first as usize].head.len as usize >= self.share => return Kept::Full,
            None => {}
        }
        Kept::Yes { dropped: self.insert(span, raw, time), replaced: u64::from(before.is_some()) }
    }

    /// Puts a record before the first later one of its span. Returns how many records were dropped to make room.
    fn insert(&mut self, span: Word, raw: &RawRecord, time: u64) -> u64 {
        let dropped = self.make_room();
        let Some(first) = self.find(span) else { return dropped + self.begin(span, raw, time) };
        let mut at = first;
        while self.slots[at as usize].time <= time {
            at = self.slots[at as usize].next;
        }
        // The later one moves to a new slot, so that the chain keeps its first slot.
        let Slot { raw: later, time: later_time, .. } = &self.slots[at as usize];
        let (later, later_time) = (later.clone(), *later_time);
        let new = self.place(&later, later_time);
        self.write(at, raw, time);
        self.slots[new as usize].next = std::mem::replace(&mut self.slots[at as usize].next, new);
        self.kept += 1;
        let head = &mut self.slots[first as usize].head;
        head.len += 1;
        if head.last == at {
            head.last = new;
        }
        dropped
    }

    /// Keeps a record for `span`, after its others and beyond its share. Returns how many records were dropped to make room.
    pub(super) fn add(&mut self, span: Word, raw: &RawRecord, time: u64) -> u64 {
        let dropped = self.make_room();
        // Look now, because the span's own chain may have been the oldest.
        let Some(first) = self.find(span) else { return dropped + self.begin(span, raw, time) };
        let at = self.place(raw, time);
        self.kept += 1;
        let head = &mut self.slots[first as usize].head;
        head.len += 1;
        let last = std::mem::replace(&mut head.last, at);
        self.slots[last as usize].next = at;
        dropped
    }

    /// Begins the chain of a span that has none. Returns how many records were dropped to make room.
    #[inline(always)]
    fn begin(&mut self, span: Word, raw: &RawRecord, time: u64) -> u64 {
        let dropped = self.make_room();
        let at = self.place(raw, time);
        self.kept += 1;
        let bucket = self.bucket(span);
        let neighbour = std::mem::replace(&mut self.buckets[bucket], at);
        let older = std::mem::replace(&mut self.newest, at);
        *self.newer_link(older) = at;
        self.slots[at as usize].head = Head { span, last: at, len: 1, neighbour, older, newer: NONE };
        dropped
    }

    /// Drops the oldest chains while there are too many records, and returns how many records that were.
    #[inline]
    fn make_room(&mut self) -> u64 {
        let mut dropped = 0;
        while self.kept >= self.limit {
            dropped += self.give_up_oldest();
        }
        dropped
    }

    /// The first record of a span's chain.
    #[inline]
    fn find(&self, span: Word) -> Option<u32> {
        let mut first = self.buckets[self.bucket(span)];
        while first != NONE {
            let head = &self.slots[first as usize].head;
            if head.span == span {
                return Some(first);
            }
            first = head.neighbour;
        }
        None
    }

    /// The first record of a chain of which nothing is left to show.
    fn replaced(&self, first: u32, replaces: impl Fn(&RawRecord) -> bool) -> Option<u32> {
        let mut at = first;
        while at != NONE {
            let slot = &self.slots[at as usize];
            if replaces(&slot.raw) {
                return Some(at);
            }
            at = slot.next;
        }
        None
    }

    /// Takes a record that is not the last one out of its chain. The next one moves into its slot, so that the chain
    /// keeps its first slot.
    fn unlink(&mut self, first: u32, at: u32) {
        let next = self.slots[at as usize].next;
        let Slot { raw, time, .. } = &self.slots[next as usize];
        let (raw, time) = (raw.clone(), *time);
        self.write(at, &raw, time);
        self.slots[at as usize].next = self.slots[next as usize].next;
        let head = &mut self.slots[first as usize].head;
        head.len -= 1;
        if head.last == next {
            head.last = at;
        }
        self.slots[next as usize].next = self.free;
        self.free = next;
        self.kept -= 1;
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

    /// The records of a span, which stay.
    pub(super) fn peek(&self, span: Word) -> Records<'_> {
        Records { slots: &self.slots, next: self.find(span).unwrap_or(NONE) }
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
    fn place(&mut self, raw: &RawRecord, time: u64) -> u32 {
        let at = self.free;
        let Some(slot) = self.slots.get_mut(at as usize) else { return self.grow(raw, time) };
        self.free = slot.next;
        slot.next = NONE;
        self.write(at, raw, time);
        at
    }

    #[inline]
    fn write(&mut self, at: u32, raw: &RawRecord, time: u64) {
        let slot = &mut self.slots[at as usize];
        slot.time = time;
        let kept = &mut slot.raw;
        (kept.head, kept.len) = (raw.head, raw.len);
        kept.body[..raw.len].copy_from_slice(&raw.body[..raw.len]);
    }

    #[cold]
    fn grow(&mut self, raw: &RawRecord, time: u64) -> u32 {
        let at = self.slots.len() as u32;
        let head = Head { span: 0, last: at, len: 0, neighbour: NONE, older: NONE, newer: NONE };
        self.slots.push(Slot { next: NONE, head, time, raw: raw.clone() });
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
mod tests;
