//! The method names of the `metrics` crate, so that code written for it compiles unchanged.

use super::number::{Integer, Number, Unsigned};
use super::{Counter, FloatCounter, FloatGauge, Gauge};

impl Counter {
    /// The same as [`add`](Counter::add).
    #[inline(always)]
    #[cfg_attr(feature = "std", track_caller)]
    pub fn increment(self, n: impl Unsigned) {
        self.add(n);
    }
}

impl FloatCounter {
    /// The same as [`add`](FloatCounter::add).
    #[inline(always)]
    #[cfg_attr(feature = "std", track_caller)]
    pub fn increment(self, n: impl Number) {
        self.add(n);
    }
}

impl Gauge {
    /// The same as [`add`](Gauge::add).
    #[inline(always)]
    pub fn increment(self, n: impl Integer) {
        self.add(n);
    }

    /// The same as [`sub`](Gauge::sub).
    #[inline(always)]
    pub fn decrement(self, n: impl Integer) {
        self.sub(n);
    }
}

impl FloatGauge {
    /// The same as [`add`](FloatGauge::add).
    #[inline(always)]
    pub fn increment(self, n: impl Number) {
        self.add(n);
    }

    /// The same as [`sub`](FloatGauge::sub).
    #[inline(always)]
    pub fn decrement(self, n: impl Number) {
        self.sub(n);
    }
}
