//! Reads the words of a record in place, one after the other.

use super::{FIRST_WORDS, Head, MAX_SLOTS, NEXT_WORDS, RecordKind, Ring, SLOT_WORDS, Slot, Word};

/// The words of a record's body, read in place. In a ring that keeps the newest the words are valid only if
/// [`Reader::commit`](super::Reader::commit) then returns true.
#[derive(Clone, Debug)]
pub struct Words<'r> {
    ring: &'r Ring<'r>,
    head: Head,
    /// The slot that the next word is in, its position, and the word's index in it.
    slot: &'r Slot,
    position: usize,
    index: usize,
    left: usize,
}

/// Index of the first body word in a record's first slot.
const FIRST: usize = SLOT_WORDS - FIRST_WORDS;

impl<'r> Words<'r> {
    pub(super) fn new(ring: &'r Ring<'r>, position: usize) -> Words<'r> {
        let slot = ring.slot(position);
        let head = slot.load_head();
        let left = FIRST_WORDS + (head.slots().min(MAX_SLOTS) - 1) * NEXT_WORDS;
        Words { ring, head, slot, position, index: FIRST, left }
    }

    /// The record's head.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Position of the slot that the next word is in, at first that of the record; compare it with
    /// [`Ring::head`].
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether this is a clock record. Clock records are not counted as records.
    pub fn is_clock(&self) -> bool {
        self.head.kind() == RecordKind::Clock
    }

    /// The next word; 0 after the last one. Slots are read completely, so the words after the record's own
    /// are unspecified.
    #[allow(clippy::should_implement_trait)] // It never ends.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn next(&mut self) -> Word {
        if self.left == 0 {
            return 0;
        }
        self.left -= 1;
        if self.index == SLOT_WORDS {
            self.index = SLOT_WORDS - NEXT_WORDS;
            self.position = self.position.wrapping_add(1);
            self.slot = self.ring.slot(self.position);
        }
        let word = self.slot.load(self.index);
        self.index += 1;
        word
    }

    /// The first five words of a record of which no word has been taken yet. It takes none of them; see
    /// [`Words::skip`].
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn first(&self) -> [Word; 5] {
        const { assert!(FIRST_WORDS >= 5) };
        let word = |i| self.slot.load(FIRST + i);
        [word(0), word(1), word(2), word(3), word(4)]
    }

    /// Takes the first `n` words of a record of which no word has been taken yet. `n` is at most 5.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn skip(&mut self, n: usize) {
        self.index += n;
        self.left -= n;
    }

    /// The next 64 bits: on a 32-bit machine two words, the low one first.
    pub fn wide(&mut self) -> u64 {
        let low = self.next() as u64;
        if Word::BITS == 64 { low } else { low | (self.next() as u64) << 32 }
    }

    /// The number of words left.
    pub fn left(&self) -> usize {
        self.left
    }
}
