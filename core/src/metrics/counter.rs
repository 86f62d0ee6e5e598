//! Counters: sums that only grow, and sums that may go down.

use super::gauge::{InFlight, Steps};
use super::metric::Metric;
use super::number::{Integer, Number, Unsigned};
use crate::sync::Signed;

/// A monotonic sum; made by [`counter!`](crate::counter!).
///
/// ```
/// use throughline::counter;
/// counter!("frames.received", unit = "{frame}", bus = "can0").add(1);
/// # let payload = [0_u8; 8];
/// counter!("bytes.received", unit = "By").add(payload.len());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Counter(Metric);

impl Counter {
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> Counter {
        Counter(metric)
    }

    /// Adds an unsigned integer of any width. Cost: on a server a load and a store of the thread's own cell;
    /// on a microcontroller one atomic add (a critical section on thumbv6m).
    ///
    /// The sum never goes down. On a server it saturates at `u64::MAX`. On a 32-bit microcontroller a cell
    /// has 32 bits and wraps; the host extends it, which is exact while less than 2^32 is added between two
    /// snapshots.
    #[inline(always)]
    #[cfg_attr(feature = "std", track_caller)]
    pub fn add(self, n: impl Unsigned) {
        self.0.keep();
        self.0.add(0, n.to_amount());
    }
}

/// A monotonic sum of fractions; made by `counter!("…" as f64)`.
///
/// ```
/// use throughline::counter;
/// counter!("energy.used" as f64, unit = "J").add(0.25);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FloatCounter(Metric);

impl FloatCounter {
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> FloatCounter {
        FloatCounter(metric)
    }

    /// Adds `n`. Negative numbers, infinity and NaN add nothing, so the sum never goes down. Cost: on a
    /// server a load, a float addition and a store of the thread's own cell; on a microcontroller a float
    /// addition and a compare-and-swap, both repeated for each change that comes in between.
    ///
    /// The sum is an `f64`. Targets without 64-bit atomics add to an `f32`, which every snapshot moves into
    /// the `f64`; between two snapshots the sum has the precision of an `f32`.
    #[inline(always)]
    #[cfg_attr(feature = "std", track_caller)]
    pub fn add(self, n: impl Number) {
        self.0.keep();
        let n = n.to_float();
        if n > 0.0 && n.is_finite() {
            self.0.add_float(n);
        } else if n < 0.0 {
            super::negative::negative();
        }
    }
}

/// A sum that may go down; made by [`up_down_counter!`](crate::up_down_counter!).
///
/// ```
/// use throughline::up_down_counter;
/// up_down_counter!("connections.open").add(1);
/// up_down_counter!("connections.open").add(-1); // another callsite of the same sum
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UpDownCounter(Metric);

impl UpDownCounter {
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> UpDownCounter {
        UpDownCounter(metric)
    }

    /// Adds `n`, which may be negative. Cost: as [`Counter::add`]. With 64-bit cells the sum saturates at the
    /// ends of `i64`; 32-bit cells wrap, and the host extends them.
    #[inline(always)]
    pub fn add(self, n: impl Integer) {
        self.0.keep();
        self.0.add_signed(0, n.to_signed());
    }

    /// Adds 1 now and subtracts it when the returned guard is dropped.
    ///
    /// ```
    /// # use throughline::up_down_counter;
    /// let _open = up_down_counter!("connections.open").in_flight();
    /// ```
    #[inline(always)]
    pub fn in_flight(self) -> InFlight<UpDownCounter> {
        InFlight::begin(self)
    }
}

impl Steps for UpDownCounter {
    #[inline(always)]
    fn step(self, n: Signed) -> bool {
        self.0.keep();
        self.0.add_signed(0, n)
    }
}
