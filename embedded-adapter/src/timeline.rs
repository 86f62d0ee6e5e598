//! Extends the 32-bit times of records to 64 bits when they are drained.
//!
//! A record holds the low 32 bits of the clock, and is taken for the one moment with these bits between 2^29 ticks before the record before it in the
//! stream and 7 · 2^29 after ([`Batch`](throughline::adapter::wire::Batch) does so). That is right if a record's time is
//!
//! * never more than 2^29 ticks *before* that of a record reserved before it: a record's time is read right before it is put into the ring, so the
//!   order is off only by how long a context was interrupted in between; and
//! * never more than 7 · 2^29 ticks *after* that of the record reserved before it. While the ring has room this holds because every flush calls
//!   `mark_clock`, which puts a clock record with all 64 bits into the ring every 2^30 ticks, provided flushes (or calls of `mark_clock`)
//!   are at most 2^31 ticks apart. So the gap is at most 2^30 + 2^31 ticks, or a clock record is in between.
//!
//! While the ring is full (a link that does not take anything, for days perhaps) no clock record finds room either. But then nothing is reserved
//! until a frame makes room, so what is reserved next is at or after the ring's head as it was when that frame began, and its time at or after the
//! frame's own 64-bit reading. So each frame remembers both, as an *anchor*; when the drain gets to that position, the record is taken for a moment
//! after that time. One anchor is enough for one standstill: the frame that passes it leaves its own in its place, and while nothing is reserved
//! it is renewed. A ring in which one drain is so slow that two standstills of more than 7 · 2^29 ticks each are in it at once is not covered:
//! times between them may be off by multiples of 2^32 ticks.
//!
//! The spans' key time is their end: its low bits are start + duration, and the duration, which the device knows to 64 bits, gives the start.
//! Losses are extended as if they were reserved where they are reported.
//!
//! A ring that keeps the newest always has room, so clock records are in it; but what lies before the first of them may follow any stretch of time that
//! was overwritten. [`Reader::not_before`](throughline::adapter::ring::Reader::not_before) says what they cannot lie before.
//!
//! On a machine of 64 bits all this is the identity.

use throughline::adapter::ring::Word;

/// What is reserved at this position or after it, is of this time or after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) position: Word,
    pub(crate) time: u64,
}

impl Anchor {
    /// True of every record; the first that is taken passes it.
    pub(crate) const NONE: Anchor = Anchor { position: 0, time: 0 };

    /// A frame begins: `begun` is the ring's head and the clock now, read in that order or the other, but before anything is taken from the ring.
    pub(crate) fn begin(&mut self, begun: &Anchor) {
        // At the same position the later time is as true, and nearer to what comes next.
        if begun.position == self.position {
            *self = *begun;
        }
    }

    /// What the record at this position is not before; 0 when that is not known.
    pub(crate) fn not_before(&self, position: Word) -> u64 {
        if self.is_passed(position) { self.time } else { 0 }
    }

    /// The record at this position was taken, into the frame that `begun` is the beginning of. When this anchor is passed, that one takes over: that frame may
    /// have made the room for what comes next.
    pub(crate) fn pass(&mut self, position: Word, begun: &Anchor) {
        if self.is_passed(position) {
            *self = *begun;
        }
    }

    fn is_passed(&self, position: Word) -> bool {
        position.wrapping_sub(self.position) as isize >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: Word, time: u64) -> Anchor {
        Anchor { position, time }
    }

    #[test]
    fn an_anchor_holds_from_its_position_on_and_until_it_is_passed() {
        let later = 9u64 << 40;
        let begun = at(12, later + 5);
        let mut anchor = at(10, later);
        anchor.begin(&begun);
        assert_eq!(anchor.not_before(9), 0);
        anchor.pass(9, &begun);
        assert_eq!(anchor.not_before(10), later);
        assert_eq!(anchor.not_before(13), later);
        anchor.pass(11, &begun);
        assert_eq!(anchor.not_before(11), 0);
        assert_eq!(anchor.not_before(12), later + 5);
    }

    #[test]
    fn the_first_record_passes_none() {
        let mut anchor = Anchor::NONE;
        anchor.begin(&at(64, 700));
        assert_eq!(anchor.not_before(64), 0);
        anchor.pass(64, &at(70, 700));
        assert_eq!((anchor.not_before(69), anchor.not_before(70)), (0, 700));
    }

    #[test]
    fn an_anchor_is_renewed_while_nothing_is_reserved() {
        let mut anchor = at(10, 1000);
        anchor.begin(&at(10, 9 << 40));
        assert_eq!(anchor.not_before(10), 9 << 40);
    }

    #[test]
    fn positions_may_wrap() {
        let anchor = at(2, 700);
        assert_eq!(anchor.not_before(Word::MAX - 3), 0);
        assert_eq!(anchor.not_before(3), 700);
    }
}
