//! Families: metrics with labels known only when they run, in a table of fixed size.
//!
//! A label set is found by hashing and linear probing; a new one takes a free place with one compare-and-swap and never leaves. What finds
//! no place, or is longer than a place holds, is counted in the overflow series (`otel.metric.overflow` = `true`), so memory is bounded by
//! construction and nothing is lost in sum. Two threads that bring the same new set at once may give it two places; readers
//! add series with equal labels up. No loop waits for another thread.

use super::series::{SeriesKey, find};
use super::{Metric, histogram};

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
    pub fn add(self, labels: [&str; L], n: usize) {
        self.metric.keep();
        self.metric.add(find(self.keys, &labels), n);
    }
}

/// Histograms with `L` run-time labels; made by [`histogram_family!`](crate::histogram_family!).
///
/// ```
/// use throughline::histogram_family;
/// histogram_family!("query.duration", labels = ["table"], capacity = 8, unit = "us").record(["users"], 320);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HistogramFamily<const SCALE: u32, const L: usize> {
    metric: Metric,
    keys: &'static [SeriesKey],
}

impl<const SCALE: u32, const L: usize> HistogramFamily<SCALE, L> {
    /// For the macro.
    #[doc(hidden)]
    #[inline(always)]
    pub const fn new(metric: Metric, keys: &'static [SeriesKey]) -> Self {
        HistogramFamily { metric, keys }
    }

    /// Counts a value in the series with these label values.
    #[inline]
    pub fn record(self, labels: [&str; L], value: usize) {
        self.metric.keep();
        let series = find(self.keys, &labels);
        histogram::record::<SCALE>(self.metric, series * const { histogram::cells(SCALE) }, value);
    }
}
