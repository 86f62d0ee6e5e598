//! The clocks of a server: choosing the one that stamps records, and reading all of them at one moment.

use crate::wall_time::WallTime;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use throughline::Clock;
use throughline::adapter::ring::Word;

/// Source of the time of day: `SystemTime::now`, unless [`Config::wall_clock`](crate::Config::wall_clock)
/// names another one.
pub(crate) type WallClock = fn() -> SystemTime;

/// Shortest time between two readings that refine a [`WallTime`].
pub(crate) const REFINE_EVERY: Duration = Duration::from_secs(1);

/// The fastest clock of this machine that is reliable: the processor's counter if it has the same rate on all
/// cores, otherwise `std::time::Instant`. Measuring the counter's rate takes about 5 ms.
pub(crate) fn best_clock(wall: WallClock) -> (Clock, WallTime) {
    let (first, second, clock);
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if counter_is_constant() {
        let counter = Clock::processor(1);
        first = Reading::now(&counter, wall);
        std::thread::sleep(Duration::from_millis(5));
        second = Reading::now(&counter, wall);
        let wall_time = WallTime::new(first, second);
        clock = Clock::processor(wall_time.hz());
        return (clock, wall_time);
    }
    clock = Clock::new(1_000_000_000, instant_ticks);
    second = Reading::now(&clock, wall);
    // The ticks of this clock are nanoseconds, so its rate is known without measuring.
    first = Reading {
        ticks: second.ticks.wrapping_sub(1 << 20),
        mono_ns: second.mono_ns.wrapping_sub(1 << 20),
        unix_ns: second.unix_ns - (1 << 20),
    };
    (clock, WallTime::new(first, second))
}

#[cfg(target_arch = "x86_64")]
fn counter_is_constant() -> bool {
    // CPUID 80000007h, EDX bit 8: invariant TSC (Intel SDM 18.17.1, AMD APM 3.2.2).
    let leaf = |n| core::arch::x86_64::__cpuid(n);
    !cfg!(miri) && leaf(0x8000_0000).eax >= 0x8000_0007 && leaf(0x8000_0007).edx & 1 << 8 != 0
}

#[cfg(target_arch = "aarch64")]
fn counter_is_constant() -> bool {
    // The architecture gives the generic timer's counter one fixed rate.
    !cfg!(miri)
}

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

fn instant_ticks() -> Word {
    base().elapsed().as_nanos() as Word
}

/// The three clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) ticks: Word,
    pub(crate) mono_ns: u64,
    pub(crate) unix_ns: u64,
}

impl Reading {
    /// Reads the three clocks five times and keeps the reading that took the shortest time, because its error
    /// is smallest.
    pub(crate) fn now(clock: &Clock, wall: WallClock) -> Reading {
        let mut best = None;
        for _ in 0..5 {
            let before = clock.ticks();
            let mono_ns = base().elapsed().as_nanos() as u64;
            let unix = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
            let width = clock.ticks().wrapping_sub(before);
            if best.is_none_or(|(w, _)| width < w) {
                let ticks = before.wrapping_add(width / 2);
                best = Some((width, Reading { ticks, mono_ns, unix_ns: unix.as_nanos() as u64 }));
            }
        }
        best.map_or(Reading { ticks: 0, mono_ns: 0, unix_ns: 0 }, |(_, reading)| reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_clock_tells_the_time() {
        let (clock, wall_time) = best_clock(SystemTime::now);
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        let mapped = wall_time.unix_ns(clock.ticks());
        assert!(mapped.abs_diff(before) < 100 * 1_000_000, "{mapped} {before}");
    }
}
