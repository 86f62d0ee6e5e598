//! The distribution of a histogram's values, which can be added to another one without error.

use throughline::adapter::metrics::{HistogramReading, Series};
use throughline_export::Times;
use throughline_export::view::{ExemplarView, HistogramView};

/// Bucket counts of integers, which are values in units of 2^-`fraction_bits`. Position p is OTLP's bucket
/// index p − 1 of these integers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram {
    scale: u8,
    fraction_bits: u8,
    pub(super) is_summary: bool,
    sum: u64,
    zeros: u64,
    extremes: Option<(u64, u64)>,
    buckets: Vec<u64>,
    /// Values with the spans in which they were recorded.
    pub(super) exemplars: Vec<ExemplarView>,
    /// Quantiles of a summary; filled in after all callsites are merged.
    pub(super) quantiles: Vec<(f64, f64)>,
}

impl Histogram {
    /// Becomes the value of a series, without exemplars and quantiles.
    pub(super) fn set(&mut self, series: &Series, reading: HistogramReading) {
        let HistogramReading { scale, fraction_bits, is_summary, sum, zeros, extremes, .. } = reading;
        let Histogram { mut buckets, mut exemplars, mut quantiles, .. } = std::mem::take(self);
        buckets.clear();
        buckets.resize(series.bucket_count(), 0);
        #[cfg(target_has_atomic = "64")]
        series.add_buckets(&mut buckets);
        #[cfg(not(target_has_atomic = "64"))]
        buckets.iter_mut().enumerate().for_each(|(position, n)| *n = series.bucket(position));
        exemplars.clear();
        quantiles.clear();
        *self = Histogram {
            scale,
            fraction_bits,
            is_summary,
            sum,
            zeros,
            extremes,
            buckets,
            exemplars,
            quantiles,
        };
    }

    /// The distribution of whole numbers, each with how often it is there, in powers of two.
    #[cfg(profiled)]
    pub(super) fn of_whole(numbers: impl Iterator<Item = (u64, u64)>) -> Histogram {
        let mut histogram = Histogram { buckets: vec![0; 65], ..Histogram::default() };
        for (number, n) in numbers {
            histogram.sum = histogram.sum.saturating_add(number.saturating_mul(n));
            match number {
                0 => histogram.zeros += n,
                // OTLP's bucket i of scale 0 is of more than 2^i and at most 2^(i + 1), and has the position i + 1.
                _ => histogram.buckets[(u64::BITS - (number - 1).leading_zeros()) as usize] += n,
            }
        }
        histogram
    }

    /// The distribution of durations in seconds; `None` if there are none.
    pub(super) fn of_times(times: &Times) -> Option<Histogram> {
        let (buckets, zeros, sum) = times.read()?;
        let (scale, fraction_bits) = (Times::SCALE, Times::FRACTION_BITS);
        Some(Histogram { scale, fraction_bits, sum, zeros, buckets, ..Histogram::default() })
    }

    /// Adds another histogram, at the coarser scale and in the finer steps of the two. Both conversions are
    /// exact.
    pub(super) fn add(&mut self, mut other: Histogram) {
        let scale = self.scale.min(other.scale);
        let fraction_bits = self.fraction_bits.max(other.fraction_bits);
        for histogram in [&mut *self, &mut other] {
            histogram.coarsen_to(scale);
            histogram.refine_to(fraction_bits);
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.zeros += other.zeros;
        self.extremes = match (self.extremes, other.extremes) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        self.buckets.iter_mut().zip(other.buckets).for_each(|(a, b)| *a += b);
        self.exemplars.append(&mut other.exemplars);
    }

    /// Lowers the scale: OTLP's index i becomes ⌊i / 2^by⌋, and a position is an index + 1. This is exact,
    /// because the bucket boundaries of a scale are also boundaries of every higher scale.
    fn coarsen_to(&mut self, scale: u8) {
        let by = self.scale - scale;
        if by == 0 {
            return;
        }
        let mut coarse = Vec::new();
        for (position, n) in self.buckets.iter().enumerate() {
            let to = (((position as i64 - 1) >> by) + 1) as usize;
            if coarse.len() <= to {
                coarse.resize(to + 1, 0);
            }
            coarse[to] += n;
        }
        (self.scale, self.buckets) = (scale, coarse);
    }

    /// Converts to smaller steps, of which every value is a larger multiple.
    fn refine_to(&mut self, fraction_bits: u8) {
        let by = fraction_bits - self.fraction_bits;
        if by == 0 {
            return;
        }
        let larger = |n: u64| n.saturating_mul(1 << by);
        self.buckets.splice(0..0, std::iter::repeat_n(0, usize::from(by) << self.scale));
        self.sum = larger(self.sum);
        self.extremes = self.extremes.map(|(least, greatest)| (larger(least), larger(greatest)));
        self.fraction_bits = fraction_bits;
    }

    pub(super) fn view(&self) -> HistogramView<'_> {
        let first = self.buckets.iter().position(|n| *n > 0).unwrap_or(0);
        let end = self.buckets.iter().rposition(|n| *n > 0).map_or(first, |last| last + 1);
        let step = (-f64::from(self.fraction_bits)).exp2();
        let offset = first as i32 - 1 - (i32::from(self.fraction_bits) << self.scale);
        let sum = self.sum as f64 * step;
        let view = HistogramView::new(self.scale, sum, self.zeros, offset, &self.buckets[first..end])
            .with_fraction_bits(self.fraction_bits)
            .with_exemplars(&self.exemplars);
        match self.extremes {
            Some((least, greatest)) => {
                view.with_extremes(Some((least as f64 * step, greatest as f64 * step)))
            }
            None => view.with_extremes_of_buckets(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline::adapter::metrics::{bucket_count, position};

    fn histogram(scale: u8, fraction_bits: u8, values: &[u64]) -> Histogram {
        let mut buckets = vec![0; bucket_count(u32::from(scale))];
        for value in values {
            buckets[position(*value, u32::from(scale)).unwrap()] += 1;
        }
        let extremes = values.iter().min().copied().zip(values.iter().max().copied());
        Histogram {
            scale,
            fraction_bits,
            sum: values.iter().sum(),
            zeros: 2,
            extremes,
            buckets,
            ..Histogram::default()
        }
    }

    #[test]
    fn histograms_of_unlike_scales_merge_exactly() {
        let values: Vec<u64> = (1..5000).collect();
        let mut fine = histogram(3, 0, &values);
        fine.add(histogram(1, 0, &values));
        let mut single = histogram(1, 0, &values);
        single.buckets.iter_mut().for_each(|n| *n *= 2);
        let sum = 2 * single.sum;
        assert_eq!(fine, Histogram { sum, zeros: 4, ..single });
    }

    #[test]
    fn histograms_of_unlike_steps_merge_exactly() {
        // Merge integers with values in quarters.
        let mut whole = histogram(2, 0, &[1, 3, 1000]);
        whole.add(histogram(2, 2, &[1, 6]));
        let quarters = histogram(2, 2, &[1, 4, 6, 12, 4000]);
        whole.buckets.truncate(quarters.buckets.len());
        assert_eq!(whole, Histogram { zeros: 4, ..quarters });
        assert_eq!(whole.view().extremes, Some((0.25, 1000.0)));
    }

    #[test]
    fn no_sum_goes_down_18() {
        let mut sum = histogram(0, 0, &[u64::MAX - 1]);
        sum.add(histogram(0, 0, &[9]));
        assert_eq!(sum.sum, u64::MAX);
    }

    #[test]
    fn empty_buckets_are_not_sent() {
        let mut data = histogram(0, 0, &[]);
        data.buckets = vec![0, 0, 4, 0, 1, 0];
        data.zeros = 0;
        let view = data.view();
        assert_eq!((view.offset, view.buckets, view.extremes), (1, &[4, 0, 1][..], Some((3.0, 16.0))));
        data.buckets = vec![0, 0];
        let view = data.view();
        assert_eq!((view.offset, view.buckets, view.extremes), (-1, &[][..], None));
    }
}
