//! The writing end of a ring that one thread writes: plain loads and stores, published by the position.

use super::{Head, Ring, Slot, Word};
#[cfg(straight)]
use crate::sync::AtomicWord;
use crate::sync::{Acquire, Relaxed, Release, fence};

impl Ring<'_> {
    #[inline(always)]
    pub(super) fn push_local_oldest(&self, head: Head, body: &[Word], time: Word) -> bool {
        let end = self.writer.0.head.load(Relaxed).wrapping_add(head.sized(body.len()).1);
        if !self.fits(end) {
            // The rest again, so that nothing here has to outlive a call.
            return self.look_again(head, body, time);
        }
        self.publish_local(head, body);
        true
    }

    /// Whether a local writer, as far as it knows, may write up to `end`.
    #[inline(always)]
    fn fits(&self, end: usize) -> bool {
        self.writer.0.room_to.load(Relaxed).wrapping_sub(end) as isize >= 0
    }

    /// Writes where there is room.
    #[inline(always)]
    fn publish_local(&self, head: Head, body: &[Word]) {
        let (head, slots) = head.sized(body.len());
        let at = self.writer.0.head.load(Relaxed);
        let first = self.slot(at);
        self.write_at(first, at, head, body);
        // No stamp: a reader goes by the position, which is stored last.
        first.store_word0(Slot::word0(0, head), Relaxed);
        self.writer.0.head.store(at.wrapping_add(slots), Release);
    }

    /// Looks at the reader's position; counts a loss when there is still no room.
    #[cold]
    #[inline(never)]
    fn look_again(&self, head: Head, body: &[Word], time: Word) -> bool {
        let end = self.writer.0.head.load(Relaxed).wrapping_add(head.sized(body.len()).1);
        if self.look_at_tail(end) {
            self.publish_local(head, body);
            return true;
        }
        let lost = self.writer.0.lost.load(Relaxed);
        self.note_first_loss(lost, time);
        self.writer.0.lost.store(lost.wrapping_add(1), Release);
        false
    }

    /// As `fits`, by where the reader is now.
    fn look_at_tail(&self, end: usize) -> bool {
        // Acquire: what the reader read of these slots, it read before we write them.
        let tail = self.reader.0.tail.load(Acquire);
        self.writer.0.room_to.store(tail.wrapping_add(self.capacity()), Relaxed);
        self.fits(end)
    }

    /// The next slot of a `LocalOldest` ring, for its writer to fill in place; `None` when it knows of no room, upon which [`Ring::push`] looks again.
    /// The same thread must not push until it is published.
    #[cfg(straight)]
    #[inline(always)]
    pub(crate) fn fill(&self) -> Option<Filling<'_>> {
        let at = self.writer.0.head.load(Relaxed);
        let has_room = at != self.writer.0.room_to.load(Relaxed);
        has_room.then(|| Filling { head: &self.writer.0.head, at, slot: self.slot(at) })
    }

    pub(super) fn push_local_newest(&self, head: Head, body: &[Word], time: Word) -> bool {
        let (head, slots) = head.sized(body.len());
        let at = self.writer.0.head.load(Relaxed);
        let end = at.wrapping_add(slots);
        if !self.fits(end) && !self.look_at_tail(end) {
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
        true
    }
}

/// A slot that its only writer is filling.
#[cfg(straight)]
pub(crate) struct Filling<'r> {
    head: &'r AtomicWord,
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
    }
}
