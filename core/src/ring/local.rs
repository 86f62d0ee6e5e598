//! The writing end of a ring that one thread writes: plain loads and stores, published by the position.
//!
//! A signal handler may interrupt its own thread amid a record and make one too. So a writer first marks the ring: it puts [`BUSY`] where the position is
//! that it may write up to. Whoever finds the mark has interrupted a writer; its record is counted as [`LossReason::Reentrant`](crate::value::LossReason) and
//! touches nothing else. That costs a store before the record and one after it, and no comparison, as a ring with the mark has room for no record.

use super::{Head, Ring, Slot, Word};
#[cfg(straight)]
use crate::sync::AtomicWord;
use crate::sync::{Acquire, Relaxed, Release, fence, order_for_interrupts};

/// In place of the position that a writer may write up to: a record is being written.
const BUSY: usize = 0;

impl Ring<'_> {
    /// Marks the ring as being written, and gives the position that may be written up to as far as is known; `None` when this context has
    /// interrupted a writer.
    ///
    /// A handler that comes between load and store leaves the ring as it finds it but for its records, and for a position further on
    /// than the one loaded, of which the older one is right too.
    #[inline(always)]
    fn begin_write(&self) -> Option<usize> {
        let room_to = self.writer.0.room_to.load(Relaxed);
        if room_to == BUSY {
            return None;
        }
        self.writer.0.room_to.store(BUSY, Relaxed);
        order_for_interrupts();
        Some(room_to)
    }

    #[inline(always)]
    fn end_write(&self, room_to: usize) {
        order_for_interrupts();
        self.writer.0.room_to.store(room_to, Relaxed);
    }

    /// Counts the record of a context that has interrupted a writer; false.
    #[cold]
    #[inline(never)]
    fn lose_reentrant(&self, time: Word) -> bool {
        let writer = &self.writer.0;
        if writer.reentrant.fetch_add(1, Relaxed) == self.reader.0.reported_reentrant.load(Relaxed) {
            writer.first_reentrant.store(time, Relaxed);
        }
        false
    }

    #[inline(always)]
    pub(super) fn push_local_oldest(&self, head: Head, body: &[Word], time: Word) -> bool {
        let Some(mut room_to) = self.begin_write() else { return self.lose_reentrant(time) };
        let (head, slots) = head.sized(body.len());
        let at = self.writer.0.head.load(Relaxed);
        let end = at.wrapping_add(slots);
        let fits = |room_to: usize| room_to.wrapping_sub(end) as isize >= 0;
        if !fits(room_to) {
            room_to = self.look_at_tail();
        }
        if fits(room_to) {
            let first = self.slot(at);
            self.write_at(first, at, head, body);
            // No stamp: a reader goes by the position, which is stored last.
            first.store_word0(Slot::word0(0, head), Relaxed);
            self.writer.0.head.store(end, Release);
        } else {
            let lost = self.writer.0.lost.load(Relaxed);
            self.note_first_loss(lost, time);
            self.writer.0.lost.store(lost.wrapping_add(1), Release);
        }
        self.end_write(room_to);
        fits(room_to)
    }

    /// Looks at the reader's position, and says up to where that allows to write.
    #[cold]
    #[inline(never)]
    fn look_at_tail(&self) -> usize {
        // Acquire: what the reader read of these slots, it read before we write them.
        let room_to = self.reader.0.tail.load(Acquire).wrapping_add(self.capacity());
        // On a 32-bit machine positions wrap, and once in 2^32 slots this is the mark; then one slot is left unused until the reader goes on.
        if room_to == BUSY { room_to.wrapping_sub(1) } else { room_to }
    }

    /// The next slot of a `LocalOldest` ring, for its writer to fill in place; `None` when it knows of no room, upon which [`Ring::push`] looks again. Until
    /// the slot is published no other record of this thread is written.
    #[cfg(straight)]
    #[inline(always)]
    pub(crate) fn fill(&self) -> Option<Filling<'_>> {
        let writer = &self.writer.0;
        let room_to = writer.room_to.load(Relaxed);
        // Whatever it was; if it was the mark, it is less than any position, and no slot is given.
        writer.room_to.store(BUSY, Relaxed);
        order_for_interrupts();
        let at = writer.head.load(Relaxed);
        if at >= room_to {
            writer.room_to.store(room_to, Relaxed);
            return None;
        }
        Some(Filling { head: &writer.head, room: &writer.room_to, room_to, at, slot: self.slot(at) })
    }

    pub(super) fn push_local_newest(&self, head: Head, body: &[Word], time: Word) -> bool {
        let Some(mut room_to) = self.begin_write() else { return self.lose_reentrant(time) };
        let (head, slots) = head.sized(body.len());
        let at = self.writer.0.head.load(Relaxed);
        let end = at.wrapping_add(slots);
        let fits = |room_to: usize| room_to.wrapping_sub(end) as isize >= 0;
        if !fits(room_to) {
            room_to = self.look_at_tail();
        }
        if !fits(room_to) {
            // The reader counts how many, when it gets there; only the writer knows when it began.
            let report = self.reader.0.reported.load(Relaxed).wrapping_add(1);
            if self.writer.0.noted.load(Relaxed) != report {
                self.writer.0.noted.store(report, Relaxed);
                self.writer.0.first_loss.store(time, Relaxed);
            }
        }
        let number = self.writer.0.written.load(Relaxed);
        self.writer.0.written.store(number.wrapping_add(1), Relaxed);
        self.writer.0.begin.store(end, Relaxed);
        // Whoever sees a word written below also sees `begin`.
        fence(Release);
        self.write(at, head, body);
        for i in 1..slots {
            self.slot(at.wrapping_add(i)).store_word0(Slot::word0(0, Head::default()), Relaxed);
        }
        self.slot(at).store_word0(Slot::word0((number as u32) << 1 | 1, head), Relaxed);
        self.writer.0.head.store(end, Release);
        self.end_write(room_to);
        true
    }
}

/// A slot that its only writer is filling.
#[cfg(straight)]
pub(crate) struct Filling<'r> {
    head: &'r AtomicWord,
    /// Where the position goes that may be written up to, when the slot is published.
    room: &'r AtomicWord,
    room_to: usize,
    at: usize,
    slot: &'r Slot,
}

#[cfg(straight)]
impl Filling<'_> {
    /// Writes the first word: a [`Head::to_word`].
    #[inline(always)]
    pub(crate) fn head(&self, word: Word) {
        self.slot.store_word0(word, Relaxed);
    }

    /// Writes words of the body, from the `from`-th on.
    #[inline(always)]
    pub(crate) fn body<const N: usize>(&self, from: usize, words: [Word; N]) {
        self.slot.store_first(from, &words);
    }

    /// Hands it to the reader.
    #[inline(always)]
    pub(crate) fn publish(self) {
        self.head.store(self.at.wrapping_add(1), Release);
        order_for_interrupts();
        self.room.store(self.room_to, Relaxed);
    }
}
