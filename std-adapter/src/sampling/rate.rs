//! A limit of traces in a second, which any thread may ask without a lock.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lets a number of traces pass in a second, evenly, and at most those of a second at once: the generic cell rate
/// algorithm of ATM (ITU-T I.371).
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Nanoseconds between two traces.
    every: u64,
    /// When the next trace would come if all came evenly, in nanoseconds.
    next: AtomicU64,
}

const SECOND: u64 = 1_000_000_000;

impl Limiter {
    pub(crate) fn new(per_second: u32) -> Limiter {
        Limiter { every: SECOND / u64::from(per_second.max(1)), next: AtomicU64::new(0) }
    }

    /// Whether another trace may pass now.
    pub(crate) fn passes(&self) -> bool {
        static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
        self.passes_at(u64::try_from(BEGUN.elapsed().as_nanos()).unwrap_or(u64::MAX / 2))
    }

    fn passes_at(&self, now: u64) -> bool {
        let pass = |next: u64| {
            let next = next.max(now) + self.every;
            (next <= now + SECOND.max(self.every)).then_some(next)
        };
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pass).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_may_come_at_once_and_then_one_by_one() {
        let limiter = Limiter::new(10);
        let passed =
            |times: &mut dyn Iterator<Item = u64>| times.filter(|now| limiter.passes_at(*now)).count();
        assert_eq!(passed(&mut std::iter::repeat_n(5 * SECOND, 100)), 10);
        // 1000 in each of ten seconds.
        assert_eq!(passed(&mut (5000..15_000).map(|ms| ms * 1_000_000)), 100 - 1);
        assert_eq!(
            passed(&mut std::iter::repeat_n(60 * SECOND, 100)),
            10,
            "what was not used is not saved up"
        );
    }
}
