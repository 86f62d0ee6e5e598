//! Gauges: last values. One cell for all threads and all callsites of the same gauge, as the last value is one.

use super::entry::Entry;
use super::home::Home;
use super::number::{Integer, Number};
use crate::sync::{Cell, Count, Float, Relaxed, Signed};

/// A last value, an integer; made by [`gauge!`](crate::gauge!).
///
/// ```
/// use throughline::gauge;
/// gauge!("queue.depth", unit = "{item}").set(17);
/// gauge!("queue.depth", unit = "{item}").sub(1); // another callsite of the same gauge: 16
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gauge(Site);

impl Gauge {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(entry: &'static Entry, home: &'static Home) -> Gauge {
        Gauge(Site { entry, home })
    }

    /// Sets it. Cost: two loads, a branch and a store.
    #[inline(always)]
    pub fn set(self, value: impl Integer) {
        if let Some(cell) = self.0.cell() {
            cell.store(value.to_signed() as Count, Relaxed);
        }
    }

    /// Adds, or subtracts what is negative. Cost: an atomic add (a critical section on thumbv6m) beside what [`Gauge::set`] costs.
    #[inline(always)]
    pub fn add(self, n: impl Integer) {
        self.step(n.to_signed());
    }

    /// Subtracts. Cost: as [`Gauge::add`].
    #[inline(always)]
    pub fn sub(self, n: impl Integer) {
        self.step(n.to_signed().wrapping_neg());
    }

    /// Adds 1 now, and subtracts it when the returned guard is dropped.
    ///
    /// ```
    /// # use throughline::gauge;
    /// let _request = gauge!("http.requests.active").in_flight();
    /// ```
    #[inline(always)]
    pub fn in_flight(self) -> InFlight<Gauge> {
        InFlight::begin(self)
    }
}

impl Steps for Gauge {
    #[inline(always)]
    fn step(self, n: Signed) -> bool {
        let Some(cell) = self.0.cell() else { return false };
        cell.fetch_add(n as Count, Relaxed);
        true
    }
}

/// A last value, a float; made by `gauge!("…" as f64)`. On a target without 64-bit atomics it is kept as an `f32`.
///
/// ```
/// use throughline::gauge;
/// gauge!("room.temperature" as f64, unit = "Cel").set(21.5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FloatGauge(Site);

impl FloatGauge {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(entry: &'static Entry, home: &'static Home) -> FloatGauge {
        FloatGauge(Site { entry, home })
    }

    /// Sets it. Cost: as [`Gauge::set`].
    #[inline(always)]
    pub fn set(self, value: impl Number) {
        if let Some(cell) = self.0.cell() {
            cell.store(value.to_float().to_bits() as Count, Relaxed);
        }
    }

    /// Adds. Cost: a compare-and-swap, again for every other change that gets in between; a change takes a bounded time, so this is lock-free.
    #[inline(always)]
    pub fn add(self, n: impl Number) {
        if let Some(cell) = self.0.cell() {
            add_float(cell, n.to_float());
        }
    }

    /// Subtracts. Cost: as [`FloatGauge::add`].
    #[inline(always)]
    pub fn sub(self, n: impl Number) {
        if let Some(cell) = self.0.cell() {
            add_float(cell, -n.to_float());
        }
    }
}

/// Adds to the float in a cell that several contexts share.
#[inline]
pub(super) fn add_float(cell: &Cell, n: Float) {
    let mut old = cell.load(Relaxed);
    loop {
        let new = (float(old) + n).to_bits() as Count;
        match cell.compare_exchange(old, new, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(now) => old = now,
        }
    }
}

/// The float in a cell.
#[cfg(target_has_atomic = "64")]
#[inline(always)]
pub(super) fn float(cell: Count) -> Float {
    Float::from_bits(cell)
}

/// The float in a cell.
#[cfg(not(target_has_atomic = "64"))]
#[inline(always)]
pub(super) fn float(cell: Count) -> Float {
    Float::from_bits(cell as u32)
}

/// A callsite of a gauge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) entry: &'static Entry,
    pub(super) home: &'static Home,
}

impl Site {
    /// The one cell of all callsites of this gauge; `None` while nobody may come to read it.
    #[inline(always)]
    fn cell(self) -> Option<&'static Cell> {
        self.home.of(self.entry)?.cells.first()
    }
}

/// What an [`InFlight`] guard counts up and down.
pub trait Steps: Copy {
    /// Adds; says whether it did.
    #[doc(hidden)]
    fn step(self, n: Signed) -> bool;
}

/// Counts as one as long as it lives; made by [`Gauge::in_flight`] and [`UpDownCounter::in_flight`](super::UpDownCounter::in_flight).
#[derive(Debug)]
#[must_use = "the count goes down again when the guard is dropped: bind it to a name such as `_guard`"]
pub struct InFlight<T: Steps> {
    metric: T,
    /// Whether the 1 was added; there may have been no recorder yet.
    counted: bool,
}

impl<T: Steps> InFlight<T> {
    #[inline(always)]
    pub(super) fn begin(metric: T) -> InFlight<T> {
        InFlight { metric, counted: metric.step(1) }
    }
}

impl<T: Steps> Drop for InFlight<T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.counted {
            self.metric.step(-1);
        }
    }
}
