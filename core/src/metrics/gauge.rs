//! Gauges: last values. One cell for all threads, as the last value is one.

use super::Metric;
use crate::ring::Word;

/// A last value, an integer; made by [`gauge!`](crate::gauge!).
///
/// ```
/// use throughline::gauge;
/// gauge!("queue.depth", unit = "{item}").set(17);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gauge(Metric);

impl Gauge {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> Gauge {
        Gauge(metric)
    }

    /// Sets it. Cost: one store.
    #[inline(always)]
    pub fn set(self, value: isize) {
        self.0.keep();
        self.0.set(value as Word);
    }
}

/// A last value, a float; made by `gauge!("…" as f32)`. Kept as `f32` on a 32-bit machine, as `f64` on a 64-bit one.
///
/// ```
/// use throughline::gauge;
/// gauge!("room.temperature" as f32, unit = "Cel").set(21.5_f32);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FloatGauge(Metric);

impl FloatGauge {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric) -> FloatGauge {
        FloatGauge(metric)
    }

    /// Sets it. Cost: one store.
    #[inline(always)]
    pub fn set(self, value: impl FloatValue) {
        self.0.keep();
        self.0.set(value.to_word());
    }
}

/// `f32` or `f64`.
pub trait FloatValue {
    /// Its bits as a machine's gauge keeps them.
    fn to_word(self) -> Word;
}

impl FloatValue for f32 {
    #[inline(always)]
    fn to_word(self) -> Word {
        #[cfg(target_pointer_width = "64")]
        return f64::from(self).to_bits() as Word;
        #[cfg(not(target_pointer_width = "64"))]
        return self.to_bits() as Word;
    }
}

impl FloatValue for f64 {
    #[inline(always)]
    fn to_word(self) -> Word {
        #[cfg(target_pointer_width = "64")]
        return self.to_bits() as Word;
        #[cfg(not(target_pointer_width = "64"))]
        return (self as f32).to_bits() as Word;
    }
}
