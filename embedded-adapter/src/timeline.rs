//! Extends the 32-bit times of records to 64 bits when they are drained.
//!
//! A record holds the low 32 bits of the clock, and is taken for the one moment with these bits between 2^29 ticks before the record before it in the
//! stream and 7 · 2^29 after ([`Batch`](throughline::wire::Batch) does so). That is right if a record's time is
//!
//! * never more than 2^29 ticks *before* that of a record reserved before it: a record's time is read right before it is put into the ring, so the
//!   order is off only by how long a context was interrupted in between; and
//! * never more than 7 · 2^29 ticks *after* that of the record reserved before it. While the ring has room this holds because every flush calls
//!   `mark_clock`, which puts a clock record with all 64 bits into the ring every 2^30 ticks, provided flushes (or calls of `mark_clock`)
//!   are at most 2^31 ticks apart. So the gap is at most 2^30 + 2^31 ticks, or a clock record is in between.
//!
//! While the ring is full (a link that does not take anything, for days perhaps) no clock record finds room either. But then nothing is reserved
//! until a flush makes room, so what is reserved next is at or after the ring's head as it was when that flush began, and its time at or after the
//! flush's own 64-bit reading. So a flush remembers both, as an *anchor*; when the drain gets to that position, the record is taken for a moment
//! after that time. One anchor is enough for one standstill: it is replaced when it was passed, or when nothing was reserved since. A ring
//! in which one drain is so slow that two standstills of more than 7 · 2^29 ticks each are in it at once is not covered: times between them may be off by multiples of 2^32 ticks.
//!
//! The spans' key time is their end: its low bits are start + duration, and the duration, which the device knows to 64 bits, gives the start.
//! Losses are extended as if they were reserved where they are reported.
//!
//! A ring that keeps the newest always has room, so clock records are in it; but what lies before the first of them may follow any stretch of time that
//! was overwritten. [`Reader::not_before`](throughline::ring::Reader::not_before) says what they cannot lie before.
//!
//! On a machine of 64 bits all this is the identity.

use throughline::ring::Word;

/// What is reserved at this position or after it, is of this time or after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    position: Word,
    /// 0 when there is none.
    time: u64,
}

impl Anchor {
    pub(crate) const NONE: Anchor = Anchor { position: 0, time: 0 };

    /// A flush begins: the ring's head and the clock now, read in that order or the other, but before anything is taken from the ring.
    pub(crate) fn begin(&mut self, head: Word, now: u64) {
        // At the same position the later time is as true, and nearer to what comes next.
        if self.time == 0 || head == self.position {
            *self = Anchor { position: head, time: now };
        }
    }

    /// What the record at this position is not before; 0 when that is not known.
    pub(crate) fn not_before(&self, position: Word) -> u64 {
        if self.is_passed(position) { self.time } else { 0 }
    }

    /// The record at this position was taken.
    pub(crate) fn pass(&mut self, position: Word) {
        if self.is_passed(position) {
            self.time = 0;
        }
    }

    fn is_passed(&self, position: Word) -> bool {
        position.wrapping_sub(self.position) as isize >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_holds_from_its_position_on_and_until_it_is_passed() {
        let mut anchor = Anchor::NONE;
        let later = 9u64 << 40;
        anchor.begin(10, later);
        anchor.begin(12, later + 5);
        assert_eq!(anchor.not_before(9), 0);
        anchor.pass(9);
        assert_eq!(anchor.not_before(10), later);
        assert_eq!(anchor.not_before(11), later);
        anchor.pass(11);
        assert_eq!(anchor.not_before(12), 0);
        anchor.begin(12, later + 7);
        assert_eq!(anchor.not_before(12), later + 7);
    }

    #[test]
    fn an_anchor_is_renewed_while_nothing_is_reserved() {
        let mut anchor = Anchor::NONE;
        anchor.begin(10, 1000);
        anchor.begin(10, 9 << 40);
        assert_eq!(anchor.not_before(10), 9 << 40);
    }

    #[test]
    fn positions_may_wrap() {
        let mut anchor = Anchor::NONE;
        anchor.begin(2, 700);
        assert_eq!(anchor.not_before(Word::MAX - 3), 0);
        assert_eq!(anchor.not_before(3), 700);
    }
}
