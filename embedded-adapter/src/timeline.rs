//! Extends the 32-bit times of records to 64 bits when they are drained.
//!
//! A record holds the low 32 bits of the clock. [`Batch`](throughline::adapter::wire::Batch) extends them to
//! the one time with these bits that is between 2^29 ticks before the previous record in the stream and 7 ·
//! 2^29 ticks after it. That is right if a record's time is
//!
//! * never more than 2^29 ticks *before* the time of a record reserved earlier. The time is read right before
//!   the record is put into the ring, so the order is wrong only by the time for which a context was
//!   interrupted in between; and
//! * never more than 7 · 2^29 ticks *after* the time of the record reserved just before it. While the ring
//!   has room this holds, because every flush calls `mark_clock`, which puts a clock record with all 64 bits
//!   into the ring every 2^30 ticks, provided that flushes (or calls of `mark_clock`) are at most 2^31 ticks
//!   apart. So the gap is at most 2^30 + 2^31 ticks, or there is a clock record in between.
//!
//! While the ring is full (if the link takes nothing for days, for example), clock records do not fit either.
//! But then nothing is reserved until a frame makes room. So the next record is reserved at or after the
//! position that the ring's head had when that frame began, and its time is not before the 64-bit time at
//! which the frame began. Each frame therefore remembers both as an *anchor*. When the drain reaches that
//! position, it takes the record's time to be after the anchor's time. One anchor is enough for one
//! standstill: the frame that passes it replaces it by its own, and the anchor is renewed while nothing is
//! reserved. One case is not covered: a drain so slow that two standstills of more than 7 · 2^29 ticks each
//! are in the ring at once. Times between them may be wrong by multiples of 2^32 ticks.
//!
//! The time of a span is its end: the low bits are start + duration. The device knows the duration to 64
//! bits, which gives the start. Losses are extended as if they were reserved where they are reported.
//!
//! A ring that keeps the newest records always has room for clock records. But before the first one that
//! remains, any length of time may have been overwritten.
//! [`Reader::not_before`](throughline::adapter::ring::Reader::not_before) gives a lower bound for the records
//! there.
//!
//! On a 64-bit machine times need no extension, and all of this changes nothing.

use throughline::adapter::ring::Word;

/// Whatever is reserved at this position or after it has this time or a later one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) position: Word,
    pub(crate) time: u64,
}

impl Anchor {
    /// Holds for every record; the first record that is taken passes it.
    pub(crate) const NONE: Anchor = Anchor { position: 0, time: 0 };

    /// Called when a frame begins, before anything is taken from the ring. `begun` is the ring's head and the
    /// clock, read now in either order.
    pub(crate) fn begin(&mut self, begun: &Anchor) {
        // At the same position the later time is also true, and it is closer to the next record's time.
        if begun.position == self.position {
            *self = *begun;
        }
    }

    /// A lower bound for the time of the record at this position; 0 if none is known.
    pub(crate) fn not_before(&self, position: Word) -> u64 {
        if self.is_passed(position) { self.time } else { 0 }
    }

    /// Called when the record at this position was taken into the frame that began at `begun`. If the record
    /// passes this anchor, `begun` replaces it, because that frame may have made the room for the next
    /// records.
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
