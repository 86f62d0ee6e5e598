//! Aggregations: many series become a few.

use super::super::labels::Labels;
use super::super::store::{Sample, Value};
use std::sync::Arc;

/// An aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Aggregator {
    Sum,
    Min,
    Max,
    Avg,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile,
    Topk,
    Bottomk,
}

const NAMES: [(&str, Aggregator); 11] = [
    ("sum", Aggregator::Sum),
    ("min", Aggregator::Min),
    ("max", Aggregator::Max),
    ("avg", Aggregator::Avg),
    ("count", Aggregator::Count),
    ("group", Aggregator::Group),
    ("stddev", Aggregator::Stddev),
    ("stdvar", Aggregator::Stdvar),
    ("quantile", Aggregator::Quantile),
    ("topk", Aggregator::Topk),
    ("bottomk", Aggregator::Bottomk),
];

impl Aggregator {
    pub(super) fn of(name: &str) -> Option<Aggregator> {
        NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, how)| how)
    }

    pub(super) fn as_str(self) -> &'static str {
        NAMES.into_iter().find(|(_, how)| *how == self).map_or("", |(name, _)| name)
    }

    /// Whether it picks some samples of a group, in place of making one of them.
    pub(super) fn picks(self) -> bool {
        matches!(self, Aggregator::Topk | Aggregator::Bottomk)
    }

    /// What the parameter is called that it takes before the series.
    pub(super) fn parameter(self) -> Option<&'static str> {
        matches!(self, Aggregator::Quantile | Aggregator::Topk | Aggregator::Bottomk).then(|| self.as_str())
    }
}

/// The labels that stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Grouping {
    /// Whether all others stay.
    pub(super) is_without: bool,
    pub(super) labels: Vec<Arc<str>>,
}

impl Grouping {
    /// The labels of the group that a sample with these labels is in.
    pub(super) fn group_of(&self, labels: &Labels) -> Labels {
        labels.filtered(|name| self.labels.iter().any(|label| &**label == name) != self.is_without)
    }
}

/// Picks some of a group.
pub(super) fn pick<'s>(
    how: Aggregator,
    parameter: Option<f64>,
    members: impl Iterator<Item = &'s Sample> + Clone,
    out: &mut Vec<Sample>,
) -> Result<(), String> {
    let mut sorted: Vec<(f64, &Sample)> = Vec::new();
    for member in members {
        sorted.push((float(how, member)?, member));
    }
    sorted.sort_by(|(a, _), (b, _)| match how {
        Aggregator::Topk => b.total_cmp(a),
        _ => a.total_cmp(b),
    });
    let most = parameter.unwrap_or_default().max(0.0) as usize;
    out.extend(sorted.into_iter().take(most).map(|(_, sample)| sample.clone()));
    Ok(())
}

/// The value of a group.
pub(super) fn one<'s>(
    how: Aggregator,
    parameter: Option<f64>,
    members: impl ExactSizeIterator<Item = &'s Sample> + Clone,
) -> Result<Value, String> {
    let n = members.len() as f64;
    if let (Aggregator::Sum | Aggregator::Avg, Some(Value::Histogram(_))) =
        (how, members.clone().next().map(|it| &it.value))
    {
        let mut sum = super::super::histogram::Histogram::default();
        for (i, member) in members.enumerate() {
            match &member.value {
                Value::Histogram(histogram) if i == 0 => sum = (**histogram).clone(),
                Value::Histogram(histogram) => sum.add(histogram, 1.0),
                Value::Float(_) => {
                    return Err(format!("{} has histograms and numbers in one group", how.as_str()));
                }
            }
        }
        let sum = if how == Aggregator::Avg { sum.scaled(1.0 / n) } else { sum };
        return Ok(Value::Histogram(Arc::new(sum)));
    }
    let fold = |first: f64, and: fn(f64, f64) -> f64| {
        members.clone().try_fold(first, |sum, member| Ok::<f64, String>(and(sum, float(how, member)?)))
    };
    let variance = || {
        let mean = fold(0.0, |a, b| a + b)? / n;
        let squares = |sum, member: &Sample| Ok::<f64, String>(sum + (float(how, member)? - mean).powi(2));
        Ok::<f64, String>(members.clone().try_fold(0.0, squares)? / n)
    };
    Ok(Value::Float(match how {
        Aggregator::Count => n,
        Aggregator::Group => 1.0,
        Aggregator::Min => fold(f64::NAN, f64::min)?,
        Aggregator::Max => fold(f64::NAN, f64::max)?,
        Aggregator::Avg => fold(0.0, |a, b| a + b)? / n,
        Aggregator::Stdvar => variance()?,
        Aggregator::Stddev => variance()?.sqrt(),
        Aggregator::Quantile => {
            let mut values: Vec<f64> = members.map(|member| float(how, member)).collect::<Result<_, _>>()?;
            quantile(parameter.unwrap_or(f64::NAN), &mut values)
        }
        _ => fold(0.0, |a, b| a + b)?,
    }))
}

fn float(how: Aggregator, sample: &Sample) -> Result<f64, String> {
    match &sample.value {
        Value::Float(x) => Ok(*x),
        Value::Histogram(_) => {
            let name = sample.name.as_deref().unwrap_or("what it is given");
            Err(format!("{} takes numbers, and {name} is a histogram; use histogram_quantile", how.as_str()))
        }
    }
}

/// The quantile of values, found between the two nearest as Prometheus does.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    match q {
        _ if values.is_empty() || q.is_nan() => return f64::NAN,
        q if q < 0.0 => return f64::NEG_INFINITY,
        q if q > 1.0 => return f64::INFINITY,
        _ => {}
    }
    values.sort_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (lower, share) = (rank.floor() as usize, rank.fract());
    let upper = (lower + 1).min(values.len() - 1);
    values[lower] * (1.0 - share) + values[upper] * share
}
