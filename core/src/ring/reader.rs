//! The reader of a ring. It copies a record or reads it in place, then commits, which tells whether the words
//! read are valid.

use super::layout::RawRecord;
use super::scan::Scan;
use super::{Loss, MAX_SLOTS, Mode, NEXT_WORDS, Ring, Words};
#[cfg(not(target_os = "none"))]
use crate::sync::fence;
use crate::sync::{Acquire, Relaxed, Release};
use crate::value::LossReason;

/// The only reader of a ring.
#[derive(Debug)]
pub struct Reader<'r> {
    pub(super) ring: &'r Ring<'r>,
    /// `LocalOldest`: the writer's position when it was last read, so that the reader does not fetch the
    /// writer's cache line for every record.
    #[cfg(not(target_os = "none"))]
    seen: usize,
    /// The scan of a ring that keeps the newest.
    pub(super) scan: Scan,
    pub(super) found: Found,
}

/// A [`Reader`] that is put away between two visits. It takes little memory, because it keeps neither its
/// ring nor the record that it found. The ring still counts it as its reader.
///
/// ```
/// use throughline::adapter::ring::{Head, Mode, RecordKind, Ring};
/// # static SLOTS: throughline::Slots<8> = throughline::Slots::new();
/// let ring = Ring::new(SLOTS.as_slice(), Mode::SharedNewest);
/// let write = |time| ring.push(Head::new(RecordKind::Event, 7, 0, 0), &[time, 0, 0], time);
/// let (_, _) = (write(1), write(2));
/// let mut reader = ring.reader().unwrap();
/// assert!(reader.find() && reader.commit());
/// let parked = reader.park();
/// assert!(ring.reader().is_none() && write(3));
/// let mut reader = parked.resume(&ring);
/// assert!(reader.find() && reader.words().next() == 2 && reader.commit());
/// assert!(!reader.find(), "what was written since is of the next scan");
/// ```
#[derive(Debug)]
pub struct Parked(Scan);

impl Parked {
    /// Makes a reader that continues where [`Reader::park`] left off. `ring` must be the same ring; with
    /// another one, records are read out of order or twice.
    #[inline]
    pub fn resume<'r>(&self, ring: &'r Ring<'r>) -> Reader<'r> {
        Reader { scan: self.0, ..Reader::new(ring) }
    }
}

/// The record that was found last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) position: usize,
    /// 0 when no record was found.
    pub(super) slots: usize,
    /// Word 0 when it was read. `SharedNewest` takes the record only if the word is still the same.
    pub(super) word: usize,
    /// `LocalNewest`: the number of records lost before this one, and this record's number.
    #[cfg(not(target_os = "none"))]
    gap: usize,
    #[cfg(not(target_os = "none"))]
    number: usize,
}

impl<'r> Reader<'r> {
    pub(super) fn new(ring: &'r Ring<'r>) -> Self {
        Reader {
            ring,
            #[cfg(not(target_os = "none"))]
            seen: ring.reader.0.tail.load(Relaxed),
            scan: Scan::NONE,
            found: Found::default(),
        }
    }

    /// Puts the reader away until [`Parked::resume`]. A record that was found but not committed will be found
    /// again.
    #[inline]
    pub fn park(self) -> Parked {
        let parked = Parked(self.scan);
        core::mem::forget(self);
        parked
    }

    /// Copies the next record into `out`. Returns false when there is none at present. The record stays in
    /// the ring until [`Reader::commit`]; without a commit the next call returns it again.
    ///
    /// In `SharedNewest` mode the ring is read scan by scan: false ends a scan, and the next call begins
    /// another one. Records come in the order in which they were written, except for those of writers that
    /// were stopped for a whole lap. Records that are written during a scan belong to the next one.
    #[inline]
    pub fn next(&mut self, out: &mut RawRecord) -> bool {
        let found = match self.ring.mode() {
            #[cfg(not(target_os = "none"))]
            Mode::LocalOldest => self.find_local_oldest(),
            #[cfg(not(target_os = "none"))]
            // Here the copy must be checked at once, because the writer's position is the only evidence that
            // it is valid.
            Mode::LocalNewest => return self.next_local_newest(out),
            _ => self.find(),
        };
        if found {
            self.copy(self.found.position, out);
        }
        found
    }

    /// Finds the next record, to be read in place with [`Reader::words`]. Returns false when there is none at
    /// present, and always for rings with one writer. As with [`Reader::next`], the record stays in the ring
    /// until [`Reader::commit`].
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn find(&mut self) -> bool {
        if let Some(newest) = self.ring.newest {
            return (newest.find)(self);
        }
        let at = self.ring.reader.0.limit.load(Relaxed).wrapping_sub(self.ring.capacity());
        let slot = self.ring.slot(at);
        let is_there = slot.stamp(Acquire) == at as u32;
        is_there && self.found(at, slot.load_head().slots(), 0)
    }

    /// The words of the record that was found last.
    pub fn words(&self) -> Words<'r> {
        Words::new(self.ring, self.found.position)
    }

    #[inline]
    pub(super) fn found(&mut self, position: usize, slots: usize, word: usize) -> bool {
        self.found = Found { position, slots, word, ..self.found };
        true
    }

    /// Takes the record that was found last out of the ring. Returns false when it was overwritten meanwhile:
    /// discard what was read; the loss is counted.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub fn commit(&mut self) -> bool {
        // Copy only the words that are needed: a copy of the whole struct would go through memory.
        let Found { position, slots, .. } = self.found;
        if slots == 0 {
            return false;
        }
        let ring = self.ring;
        if let Some(newest) = ring.newest {
            let is_taken = (newest.take)(self);
            self.found.slots = 0;
            return is_taken;
        }
        self.found.slots = 0;
        let end = position.wrapping_add(slots);
        #[cfg(not(target_os = "none"))]
        if ring.mode != Mode::SharedOldest {
            if ring.mode == Mode::LocalNewest {
                let lost = ring.writer.0.lost.load(Relaxed);
                ring.writer.0.lost.store(lost.wrapping_add(self.found.gap), Release);
                ring.reader.0.expected.store(self.found.number.wrapping_add(1), Relaxed);
            }
            // Release: as for `limit` below.
            ring.reader.0.tail.store(end, Release);
            return true;
        }
        // Release: our reads of these slots come before a writer's next writes to them.
        ring.reader.0.limit.store(end.wrapping_add(ring.capacity()), Release);
        true
    }

    /// Passes every record to `f` until there is none left. Returns the number of records.
    pub fn drain(&mut self, mut f: impl FnMut(&RawRecord)) -> usize {
        let mut out = RawRecord::new();
        let mut n = 0;
        while self.next(&mut out) {
            if self.commit() {
                f(&out);
                n += 1;
            }
        }
        n
    }

    /// Like [`Reader::drain`], for records before `end`, a position from [`Ring::head`]. It ends however fast
    /// records arrive.
    #[cfg(not(target_os = "none"))]
    #[inline]
    pub fn drain_until(&mut self, end: usize, mut f: impl FnMut(&RawRecord)) -> usize {
        let before_end = |position: usize| end.wrapping_sub(position) as isize > 0;
        let mut out = RawRecord::new();
        let mut n = 0;
        if self.ring.mode == Mode::LocalOldest {
            let tail = &self.ring.reader.0.tail;
            // Acquire: the context that read `end` may not have synchronised with the writes before it.
            let head = self.ring.head();
            let end = if before_end(head) { head } else { end };
            let mut at = tail.load(Relaxed);
            while end.wrapping_sub(at) as isize > 0 {
                at = at.wrapping_add(self.copy(at, &mut out));
                // Release: our reads of these slots come before a writer's next writes to them.
                tail.store(at, Release);
                f(&out);
                n += 1;
            }
            return n;
        }
        while self.next(&mut out) && self.position().is_some_and(before_end) {
            if self.commit() {
                f(&out);
                n += 1;
            }
        }
        n
    }

    /// The number of slots from the reader's position to `end`, a position from [`Ring::head`].
    #[cfg(not(target_os = "none"))]
    pub fn slots_before(&self, end: usize) -> usize {
        let reader = &self.ring.reader.0;
        let consumed = match self.ring.mode {
            Mode::SharedOldest => reader.limit.load(Relaxed).wrapping_sub(self.ring.capacity()),
            _ => self.scan.position().unwrap_or_else(|| reader.tail.load(Relaxed)),
        };
        end.wrapping_sub(consumed).min(self.ring.capacity())
    }

    /// Position of the record that was found last; compare it with [`Ring::head`].
    pub fn position(&self) -> Option<usize> {
        (self.found.slots > 0).then_some(self.found.position)
    }

    /// For a `SharedNewest` ring: a lower bound, in ticks extended to 64 bits, of the times of the records to
    /// be read. `now` is the clock's current reading. In other modes 0.
    ///
    /// Such a ring always has room, so it contains clock records. The records before the oldest clock record
    /// may follow a gap of overwritten records. They are at most 2^30 + 2^31 ticks older than that clock
    /// record, or than `now` if there is none (see [`Recorder::mark_clock`](crate::Recorder::mark_clock)).
    /// Cost: a walk over the stamps of the ring.
    pub fn not_before(&self, now: u64) -> u64 {
        self.ring.newest.map_or(0, |newest| (newest.not_before)(self, now))
    }

    /// Whether [`Reader::take_loss`] has a loss of a shared ring to report.
    pub fn has_loss(&self) -> bool {
        self.ring.writer.0.lost.load(Relaxed) != self.ring.reader.0.reported.load(Relaxed)
    }

    /// The losses since the last call, one reason per call; `None` when there are no more.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn take_loss(&mut self) -> Option<Loss> {
        let ring = self.ring;
        let total = ring.writer.0.lost.load(Acquire);
        let count = total.wrapping_sub(ring.reader.0.reported.load(Relaxed));
        if count == 0 {
            #[cfg(not(target_os = "none"))]
            return self.take_reentrant();
            #[cfg(target_os = "none")]
            return None;
        }
        let first = ring.writer.0.first_loss.load(Relaxed);
        ring.reader.0.reported.store(total, Relaxed);
        let reason = match ring.mode() {
            #[cfg(not(target_os = "none"))]
            Mode::LocalOldest => LossReason::RingFull,
            Mode::SharedOldest => LossReason::RingFull,
            _ => LossReason::Overwritten,
        };
        Some(Loss { reason, count, total, first })
    }

    /// The losses of signal handlers' records since the last call.
    #[cfg(not(target_os = "none"))]
    fn take_reentrant(&mut self) -> Option<Loss> {
        let (writer, reported) = (&self.ring.writer.0, &self.ring.reader.0.reported_reentrant);
        let total = writer.reentrant.load(Acquire);
        let count = total.wrapping_sub(reported.load(Relaxed));
        if count == 0 {
            return None;
        }
        let first = writer.first_reentrant.load(Relaxed);
        reported.store(total, Relaxed);
        Some(Loss { reason: LossReason::Reentrant, count, total, first })
    }

    #[cfg(not(target_os = "none"))]
    #[inline]
    fn find_local_oldest(&mut self) -> bool {
        let at = self.ring.reader.0.tail.load(Relaxed);
        // `seen` is behind the tail when `drain_until` went further.
        if self.seen.wrapping_sub(at) as isize <= 0 {
            self.seen = self.ring.writer.0.head.load(Acquire);
            if self.seen == at {
                return false;
            }
        }
        self.found(at, self.ring.slot(at).load_head().slots(), 0)
    }

    #[cfg(not(target_os = "none"))]
    #[inline(never)]
    fn next_local_newest(&mut self, out: &mut RawRecord) -> bool {
        let (w, r) = (&self.ring.writer.0, &self.ring.reader.0);
        let capacity = self.ring.capacity();
        // The writer may lap the reader again and again, so bound the number of tries.
        for _ in 0..4 * capacity {
            let head = w.head.load(Acquire);
            let at = r.tail.load(Relaxed);
            if head == at {
                return false;
            }
            let begin = w.begin.load(Relaxed);
            if begin.wrapping_sub(at) > capacity {
                let oldest = begin.wrapping_sub(capacity);
                r.tail.store(oldest, Relaxed);
                if oldest == head {
                    return false;
                }
                continue;
            }
            let stamp = self.ring.slot(at).stamp(Relaxed);
            let copied = self.copy(at, out);
            fence(Acquire);
            if w.begin.load(Relaxed).wrapping_sub(at) > capacity {
                continue;
            }
            if stamp & 1 == 0 {
                // This slot is the rest of a record whose first slot was overwritten.
                r.tail.store(at.wrapping_add(1), Relaxed);
                continue;
            }
            let expected = r.expected.load(Relaxed);
            let gap = ((stamp >> 1).wrapping_sub(expected as u32) & 0x7fff_ffff) as usize;
            let number = expected.wrapping_add(gap);
            self.found = Found { position: at, slots: copied, word: 0, gap, number };
            return true;
        }
        false
    }

    /// Copies the head and the body of a record. Returns the number of its slots.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    fn copy(&self, at: usize, out: &mut RawRecord) -> usize {
        let first = self.ring.slot(at);
        out.head = first.load_head();
        let slots = out.head.slots().min(MAX_SLOTS);
        first.load_body(true, &mut out.body[..super::FIRST_WORDS]);
        out.len = super::FIRST_WORDS;
        for i in 1..slots {
            let words = &mut out.body[out.len..out.len + NEXT_WORDS];
            self.ring.slot(at.wrapping_add(i)).load_body(false, words);
            out.len += NEXT_WORDS;
        }
        slots
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.ring.reader.0.reading.store(0, Release);
    }
}
