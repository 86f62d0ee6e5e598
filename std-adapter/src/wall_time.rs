//! Maps ticks to wall-clock time on a server. It keeps two things apart: a *steady line*, which is measured
//! at the start, refined while the program runs, and never jumps; and the *offset* of the wall clock from
//! this line, which changes when somebody sets the clock.
//!
//! Both ends of a span use the offset that held when it began. So the span is as long as its ticks, and
//! setting the clock while it is open moves only what begins later.

use crate::clock::Reading;
use std::collections::VecDeque;
use throughline::adapter::ring::Word;

/// Fraction bits of a rate. They give a rate 12 digits, and there is room for clocks of 60 Hz and more.
const SHIFT: u32 = 40;
/// A larger error in nanoseconds means that the clock was set; a smaller one means that it drifts.
const STEP_NS: i64 = 100_000_000;
/// The rate is changed by at most 1/1000 to remove an error, so that time never runs backwards.
const GENTLE: i64 = 1000;
/// Older segments that are kept. They let a span of up to two minutes be mapped with the same segments as the
/// records within it.
const OLDER: usize = 127;
/// How many steps of the wall clock are remembered.
const STEPS: usize = 64;
/// A longer duration in ticks is really a negative one, because the counters of two cores may differ by a few
/// ticks. 2^62 ticks are 48 years at 3 GHz.
const LONGEST: u64 = 1 << 62;
/// A span of at most this many ticks began within half a turn of the clock before its record is read, so its start
/// can be mapped by itself. A quarter turn is left for the record to be read; on a 32-bit machine, whose ticks
/// are nanoseconds, that is a second.
const TELLS_START: u64 = 1 << (Word::BITS - 2);

/// Maps ticks to Unix time. The steady line is straight between two refinements and changes its slope
/// slightly at each, so spans nest whenever they are mapped.
#[derive(Clone, Debug)]
pub(crate) struct WallTime {
    /// The last segment, which is still open; most times lie in it.
    newest: Segment,
    /// How many nanoseconds the wall clock is ahead of the line since the last step.
    offset: i64,
    /// The segments before `newest`, oldest first.
    older: VecDeque<Segment>,
    /// The offsets before `offset`, oldest first.
    steps: VecDeque<Step>,
    /// Nanoseconds per tick at the last measurement, with `SHIFT` fraction bits.
    rate: u64,
    last: Reading,
}

/// A straight segment of the line, from `ticks` to the start of the next segment.
#[derive(Clone, Copy, Debug)]
struct Segment {
    ticks: Word,
    steady_ns: u64,
    /// Nanoseconds per tick with `SHIFT` fraction bits: the measured rate, adjusted to approach the wall
    /// clock.
    slope: u64,
}

/// A step of the wall clock, found when the steady line was at `steady_ns`; whatever began earlier has the offset
/// `before`.
#[derive(Clone, Copy, Debug)]
struct Step {
    steady_ns: u64,
    before: i64,
}

/// Whether `ticks` are at or after `since`.
#[inline]
fn reaches(since: Word, ticks: Word) -> bool {
    ticks.wrapping_sub(since) as isize >= 0
}

impl Segment {
    fn steady_ns(&self, ticks: Word) -> u64 {
        let delta = ticks.wrapping_sub(self.ticks) as isize;
        let ns = (delta as i128 * i128::from(self.slope)) >> SHIFT;
        self.steady_ns.wrapping_add(ns as u64)
    }

    /// The time `delta` ticks after the segment's beginning.
    #[inline]
    fn steady_ns_after(&self, delta: u64) -> u64 {
        self.steady_ns.wrapping_add(scaled(delta, self.slope))
    }
}

/// Converts ticks to nanoseconds at a rate.
#[inline]
fn scaled(ticks: u64, rate: u64) -> u64 {
    ((u128::from(ticks) * u128::from(rate)) >> SHIFT) as u64
}

impl WallTime {
    pub(crate) fn new(first: Reading, second: Reading) -> WallTime {
        let rate = rate(first, second).unwrap_or(1 << SHIFT);
        let newest = Segment { ticks: second.ticks, steady_ns: second.unix_ns, slope: rate };
        WallTime { newest, offset: 0, older: VecDeque::new(), steps: VecDeque::new(), rate, last: second }
    }

    /// Unix time at `ticks`, in nanoseconds. It costs one multiplication if `ticks` are after the last
    /// refinement, and otherwise one step for each refinement since.
    #[inline]
    pub(crate) fn unix_ns(&self, ticks: Word) -> u64 {
        self.span_unix_ns(ticks, 0).0
    }

    /// Unix times in nanoseconds of the start and the end of a span that began at `start` and lasted
    /// `duration` ticks. The end is never before the start.
    #[inline]
    pub(crate) fn span_unix_ns(&self, start: Word, duration: u64) -> (u64, u64) {
        if Word::BITS == 64 && reaches(self.newest.ticks, start) && duration < LONGEST {
            let delta = start.wrapping_sub(self.newest.ticks) as u64;
            let end = self.newest.steady_ns_after(delta + duration);
            (at(self.newest.steady_ns_after(delta), self.offset), at(end, self.offset))
        } else {
            self.older_span_unix_ns(start, duration)
        }
    }

    #[cold]
    fn older_span_unix_ns(&self, start: Word, duration: u64) -> (u64, u64) {
        let duration = if duration < LONGEST { duration } else { 0 };
        let ended = self.steady_ns(start.wrapping_add(duration as Word));
        let begun = if duration <= TELLS_START {
            self.steady_ns(start)
        } else {
            // The clock of a 32-bit machine may have turned over since the start, but not since the end.
            ended.saturating_sub(self.nanos(duration))
        };
        let offset = self.offset_at(begun);
        (at(begun, offset), at(ended.max(begun), offset))
    }

    /// A number by which what was recorded a short while ago is in order, whatever the wall clock did.
    #[inline]
    pub(crate) fn order_of(&self, ticks: Word) -> u64 {
        // Ticks of 64 bits don't turn over.
        if Word::BITS == 64 { ticks as u64 } else { self.steady_ns(ticks) }
    }

    fn steady_ns(&self, ticks: Word) -> u64 {
        let mut newest_first = std::iter::once(&self.newest).chain(self.older.iter().rev());
        let oldest = self.older.front().unwrap_or(&self.newest);
        newest_first.find(|segment| reaches(segment.ticks, ticks)).unwrap_or(oldest).steady_ns(ticks)
    }

    /// The offset that held at a time of the steady line. Before the oldest remembered step, that is the offset
    /// before this step.
    fn offset_at(&self, steady_ns: u64) -> i64 {
        let first_after = self.steps.iter().find(|step| steady_ns < step.steady_ns);
        first_after.map_or(self.offset, |step| step.before)
    }

    /// Converts a duration from ticks to nanoseconds.
    #[inline]
    pub(crate) fn nanos(&self, ticks: u64) -> u64 {
        scaled(ticks, self.rate)
    }

    /// Ticks per second.
    pub(crate) fn hz(&self) -> u64 {
        (1_000_000_000u128 << SHIFT).checked_div(u128::from(self.rate)).unwrap_or(1) as u64
    }

    /// Refines the mapping with a new reading. From here on the line has the rate measured since the last
    /// reading, adjusted so that the error is gone after about the same time again. If the wall clock was set
    /// by more than 0.1 s, the line continues without adjustment and the offset changes. Then this returns by
    /// how many nanoseconds it was set, positive if forward.
    pub(crate) fn refine(&mut self, now: Reading) -> Option<i64> {
        let rate = rate(self.last, now)?;
        let steady_ns = self.newest.steady_ns(now.ticks);
        let error = now.unix_ns.wrapping_sub(at(steady_ns, self.offset)) as i64;
        let step = (error.unsigned_abs() > STEP_NS as u64).then_some(error);
        let mut slope = i128::from(rate);
        if step.is_some() {
            if self.steps.len() == STEPS {
                self.steps.pop_front();
            }
            self.steps.push_back(Step { steady_ns, before: self.offset });
            self.offset = self.offset.wrapping_add(error);
        } else {
            let elapsed = i64::try_from(now.mono_ns - self.last.mono_ns).unwrap_or(i64::MAX);
            let error = error.clamp(-elapsed / GENTLE, elapsed / GENTLE);
            slope += slope * i128::from(error) / i128::from(elapsed);
        }
        let segment = Segment { ticks: now.ticks, steady_ns, slope: slope as u64 };
        if self.older.len() == OLDER {
            self.older.pop_front();
        }
        self.older.push_back(std::mem::replace(&mut self.newest, segment));
        (self.rate, self.last) = (rate, now);
        step
    }
}

/// The wall clock's time when the steady line is at `steady_ns`; not before 1970.
#[inline]
fn at(steady_ns: u64, offset: i64) -> u64 {
    steady_ns.saturating_add_signed(offset)
}

/// Nanoseconds per tick between two readings; `None` if no time passed.
fn rate(first: Reading, second: Reading) -> Option<u64> {
    let ticks = second.ticks.wrapping_sub(first.ticks) as u64;
    let ns = second.mono_ns.checked_sub(first.mono_ns)?;
    if ticks == 0 || ns == 0 {
        return None;
    }
    u64::try_from((u128::from(ns) << SHIFT) / u128::from(ticks)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    /// Ticks per nanosecond. As on real hosts, a 32-bit word holds the ticks between two refinements.
    const GHZ: u64 = if Word::BITS == 64 { 3 } else { 1 };
    /// For how long after it was read a counter can be mapped, in seconds.
    const TURN: u64 = if Word::BITS == 64 { 100 } else { 2 };

    /// A counter on a machine whose wall clock is the monotonic clock plus 10,000 s plus `off` nanoseconds.
    fn reading(mono_ns: u64, off: i64) -> Reading {
        Reading {
            ticks: (GHZ * mono_ns) as Word,
            mono_ns,
            unix_ns: (10_000 * S + mono_ns).wrapping_add_signed(off),
        }
    }

    fn begun() -> WallTime {
        WallTime::new(reading(S, 0), reading(2 * S, 0))
    }

    #[test]
    fn straight_while_clocks_agree() {
        let mut wall = begun();
        assert!(wall.hz().abs_diff(GHZ * S) <= 3, "{}", wall.hz());
        assert!(wall.nanos(GHZ * S).abs_diff(S) <= 1);
        for t in 3..60 {
            assert_eq!(wall.refine(reading(t * S, 0)), None);
        }
        for t in [57 * S, 58 * S, 59 * S + 17, 60 * S] {
            assert!(wall.unix_ns((GHZ * t) as Word).abs_diff(10_000 * S + t) <= 8, "{t}");
        }
    }

    #[test]
    fn works_off_a_small_error_without_a_jump() {
        let mut wall = begun();
        // The wall clock runs 200 ppm faster than the monotonic one.
        let mut previous = 0;
        for t in 3..100 {
            let off = |s: u64| (s as i64 - 2) * 200_000;
            let before = wall.unix_ns((GHZ * t * S) as Word);
            assert_eq!(wall.refine(reading(t * S, off(t))), None);
            assert_eq!(wall.unix_ns((GHZ * t * S) as Word), before, "continuous");
            assert!(before > previous);
            previous = before;
            let now = wall.unix_ns((GHZ * (t * S + S)) as Word);
            let truth = (10_000 * S + (t + 1) * S).wrapping_add_signed(off(t + 1));
            assert!(now.abs_diff(truth) <= 400_000, "{t}: {}", now.abs_diff(truth));
        }
    }

    #[test]
    fn what_was_mapped_once_is_mapped_so_again() {
        let mut wall = begun();
        let last = 2 + TURN.min(48);
        let asked: Vec<Word> = (2..last).map(|t| (GHZ * t * S + 1) as Word).collect();
        let mut answers = Vec::new();
        for t in 2..last {
            // The wall clock wobbles by up to 0.36 ms.
            wall.refine(reading(t * S, (t as i64 % 5) * 90_000));
            answers.push(wall.unix_ns(asked[t as usize - 2]));
        }
        assert_eq!(asked.iter().map(|ticks| wall.unix_ns(*ticks)).collect::<Vec<_>>(), answers);
        assert!(answers.is_sorted());
        for t in last..1000 {
            wall.refine(reading(t * S, 0));
        }
        assert_eq!(wall.older.len(), OLDER);
    }

    #[test]
    fn a_step_moves_what_begins_later_and_leaves_what_is_open() {
        let mut wall = begun();
        let off = -3600 * S as i64;
        assert_eq!(wall.refine(reading(3 * S, 0)), None);
        let set_back = wall.refine(reading(4 * S, off)).unwrap();
        assert!((set_back - off).abs() < 10, "{set_back}");
        let (start, end) = wall.span_unix_ns((GHZ * 3 * S) as Word, GHZ * 2 * S);
        assert!(start.abs_diff(10_003 * S) < 10 && end.abs_diff(10_005 * S) < 10, "{start} {end}");
        assert!(wall.unix_ns((GHZ * 5 * S) as Word).abs_diff(6405 * S) < 10);
        for t in 5..1000 {
            assert_eq!(wall.refine(reading(t * S, off)), None);
        }
        // The segment in which it began is forgotten, but the offset at its start is not.
        let (start, end) = wall.span_unix_ns((GHZ * 3 * S) as Word, GHZ * 997 * S);
        assert!(start.abs_diff(10_003 * S) < 1_000_000, "{start}");
        assert!(end.abs_diff(11_000 * S) < 1_000_000, "{end}");
        assert!(wall.steps.len() == 1 && wall.older.len() == OLDER);
    }

    #[test]
    fn a_negative_duration_is_none() {
        let wall = begun();
        let begun = (GHZ * 3 * S) as Word;
        let (start, end) = wall.span_unix_ns(begun, 5u64.wrapping_neg());
        assert_eq!((start, end), (wall.unix_ns(begun), start));
    }

    #[test]
    fn a_clock_that_stands_still_changes_nothing() {
        let mut wall = begun();
        let before = wall.unix_ns(42);
        assert_eq!(wall.refine(reading(2 * S, 0)), None);
        assert_eq!(wall.unix_ns(42), before);
    }

    proptest! {
        /// With steps at random moments, a span is as long as its ticks (up to the adjustment of the rate),
        /// and its mapping never changes.
        #[test]
        fn a_span_is_as_long_as_its_ticks(
            steps in proptest::collection::vec((0u64..4, -7200i64..7200), 1..100),
            spans in proptest::collection::vec((0u64..120 * S, 0u64..60 * S), 1..20),
        ) {
            let mut wall = begun();
            let mut off = 0;
            let mut seen = vec![None; spans.len()];
            for (t, (which, by)) in (3u64..).zip(steps) {
                if which == 0 {
                    off = by * S as i64;
                }
                wall.refine(reading(t * S, off));
                for ((begin, took), seen) in spans.iter().zip(&mut seen) {
                    // Map the span at its end or later, as the pump does.
                    let (begin, took) = (2 * S + begin, *took);
                    if begin + took <= t * S && t * S - (begin + took) < TURN * S / 2 {
                        let (start, end) = wall.span_unix_ns((GHZ * begin) as Word, GHZ * took);
                        prop_assert!(start <= end && (end - start).abs_diff(took) <= took / 500 + 2, "{} {}", end - start, took);
                        prop_assert_eq!(*seen.get_or_insert((start, end)), (start, end));
                    }
                }
            }
        }
    }
}
