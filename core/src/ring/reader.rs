//! The reading end of a ring: copy a record out, then commit, which says whether the copy may be believed.

use super::layout::RawRecord;
use super::{Head, Loss, MAX_SLOTS, Mode, NEXT_WORDS, RecordKind, Ring, Slot, Word, slot_stamp, state};
use crate::LossReason;
use crate::sync::{Acquire, Relaxed, Release, fence};

/// The one reader of a ring.
#[derive(Debug)]
pub struct Reader<'r> {
    ring: &'r Ring<'r>,
    /// `SharedNewest`: where this scan of the ring is, and where it ends.
    scan: Option<(usize, usize)>,
    ticket: Option<Ticket>,
}

/// The record last copied out.
#[derive(Clone, Copy, Debug)]
struct Ticket {
    position: usize,
    slots: usize,
    /// Word 0 as read; `SharedNewest` commits against it.
    word: usize,
    /// `LocalNewest`: records lost before this one, and its number.
    #[cfg(not(target_os = "none"))]
    gap: usize,
    #[cfg(not(target_os = "none"))]
    number: usize,
}

impl Ticket {
    fn new(position: usize, slots: usize, word: usize) -> Ticket {
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
        Reader { ring, scan: None, ticket: None }
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
            Mode::LocalOldest => self.next_local_oldest(out),
            Mode::SharedOldest => self.next_shared_oldest(out),
            #[cfg(not(target_os = "none"))]
            Mode::LocalNewest => self.next_local_newest(out),
            Mode::SharedNewest => self.next_shared_newest(out),
        };
        self.ticket.is_some()
    }

    /// Takes the record last copied out of the ring. False when it was overwritten meanwhile: the copy must be thrown away (its
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
            Mode::SharedNewest => {
                let end = self.scan.map_or(t.position, |(_, end)| end);
                self.scan = Some((t.position.wrapping_add(t.slots), end));
                return self.consume(t.position, t.word);
            }
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
        let tail = self.scan.map_or_else(|| self.ring.reader.0.tail.load(Relaxed), |(at, _)| at);
        end.wrapping_sub(tail).min(self.ring.capacity())
    }

    /// Position of the record last copied out; compare with [`Ring::head`].
    pub fn position(&self) -> Option<usize> {
        self.ticket.map(|t| t.position)
    }

    /// Ticks of the oldest clock record in a `SharedNewest` ring, looked for from where the reader is; nothing is consumed. What precedes it has
    /// no wrap-proof time before it in the ring, so this is what its times are told by. Cost: a walk over the ring's stamps.
    pub fn oldest_clock(&self) -> Option<u64> {
        if self.ring.mode != Mode::SharedNewest {
            return None;
        }
        let head = self.ring.head();
        let oldest = head.wrapping_sub(self.ring.capacity());
        // What was written since this scan began comes after it, so the walk goes on to the newest.
        let mut at = self.scan.map_or(oldest, |(at, _)| at);
        if oldest.wrapping_sub(at) as isize > 0 {
            at = oldest;
        }
        let mut copied = RawRecord::new();
        while head.wrapping_sub(at) as isize > 0 {
            let word = self.ring.slot(at).stamp_word(Acquire);
            if slot_stamp(word) == state::at(at, state::START)
                && self.ring.slot(at).load_head().kind() == Some(RecordKind::Clock)
            {
                self.copy(at, &mut copied);
                fence(Acquire);
                if self.ring.slot(at).stamp_word(Relaxed) == word {
                    let (low, high) = (copied.body[0] as u64, copied.body[1] as u64);
                    return Some(if Word::BITS == 64 { low } else { low | high << 32 });
                }
            }
            at = at.wrapping_add(1);
        }
        None
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
    fn next_local_oldest(&self, out: &mut RawRecord) -> Option<Ticket> {
        let at = self.ring.reader.0.tail.load(Relaxed);
        if self.ring.writer.0.head.load(Acquire) == at {
            return None;
        }
        let slots = self.copy(at, out);
        Some(Ticket::new(at, slots, 0))
    }

    #[inline]
    fn next_shared_oldest(&self, out: &mut RawRecord) -> Option<Ticket> {
        let at = self.ring.reader.0.tail.load(Relaxed);
        if self.ring.slot(at).stamp(Acquire) != state::at(at, state::START) {
            return None;
        }
        let slots = self.copy(at, out);
        Some(Ticket::new(at, slots, 0))
    }

    #[cfg(not(target_os = "none"))]
    fn next_local_newest(&self, out: &mut RawRecord) -> Option<Ticket> {
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

    fn next_shared_newest(&mut self, out: &mut RawRecord) -> Option<Ticket> {
        let (ticket, overtaken) = self.scan_on(out);
        // Writers went over what was left of this scan; what they wrote is of the next.
        if ticket.is_none() && overtaken { self.scan_on(out).0 } else { ticket }
    }

    /// Goes on with the scan until it finds a record or ends; also says whether it met one that is newer than the scan.
    fn scan_on(&mut self, out: &mut RawRecord) -> (Option<Ticket>, bool) {
        let (mut at, end) = self.scan.unwrap_or_else(|| {
            let head = self.ring.head();
            (head.wrapping_sub(self.ring.capacity()), head)
        });
        let mut overtaken = false;
        while end.wrapping_sub(at) as isize > 0 {
            let word = self.ring.slot(at).stamp_word(Acquire);
            let stamp = slot_stamp(word);
            let is_record = stamp & state::MASK == state::START;
            if is_record && stamp.wrapping_sub(state::at(at, state::START)) as i32 > 0 {
                // Left to the next scan, so that what is older than it comes first.
                overtaken = true;
            } else if is_record {
                let slots = self.copy(at, out);
                fence(Acquire);
                if self.whole(at, slots, stamp) {
                    self.scan = Some((at, end));
                    return (Some(Ticket::new(at, slots, word)), overtaken);
                }
                // Its later slots went to a record whose own first slot did not take this one.
                if self.consume(at, word) {
                    self.ring.lose(out.begun());
                }
            }
            at = at.wrapping_add(1);
        }
        self.scan = None;
        (None, overtaken)
    }

    /// Whether the slots after the first belong to the record with this stamp.
    fn whole(&self, at: usize, slots: usize, stamp: u32) -> bool {
        let first = stamp & !state::MASK | at as u32 & state::MASK;
        (1..slots).all(|i| {
            let expected = state::at(first.wrapping_add(i as u32) as usize, state::NEXT);
            self.ring.slot(at.wrapping_add(i)).stamp(Relaxed) == expected
        })
    }

    fn consume(&self, at: usize, word: usize) -> bool {
        let stamp = slot_stamp(word) & !state::MASK | state::CONSUMED;
        self.ring.slot(at).exchange_word0(word, Slot::word0(stamp, Head::default())).is_ok()
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
