//! Gauges: last values. All threads and all callsites of a gauge share one cell, because only one value can
//! be the last.

use super::entry::Entry;
use super::home::Home;
use super::number::{Integer, Number};
use crate::sync::{Cell, Count, Float, Relaxed, Signed};

/// The last value of an integer; made by [`gauge!`](crate::gauge!).
///
/// ```
/// use throughline::gauge;
/// gauge!("queue.depth", unit = "{item}").set(17);
/// gauge!("queue.depth", unit = "{item}").sub(1); // another callsite of the same gauge: 16
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gauge(Site);

impl Gauge {
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(entry: &'static Entry, home: &'static Home<Cell>) -> Gauge {
        Gauge(Site { entry, home })
    }

    /// Sets the value. Cost: a load, a branch and a store.
    #[inline(always)]
    pub fn set(self, value: impl Integer) {
        if let Some(cell) = self.0.cell() {
            cell.store(value.to_signed() as Count, Relaxed);
        }
    }

    /// Adds `n`, which may be negative. A sum beyond the greatest or the least number stays there. Cost: that of
    /// [`Gauge::set`] with an atomic add (a critical section on thumbv6m) and a branch in place of the store.
    #[inline(always)]
    pub fn add(self, n: impl Integer) {
        self.step(n.to_signed());
    }

    /// Subtracts `n`. Cost: as [`Gauge::add`].
    #[inline(always)]
    pub fn sub(self, n: impl Integer) {
        self.step(n.to_signed().saturating_neg());
    }

    /// Adds 1 now and subtracts it when the returned guard is dropped.
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
        add_to(cell, n);
        true
    }
}

/// Adds to the cell of a gauge. A sum beyond the greatest or the least number stays there.
#[inline(always)]
pub(super) fn add_to(cell: &Cell, n: Signed) {
    let old = cell.fetch_add(n as Count, Relaxed) as Signed;
    let (sum, overflow) = old.overflowing_add(n);
    if overflow {
        stay_at_end(cell, sum, n);
    }
}

/// Moves a gauge to the end beyond which the addition of `n` went, unless somebody has set it since.
#[cold]
#[inline(never)]
fn stay_at_end(cell: &Cell, sum: Signed, n: Signed) {
    let end = if n < 0 { Signed::MIN } else { Signed::MAX };
    let _ = cell.compare_exchange(sum as Count, end as Count, Relaxed, Relaxed);
}

/// The last value of a float; made by `gauge!("…" as f64)`. Targets without 64-bit atomics keep it as an
/// `f32`.
///
/// ```
/// use throughline::gauge;
/// gauge!("room.temperature" as f64, unit = "Cel").set(21.5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FloatGauge(Site);

impl FloatGauge {
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(entry: &'static Entry, home: &'static Home<Cell>) -> FloatGauge {
        FloatGauge(Site { entry, home })
    }

    /// Sets the value. Cost: as [`Gauge::set`].
    #[inline(always)]
    pub fn set(self, value: impl Number) {
        if let Some(cell) = self.0.cell() {
            cell.store(value.to_float().to_bits() as Count, Relaxed);
        }
    }

    /// Adds `n`. Cost: a compare-and-swap, which is repeated for each change that another context makes in
    /// between (lock-free).
    #[inline(always)]
    pub fn add(self, n: impl Number) {
        if let Some(cell) = self.0.cell() {
            add_float(cell, n.to_float());
        }
    }

    /// Subtracts `n`. Cost: as [`FloatGauge::add`].
    #[inline(always)]
    pub fn sub(self, n: impl Number) {
        if let Some(cell) = self.0.cell() {
            add_float(cell, -n.to_float());
        }
    }
}

/// Adds to the float in a cell that several contexts write.
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
struct Site {
    entry: &'static Entry,
    home: &'static Home<Cell>,
}

impl Site {
    /// The one cell of all callsites of this gauge; `None` while the program has no recorder, so nothing can
    /// read it.
    #[inline(always)]
    fn cell(self) -> Option<&'static Cell> {
        self.home.of(self.entry)
    }
}

/// The metrics that an [`InFlight`] guard can count in.
pub trait Steps: Copy {
    /// Adds `n`. Returns whether it was added.
    #[doc(hidden)]
    fn step(self, n: Signed) -> bool;
}

/// Counts as one while it lives; made by [`Gauge::in_flight`] and
/// [`UpDownCounter::in_flight`](super::UpDownCounter::in_flight).
#[derive(Debug)]
#[must_use = "the count goes down again when the guard is dropped: bind it to a name such as `_guard`"]
pub struct InFlight<T: Steps> {
    metric: T,
    /// Whether the 1 was added. It is not added while the program has no recorder.
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
