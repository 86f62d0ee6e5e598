//! Aggregations: many series become a few.

use super::super::labels::Labels;
use super::super::store::{Sample, Value};
use super::eval::{ByHash, Groups};
use std::collections::HashMap;
use std::sync::Arc;

/// So many groups are looked through one by one, which is faster than a table.
const FEW: usize = 8;

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
    fn keeps(&self, name: &str) -> bool {
        self.labels.iter().any(|label| &**label == name) != self.is_without
    }
}

/// Puts samples into groups, of which `known` are those of earlier evaluations, and makes one value of each, or picks some of each. The error says what cannot be done.
pub(super) fn aggregate(
    how: Aggregator,
    grouping: &Grouping,
    parameter: Option<f64>,
    samples: &[Sample],
    known: &mut Groups,
) -> Result<Vec<Sample>, String> {
    let mut groups: Vec<(Labels, Vec<&Sample>)> = Vec::new();
    let mut places: HashMap<Labels, usize, ByHash> = HashMap::default();
    if known.len() > 2 * samples.len() + 1000 {
        // Most are of series that are gone.
        known.clear();
    }
    for sample in samples {
        let group = match known.get(&sample.labels) {
            Some(group) => group,
            None => {
                let group = sample.labels.filtered(|name| grouping.keeps(name));
                known.entry(sample.labels.clone()).or_insert(group)
            }
        };
        match groups.last_mut() {
            // Members of a group often follow each other.
            Some((last, members)) if last == group => members.push(sample),
            _ => {
                let at = match groups.len() <= FEW {
                    true => groups.iter().position(|(labels, _)| labels == group),
                    false => places.get(group).copied(),
                };
                if let Some(at) = at {
                    groups[at].1.push(sample);
                    continue;
                }
                groups.push((group.clone(), vec![sample]));
                if groups.len() > FEW {
                    let from = places.len();
                    let new = groups[from..].iter().enumerate();
                    places.extend(new.map(|(i, (labels, _))| (labels.clone(), from + i)));
                }
            }
        }
    }
    let mut out = Vec::with_capacity(groups.len());
    for (labels, members) in groups {
        match how {
            Aggregator::Topk | Aggregator::Bottomk => {
                let mut sorted = floats(how, &members)?.into_iter().zip(members).collect::<Vec<_>>();
                sorted.sort_by(|(a, _), (b, _)| match how {
                    Aggregator::Topk => b.total_cmp(a),
                    _ => a.total_cmp(b),
                });
                let most = parameter.unwrap_or_default().max(0.0) as usize;
                out.extend(sorted.into_iter().take(most).map(|(_, sample)| sample.clone()));
            }
            _ => out.push(Sample { name: None, labels, value: one(how, parameter, &members)? }),
        }
    }
    Ok(out)
}

/// The value of a group.
fn one(how: Aggregator, parameter: Option<f64>, members: &[&Sample]) -> Result<Value, String> {
    let n = members.len() as f64;
    if let (Aggregator::Sum | Aggregator::Avg, Some(Value::Histogram(_))) =
        (how, members.first().map(|it| &it.value))
    {
        let mut sum = super::super::histogram::Histogram::default();
        for (i, member) in members.iter().enumerate() {
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
    match how {
        Aggregator::Count => return Ok(Value::Float(n)),
        Aggregator::Group => return Ok(Value::Float(1.0)),
        _ => {}
    }
    let mut values = floats(how, members)?;
    let mean = || values.iter().sum::<f64>() / n;
    let variance = |mean: f64| values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    Ok(Value::Float(match how {
        Aggregator::Min => values.iter().copied().fold(f64::NAN, f64::min),
        Aggregator::Max => values.iter().copied().fold(f64::NAN, f64::max),
        Aggregator::Avg => mean(),
        Aggregator::Stdvar => variance(mean()),
        Aggregator::Stddev => variance(mean()).sqrt(),
        Aggregator::Quantile => quantile(parameter.unwrap_or(f64::NAN), &mut values),
        _ => values.iter().sum(),
    }))
}

fn floats(how: Aggregator, members: &[&Sample]) -> Result<Vec<f64>, String> {
    let float = |sample: &&Sample| match &sample.value {
        Value::Float(x) => Ok(*x),
        Value::Histogram(_) => {
            let name = sample.name.as_deref().unwrap_or("what it is given");
            Err(format!("{} takes numbers, and {name} is a histogram; use histogram_quantile", how.as_str()))
        }
    };
    members.iter().map(float).collect()
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
