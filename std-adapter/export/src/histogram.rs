//! A view of a histogram for export, with the quantiles and extremes that its buckets imply.

use std::sync::Arc;
use throughline::{SpanId, TraceId};

/// A base-2 exponential histogram of non-negative numbers.
///
/// Bucket `i` of `buckets` has OTLP's index `offset + i` and counts the values above 2^(index / 2^scale), up to and including 2^((index + 1) / 2^scale).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct HistogramView<'a> {
    /// A power of two has 2^scale buckets.
    pub scale: u8,
    /// All values are multiples of 2^-`fraction_bits`; 0 means that they are integers.
    pub fraction_bits: u8,
    /// Sum of all values.
    pub sum: f64,
    /// Number of values that were zero.
    pub zeros: u64,
    /// Least and greatest value, if they are known.
    pub extremes: Option<(f64, f64)>,
    /// OTLP index of `buckets[0]`. The value 1 is in the bucket with index -1.
    pub offset: i32,
    /// Counts of consecutive buckets.
    pub buckets: &'a [u64],
    /// Values with the spans that they were recorded in, in any order; empty where none are kept.
    pub exemplars: &'a [ExemplarView],
}

/// Names and values of an exemplar's fields.
pub type ExemplarFields = Arc<[(Box<str>, Box<str>)]>;

/// A value of a histogram, and the span in which it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarView {
    /// The value.
    pub value: f64,
    /// When it was recorded, nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// The span's trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Correlation fields of the code that recorded it, names and values, such as the id of a request: OTLP's filtered
    /// attributes.
    pub fields: Option<ExemplarFields>,
}

/// The quantiles of a summary. In OTLP 0 means the least value and 1 the greatest.
pub const QUANTILES: [f64; 6] = [0.0, 0.5, 0.9, 0.95, 0.99, 1.0];

impl<'a> HistogramView<'a> {
    /// A histogram of integers whose extremes are not known.
    pub fn new(scale: u8, sum: f64, zeros: u64, offset: i32, buckets: &'a [u64]) -> HistogramView<'a> {
        HistogramView { scale, fraction_bits: 0, sum, zeros, extremes: None, offset, buckets, exemplars: &[] }
    }

    /// This histogram with values that are multiples of 2^-`fraction_bits`.
    pub fn with_fraction_bits(self, fraction_bits: u8) -> HistogramView<'a> {
        HistogramView { fraction_bits, ..self }
    }

    /// This histogram with these extremes.
    pub fn with_extremes(self, extremes: Option<(f64, f64)>) -> HistogramView<'a> {
        HistogramView { extremes, ..self }
    }

    /// This histogram with these exemplars.
    pub fn with_exemplars(self, exemplars: &'a [ExemplarView]) -> HistogramView<'a> {
        HistogramView { exemplars, ..self }
    }

    /// This histogram with the bounds of its outermost buckets as extremes: the least value possible in the
    /// lowest bucket that is not empty, and the greatest possible in the highest.
    pub fn with_extremes_of_buckets(self) -> HistogramView<'a> {
        let first = self.buckets.iter().position(|n| *n > 0).map(|i| self.least_of(i));
        let last = self.buckets.iter().rposition(|n| *n > 0).map(|i| self.greatest_of(i));
        let zero = (self.zeros > 0).then_some(0.0);
        self.with_extremes(zero.or(first).zip(last.or(zero)))
    }

    /// Number of values counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(self.zeros, |sum, n| sum.saturating_add(*n))
    }

    /// An upper bound of the `q`-quantile, at most the true value times 2^(2^-scale). `None` if the histogram
    /// is empty.
    ///
    /// ```
    /// use throughline_export::view::HistogramView;
    /// // One value of 1 (index -1), three in (2, 4] (index 1) at scale 0.
    /// let histogram = HistogramView::new(0, 13.0, 0, -1, &[1, 0, 3]);
    /// assert_eq!((histogram.quantile(0.25), histogram.quantile(0.9)), (Some(1.0), Some(4.0)));
    /// assert_eq!(HistogramView::new(0, 0.0, 0, -1, &[]).quantile(0.5), None);
    /// ```
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
        let mut seen = self.zeros;
        let bound = if seen >= rank {
            0.0
        } else {
            let at = self.buckets.iter().position(|n| {
                seen = seen.saturating_add(*n);
                seen >= rank
            });
            self.greatest_of(at?)
        };
        Some(self.extremes.map_or(bound, |(least, greatest)| bound.min(greatest).max(least)))
    }

    /// The values of [`QUANTILES`], for a summary. Empty if the histogram is empty.
    pub fn quantiles(&self) -> Vec<(f64, f64)> {
        let known = if self.extremes.is_some() { *self } else { self.with_extremes_of_buckets() };
        let value = |q: f64| match (q, known.extremes) {
            (0.0, Some((least, _))) => Some(least),
            _ => known.quantile(q),
        };
        QUANTILES.into_iter().filter_map(|q| Some((q, value(q)?))).collect()
    }

    /// The least value possible in bucket `i`.
    fn least_of(&self, i: usize) -> f64 {
        let below = self.position(i) - 1;
        self.step() * if below < 0 { 1.0 } else { self.boundary(below) + 1.0 }
    }

    /// The greatest value possible in bucket `i`.
    fn greatest_of(&self, i: usize) -> f64 {
        self.step() * self.boundary(self.position(i))
    }

    /// The position of bucket `i` in a histogram of integers, if every value is multiplied by
    /// 2^`fraction_bits`.
    fn position(&self, i: usize) -> i64 {
        i64::from(self.offset) + 1 + i as i64 + (i64::from(self.fraction_bits) << self.scale.min(31))
    }

    /// The greatest integer at `position`.
    fn boundary(&self, position: i64) -> f64 {
        (position as f64 / f64::from(1_u32 << self.scale.min(31))).exp2().floor()
    }

    fn step(&self) -> f64 {
        (-f64::from(self.fraction_bits)).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_the_bounds_of_the_outermost_buckets() {
        let of = |scale, fraction, zeros, offset, buckets: &[u64]| {
            let view = HistogramView::new(scale, 0.0, zeros, offset, buckets).with_fraction_bits(fraction);
            view.with_extremes_of_buckets().extremes
        };
        assert_eq!(of(0, 0, 0, -1, &[1]), Some((1.0, 1.0)));
        assert_eq!(of(0, 0, 0, 0, &[0, 1, 0, 5, 0]), Some((3.0, 16.0)));
        // Scale 1, index 3: above 2^1.5 up to 4, so 3 or 4.
        assert_eq!(of(1, 0, 0, 2, &[0, 1]), Some((3.0, 4.0)));
        assert_eq!(of(1, 0, 2, 2, &[0, 1]), Some((0.0, 4.0)));
        assert_eq!(of(1, 0, 2, 2, &[0, 0]), Some((0.0, 0.0)));
        assert_eq!(of(1, 0, 0, 2, &[]), None);
        // Quarters: index -1 is above 1/2 up to 1, so 3/4 or 1.
        assert_eq!(of(0, 2, 0, -1, &[1]), Some((0.75, 1.0)));
        assert_eq!(of(0, 2, 0, -3, &[1]), Some((0.25, 0.25)));
    }

    #[test]
    fn quantiles_stay_within_the_extremes() {
        let view = HistogramView::new(0, 30.0, 0, 2, &[3]).with_extremes(Some((5.0, 6.0)));
        assert_eq!(view.quantiles(), QUANTILES.map(|q| (q, if q == 0.0 { 5.0 } else { 6.0 })));
        assert_eq!(HistogramView::new(0, 0.0, 0, 0, &[]).quantiles(), []);
    }
}
