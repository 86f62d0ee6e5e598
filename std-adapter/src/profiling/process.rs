//! What the whole process uses, beside what its spans use.

use super::ProcessMemory;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What the process uses now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessNow {
    pub(crate) memory: Option<ProcessMemory>,
    /// CPU time in percent of the time of all CPUs that the process may use.
    pub(crate) cpu_percent: Option<f64>,
}

/// `None` unless it is wanted.
static UTILIZATION: Mutex<Option<Utilization>> = Mutex::new(None);

/// Begins to measure, if spans are told what they use.
pub(super) fn begin(is_wanted: bool) {
    if is_wanted && let Ok(mut utilization) = UTILIZATION.try_lock() {
        *utilization = Some(Utilization::new(Instant::now(), cpu_time().unwrap_or_default()));
    }
}

/// What the process uses now; `None` unless it is wanted. Cost: some 30 µs.
pub(crate) fn process_now() -> Option<ProcessNow> {
    // In a forked process the lock may be held for ever.
    let mut utilization = UTILIZATION.try_lock().ok()?;
    let utilization = utilization.as_mut()?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    Some(ProcessNow {
        memory: ProcessMemory::read().ok(),
        cpu_percent: cpu_time().map(|cpu| utilization.read(Instant::now(), cpu, cpus)),
    })
}

/// The CPU time that all threads of the process have used.
fn cpu_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is written into a local of this type.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    (failed == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// The share of CPU time between two readings.
#[derive(Debug)]
struct Utilization {
    since: Instant,
    cpu: Duration,
    /// That of the last window.
    percent: Option<f64>,
}

impl Utilization {
    /// The shortest time between two readings. Who reads earlier gets what was read last, because in a short time a process
    /// is either idle or busy.
    const WINDOW: Duration = Duration::from_secs(1);

    fn new(since: Instant, cpu: Duration) -> Utilization {
        Utilization { since, cpu, percent: None }
    }

    fn read(&mut self, now: Instant, cpu: Duration, cpus: usize) -> f64 {
        let passed = now.saturating_duration_since(self.since);
        let possible = passed.as_secs_f64() * cpus as f64;
        match self.percent {
            Some(percent) if passed < Self::WINDOW => percent,
            last if possible == 0.0 => last.unwrap_or(0.0),
            _ => {
                // The two clocks are read one after the other, so the quotient may be a little more than 1.
                let percent = 100.0 * (cpu.saturating_sub(self.cpu).as_secs_f64() / possible).min(1.0);
                *self = Utilization { since: now, cpu, percent: Some(percent) };
                percent
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utilization_is_that_of_the_last_window_in_percent_of_all_cpus() {
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let mut utilization = Utilization::new(begun, second);
        assert_eq!(utilization.read(begun, second, 4), 0.0, "no time has passed");
        assert_eq!(
            utilization.read(begun + second / 2, second * 2, 4),
            50.0,
            "the first window is as it comes"
        );
        assert_eq!(utilization.read(begun + second, second * 3, 4), 50.0, "too early for the next");
        assert_eq!(utilization.read(begun + second * 5 / 2, second * 4, 4), 25.0);
        assert_eq!(utilization.read(begun + second * 4, second * 40, 4), 100.0, "not more than there is");
        assert_eq!(utilization.read(begun + second * 6, second * 4, 4), 0.0, "not less than none");
    }
}
