//! Histograms whose counts are fractions, as rates of histograms are.

use throughline_export::view::HistogramView;

/// Floats are below 2^1024 and have all their digits above 2^-1022; buckets beyond that count as the outermost.
const POWERS: (i64, i64) = (-1022, 1024);
/// Highest scale that is kept; finer ones are made coarser, without error.
const FINEST: u8 = 8;
/// Powers of two in a block of classic buckets, as on a page of metrics.
const BLOCK: i64 = 4;

/// A base-2 exponential histogram. Bucket `i` has the index `offset + i` and counts values above 2^(index / 2^scale) up to 2^((index + 1) / 2^scale).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram {
    scale: u8,
    pub(super) sum: f64,
    zeros: f64,
    offset: i64,
    buckets: Vec<f64>,
}

impl Histogram {
    pub(super) fn of(view: &HistogramView<'_>) -> Histogram {
        let mut histogram = Histogram {
            scale: view.scale.min(31),
            sum: view.sum,
            zeros: view.zeros as f64,
            offset: view.offset.into(),
            buckets: view.buckets.iter().map(|n| *n as f64).collect(),
        };
        histogram.coarsen_to(FINEST);
        histogram.trim();
        let (first, end) = (POWERS.0 << histogram.scale, POWERS.1 << histogram.scale);
        if !histogram.buckets.is_empty() && (histogram.offset < first || histogram.end() > end) {
            let old = std::mem::take(&mut histogram.buckets);
            let index = |i: usize| (histogram.offset + i as i64).clamp(first, end - 1);
            let offset = index(0);
            let mut new = vec![0.0; (index(old.len() - 1) + 1 - offset) as usize];
            old.iter().enumerate().for_each(|(i, n)| new[(index(i) - offset) as usize] += n);
            (histogram.offset, histogram.buckets) = (offset, new);
        }
        histogram
    }

    pub(super) fn count(&self) -> f64 {
        self.zeros + self.buckets.iter().sum::<f64>()
    }

    fn end(&self) -> i64 {
        self.offset + self.buckets.len() as i64
    }

    /// Adds another histogram `by` times, at the coarser of the two scales.
    pub(super) fn add(&mut self, other: &Histogram, by: f64) {
        self.sum += by * other.sum;
        self.zeros += by * other.zeros;
        if other.buckets.is_empty() {
            return;
        }
        if self.buckets.is_empty() {
            (self.scale, self.offset) = (other.scale, other.offset);
        }
        self.coarsen_to(other.scale);
        let mut coarse;
        let other = if other.scale > self.scale {
            coarse = other.clone();
            coarse.coarsen_to(self.scale);
            &coarse
        } else {
            other
        };
        let (first, end) = (self.offset.min(other.offset), self.end().max(other.end()));
        if (first, end) != (self.offset, self.end()) {
            let mut wider = vec![0.0; (end - first) as usize];
            let at = (self.offset - first) as usize;
            wider[at..at + self.buckets.len()].copy_from_slice(&self.buckets);
            (self.offset, self.buckets) = (first, wider);
        }
        let at = (other.offset - first) as usize;
        self.buckets[at..].iter_mut().zip(&other.buckets).for_each(|(ours, n)| *ours += by * n);
    }

    pub(super) fn scaled(mut self, by: f64) -> Histogram {
        self.sum *= by;
        self.zeros *= by;
        self.buckets.iter_mut().for_each(|n| *n *= by);
        self
    }

    /// Lowers the scale, which is exact.
    fn coarsen_to(&mut self, scale: u8) {
        let by = self.scale.saturating_sub(scale);
        if by == 0 {
            return;
        }
        let first = self.offset >> by;
        let mut coarse: Vec<f64> = Vec::new();
        for (i, n) in self.buckets.iter().enumerate() {
            let to = (((self.offset + i as i64) >> by) - first) as usize;
            if coarse.len() <= to {
                coarse.resize(to + 1, 0.0);
            }
            coarse[to] += n;
        }
        (self.scale, self.offset, self.buckets) = (scale, first, coarse);
    }

    /// Removes empty buckets at both ends.
    fn trim(&mut self) {
        let first = self.buckets.iter().position(|n| *n != 0.0).unwrap_or(self.buckets.len());
        let end = self.buckets.iter().rposition(|n| *n != 0.0).map_or(first, |last| last + 1);
        self.buckets.truncate(end);
        self.buckets.drain(..first);
        self.offset += first as i64;
    }

    fn bound(&self, index: i64) -> f64 {
        (index as f64 / f64::from(1_u32 << self.scale)).exp2()
    }

    /// The `q`-quantile, found within its bucket as if values lay evenly on a logarithmic scale, as Prometheus does. NaN if there are no values.
    pub(super) fn quantile(&self, q: f64) -> f64 {
        let count = self.count();
        match q {
            _ if count <= 0.0 || count.is_nan() || q.is_nan() => return f64::NAN,
            q if q < 0.0 => return f64::NEG_INFINITY,
            q if q > 1.0 => return f64::INFINITY,
            _ => {}
        }
        let rank = q * count;
        let mut below = self.zeros;
        if rank <= below && self.zeros > 0.0 {
            return 0.0;
        }
        let mut last = 0.0;
        for (i, n) in self.buckets.iter().enumerate().filter(|(_, n)| **n > 0.0) {
            let index = self.offset + i as i64;
            last = self.bound(index + 1);
            if below + n >= rank {
                let share = ((rank - below) / n).clamp(0.0, 1.0);
                return ((index as f64 + share) / f64::from(1_u32 << self.scale)).exp2();
            }
            below += n;
        }
        last
    }

    /// The classic buckets of a page: bounds in ascending order with the counts of values up to them, the last being infinity.
    pub(super) fn classic(&self) -> Vec<(f64, f64)> {
        let mut coarse = self.clone();
        coarse.coarsen_to(0);
        coarse.trim();
        let mut out = vec![(0.0, coarse.zeros)];
        if !coarse.buckets.is_empty() {
            let lowest = coarse.offset.div_euclid(BLOCK) * BLOCK;
            let highest = (coarse.end() + BLOCK - 1).div_euclid(BLOCK) * BLOCK;
            let mut cumulative = coarse.zeros;
            for index in lowest..=highest.min(POWERS.1 - 1) {
                // The bucket below this bound has the index before it.
                let before = usize::try_from(index - 1 - coarse.offset).ok();
                cumulative += before.and_then(|i| coarse.buckets.get(i)).unwrap_or(&0.0);
                out.push(((index as f64).exp2(), cumulative));
            }
        }
        out.push((f64::INFINITY, coarse.count()));
        out
    }
}

/// The quantile of classic buckets, as Prometheus estimates it: values lie evenly within a bucket. The buckets are sorted by their bounds.
pub(super) fn of_classic(q: f64, buckets: &[(f64, f64)]) -> f64 {
    let [.., (last, total)] = buckets else { return f64::NAN };
    match q {
        _ if buckets.len() < 2 || *last != f64::INFINITY || *total <= 0.0 || q.is_nan() => return f64::NAN,
        q if q < 0.0 => return f64::NEG_INFINITY,
        q if q > 1.0 => return f64::INFINITY,
        _ => {}
    }
    let rank = q * total;
    let at = buckets.iter().position(|(_, count)| *count >= rank).unwrap_or(buckets.len() - 1);
    if at == buckets.len() - 1 {
        return buckets[at - 1].0;
    }
    let (upper, count) = buckets[at];
    if at == 0 && upper <= 0.0 {
        return upper;
    }
    let (lower, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
    lower + (upper - lower) * ((rank - below) / (count - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scale: u8, zeros: u64, offset: i32, buckets: &[u64]) -> Histogram {
        Histogram::of(&HistogramView::new(scale, 10.0, zeros, offset, buckets))
    }

    #[test]
    fn classic_buckets_are_those_of_the_page() {
        // One value of 1, which is in (1/2, 1], and two in (2, 4].
        let classic = of(0, 0, -1, &[1, 0, 2]).classic();
        let expected =
            [(0.0, 0.0), (0.0625, 0.0), (0.125, 0.0), (0.25, 0.0), (0.5, 0.0), (1.0, 1.0), (2.0, 1.0)];
        assert_eq!(classic[..7], expected);
        assert_eq!(classic[classic.len() - 2..], [(16.0, 3.0), (f64::INFINITY, 3.0)]);
        assert_eq!(of(2, 0, -1, &[1, 0, 0, 0, 0, 0, 2]).classic(), classic);
        assert_eq!(of(0, 2, 0, &[]).classic(), [(0.0, 2.0), (f64::INFINITY, 2.0)]);
    }

    #[test]
    fn differences_and_sums_are_at_the_coarser_scale() {
        let mut sum = of(0, 1, 0, &[1, 0, 2]);
        sum.add(&of(2, 2, 4, &[1, 1, 1, 1, 5]), 1.0);
        assert_eq!((sum.zeros, sum.offset, &*sum.buckets), (3.0, 0, &[1.0, 4.0, 7.0][..]));
        sum.add(&of(0, 1, 0, &[1, 0, 2]), -1.0);
        assert_eq!((sum.zeros, &*sum.buckets, sum.count()), (2.0, &[0.0, 4.0, 5.0][..], 11.0));
        let outermost = of(0, 0, i32::MAX - 4, &[1, 2, 3]);
        assert_eq!((outermost.offset, outermost.count()), (1023, 6.0));
    }

    #[test]
    fn quantiles_lie_in_their_buckets() {
        let histogram = of(0, 0, 1, &[4]);
        assert_eq!((histogram.quantile(1.0), histogram.quantile(0.5)), (4.0, 8_f64.sqrt()));
        assert!(of(0, 0, 0, &[]).quantile(0.5).is_nan());
        assert_eq!((of(0, 5, 0, &[1]).quantile(0.5), of(0, 5, 0, &[1]).quantile(2.0)), (0.0, f64::INFINITY));
        let buckets = [(1.0, 10.0), (2.0, 20.0), (f64::INFINITY, 20.0)];
        assert_eq!((of_classic(0.5, &buckets), of_classic(0.75, &buckets)), (1.0, 1.5));
        assert!(of_classic(0.5, &buckets[..1]).is_nan());
    }
}
