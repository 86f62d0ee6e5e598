//! How long spans took: a histogram with eight buckets for each doubling, of which those in use take memory.

use throughline::adapter::metrics::{position, upper_bound};

/// 2^3 buckets for each doubling: a quantile is at most 9 % off, usually half of that.
const SCALE: u32 = 3;
/// Nanoseconds of a unit, as a power of two. A small machine counts up to 2^32 units, which is an hour.
const UNIT: u32 = if usize::BITS >= 64 { 0 } else { 10 };

/// See the [module](self). It takes 2 kB at most, and some 100 bytes for spans that take similar times.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    /// The position of the first bucket that is kept.
    first: usize,
    buckets: Vec<u32>,
}

impl Durations {
    pub(super) fn add(&mut self, ns: u64) {
        let at = position((ns >> UNIT).max(1), SCALE).unwrap_or((usize::BITS as usize) << SCALE);
        self.add_at(at, 1);
    }

    fn add_at(&mut self, at: usize, number: u32) {
        if self.buckets.is_empty() {
            self.first = at;
        }
        if at < self.first {
            self.buckets.splice(..0, std::iter::repeat_n(0, self.first - at));
            self.first = at;
        }
        let at = at - self.first;
        if at >= self.buckets.len() {
            self.buckets.resize(at + 1, 0);
        }
        self.buckets[at] = self.buckets[at].saturating_add(number);
    }

    /// Adds the durations of another one.
    pub(super) fn merge(&mut self, other: &Durations) {
        let filled = other.buckets.iter().enumerate().filter(|(_, number)| **number > 0);
        filled.for_each(|(at, number)| self.add_at(other.first + at, *number));
    }

    /// The `q`-quantile in nanoseconds, interpolated within its bucket; 0 if there is none.
    pub(super) fn quantile(&self, q: f64) -> f64 {
        let count: u64 = self.buckets.iter().map(|number| u64::from(*number)).sum();
        let rank = (q.clamp(0.0, 1.0) * count as f64).clamp(0.5, (count as f64 - 0.5).max(0.5));
        let mut before = 0.0;
        for (at, number) in self.buckets.iter().enumerate() {
            let number = f64::from(*number);
            if before + number >= rank {
                let bound = |position| upper_bound(position, SCALE).unwrap_or_default() as f64;
                let position = self.first + at;
                let (low, high) = (bound(position.saturating_sub(1)).max(1.0), bound(position).max(1.0));
                return low * (high / low).powf((rank - before) / number) * f64::from(1_u32 << UNIT);
            }
            before += number;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_those_of_the_values() {
        let mut durations = Durations::default();
        assert_eq!(durations.quantile(0.5), 0.0);
        // In this order the buckets grow at both ends.
        let values: Vec<u64> = (1..=1000).map(|n| (n * 7919 % 1000 + 1) * 100_000).collect();
        values.iter().for_each(|ns| durations.add(*ns));
        for (q, expected) in [(0.5, 50e6), (0.95, 95e6), (0.99, 99e6)] {
            let found = durations.quantile(q);
            assert!((found / expected - 1.0_f64).abs() < 0.05, "{q}: {found}");
        }
        let mut sum = Durations::default();
        sum.add(3_600_000_000_000);
        sum.merge(&durations);
        assert!((sum.quantile(1.0) / 3.6e12 - 1.0).abs() < 0.09, "{}", sum.quantile(1.0));
        assert!((sum.quantile(0.5) / 50e6 - 1.0).abs() < 0.05);
        assert!(sum.buckets.len() < 300);
        (0..10).for_each(|_| durations.add(0));
        durations.add(u64::MAX);
        assert!(durations.buckets.len() <= 65 << SCALE);
    }
}
