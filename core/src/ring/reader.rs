//! The reading end of a ring: copy a record out or read it where it lies, then commit, which says whether what was read may be believed.

use super::layout::RawRecord;
use super::newest::Scan;
use super::{Loss, MAX_SLOTS, Mode, NEXT_WORDS, Ring, Words, state};
use crate::LossReason;
#[cfg(not(target_os = "none"))]
use crate::sync::fence;
use crate::sync::{Acquire, Relaxed, Release};

/// The one reader of a ring.
#[derive(Debug)]
pub struct Reader<'r> {
    pub(super) ring: &'r Ring<'r>,
    /// Of a ring that keeps the newest.
    pub(super) scan: Scan,
    ticket: Option<Ticket>,
}

/// The record found last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) position: usize,
    pub(super) slots: usize,
    /// Word 0 as read; `SharedNewest` takes the record against it.
    pub(super) word: usize,
    /// `LocalNewest`: records lost before this one, and its number.
    #[cfg(not(target_os = "none"))]
    gap: usize,
    #[cfg(not(target_os = "none"))]
    number: usize,
}

impl Ticket {
    pub(super) fn new(position: usize, slots: usize, word: usize) -> Ticket {
        Ticket {
            position,
            slots,
            word,
            #[cfg(not(target_os = "none"))]
            gap: 0,
            #[cfg(not(target_os = "none"))]
            number: 0,
        }
    }
}

impl<'r> Reader<'r> {
    pub(super) fn new(ring: &'r Ring<'r>) -> Self {
        Reader { ring, scan: Scan::NONE, ticket: None }
    }

    /// Copies the next record into `out`; false when there is none for now. The record stays in the ring until [`Reader::commit`];
    /// without one, the next call gives it again.
    ///
    /// In `SharedNewest` mode the ring is read scan by scan: false ends one, and the call after it starts another. Records come in the order of
    /// their writing, save for those of writers that were stopped for a lap; what is written while a scan is under way is of the next.
    #[inline]
    pub fn next(&mut self, out: &mut RawRecord) -> bool {
        self.ticket = match self.ring.mode {
            #[cfg(not(target_os = "none"))]
            Mode::LocalOldest => self.find_local_oldest(),
            Mode::SharedOldest => self.find_shared_oldest(),
            #[cfg(not(target_os = "none"))]
            // What was copied is looked at again at once, as the writer says no more than how far it is.
            Mode::LocalNewest => {
                self.ticket = self.find_local_newest(out);
                return self.ticket.is_some();
            }
            Mode::SharedNewest => self.find_shared_newest(),
        };
        let Some(ticket) = self.ticket else { return false };
        self.copy(ticket.position, out);
        true
    }

    /// As [`Reader::next`], with the record read where it lies instead of copied. For rings with many writers; of others it is `None`.
    #[inline]
    pub fn peek(&mut self) -> Option<Words<'r>> {
        self.ticket = match self.ring.mode {
            Mode::SharedOldest => self.find_shared_oldest(),
            Mode::SharedNewest => self.find_shared_newest(),
            #[cfg(not(target_os = "none"))]
            _ => None,
        };
        Some(Words::new(self.ring, self.ticket?.position))
    }

    /// Takes the record last found out of the ring. False when it was overwritten meanwhile: what was read must be thrown away (its
    /// loss is counted).
    #[inline]
    pub fn commit(&mut self) -> bool {
        let Some(t) = self.ticket.take() else { return false };
        let ring = self.ring;
        match ring.mode {
            #[cfg(not(target_os = "none"))]
            Mode::LocalOldest => {}
            Mode::SharedOldest => {}
            #[cfg(not(target_os = "none"))]
            Mode::LocalNewest => {
                let lost = ring.writer.0.lost.load(Relaxed);
                ring.writer.0.lost.store(lost.wrapping_add(t.gap), Release);
                ring.reader.0.expected.store(t.number.wrapping_add(1), Relaxed);
            }
            Mode::SharedNewest => return ring.newest.is_some_and(|newest| (newest.take)(self, &t)),
        }
        // Release: our reads of these slots come before a writer's next writes of them.
        ring.reader.0.tail.store(t.position.wrapping_add(t.slots), Release);
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
        let tail = self.scan.position().unwrap_or_else(|| self.ring.reader.0.tail.load(Relaxed));
        end.wrapping_sub(tail).min(self.ring.capacity())
    }

    /// Position of the record last found; compare with [`Ring::head`].
    pub fn position(&self) -> Option<usize> {
        self.ticket.map(|t| t.position)
    }

    /// Ticks of the oldest clock record in a `SharedNewest` ring, looked for from where the reader is; nothing is consumed. What precedes it has
    /// no wrap-proof time before it in the ring, so this is what its times are told by. Cost: a walk over the ring's stamps.
    pub fn oldest_clock(&self) -> Option<u64> {
        self.ring.newest.and_then(|newest| (newest.oldest_clock)(self))
    }

    /// Whether [`Reader::take_loss`] has something to tell.
    pub fn has_loss(&self) -> bool {
        self.ring.writer.0.lost.load(Relaxed) != self.ring.reader.0.reported.load(Relaxed)
    }

    /// What was lost since this was last asked; `None` when nothing.
    pub fn take_loss(&mut self) -> Option<Loss> {
        let ring = self.ring;
        let total = ring.writer.0.lost.load(Acquire);
        let count = total.wrapping_sub(ring.reader.0.reported.load(Relaxed));
        if count == 0 {
            return None;
        }
        let first = ring.writer.0.first_loss.load(Relaxed);
        ring.reader.0.reported.store(total, Relaxed);
        let reason = match ring.mode {
            #[cfg(not(target_os = "none"))]
            Mode::LocalOldest => LossReason::RingFull,
            Mode::SharedOldest => LossReason::RingFull,
            _ => LossReason::Overwritten,
        };
        Some(Loss { reason, count, total, first })
    }

    #[cfg(not(target_os = "none"))]
    #[inline]
    fn find_local_oldest(&self) -> Option<Ticket> {
        let at = self.ring.reader.0.tail.load(Relaxed);
        if self.ring.writer.0.head.load(Acquire) == at {
            return None;
        }
        Some(self.ticket(at))
    }

    #[inline]
    fn find_shared_oldest(&self) -> Option<Ticket> {
        let at = self.ring.reader.0.tail.load(Relaxed);
        if self.ring.slot(at).stamp(Acquire) != state::at(at, state::START) {
            return None;
        }
        Some(self.ticket(at))
    }

    fn find_shared_newest(&mut self) -> Option<Ticket> {
        (self.ring.newest?.find)(self)
    }

    #[inline]
    fn ticket(&self, at: usize) -> Ticket {
        Ticket::new(at, self.ring.slot(at).load_head().slots(), 0)
    }

    #[cfg(not(target_os = "none"))]
    fn find_local_newest(&self, out: &mut RawRecord) -> Option<Ticket> {
        let (w, r) = (&self.ring.writer.0, &self.ring.reader.0);
        let capacity = self.ring.capacity();
        // The writer may lap us again while we look; it can do so for ever, we need not follow for ever.
        for _ in 0..4 * capacity {
            let head = w.head.load(Acquire);
            let at = r.tail.load(Relaxed);
            if head == at {
                return None;
            }
            let begin = w.begin.load(Relaxed);
            if begin.wrapping_sub(at) > capacity {
                let oldest = begin.wrapping_sub(capacity);
                r.tail.store(oldest, Relaxed);
                if oldest == head {
                    return None;
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
            return Some(Ticket {
                position: at,
                slots: copied,
                word: 0,
                gap,
                number: expected.wrapping_add(gap),
            });
        }
        None
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
