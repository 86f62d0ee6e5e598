//! Functions of the values of a series over a range.

use super::super::store::{Point, Value};
use super::aggregate::quantile;
use std::sync::Arc;

/// Fewest values from which a usual one is known.
const LEAST: usize = 8;

/// A function over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum OverTime {
    Rate,
    Increase,
    Irate,
    Delta,
    Idelta,
    Deriv,
    PredictLinear,
    Changes,
    Resets,
    Avg,
    Min,
    Max,
    Sum,
    Count,
    Last,
    Present,
    Absent,
    Stddev,
    Stdvar,
    Quantile,
    AnomalyScore,
}

const NAMES: [(&str, OverTime); 21] = [
    ("rate", OverTime::Rate),
    ("increase", OverTime::Increase),
    ("irate", OverTime::Irate),
    ("delta", OverTime::Delta),
    ("idelta", OverTime::Idelta),
    ("deriv", OverTime::Deriv),
    ("predict_linear", OverTime::PredictLinear),
    ("changes", OverTime::Changes),
    ("resets", OverTime::Resets),
    ("avg_over_time", OverTime::Avg),
    ("min_over_time", OverTime::Min),
    ("max_over_time", OverTime::Max),
    ("sum_over_time", OverTime::Sum),
    ("count_over_time", OverTime::Count),
    ("last_over_time", OverTime::Last),
    ("present_over_time", OverTime::Present),
    ("absent_over_time", OverTime::Absent),
    ("stddev_over_time", OverTime::Stddev),
    ("stdvar_over_time", OverTime::Stdvar),
    ("quantile_over_time", OverTime::Quantile),
    ("anomaly_score", OverTime::AnomalyScore),
];

impl OverTime {
    pub(super) fn of(name: &str) -> Option<OverTime> {
        NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, what)| what)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().map(|(name, _)| name)
    }

    pub(super) fn as_str(self) -> &'static str {
        NAMES.into_iter().find(|(_, what)| *what == self).map_or("", |(name, _)| name)
    }

    /// Whether there is a number too, and whether it comes after the series.
    pub(super) fn argument(self) -> Option<bool> {
        match self {
            OverTime::PredictLinear => Some(true),
            OverTime::Quantile => Some(false),
            _ => None,
        }
    }
}

/// Computes the function of the values of one series in the range of so many milliseconds up to `now`. `None` if there are too few.
pub(super) fn compute(
    what: OverTime,
    values: &[(i64, &Value)],
    (now, range): (i64, i64),
    argument: f64,
) -> Option<Value> {
    let (last, n) = (values.last()?, values.len() as f64);
    match what {
        // Of histograms; those of numbers need no values in between.
        OverTime::Rate => return extrapolated(values, now, range, true, true),
        OverTime::Increase => return extrapolated(values, now, range, true, false),
        OverTime::Delta => return extrapolated(values, now, range, false, false),
        OverTime::Last => return Some(last.1.clone()),
        OverTime::Present | OverTime::Absent => return Some(Value::Float(1.0)),
        OverTime::Count => return Some(Value::Float(n)),
        _ => {}
    }
    let float = |(at, value): &(i64, &Value)| match value {
        Value::Float(x) => Some((*at, *x)),
        Value::Histogram(_) => None,
    };
    let floats: Vec<(i64, f64)> = values.iter().map(float).collect::<Option<_>>()?;
    let only = || floats.iter().map(|(_, x)| *x);
    let mean = || only().sum::<f64>() / n;
    let variance = || {
        let mean = mean();
        only().map(|x| (x - mean).powi(2)).sum::<f64>() / n
    };
    let pairs =
        |is: fn(f64, f64) -> bool| floats.windows(2).filter(|pair| is(pair[0].1, pair[1].1)).count() as f64;
    Some(Value::Float(match what {
        OverTime::Irate | OverTime::Idelta => {
            let [.., (before, x), (at, y)] = floats[..] else { return None };
            let seconds = (at - before) as f64 / 1000.0;
            match what {
                OverTime::Idelta => y - x,
                _ if y < x => y / seconds,
                _ => (y - x) / seconds,
            }
        }
        OverTime::Deriv => line(&floats, now)?.0,
        OverTime::PredictLinear => {
            let (slope, present) = line(&floats, now)?;
            present + slope * argument
        }
        OverTime::Changes => pairs(|a, b| a != b && !(a.is_nan() && b.is_nan())),
        OverTime::Resets => pairs(|a, b| b < a),
        OverTime::Avg => mean(),
        OverTime::Min => only().fold(f64::NAN, f64::min),
        OverTime::AnomalyScore => anomaly_score(&floats)?,
        OverTime::Max => only().fold(f64::NAN, f64::max),
        OverTime::Sum => only().sum(),
        OverTime::Stdvar => variance(),
        OverTime::Stddev => variance().sqrt(),
        _ => quantile(argument, &mut only().collect::<Vec<_>>()),
    }))
}

/// How far the last value is from the median of the others, in units of their usual distance from it: 1.4826 times the median of these distances, which is the
/// standard deviation of values that are distributed normally. Unlike a mean, a median is not moved by the anomalies themselves.
fn anomaly_score(values: &[(i64, f64)]) -> Option<f64> {
    let ((_, last), others) = values.split_last()?;
    if others.len() < LEAST {
        return None;
    }
    let median = quantile(0.5, &mut others.iter().map(|(_, x)| *x).collect::<Vec<_>>());
    let mut distances: Vec<f64> = others.iter().map(|(_, x)| (x - median).abs()).collect();
    let usual = 1.4826 * quantile(0.5, &mut distances);
    let distance = last - median;
    Some(if distance == 0.0 { 0.0 } else { distance / usual })
}

/// The slope per second of the line that fits best, and its value at `now`.
fn line(values: &[(i64, f64)], now: i64) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let x = |at: i64| (at - now) as f64 / 1000.0;
    let (mean_x, mean_y) = (
        values.iter().map(|(at, _)| x(*at)).sum::<f64>() / n,
        values.iter().map(|(_, y)| y).sum::<f64>() / n,
    );
    let covariance: f64 = values.iter().map(|(at, y)| (x(*at) - mean_x) * (y - mean_y)).sum();
    let variance: f64 = values.iter().map(|(at, _)| (x(*at) - mean_x).powi(2)).sum();
    let slope = covariance / variance;
    Some((slope, mean_y - slope * mean_x))
}

/// What is known of the values of a series in a range.
struct Ends {
    first_at: i64,
    last_at: i64,
    number: usize,
    /// The size of the first value.
    start: f64,
    /// By how much the size has changed.
    size: f64,
}

/// A rate or an increase of numbers, from the first and the last value alone. `None` if there are too few.
pub(super) fn rate(
    what: OverTime,
    first: Point,
    last: Point,
    number: usize,
    (now, range): (i64, i64),
) -> Option<f64> {
    let size = last.x + last.before - first.x - first.before;
    let ends = Ends { first_at: first.at, last_at: last.at, number, start: first.x, size };
    Some(size * ends.factor(now, range, true, what == OverTime::Rate)?)
}

impl Ends {
    /// By which the change is multiplied to be that of the whole range, if the series goes on beyond its first and last value as between them; a rate is that
    /// by the second. This is how Prometheus computes rates; a counter is not taken to have been negative.
    fn factor(&self, now: i64, range: i64, is_counter: bool, is_rate: bool) -> Option<f64> {
        if self.number < 2 || self.last_at <= self.first_at {
            return None;
        }
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let sampled = seconds(self.last_at - self.first_at);
        let step = sampled / (self.number - 1) as f64;
        let beyond = |gap: f64| if gap >= step * 1.1 { step / 2.0 } else { gap };
        let mut before = beyond(seconds(self.first_at - (now - range)));
        if is_counter && self.size > 0.0 && self.start >= 0.0 {
            before = before.min(sampled * (self.start / self.size));
        }
        let after = beyond(seconds(now - self.last_at));
        Some((sampled + before + after) / sampled / if is_rate { seconds(range) } else { 1.0 })
    }
}

/// By how much a series changes over the whole range.
fn extrapolated(
    values: &[(i64, &Value)],
    now: i64,
    range: i64,
    is_counter: bool,
    is_rate: bool,
) -> Option<Value> {
    let (&(first_at, first), &(last_at, last)) = (values.first()?, values.last()?);
    let number = values.len();
    match (first, last) {
        (Value::Float(start), Value::Float(end)) => {
            let ends = Ends { first_at, last_at, number, start: *start, size: end - start };
            Some(Value::Float(ends.size * ends.factor(now, range, is_counter, is_rate)?))
        }
        (Value::Histogram(start), Value::Histogram(end)) => {
            let mut change = (**end).clone();
            change.add(start, -1.0);
            let mut before = start;
            for (_, value) in values.iter().filter(|_| is_counter) {
                let Value::Histogram(x) = value else { return None };
                if x.count() < before.count() {
                    change.add(before, 1.0);
                }
                before = x;
            }
            let ends = Ends { first_at, last_at, number, start: start.count(), size: change.count() };
            let factor = ends.factor(now, range, is_counter, is_rate)?;
            Some(Value::Histogram(Arc::new(change.scaled(factor))))
        }
        _ => None,
    }
}
