//! Extends the 32-bit times of records to 64 bits when they are drained.
//!
//! A record holds the low 32 bits of the clock. A register of 64 bits stands at the newest time known to be in the stream, and each record is taken
//! for the one moment with its low bits between 2^29 ticks before the register and 7 · 2^29 after. That is right if a record's time is
//!
//! * never more than 2^29 ticks *before* that of a record reserved before it: a record's time is read right before it is put into the ring, so the
//!   order is off only by how long a context was interrupted in between; and
//! * never more than 7 · 2^29 ticks *after* that of the record reserved before it. While the ring has room this holds because every flush calls
//!   `mark_clock`, which puts a clock record with all 64 bits into the ring every 2^30 ticks, provided flushes (or calls of `mark_clock`)
//!   are at most 2^31 ticks apart. So the gap is at most 2^30 + 2^31 ticks, or a clock record is in between.
//!
//! While the ring is full (a link that does not take anything, for days perhaps) no clock record finds room either. But then nothing is reserved
//! until a flush makes room, so what is reserved next is at or after the ring's head as it was when that flush began, and its time at or after the
//! flush's own 64-bit reading. So a flush remembers both, as an *anchor*; when the drain gets to that position, the register goes to that time.
//! One anchor is enough for one standstill: it is replaced when it was passed, or when nothing was reserved since. A ring in which one drain is so slow that two
//! standstills of more than 7 · 2^29 ticks each are in it at once is not covered: times between them may be off by multiples of 2^32 ticks.
//!
//! The spans' key time is their end: its low bits are start + duration, and the duration, which the device knows to 64 bits, gives the start.
//! Losses are extended as if they were reserved where they are reported.
//!
//! A ring that keeps the newest always has room, so clock records are in it; but what lies before the first of them may follow any stretch of time that
//! was overwritten. It is at most 2^30 + 2^31 ticks before that clock record ([`Reader::oldest_clock`](throughline::ring::Reader::oldest_clock)), or
//! before now if there is none; the register goes to that much before.
//!
//! On a machine of 64 bits all this is the identity.

use throughline::ring::Word;

/// Ticks that a record may lie before one reserved before it.
const BACK: u32 = 1 << 29;

/// Ticks before the oldest clock record at which the register may stand for what precedes it.
pub(crate) const BEFORE_CLOCK: u64 = 6 << 29;

/// The register, and the anchor it is next set by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    at: u64,
    anchor_position: Word,
    anchor_time: u64,
    anchored: bool,
}

impl Timeline {
    pub(crate) const fn new() -> Timeline {
        Timeline { at: 0, anchor_position: 0, anchor_time: 0, anchored: false }
    }

    /// A flush begins: the ring's head and the clock now, read in that order or the other, but before anything is taken from the ring.
    pub(crate) fn begin(&mut self, head: Word, now: u64) {
        // At the same position the later time is as true, and nearer to what comes next.
        if !self.anchored || head == self.anchor_position {
            (self.anchor_position, self.anchor_time, self.anchored) = (head, now, true);
        }
    }

    /// The time of a record at `position` in the ring, extended.
    pub(crate) fn extend(&mut self, time: Word, position: Word) -> u64 {
        if self.anchored && position.wrapping_sub(self.anchor_position) as isize >= 0 {
            self.anchored = false;
            self.set(self.anchor_time);
        }
        let extended = self.near(time);
        self.set(extended);
        extended
    }

    /// The time of something that is at no position.
    pub(crate) fn near(&self, time: Word) -> u64 {
        if Word::BITS == 64 { time as u64 } else { near_32(self.at, time as u32) }
    }

    /// A 64-bit reading is in the stream here.
    pub(crate) fn set(&mut self, time: u64) {
        self.at = self.at.max(time);
    }

    /// Where the register is.
    pub(crate) fn now(&self) -> u64 {
        self.at
    }
}

fn near_32(at: u64, time: u32) -> u64 {
    let back = (at as u32).wrapping_sub(time);
    if back <= BACK && u64::from(back) <= at {
        at - u64::from(back)
    } else {
        at + u64::from(back.wrapping_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_a_little_back_or_far_ahead() {
        let at = 5 << 32 | 100;
        for (time, extended) in [
            (100, at),
            (101, at + 1),
            (99, at - 1),
            (0xffff_ffff, at - 101),
            (100 - BACK as i64, at - u64::from(BACK)),
            (100 + (7 << 29) - 1, at + (7 << 29) - 1),
        ] {
            assert_eq!(near_32(at, time as u32), extended, "{time}");
        }
        assert_eq!(near_32(3, 2), 2);
        assert_eq!(near_32(3, u32::MAX), u64::from(u32::MAX), "nothing is before the clock began");
    }

    #[test]
    fn an_anchor_holds_from_its_position_on_and_until_it_is_passed() {
        let mut timeline = Timeline::new();
        timeline.extend(1000, 0);
        let later = 9u64 << 40;
        timeline.begin(10, later);
        timeline.begin(12, later + 5);
        assert_eq!(timeline.extend(1010, 9), 1010);
        assert_eq!(timeline.now(), 1010);
        timeline.extend(later as Word, 10);
        assert_eq!(timeline.now(), later);
        assert!(!timeline.anchored);
    }

    #[test]
    fn an_anchor_is_renewed_while_nothing_is_reserved() {
        let mut timeline = Timeline::new();
        timeline.begin(10, 1000);
        let later = 9u64 << 40;
        timeline.begin(10, later);
        assert_eq!(timeline.extend(later as Word, 10), later);
    }

    #[test]
    fn positions_may_wrap() {
        let mut timeline = Timeline::new();
        timeline.begin(2, 700);
        timeline.extend(5, Word::MAX - 3);
        assert!(timeline.anchored);
        timeline.extend(701, 3);
        assert!(!timeline.anchored);
    }
}
