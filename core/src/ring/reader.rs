//! The reading end of a ring: copy a record out or read it where it lies, then commit, which says whether what was read may be believed.

use super::layout::RawRecord;
use super::scan::Scan;
use super::{Loss, MAX_SLOTS, Mode, NEXT_WORDS, Ring, Words};
#[cfg(not(target_os = "none"))]
use crate::sync::fence;
use crate::sync::{Acquire, Relaxed, Release};
use crate::value::LossReason;

/// The one reader of a ring.
#[derive(Debug)]
pub struct Reader<'r> {
    pub(super) ring: &'r Ring<'r>,
    /// `LocalOldest`: the writer's position as last seen, so that its line is not taken from it for every record.
    #[cfg(not(target_os = "none"))]
    seen: usize,
    /// Of a ring that keeps the newest.
    pub(super) scan: Scan,
    pub(super) found: Found,
}

/// A [`Reader`] between two visits, without its ring and what it found: for who has little memory. The ring still counts it as its reader.
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
    /// Goes on where [`Reader::park`] left off; `ring` must be the same. With another, records are read in an order of their own, or twice.
    #[inline]
    pub fn resume<'r>(&self, ring: &'r Ring<'r>) -> Reader<'r> {
        Reader { scan: self.0, ..Reader::new(ring) }
    }
}

/// The record found last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) position: usize,
    /// 0 when there is none.
    pub(super) slots: usize,
    /// Word 0 as read; `SharedNewest` takes the record against it.
    pub(super) word: usize,
    /// `LocalNewest`: records lost before this one, and its number.
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

    /// Puts it away until [`Parked::resume`]. A record that was found and not committed is found again then.
    #[inline]
    pub fn park(self) -> Parked {
        let parked = Parked(self.scan);
        core::mem::forget(self);
        parked
    }

    /// Copies the next record into `out`; false when there is none for now. The record stays in the ring until [`Reader::commit`];
    /// without one, the next call gives it again.
    ///
    /// In `SharedNewest` mode the ring is read scan by scan: false ends one, and the call after it starts another. Records come in the order of
    /// their writing, save for those of writers that were stopped for a lap; what is written while a scan is under way is of the next.
    #[inline]
    pub fn next(&mut self, out: &mut RawRecord) -> bool {
        let found = match self.ring.mode() {
            #[cfg(not(target_os = "none"))]
            Mode::LocalOldest => self.find_local_oldest(),
            #[cfg(not(target_os = "none"))]
            // What was copied is looked at again at once, as the writer says no more than how far it is.
            Mode::LocalNewest => return self.next_local_newest(out),
            _ => self.find(),
        };
        if found {
            self.copy(self.found.position, out);
        }
        found
    }

    /// Finds the next record, to be read where it lies by way of [`Reader::words`]; false when there is none for now, and for rings with one
    /// writer. As with [`Reader::next`] the record stays until [`Reader::commit`].
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

    /// The words of the record last found.
    pub fn words(&self) -> Words<'r> {
        Words::new(self.ring, self.found.position)
    }

    #[inline]
    pub(super) fn found(&mut self, position: usize, slots: usize, word: usize) -> bool {
        self.found = Found { position, slots, word, ..self.found };
        true
    }

    /// Takes the record last found out of the ring. False when it was overwritten meanwhile: what was read must be thrown away (its
    /// loss is counted).
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    pub fn commit(&mut self) -> bool {
        let found = self.found;
        self.found.slots = 0;
        if found.slots == 0 {
            return false;
        }
        let ring = self.ring;
        if let Some(newest) = ring.newest {
            return (newest.take)(self, &found);
        }
        let end = found.position.wrapping_add(found.slots);
        #[cfg(not(target_os = "none"))]
        if ring.mode != Mode::SharedOldest {
            if ring.mode == Mode::LocalNewest {
                let lost = ring.writer.0.lost.load(Relaxed);
                ring.writer.0.lost.store(lost.wrapping_add(found.gap), Release);
                ring.reader.0.expected.store(found.number.wrapping_add(1), Relaxed);
            }
            // As below.
            ring.reader.0.tail.store(end, Release);
            return true;
        }
        // Release: our reads of these slots come before a writer's next writes of them.
        ring.reader.0.limit.store(end.wrapping_add(ring.capacity()), Release);
        true
    }

    /// Hands every record to `f` until there is none, and says how many.
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

    /// As [`Reader::drain`], but only what is before `end`, a position of [`Ring::head`]: ends however fast records come.
    #[cfg(not(target_os = "none"))]
    #[inline]
    pub fn drain_until(&mut self, end: usize, mut f: impl FnMut(&RawRecord)) -> usize {
        let before_end = |position: usize| end.wrapping_sub(position) as isize > 0;
        let mut out = RawRecord::new();
        let mut n = 0;
        if self.ring.mode == Mode::LocalOldest {
            let tail = &self.ring.reader.0.tail;
            // Acquire: whoever gave us `end` may not have seen what was written before it.
            let head = self.ring.head();
            let end = if before_end(head) { head } else { end };
            let mut at = tail.load(Relaxed);
            while end.wrapping_sub(at) as isize > 0 {
                at = at.wrapping_add(self.copy(at, &mut out));
                // Release: our reads of these slots come before a writer's next writes of them.
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

    /// Slots from where the reader is to `end`, a position of [`Ring::head`].
    #[cfg(not(target_os = "none"))]
    pub fn slots_before(&self, end: usize) -> usize {
        let reader = &self.ring.reader.0;
        let consumed = match self.ring.mode {
            Mode::SharedOldest => reader.limit.load(Relaxed).wrapping_sub(self.ring.capacity()),
            _ => self.scan.position().unwrap_or_else(|| reader.tail.load(Relaxed)),
        };
        end.wrapping_sub(consumed).min(self.ring.capacity())
    }

    /// Position of the record last found; compare with [`Ring::head`].
    pub fn position(&self) -> Option<usize> {
        (self.found.slots > 0).then_some(self.found.position)
    }

    /// Of a `SharedNewest` ring: a time, in ticks extended to 64 bits, that nothing to be read lies before, with `now` the clock. Elsewhere 0.
    ///
    /// Such a ring always has room, so clock records are in it. But what precedes the oldest of them may follow any stretch of time that was
    /// overwritten; it is at most 2^30 + 2^31 ticks before that clock record, or before now if there is none (see
    /// [`Recorder::mark_clock`](crate::Recorder::mark_clock)). Cost: a walk over the ring's stamps.
    pub fn not_before(&self, now: u64) -> u64 {
        self.ring.newest.map_or(0, |newest| (newest.not_before)(self, now))
    }

    /// Whether [`Reader::take_loss`] has something to tell of a shared ring.
    pub fn has_loss(&self) -> bool {
        self.ring.writer.0.lost.load(Relaxed) != self.ring.reader.0.reported.load(Relaxed)
    }

    /// What was lost since this was last asked, one reason at a time; `None` when nothing more.
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

    /// Records of signal handlers that were lost since this was last asked.
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
        // Or before it, when `drain_until` went further.
        if self.seen.wrapping_sub(at) as isize <= 0 {
            self.seen = self.ring.writer.0.head.load(Acquire);
            if self.seen == at {
                return false;
            }
        }
        self.found(at, self.ring.slot(at).load_head().slots(), 0)
    }

    #[cfg(not(target_os = "none"))]
    fn next_local_newest(&mut self, out: &mut RawRecord) -> bool {
        let (w, r) = (&self.ring.writer.0, &self.ring.reader.0);
        let capacity = self.ring.capacity();
        // The writer may lap us again while we look; it can do so for ever, we need not follow for ever.
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
                // The rest of a record whose start was overwritten.
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

    /// Copies head and body, and says how many slots they take.
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
