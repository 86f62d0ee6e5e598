//! The writer of a ring with one writing thread: plain loads and stores; the position publishes a record.
//!
//! A signal handler may interrupt its own thread while a record is being written, and make a record too. The
//! writer therefore first marks the ring: it replaces the position up to which it may write by [`BUSY`]. A
//! context that finds the mark has interrupted a writer. Its record is counted as
//! [`LossReason::Reentrant`](crate::value::LossReason), and nothing else is touched. This costs a store
//! before the record and a store after it, and no comparison, because a marked ring has no room for any
//! record.

use super::{Head, Ring, Slot, Word};
#[cfg(straight)]
use crate::sync::AtomicWord;
use crate::sync::{Acquire, Relaxed, Release, fence, order_for_interrupts};

/// Replaces the position up to which a writer may write while it writes a record.
const BUSY: usize = 0;

impl Ring<'_> {
    /// Marks the ring as being written. Returns the known position up to which writing is allowed, or `None`
    /// if this context has interrupted a writer.
    ///
    /// A signal handler may run between the load and the store. It adds its records and restores the word,
    /// possibly to a later position than the one loaded; the older position remains valid.
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

    /// Counts the record of a context that interrupted a writer as lost. Returns false.
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
            // The stamp is not used: the reader goes by the position, which is stored last.
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

    /// Reads the reader's position and returns the position up to which it allows writing.
    #[cold]
    #[inline(never)]
    fn look_at_tail(&self) -> usize {
        // Acquire: the reader's last reads of these slots come before our writes.
        let room_to = self.reader.0.tail.load(Acquire).wrapping_add(self.capacity());
        // On a 32-bit machine positions wrap, and once in 2^32 slots the position equals the mark. One slot
        // is then left unused until the reader moves on.
        if room_to == BUSY { room_to.wrapping_sub(1) } else { room_to }
    }

    /// The next slot of a `LocalOldest` ring, for its writer to fill in place. `None` when the known position
    /// allows no slot; [`Ring::push`] then reads the reader's position. This thread must write no other
    /// record before the slot is published.
    #[cfg(straight)]
    #[inline(always)]
    pub(crate) fn fill(&self) -> Option<Filling<'_>> {
        let writer = &self.writer.0;
        let room_to = writer.room_to.load(Relaxed);
        // Mark the ring without a test. If it was already marked, `room_to` is 0, no position is below it,
        // and no slot is given.
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
            // The reader later counts how many records were overwritten. Only the writer knows when the first
            // one was.
            let report = self.reader.0.reported.load(Relaxed).wrapping_add(1);
            if self.writer.0.noted.load(Relaxed) != report {
                self.writer.0.noted.store(report, Relaxed);
                self.writer.0.first_loss.store(time, Relaxed);
            }
        }
        let number = self.writer.0.written.load(Relaxed);
        self.writer.0.written.store(number.wrapping_add(1), Relaxed);
        self.writer.0.begin.store(end, Relaxed);
        // A reader that sees a word written below also sees `begin`.
        fence(Release);
        self.write_at(self.slot(at), at, head, body);
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
    /// The word for the position up to which the writer may write. Publishing restores it.
    room: &'r AtomicWord,
    room_to: usize,
    at: usize,
    slot: &'r Slot,
}

#[cfg(straight)]
impl Filling<'_> {
    /// Writes word 0, made by [`Head::to_word`].
    #[inline(always)]
    pub(crate) fn head(&self, word: Word) {
        self.slot.store_word0(word, Relaxed);
    }

    /// Writes body words, beginning with word `from`.
    #[inline(always)]
    pub(crate) fn body<const N: usize>(&self, from: usize, words: [Word; N]) {
        self.slot.store_first(from, &words);
    }

    /// Publishes the slot to the reader.
    #[inline(always)]
    pub(crate) fn publish(self) {
        self.head.store(self.at.wrapping_add(1), Release);
        order_for_interrupts();
        self.room.store(self.room_to, Relaxed);
    }
}
