//! Families: metrics with labels known only when they run, in a table of fixed size.
//!
//! A label set is found by hashing and linear probing; a new one takes a free place with one compare-and-swap and never leaves. What finds
//! no place, or is longer than a place holds, is counted in the overflow series (`otel.metric.overflow` = `true`), so memory is bounded by
//! construction and no count is lost. Two threads that bring the same new set at once may give it two places; readers
//! add series with equal labels up. No loop waits for another thread.

use super::entry::Entry;
use super::gauge::Site;
use super::histogram::{self, counted};
use super::home::Home;
use super::metric::Metric;
use super::number::{Integer, Measure, Unsigned};
use super::series::{SeriesKey, find};
use crate::sync::{Cell, Count, Relaxed};

/// Counters with `L` run-time labels; made by [`counter_family!`](crate::counter_family!).
///
/// ```
/// use throughline::counter_family;
/// let requests = counter_family!("http.requests", labels = ["route", "status"], capacity = 32);
/// requests.add(["/login", "200"], 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CounterFamily<const L: usize> {
    metric: Metric,
    keys: &'static [SeriesKey],
}

impl<const L: usize> CounterFamily<L> {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        CounterFamily { metric, keys }
    }

    /// Adds to the series with these label values. Cost: hashing them, one comparison, and [`Counter::add`](super::Counter::add).
    #[inline]
    pub fn add(self, labels: [&str; L], n: impl Unsigned) {
        self.metric.keep();
        self.metric.add(find(self.keys, &labels), n.to_count());
    }
}

/// Up-down counters with `L` run-time labels; made by [`up_down_counter_family!`](crate::up_down_counter_family!).
///
/// ```
/// use throughline::up_down_counter_family;
/// let open = up_down_counter_family!("connections.open", labels = ["peer"], capacity = 8);
/// open.add(["10.0.0.7"], 1);
/// open.add(["10.0.0.7"], -1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UpDownCounterFamily<const L: usize> {
    metric: Metric,
    keys: &'static [SeriesKey],
}

impl<const L: usize> UpDownCounterFamily<L> {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        UpDownCounterFamily { metric, keys }
    }

    /// Adds to the series with these label values, or subtracts what is negative. Cost: as [`CounterFamily::add`].
    #[inline]
    pub fn add(self, labels: [&str; L], n: impl Integer) {
        self.metric.keep();
        self.metric.add_signed(find(self.keys, &labels), n.to_signed());
    }
}

/// Gauges with `L` run-time labels; made by [`gauge_family!`](crate::gauge_family!). All callsites of one family share one table, that of the first.
///
/// ```
/// use throughline::gauge_family;
/// let depth = gauge_family!("queue.depth", labels = ["queue"], capacity = 8);
/// depth.set(["mail"], 17);
/// depth.sub(["mail"], 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GaugeFamily<const L: usize>(Site);

impl<const L: usize> GaugeFamily<L> {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(entry: &'static Entry, home: &'static Home) -> Self {
        GaugeFamily(Site { entry, home })
    }

    /// Sets the series with these label values. Label sets that find no place share the overflow series, which then has the value set last. Cost:
    /// hashing them, one comparison and a store.
    #[inline]
    pub fn set(self, labels: [&str; L], value: impl Integer) {
        if let Some(cell) = self.cell(&labels) {
            cell.store(value.to_signed() as Count, Relaxed);
        }
    }

    /// Adds to the series with these label values, or subtracts what is negative.
    #[inline]
    pub fn add(self, labels: [&str; L], n: impl Integer) {
        if let Some(cell) = self.cell(&labels) {
            cell.fetch_add(n.to_signed() as Count, Relaxed);
        }
    }

    /// Subtracts from the series with these label values.
    #[inline]
    pub fn sub(self, labels: [&str; L], n: impl Integer) {
        if let Some(cell) = self.cell(&labels) {
            cell.fetch_add(n.to_signed().wrapping_neg() as Count, Relaxed);
        }
    }

    fn cell(self, labels: &[&str; L]) -> Option<&'static Cell> {
        let home = self.0.home.of(self.0.entry)?;
        home.cells.get(find(home.keys, labels))
    }
}

/// Histograms with `L` run-time labels; made by [`histogram_family!`](crate::histogram_family!).
///
/// ```
/// use throughline::histogram_family;
/// histogram_family!("query.duration", labels = ["table"], capacity = 8, unit = "us").record(["users"], 320);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HistogramFamily<const SCALE: u32, const L: usize, const UNIT: u64 = 1, const FRACTION: u32 = 0> {
    metric: Metric,
    keys: &'static [SeriesKey],
}

impl<const SCALE: u32, const L: usize, const UNIT: u64, const FRACTION: u32>
    HistogramFamily<SCALE, L, UNIT, FRACTION>
{
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        HistogramFamily { metric, keys }
    }

    /// Counts a value in the series with these label values, as [`Histogram::record`](super::Histogram::record) does.
    #[inline]
    pub fn record(self, labels: [&str; L], value: impl Measure) {
        self.metric.keep();
        let series = find(self.keys, &labels);
        let value = counted::<UNIT, FRACTION>(value);
        histogram::record::<SCALE>(self.metric, series * const { histogram::cells(SCALE) }, value);
    }
}
