//! Exponential histograms in Prometheus's form: with classic buckets, and added up when several become one
//! series.

use crate::view::{ExemplarView, HistogramView};
use std::borrow::Cow;

/// Highest scale of Prometheus's native histograms, and the highest one at which a shift still matters.
const MAX_SCALE: u8 = 8;
/// Floats at or below 2^`LEAST_POWER` have fewer digits, so smaller bounds could not be told apart.
const LEAST_POWER: i64 = -1022;
/// All floats are below 2^`GREATEST_POWER`.
const GREATEST_POWER: i64 = 1024;
/// Powers of two in a block. The range of classic bounds grows by whole blocks, so that it rarely changes.
const BLOCK: i64 = 4;

/// An exponential histogram, borrowed from its point until it is added to another one.
#[derive(Clone, Debug)]
pub(super) struct Histogram<'p> {
    pub(super) scale: u8,
    pub(super) sum: f64,
    pub(super) zeros: u64,
    /// OTLP index of the first bucket. Bucket `index` counts values above 2^(index / 2^scale) up to 2^((index
    /// + 1) / 2^scale).
    pub(super) offset: i64,
    pub(super) buckets: Cow<'p, [u64]>,
    pub(super) exemplars: Cow<'p, [ExemplarView]>,
}

impl<'p> Histogram<'p> {
    pub(super) fn of(view: &HistogramView<'p>) -> Histogram<'p> {
        let mut histogram = Histogram {
            scale: view.scale,
            sum: view.sum,
            zeros: view.zeros,
            offset: view.offset.into(),
            buckets: Cow::Borrowed(view.buckets),
            exemplars: Cow::Borrowed(view.exemplars),
        };
        histogram.coarsen_to(MAX_SCALE);
        histogram.clamp();
        histogram
    }

    /// Moves counts of buckets beyond the range of floats into the outermost buckets of that range. Indexes
    /// from outside may be any numbers, and a sum has all buckets in between.
    fn clamp(&mut self) {
        let (first, last) = (LEAST_POWER << self.scale, (GREATEST_POWER << self.scale) - 1);
        let end = self.offset + self.buckets.len() as i64;
        if self.offset >= first && end <= last + 1 {
            return;
        }
        let offset = self.offset.clamp(first, last);
        let mut buckets = vec![0_u64; (end.clamp(offset + 1, last + 1) - offset) as usize];
        for (i, n) in self.buckets.iter().enumerate() {
            let index = (self.offset + i as i64).clamp(offset, last);
            let bucket = &mut buckets[(index - offset) as usize];
            *bucket = bucket.saturating_add(*n);
        }
        (self.offset, self.buckets) = (offset, Cow::Owned(buckets));
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().fold(self.zeros, |sum, n| sum.saturating_add(*n))
    }

    /// Adds another histogram, at the coarser of the two scales.
    pub(super) fn add(&mut self, mut other: Histogram<'p>) {
        let scale = self.scale.min(other.scale);
        self.coarsen_to(scale);
        other.coarsen_to(scale);
        self.sum += other.sum;
        self.zeros = self.zeros.saturating_add(other.zeros);
        if !other.exemplars.is_empty() {
            self.exemplars.to_mut().extend_from_slice(&other.exemplars);
        }
        let (Some(theirs), Some(ours)) = (other.range(), self.range()) else {
            if self.range().is_none() {
                (self.offset, self.buckets) = (other.offset, other.buckets);
            }
            return;
        };
        let (first, end) = (theirs.0.min(ours.0), theirs.1.max(ours.1));
        let mut buckets = vec![0_u64; (end - first) as usize];
        for (offset, counts) in [(self.offset, &self.buckets), (other.offset, &other.buckets)] {
            for (i, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
                let bucket = &mut buckets[(offset + i as i64 - first) as usize];
                *bucket = bucket.saturating_add(*n);
            }
        }
        (self.offset, self.buckets) = (first, Cow::Owned(buckets));
    }

    /// Lowers the scale to this one if it is higher. This is exact, because the bounds of a scale are also
    /// bounds of every higher scale.
    fn coarsen_to(&mut self, scale: u8) {
        let by = self.scale.saturating_sub(scale).min(63);
        if by == 0 {
            return;
        }
        let first = self.offset >> by;
        let mut coarse: Vec<u64> = Vec::new();
        for (i, n) in self.buckets.iter().enumerate() {
            let to = (((self.offset + i as i64) >> by) - first) as usize;
            if coarse.len() <= to {
                coarse.resize(to + 1, 0);
            }
            coarse[to] = coarse[to].saturating_add(*n);
        }
        (self.scale, self.offset, self.buckets) = (scale, first, Cow::Owned(coarse));
    }

    /// The first index with a count, and the index after the last one.
    fn range(&self) -> Option<(i64, i64)> {
        let first = self.buckets.iter().position(|n| *n > 0)?;
        let last = self.buckets.iter().rposition(|n| *n > 0)?;
        Some((self.offset + first as i64, self.offset + last as i64 + 1))
    }

    /// Passes the upper bounds of classic buckets with their cumulative counts to `bucket`, ascending: zero,
    /// 2^`scale` bounds for each power of two in the blocks that contain values, and +Inf.
    pub(super) fn classic(&self, scale: u8, mut bucket: impl FnMut(Bound, u64)) {
        let scale = scale.min(self.scale);
        let by = self.scale - scale;
        bucket(Bound { index: Bound::ZERO, scale }, self.zeros);
        let Some((first, end)) = self.range() else {
            return bucket(Bound { index: Bound::INFINITY, scale }, self.zeros);
        };
        let block = BLOCK << scale;
        let lowest = (first >> by).div_euclid(block) * block;
        // The last index with a count has its upper bound at the index after it.
        let highest = (((end - 1) >> by) + 1 + block - 1).div_euclid(block) * block;
        let (mut cumulative, mut next) = (self.zeros, 0);
        for index in lowest..=highest.min((GREATEST_POWER << scale) - 1) {
            while let Some(n) = self.buckets.get(next)
                && (self.offset + next as i64) >> by < index
            {
                cumulative = cumulative.saturating_add(*n);
                next += 1;
            }
            bucket(Bound { index, scale }, cumulative);
        }
        bucket(Bound { index: Bound::INFINITY, scale }, self.count());
    }

    /// The greatest exemplar above `lower`, up to `upper`.
    pub(super) fn exemplar(&self, lower: f64, upper: f64) -> Option<&ExemplarView> {
        let within = |exemplar: &&ExemplarView| exemplar.value > lower && exemplar.value <= upper;
        self.exemplars.iter().filter(within).max_by(|a, b| a.value.total_cmp(&b.value))
    }
}

/// The upper bound of a classic bucket: 2^(`index` / 2^`scale`), zero or infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    index: i64,
    pub(super) scale: u8,
}

impl Bound {
    const ZERO: i64 = i64::MIN;
    const INFINITY: i64 = i64::MAX;

    pub(super) fn upper(self) -> f64 {
        match self.index {
            Bound::ZERO => 0.0,
            Bound::INFINITY => f64::INFINITY,
            index => (index as f64 / f64::from(1_u32 << self.scale)).exp2(),
        }
    }

    /// Numbers the bounds of one scale: zero, infinity, and then from one outwards.
    pub(super) fn number(self) -> usize {
        match self.index {
            Bound::ZERO => 0,
            Bound::INFINITY => 1,
            index => 2 + ((index << 1) ^ (index >> 63)) as usize,
        }
    }
}

/// Most characters of an exemplar's labels, by the specification of OpenMetrics.
const MOST: usize = 128;

/// The labels of an exemplar: its ids, and those of its fields that fit, first come first served.
pub(super) fn labels(exemplar: &ExemplarView) -> Vec<(String, String)> {
    let mut all = vec![
        ("trace_id".to_owned(), exemplar.trace_id.to_string()),
        ("span_id".to_owned(), exemplar.span_id.to_string()),
    ];
    let length = |name: &str, value: &str| name.chars().count() + value.chars().count();
    let mut used: usize = all.iter().map(|(name, value)| length(name, value)).sum();
    for (name, value) in exemplar.fields.iter().flat_map(|fields| fields.iter()) {
        let name = name.replace(['.', '-'], "_");
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_new = all.iter().all(|(known, _)| *known != name);
        if is_name && is_new && used + length(&name, value) <= MOST {
            used += length(&name, value);
            all.push((name, value.to_string()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scale: u8, zeros: u64, offset: i32, buckets: &[u64]) -> Histogram<'_> {
        Histogram::of(&HistogramView::new(scale, 0.0, zeros, offset, buckets))
    }

    fn classic(histogram: &Histogram<'_>, scale: u8) -> Vec<(f64, u64)> {
        let mut all = Vec::new();
        histogram.classic(scale, |bound, n| all.push((bound.upper(), n)));
        assert_eq!(all.pop(), Some((f64::INFINITY, histogram.count())));
        all
    }

    #[test]
    fn bounds_are_powers_of_two_in_blocks() {
        assert_eq!(classic(&of(0, 2, 0, &[]), 0), [(0.0, 2)]);
        // One value of 1, which is in (1/2, 1], and two in (2, 4].
        let small = of(0, 0, -1, &[1, 0, 2]);
        let expected = [(0.0, 0), (0.0625, 0), (0.125, 0), (0.25, 0), (0.5, 0), (1.0, 1), (2.0, 1), (4.0, 3)];
        assert_eq!(classic(&small, 0)[..8], expected);
        assert_eq!(classic(&small, 0).last(), Some(&(16.0, 3)));
        // The same, four buckets to a power of two: 1 has the index -1, (2^1.25, 2^1.5] the index 5.
        let mut fine = [0; 7];
        (fine[0], fine[6]) = (1, 2);
        assert_eq!(classic(&of(2, 0, -1, &fine), 0), classic(&small, 0));
        let finer = classic(&of(2, 0, -1, &fine), 1);
        assert!(finer.contains(&(2.0, 1)) && finer.contains(&(2.0_f64.powf(1.5), 3)), "{finer:?}");
        // Exactly 16 is the last of its block.
        assert_eq!(classic(&of(0, 0, 3, &[1]), 0).last(), Some(&(16.0, 1)));
        assert_eq!(classic(&of(0, 0, 4, &[1]), 0).last(), Some(&(256.0, 1)));
    }

    #[test]
    fn indexes_beyond_any_number_count_as_the_outermost() {
        let great = of(0, 0, i32::MAX - 4, &[1, 2, 3]);
        assert_eq!((great.offset, great.count()), (1023, 6));
        assert_eq!(classic(&great, 0).last(), Some(&(1023_f64.exp2(), 0)));
        let small = of(200, 0, i32::MIN, &[1, 2]);
        assert_eq!((small.scale, small.count()), (8, 3));
        let least = of(0, 0, i32::MIN, &[1, 2, 3]);
        assert_eq!((least.offset, classic(&least, 0)[4]), (-1022, ((-1021_f64).exp2(), 6)));
        let mut sum = great;
        sum.add(least);
        assert_eq!((sum.count(), sum.buckets.len()), (12, 1023 + 1022 + 1));
    }

    #[test]
    fn sums_are_at_the_coarser_scale() {
        let mut sum = of(0, 1, 0, &[1, 0, 2]);
        // At scale 2 the indexes 4 to 7 are index 1 of scale 0.
        sum.add(of(2, 2, 4, &[1, 1, 1, 1, 5]));
        assert_eq!((sum.scale, sum.zeros, sum.offset, &*sum.buckets), (0, 3, 0, &[1, 4, 7][..]));
        let mut empty = of(3, 0, 0, &[]);
        empty.add(of(3, 0, 7, &[4]));
        assert_eq!((empty.offset, &*empty.buckets), (7, &[4][..]));
        empty.add(of(3, 0, 0, &[]));
        assert_eq!(empty.count(), 4);
    }
}
