//! Ticks to wall-clock time on a server: measured at the start, refined while running, continuous.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use throughline::Clock;
use throughline::ring::Word;

/// Fraction bits of a rate: a rate is good to 10^-12, and clocks of 60 Hz and more fit.
const SHIFT: u32 = 40;
/// An error beyond this is a clock that was set, not one that drifts.
const STEP_NS: i64 = 100_000_000;
/// A rate is bent by at most one part in this to work an error off, so that time never runs backwards.
const GENTLE: i64 = 1000;
/// Pieces of the line that are kept beside the newest: spans up to two minutes long are mapped exactly as what happened in them was.
const OLDER: usize = 127;
/// Shortest time between two refinements.
pub(crate) const REFINE_EVERY: Duration = Duration::from_secs(1);

/// The fastest clock of this machine that can be trusted: the processor's counter where it runs at one rate on all cores, else
/// `std::time::Instant`.
pub(crate) fn best_clock() -> (Clock, Timeline) {
    let (first, second, clock);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if counter_is_constant() {
        let counter = Clock::processor(1);
        first = Reading::now(&counter);
        std::thread::sleep(Duration::from_millis(5));
        second = Reading::now(&counter);
        let timeline = Timeline::new(first, second);
        clock = Clock::processor(timeline.hz());
        return (clock, timeline);
    }
    clock = Clock::new(1_000_000_000, instant_ticks);
    second = Reading::now(&clock);
    // Ticks that are nanoseconds need no measuring.
    first = Reading {
        ticks: second.ticks.wrapping_sub(1 << 20),
        mono_ns: second.mono_ns.wrapping_sub(1 << 20),
        unix_ns: second.unix_ns - (1 << 20),
    };
    (clock, Timeline::new(first, second))
}

#[cfg(target_arch = "x86_64")]
fn counter_is_constant() -> bool {
    // CPUID 80000007h, EDX bit 8: invariant TSC (Intel SDM 18.17.1, AMD APM 3.2.2).
    let leaf = |n| core::arch::x86_64::__cpuid(n);
    !cfg!(miri) && leaf(0x8000_0000).eax >= 0x8000_0007 && leaf(0x8000_0007).edx & 1 << 8 != 0
}

#[cfg(target_arch = "aarch64")]
fn counter_is_constant() -> bool {
    // The generic timer's counter has one rate by architecture.
    !cfg!(miri)
}

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

fn instant_ticks() -> Word {
    base().elapsed().as_nanos() as Word
}

/// Three clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) ticks: Word,
    pub(crate) mono_ns: u64,
    pub(crate) unix_ns: u64,
}

impl Reading {
    /// Reads them, the best of a few tries.
    pub(crate) fn now(clock: &Clock) -> Reading {
        let mut best = None;
        for _ in 0..5 {
            let before = clock.ticks();
            let mono_ns = base().elapsed().as_nanos() as u64;
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let width = clock.ticks().wrapping_sub(before);
            if best.is_none_or(|(w, _)| width < w) {
                let ticks = before.wrapping_add(width / 2);
                best = Some((width, Reading { ticks, mono_ns, unix_ns: unix.as_nanos() as u64 }));
            }
        }
        best.map_or(Reading { ticks: 0, mono_ns: 0, unix_ns: 0 }, |(_, reading)| reading)
    }
}

/// Maps ticks to Unix time by a line that is bent at every refinement. What was mapped once is mapped so again, so that spans nest whenever
/// they are read; only when the wall clock was set by more than 0.1 s does the line jump.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// The piece that is not over; most of what is asked for lies there.
    newest: Segment,
    /// Those before it, the last one last.
    older: VecDeque<Segment>,
    /// Nanoseconds per tick, measured last.
    rate: u64,
    last: Reading,
}

/// A straight piece: from `ticks` on, until the next one's.
#[derive(Clone, Copy, Debug)]
struct Segment {
    ticks: Word,
    unix_ns: u64,
    /// Nanoseconds per tick: the rate, bent to meet the wall clock.
    slope: u64,
}

impl Segment {
    /// Whether `ticks` are at or after its beginning.
    #[inline]
    fn reaches(&self, ticks: Word) -> bool {
        ticks.wrapping_sub(self.ticks) as isize >= 0
    }

    fn unix_ns(&self, ticks: Word) -> u64 {
        let delta = ticks.wrapping_sub(self.ticks) as isize;
        let ns = (delta as i128 * i128::from(self.slope)) >> SHIFT;
        self.unix_ns.wrapping_add(ns as u64)
    }

    /// As `unix_ns`, of ticks that it reaches.
    #[inline]
    fn unix_ns_within(&self, ticks: Word) -> u64 {
        let delta = ticks.wrapping_sub(self.ticks) as u64;
        let ns = (u128::from(delta) * u128::from(self.slope)) >> SHIFT;
        self.unix_ns.wrapping_add(ns as u64)
    }
}

impl Timeline {
    pub(crate) fn new(first: Reading, second: Reading) -> Timeline {
        let rate = rate(first, second).unwrap_or(1 << SHIFT);
        let segment = Segment { ticks: second.ticks, unix_ns: second.unix_ns, slope: rate };
        Timeline { newest: segment, older: VecDeque::new(), rate, last: second }
    }

    /// Unix time at `ticks`, in nanoseconds. Cost: one multiplication for what is newer than the last refinement, and a step for each since.
    #[inline]
    pub(crate) fn unix_ns(&self, ticks: Word) -> u64 {
        if self.newest.reaches(ticks) {
            self.newest.unix_ns_within(ticks)
        } else {
            self.unix_ns_before(ticks)
        }
    }

    #[cold]
    fn unix_ns_before(&self, ticks: Word) -> u64 {
        let mut newest_first = self.older.iter().rev();
        let oldest = self.older.front().unwrap_or(&self.newest);
        newest_first.find(|segment| segment.reaches(ticks)).unwrap_or(oldest).unix_ns(ticks)
    }

    /// A duration in nanoseconds.
    #[inline]
    pub(crate) fn nanos(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.rate)) >> SHIFT) as u64
    }

    /// Unix time `duration` ticks after `start`.
    #[inline]
    pub(crate) fn end_unix_ns(&self, start: Word, duration: u64) -> u64 {
        match isize::try_from(duration) {
            Ok(duration) => self.unix_ns(start.wrapping_add(duration as Word)),
            // Longer than a word of a 32-bit machine can tell.
            Err(_) => self.unix_ns(start).saturating_add(self.nanos(duration)),
        }
    }

    /// Ticks per second.
    pub(crate) fn hz(&self) -> u64 {
        (1_000_000_000u128 << SHIFT).checked_div(u128::from(self.rate)).unwrap_or(1) as u64
    }

    /// Refines the line with what the clocks say now: from here on it has the rate that was measured since last time, bent so that an error is
    /// worked off in about as long.
    pub(crate) fn refine(&mut self, now: Reading) {
        let Some(rate) = rate(self.last, now) else { return };
        let says = self.unix_ns(now.ticks);
        let error = now.unix_ns.wrapping_sub(says) as i64;
        self.rate = rate;
        let segment = if error.abs() > STEP_NS {
            Segment { ticks: now.ticks, unix_ns: now.unix_ns, slope: rate }
        } else {
            let elapsed = now.mono_ns.wrapping_sub(self.last.mono_ns) as i64;
            let error = error.clamp(-elapsed / GENTLE, elapsed / GENTLE);
            let bend = i128::from(rate) * i128::from(error) / i128::from(elapsed);
            Segment { ticks: now.ticks, unix_ns: says, slope: (i128::from(rate) + bend) as u64 }
        };
        if self.older.len() == OLDER {
            self.older.pop_front();
        }
        self.older.push_back(std::mem::replace(&mut self.newest, segment));
        self.last = now;
    }
}

/// Nanoseconds per tick between two readings; `None` when no time passed.
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

    const S: u64 = 1_000_000_000;

    /// A 3 GHz counter, whose machine's wall clock is `off` nanoseconds ahead of the monotonic one plus 1000 s.
    fn at(mono_ns: u64, off: i64) -> Reading {
        Reading {
            ticks: (3 * mono_ns) as Word,
            mono_ns,
            unix_ns: (1000 * S + mono_ns).wrapping_add_signed(off),
        }
    }

    #[test]
    fn straight_while_clocks_agree() {
        let mut line = Timeline::new(at(S, 0), at(2 * S, 0));
        assert!(line.hz().abs_diff(3_000_000_000) <= 3, "{}", line.hz());
        assert!(line.nanos(3 * S).abs_diff(S) <= 1);
        for t in 3..60 {
            line.refine(at(t * S, 0));
        }
        for t in [57 * S, 58 * S, 59 * S + 17, 60 * S] {
            assert!(line.unix_ns((3 * t) as Word).abs_diff(1000 * S + t) <= 8, "{t}");
        }
    }

    #[test]
    fn works_off_a_small_error_without_a_jump() {
        let mut line = Timeline::new(at(S, 0), at(2 * S, 0));
        // The wall clock runs 200 ppm faster than the monotonic one.
        let mut previous = 0;
        for t in 3..100 {
            let off = |s: u64| (s as i64 - 2) * 200_000;
            let before = line.unix_ns((3 * t * S) as Word);
            line.refine(at(t * S, off(t)));
            assert_eq!(line.unix_ns((3 * t * S) as Word), before, "continuous");
            assert!(before > previous);
            previous = before;
            let now = line.unix_ns((3 * (t * S + S)) as Word);
            let truth = (1000 * S + (t + 1) * S).wrapping_add_signed(off(t + 1));
            assert!(now.abs_diff(truth) <= 400_000, "{t}: {}", now.abs_diff(truth));
        }
    }

    #[test]
    fn what_was_mapped_once_is_mapped_so_again() {
        let mut line = Timeline::new(at(S, 0), at(2 * S, 0));
        let asked: Vec<Word> = (2..50).map(|t| (3 * t * S + 1) as Word).collect();
        let mut answers = Vec::new();
        for t in 2..50 {
            // The wall clock wobbles.
            line.refine(at(t * S, (t as i64 % 5) * 90_000));
            answers.push(line.unix_ns(asked[t as usize - 2]));
        }
        assert_eq!(asked.iter().map(|ticks| line.unix_ns(*ticks)).collect::<Vec<_>>(), answers);
        assert!(answers.is_sorted());
        for t in 50..1000 {
            line.refine(at(t * S, 0));
        }
        assert_eq!(line.older.len(), OLDER);
    }

    #[test]
    fn follows_a_clock_that_was_set() {
        let mut line = Timeline::new(at(S, 0), at(2 * S, 0));
        line.refine(at(3 * S, -50 * S as i64));
        assert_eq!(line.unix_ns((9 * S) as Word), 953 * S);
    }

    #[test]
    fn a_clock_that_stands_still_changes_nothing() {
        let mut line = Timeline::new(at(S, 0), at(2 * S, 0));
        let before = line.unix_ns(42);
        line.refine(at(2 * S, 0));
        assert_eq!(line.unix_ns(42), before);
    }

    #[test]
    fn the_real_clock_tells_the_time() {
        let (clock, line) = best_clock();
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let mapped = line.unix_ns(clock.ticks());
        assert!(mapped.abs_diff(before) < 100 * 1_000_000, "{mapped} {before}");
    }
}
