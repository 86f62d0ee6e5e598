//! Families: metrics with run-time labels, in a table of fixed size.
//!
//! A label set is found by hashing and linear probing. A new set takes a free slot with one compare-and-swap
//! and keeps it. Sets that find no free slot, or are longer than a slot, are counted in the overflow series
//! (`otel.metric.overflow` = `true`), so memory is bounded and no count is lost. Two threads that insert the
//! same new set at the same time may fill two slots; readers add up series with equal labels. No loop waits
//! for another thread.

use super::entry::Entry;
use super::gauge::add_to;
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
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        CounterFamily { metric, keys }
    }

    pub(super) const fn parts(self) -> (Metric, &'static [SeriesKey]) {
        (self.metric, self.keys)
    }

    /// Adds to the series with these label values. Cost: hashing the labels, one comparison, and
    /// [`Counter::add`](super::Counter::add).
    #[inline]
    #[cfg_attr(feature = "std", track_caller)]
    pub fn add(self, labels: [&str; L], n: impl Unsigned) {
        self.metric.keep();
        self.metric.add(find(self.keys, &labels), n.to_amount());
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
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        UpDownCounterFamily { metric, keys }
    }

    /// Adds `n`, which may be negative, to the series with these label values. Cost: as
    /// [`CounterFamily::add`].
    #[inline]
    pub fn add(self, labels: [&str; L], n: impl Integer) {
        self.metric.keep();
        self.metric.add_signed(find(self.keys, &labels), n.to_signed());
    }
}

/// Gauges with `L` run-time labels; made by [`gauge_family!`](crate::gauge_family!). All callsites of one
/// family share the table of its first callsite.
///
/// ```
/// use throughline::gauge_family;
/// let depth = gauge_family!("queue.depth", labels = ["queue"], capacity = 8);
/// depth.set(["mail"], 17);
/// depth.sub(["mail"], 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GaugeFamily<const L: usize> {
    entry: &'static Entry,
    home: &'static Home<Entry>,
}

impl<const L: usize> GaugeFamily<L> {
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(entry: &'static Entry, home: &'static Home<Entry>) -> Self {
        GaugeFamily { entry, home }
    }

    /// Sets the series with these label values. Label sets without a slot share the overflow series, which
    /// holds the last value set for any of them. Cost: hashing the labels, one comparison, and
    /// [`Gauge::set`](super::Gauge::set).
    #[inline]
    pub fn set(self, labels: [&str; L], value: impl Integer) {
        if let Some(cell) = self.cell(&labels) {
            cell.store(value.to_signed() as Count, Relaxed);
        }
    }

    /// Adds `n`, which may be negative, to the series with these label values. Cost: hashing the labels, one
    /// comparison, and [`Gauge::add`](super::Gauge::add).
    #[inline]
    pub fn add(self, labels: [&str; L], n: impl Integer) {
        if let Some(cell) = self.cell(&labels) {
            add_to(cell, n.to_signed());
        }
    }

    /// Subtracts `n` from the series with these label values. Cost: as [`GaugeFamily::add`].
    #[inline]
    pub fn sub(self, labels: [&str; L], n: impl Integer) {
        if let Some(cell) = self.cell(&labels) {
            add_to(cell, n.to_signed().saturating_neg());
        }
    }

    fn cell(self, labels: &[&str; L]) -> Option<&'static Cell> {
        let home = self.home.of(self.entry)?;
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
    /// The macro calls this.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        HistogramFamily { metric, keys }
    }

    pub(super) const fn parts(self) -> (Metric, &'static [SeriesKey]) {
        (self.metric, self.keys)
    }

    /// Counts a value in the series with these label values. Cost: hashing the labels, one comparison, and
    /// [`Histogram::record`](super::Histogram::record).
    #[inline]
    pub fn record(self, labels: [&str; L], value: impl Measure) {
        self.metric.keep();
        let series = find(self.keys, &labels);
        let value = counted::<UNIT, FRACTION>(value);
        histogram::record::<SCALE>(self.metric, series * const { histogram::cells(SCALE) }, value);
    }
}
