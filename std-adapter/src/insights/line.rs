//! The line through noisy points, and when it meets a limit.
//!
//! The slope is the median of the slopes between all pairs of points (Theil and Sen): a quarter of the points may be wrong. The interval of the slope is
//! Sen's, from the variance of Kendall's S: of the sorted slopes, those at N/2 ± z·√V/2 with V = n (n − 1) (2 n + 5) / 18. Values of a process depend on those
//! before them, so V is multiplied by (1 + r) / (1 − r), where r is the correlation of each residual with the one before, without its bias in a short series.
//! The level is the median of what the line leaves, and its error is 1.2533 · spread / √n, with the same factor. Both errors are added as squares.
//!
//! Sources: Sen, "Estimates of the regression coefficient based on Kendall's tau", 1968; Yue and Wang, "The Mann-Kendall test modified by effective sample
//! size", 2004; Marriott and Pope, "Bias in the estimation of autocorrelations", 1954.

use crate::robust::{center, median};

/// The error of a median, in those of a mean.
const OF_MEDIAN: f64 = 1.2533;
/// The part of all pairs that is nearly all.
const NEARLY_ALL: f64 = 0.97;
/// The strongest dependence that is believed.
const MOST_CORRELATED: f64 = 0.95;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// What y grows by for each x.
    pub(super) slope: f64,
    /// Of all pairs, in order.
    slopes: Vec<f64>,
    number: f64,
    /// The place at which `level` is that of the line.
    middle: f64,
    level: f64,
    /// The spread of the residuals.
    pub(super) spread: f64,
    /// By how much variances are greater than those of independent points.
    inflation: f64,
    first: f64,
    last: f64,
}

/// When a line meets a limit, in units of x after the last point. `None` is never.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crossing {
    pub(super) expected: Option<f64>,
    pub(super) earliest: Option<f64>,
    pub(super) latest: Option<f64>,
}

impl Line {
    /// The line through points in the order of x, at least three. `is_series` says that each may depend on the one before. Cost: a sort of the slopes
    /// of all pairs of points, of which 120 have 7140.
    pub(super) fn through(points: &[(f64, f64)], is_series: bool) -> Option<Line> {
        let pairs = points.iter().enumerate().flat_map(|(at, a)| {
            points[at + 1..].iter().filter(|b| b.0 > a.0).map(move |b| (b.1 - a.1) / (b.0 - a.0))
        });
        let mut slopes: Vec<f64> = pairs.filter(|slope| slope.is_finite()).collect();
        if points.len() < 3 || slopes.is_empty() {
            return None;
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let slope = (slopes[(slopes.len() - 1) / 2] + slopes[slopes.len() / 2]) / 2.0;
        let middle = median(&mut points.iter().map(|(x, _)| *x).collect::<Vec<_>>())?;
        let rests: Vec<f64> = points.iter().map(|(x, y)| y - slope * (x - middle)).collect();
        let (level, spread) = center(&mut rests.clone())?;
        let number = points.len() as f64;
        let correlated = if is_series { correlation(&rests, level) } else { 0.0 };
        let inflation = (1.0 + correlated) / (1.0 - correlated);
        let (first, last) = (points[0].0, points[points.len() - 1].0);
        Some(Line { slope, slopes, number, middle, level, spread, inflation, first, last })
    }

    /// The interval of the slope, `z` standard errors wide to each side. Without enough points it is everything.
    pub(super) fn bounds(&self, z: f64) -> (f64, f64) {
        let n = self.number;
        let half = z * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0 * self.inflation).sqrt() / 2.0;
        let pairs = self.slopes.len() as f64;
        let (low, high) = ((pairs / 2.0 - half).floor(), (pairs / 2.0 + half).ceil());
        let at = |rank: f64| self.slopes.get(rank as usize).copied();
        (
            if low < 0.0 { f64::NEG_INFINITY } else { at(low).unwrap_or(f64::NEG_INFINITY) },
            if high < 0.0 { f64::INFINITY } else { at(high).unwrap_or(f64::INFINITY) },
        )
    }

    /// Whether y surely grows: the slope is above 0 by `z` standard errors, or nearly all pairs of points grow. What grows faster and faster leaves residuals that
    /// depend on each other, so that its slope alone would never be believed. Of random walks without a drift 2 in 100 are taken for growth.
    pub(super) fn grows(&self, z: f64) -> bool {
        let least = self.slopes.get(((1.0 - NEARLY_ALL) * self.slopes.len() as f64) as usize);
        self.bounds(z).0 > 0.0 || least.is_some_and(|slope| *slope > 0.0)
    }

    /// The value at the first point and at the last one.
    pub(super) fn ends(&self) -> (f64, f64) {
        let at = |x: f64| self.level + self.slope * (x - self.middle);
        (at(self.first), at(self.last))
    }

    /// From the first point to the last.
    pub(super) fn length(&self) -> f64 {
        self.last - self.first
    }

    /// When it meets the limit from below. The interval is `z` standard errors wide to each side.
    pub(super) fn meets(&self, limit: f64, z: f64) -> Crossing {
        let (low, high) = self.bounds(z);
        let after = self.last - self.middle;
        let left = limit - self.level;
        let time = |slope: f64| (slope > 0.0).then(|| left / slope - after);
        let of_level = z * OF_MEDIAN * self.spread * (self.inflation / self.number).sqrt();
        let expected = time(self.slope);
        // With a slope of infinity it is met at once.
        let earliest = time(high).map(|earliest| match expected {
            Some(expected) => expected - (expected - earliest).hypot(of_level / self.slope),
            None => earliest,
        });
        let latest = time(low).zip(expected);
        let latest =
            latest.map(|(latest, expected)| expected + (latest - expected).hypot(of_level / self.slope));
        let later = |time: f64| time.max(0.0);
        Crossing { expected: expected.map(later), earliest: earliest.map(later), latest: latest.map(later) }
    }
}

/// The correlation of each value with the one before, without its bias; 0 if there is none.
fn correlation(values: &[f64], level: f64) -> f64 {
    let rests: Vec<f64> = values.iter().map(|value| value - level).collect();
    let own: f64 = rests.iter().map(|rest| rest * rest).sum();
    let next: f64 = rests.windows(2).map(|pair| pair[0] * pair[1]).sum();
    if own <= 0.0 {
        return 0.0;
    }
    let found = next / own;
    (found + (1.0 + 4.0 * found) / values.len() as f64).clamp(0.0, MOST_CORRELATED)
}
