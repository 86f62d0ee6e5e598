//! What is usual for a series at a time of the week.
//!
//! Of each series one value is kept for each quarter of an hour, for four weeks. What is usual now is found from the values that were there within half an
//! hour of this time, on the same day of the weeks before. Until three weeks are known, it is found from the same time on the last seven days.
//!
//! Median and median absolute deviation (MAD) describe them, because half of the values may be anomalies and neither moves far.
//!
//! A level that changes for good, or a trend, is followed: what is usual is multiplied by the median of (value / usual) over the last day, which is
//! kept between ½ and 2. So a new level is usual after half a day, and an outage never is.

mod file;
mod kept;

pub(super) use file::beside;
pub(super) use kept::Baselines;

use crate::robust::{center, median};

/// Milliseconds from one kept value to the next.
const QUARTER: i64 = 900_000;
/// Quarters of an hour.
const DAY: i64 = 96;
const WEEK: i64 = 7 * DAY;
/// Values that are kept of a series.
const KEPT: i64 = 4 * WEEK;
/// Quarters before and after a time that are taken for the same time.
const NEAR: i64 = 2;
/// Fewest weeks, or else days, from which something is known.
const LEAST: usize = 3;
/// Fewest values of a day from which its level is known.
const LEAST_LEVELS: usize = 24;
/// The least spread, as a part of what is usual, unless the rule says another.
const LEAST_SPREAD: f64 = 0.02;

/// What a series was like at a time of the week.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Usual {
    /// The median, moved to the present level.
    pub(in super::super) median: f64,
    /// The MAD in standard deviations, moved to the present level.
    pub(in super::super) spread: f64,
    /// How many weeks or days it is known from.
    pub(in super::super) number: usize,
    /// Whether these are weeks.
    pub(in super::super) is_weekly: bool,
}

impl Usual {
    /// How far a value is from the median, in spreads, of which `least` is the smallest.
    pub(in super::super) fn score(&self, value: f64, least: Option<f64>) -> f64 {
        let distance = value - self.median;
        let least = least.unwrap_or(LEAST_SPREAD * self.median.abs());
        if distance == 0.0 { 0.0 } else { distance / self.spread.max(least) }
    }
}

/// The past of one series. It has 11 kB.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Baseline {
    /// Of each quarter of an hour, its first value, at its number modulo the length; NaN if there was none.
    values: Box<[f32]>,
    /// Of each of the last day, this value divided by what was usual; NaN if that is not known.
    levels: Box<[f32]>,
    /// The number of the present quarter since 1970.
    quarter: i64,
    /// What is usual in it.
    usual: Option<Usual>,
}

impl Baseline {
    /// Nothing is known.
    fn new(quarter: i64) -> Baseline {
        let nothing = |n: i64| vec![f32::NAN; n as usize].into_boxed_slice();
        // The first value is learnt when its quarter begins.
        Baseline { values: nothing(KEPT), levels: nothing(DAY), quarter: quarter - 1, usual: None }
    }

    /// What is usual at `now`, in milliseconds since 1970, and takes the value for the future. Cost: a comparison, and at the first value of each quarter
    /// of an hour medians of at most 96 values.
    pub(super) fn learn(&mut self, now: i64, value: f64) -> Option<Usual> {
        let quarter = now.div_euclid(QUARTER);
        if quarter == self.quarter {
            return self.usual;
        }
        // Quarters without a value. If the clock was set back, the future is taken for what was four weeks ago.
        for gap in (self.quarter + 1).max(quarter - KEPT + 1)..quarter {
            self.values[at(gap, KEPT)] = f32::NAN;
            self.levels[at(gap, DAY)] = f32::NAN;
        }
        self.quarter = quarter;
        let seasonal = self.find();
        let ratio = seasonal.filter(|it| it.median > 0.0).map_or(f32::NAN, |it| (value / it.median) as f32);
        self.levels[at(quarter, DAY)] = if ratio.is_finite() { ratio } else { f32::NAN };
        self.values[at(quarter, KEPT)] = if value.is_finite() { value as f32 } else { f32::NAN };
        self.usual
    }

    /// Finds what is usual in the present quarter. Returns it without the level.
    fn find(&mut self) -> Option<Usual> {
        let seasonal = self.from(WEEK, KEPT / WEEK, true).or_else(|| self.from(DAY, WEEK / DAY, false));
        let level = self.level();
        self.usual = seasonal.map(|it| Usual { median: it.median * level, spread: it.spread * level, ..it });
        seasonal
    }

    /// What is usual from this time in so many earlier periods.
    fn from(&self, period: i64, periods: i64, is_weekly: bool) -> Option<Usual> {
        let mut values: Vec<f64> = Vec::with_capacity((periods * (2 * NEAR + 1)) as usize);
        let mut number = 0;
        for back in 1..=periods {
            let before = values.len();
            for near in -NEAR..=NEAR {
                let quarter = self.quarter - back * period + near;
                // What is longer ago is not there any more: the present is at its place.
                let value = self.values[at(quarter, KEPT)];
                if quarter > self.quarter - KEPT && value.is_finite() {
                    values.push(value.into());
                }
            }
            number += usize::from(values.len() > before);
        }
        if number < LEAST {
            return None;
        }
        let (median, spread) = center(&mut values)?;
        Some(Usual { median, spread, number, is_weekly })
    }

    /// The present level, in parts of that of the weeks before.
    fn level(&self) -> f64 {
        let known = self.levels.iter().filter(|level| level.is_finite());
        let mut levels: Vec<f64> = known.map(|level| f64::from(*level)).collect();
        match median(&mut levels) {
            Some(level) if levels.len() >= LEAST_LEVELS => level.clamp(0.5, 2.0),
            _ => 1.0,
        }
    }

    /// Whether all its values are too old.
    fn is_old(&self, now: i64) -> bool {
        now.div_euclid(QUARTER) - self.quarter >= KEPT
    }
}

/// The place of a quarter.
fn at(quarter: i64, length: i64) -> usize {
    quarter.rem_euclid(length) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a series with a daily and a weekly season, without noise.
    fn season(quarter: i64) -> f64 {
        let weekend = if quarter.div_euclid(DAY) % 7 >= 5 { 0.5 } else { 1.0 };
        weekend * (100.0 + 50.0 * (quarter as f64 * std::f64::consts::TAU / DAY as f64).sin())
    }

    fn learnt(quarters: i64, value: impl Fn(i64) -> f64) -> Baseline {
        let mut baseline = Baseline::new(0);
        (0..quarters).for_each(|quarter| _ = baseline.learn(quarter * QUARTER, value(quarter)));
        baseline
    }

    #[test]
    fn a_few_days_are_enough_at_first_and_weeks_are_better() {
        let usual = |quarters: i64| {
            let mut baseline = learnt(quarters, season);
            baseline.learn(quarters * QUARTER, season(quarters))
        };
        assert_eq!(usual(2 * DAY + 90), None);
        let early = usual(3 * DAY + 10).unwrap();
        assert_eq!((early.number, early.is_weekly), (3, false));
        // A Saturday: after a week it is taken for a working day, after three it is known.
        let saturday = 5 * DAY + 40;
        let expected = season(saturday);
        let first = usual(WEEK + saturday).unwrap();
        assert!(!first.is_weekly && first.median > expected * 1.5, "{first:?}");
        let later = usual(3 * WEEK + saturday).unwrap();
        assert!(later.is_weekly && (later.median / expected - 1.0).abs() < 0.05, "{later:?}");
        assert_eq!((later.number, later.score(later.median, None)), (3, 0.0));
    }

    #[test]
    fn a_new_level_is_usual_after_half_a_day_and_an_outage_never() {
        let score = |hours: i64, factor: f64| {
            let shift = 4 * WEEK;
            let value = |quarter: i64| season(quarter) * if quarter >= shift { factor } else { 1.0 };
            let end = shift + hours * 4;
            let mut baseline = learnt(end, value);
            let usual = baseline.learn(end * QUARTER, value(end)).unwrap();
            usual.score(value(end), None).abs()
        };
        assert!(score(1, 1.5) > 5.0 && score(9, 1.5) > 5.0);
        assert!(score(14, 1.5) < 1.0 && score(24, 1.5) < 1.0);
        assert!(score(1, 0.0) > 5.0 && score(72, 0.0) > 5.0);
    }

    #[test]
    fn anomalies_move_it_little_and_gaps_are_no_values() {
        let spiky = |quarter: i64| if quarter % 10 == 0 { 1e6 } else { season(quarter) };
        let mut baseline = learnt(4 * WEEK, spiky);
        let usual = baseline.learn(4 * WEEK * QUARTER, season(0)).unwrap();
        assert!((usual.median / season(0) - 1.0).abs() < 0.1, "{usual:?}");
        // Down for three weeks: what is kept of the time before is one week, which is too little.
        assert_eq!(baseline.learn(7 * WEEK * QUARTER, 1.0), None);
        let mut wrong = learnt(DAY * 4, |_| f64::NAN);
        assert_eq!(wrong.learn(DAY * 4 * QUARTER, f64::INFINITY), None);
        assert!(wrong.values.iter().all(|value| value.is_nan()));
    }

    #[test]
    fn a_clock_that_is_set_does_no_harm() {
        let mut baseline = learnt(4 * WEEK, season);
        assert!(baseline.learn((4 * WEEK - 40) * QUARTER, 100.0).is_some());
        assert_eq!(baseline.learn(i64::MAX / 2, 100.0), None);
        assert_eq!(baseline.learn(-5, 100.0), None);
        assert_eq!(baseline.learn(i64::MIN, 100.0), None);
    }
}
