//! The CPU time of the library's own threads: the pump and those of the exporters.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What they have used so far, in nanoseconds.
static OWN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What of this thread's time is in [`OWN`], in nanoseconds.
    static COUNTED: Cell<u64> = const { Cell::new(0) };
}

/// Counts the CPU time that the calling thread, one of the library's own, has used since it last called this. Costs a
/// system call, about 0.7 µs. Does nothing outside of Unix, which has no such clock.
pub fn count_this_thread() {
    let Some(now) = this_thread() else { return };
    let since = now.saturating_sub(COUNTED.replace(now));
    OWN.fetch_add(since, Ordering::Relaxed);
}

/// What the library's own threads have used so far, as far as they have counted it; `None` outside of Unix.
pub fn of_own_threads() -> Option<Duration> {
    cfg!(unix).then(|| Duration::from_nanos(OWN.load(Ordering::Relaxed)))
}

#[cfg(unix)]
fn this_thread() -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock is written into a local of this type.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    (failed == 0).then(|| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(not(unix))]
fn this_thread() -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_counts_what_it_used_once() {
        std::thread::spawn(|| {
            let before = of_own_threads().unwrap();
            let mut x = 1u64;
            while this_thread().unwrap() < 5_000_000 {
                x = std::hint::black_box(x.wrapping_mul(3));
            }
            count_this_thread();
            count_this_thread();
            let used = of_own_threads().unwrap() - before;
            assert!(used >= Duration::from_millis(5), "{used:?}");
            assert_eq!(COUNTED.get() / 1_000_000, this_thread().unwrap() / 1_000_000);
        })
        .join()
        .unwrap();
    }
}
