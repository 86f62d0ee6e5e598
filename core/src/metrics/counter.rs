//! Counters: sums that only grow, and sums that may shrink.

use super::Metric;

/// A monotonic sum; made by [`counter!`](crate::counter!).
///
/// ```
/// use throughline::counter;
/// counter!("frames.received", unit = "{frame}", bus = "can0").add(1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Counter(pub(super) Metric);

impl Counter {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> Counter {
        Counter(metric)
    }

    /// Adds. Cost: a thread's own load and store on a server, one atomic add (a critical section on thumbv6m) on a microcontroller. A cell has
    /// 32 bits on a 32-bit machine and wraps; readers extend it as long as they see it once in 2^32.
    #[inline(always)]
    pub fn add(self, n: usize) {
        self.0.keep();
        self.0.add(0, n);
    }
}

/// A sum that may go down; made by [`up_down_counter!`](crate::up_down_counter!).
///
/// ```
/// use throughline::up_down_counter;
/// up_down_counter!("connections.open").add(1);
/// up_down_counter!("connections.open").add(-1); // another callsite: the exporter adds equal names up
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UpDownCounter(Metric);

impl UpDownCounter {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> UpDownCounter {
        UpDownCounter(metric)
    }

    /// Adds or subtracts. Cost: as [`Counter::add`].
    #[inline(always)]
    pub fn add(self, n: isize) {
        self.0.keep();
        self.0.add(0, n as usize);
    }
}
