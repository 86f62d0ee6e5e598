//! Functions of the present values of series.

use super::super::histogram::{Histogram, of_classic};
use super::super::labels::Labels;
use super::super::store::{Sample, Value};
use super::over_time::OverTime;
use std::collections::HashMap;
use std::sync::Arc;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Function {
    Abs,
    Ceil,
    Floor,
    Exp,
    Ln,
    Log2,
    Log10,
    Sqrt,
    Sgn,
    Round,
    Clamp,
    ClampMin,
    ClampMax,
    HistogramCount,
    HistogramSum,
    HistogramAvg,
    HistogramQuantile,
    Vector,
    Scalar,
}

/// Names, and how many numbers there may be after the series.
const NAMES: [(&str, Function, (usize, usize)); 16] = [
    ("abs", Function::Abs, (0, 0)),
    ("ceil", Function::Ceil, (0, 0)),
    ("floor", Function::Floor, (0, 0)),
    ("exp", Function::Exp, (0, 0)),
    ("ln", Function::Ln, (0, 0)),
    ("log2", Function::Log2, (0, 0)),
    ("log10", Function::Log10, (0, 0)),
    ("sqrt", Function::Sqrt, (0, 0)),
    ("sgn", Function::Sgn, (0, 0)),
    ("round", Function::Round, (0, 1)),
    ("clamp", Function::Clamp, (2, 2)),
    ("clamp_min", Function::ClampMin, (1, 1)),
    ("clamp_max", Function::ClampMax, (1, 1)),
    ("histogram_count", Function::HistogramCount, (0, 0)),
    ("histogram_sum", Function::HistogramSum, (0, 0)),
    ("histogram_avg", Function::HistogramAvg, (0, 0)),
];

/// Names of functions that are read elsewhere.
const OTHERS: [&str; 6] =
    ["absent", "histogram_quantile", "scalar", "seasonal_anomaly_score", "time", "vector"];

impl Function {
    /// The function of this name that takes series, and how many numbers after them.
    pub(super) fn of(name: &str) -> Option<(Function, (usize, usize))> {
        NAMES.into_iter().find(|(known, ..)| *known == name).map(|(_, function, numbers)| (function, numbers))
    }

    fn as_str(self) -> &'static str {
        NAMES.into_iter().find(|(_, function, _)| *function == self).map_or("", |(name, ..)| name)
    }
}

/// What a function with so many numbers takes.
pub(super) fn takes((least, most): (usize, usize)) -> String {
    match (least, most) {
        (0, 0) => "one series".into(),
        (0, most) => format!("series and up to {most} number"),
        (n, _) => format!("series and {n} number{}", if n == 1 { "" } else { "s" }),
    }
}

/// Says that there is no such function, and which may be meant.
pub(super) fn unknown(name: &str) -> String {
    let known = NAMES.iter().map(|(name, ..)| *name).chain(OTHERS).chain(OverTime::names());
    let near = known.map(|known| (strsim::damerau_levenshtein(known, name), known)).min();
    match near.filter(|(distance, _)| *distance <= 2) {
        Some((_, near)) => format!("there is no function `{name}`; did you mean {near}?"),
        None => format!("there is no function `{name}` here; write the name of a metric without parentheses"),
    }
}

/// Computes a function of each sample.
pub(super) fn of_each(
    function: Function,
    samples: &[Sample],
    numbers: &[f64],
) -> Result<Vec<Sample>, String> {
    let number = |at: usize| numbers.get(at).copied();
    let value = |sample: &Sample| -> Result<Option<f64>, String> {
        let x = match (&sample.value, function) {
            (Value::Histogram(it), Function::HistogramCount) => return Ok(Some(it.count())),
            (Value::Histogram(it), Function::HistogramSum) => return Ok(Some(it.sum)),
            (Value::Histogram(it), Function::HistogramAvg) => return Ok(Some(it.sum / it.count())),
            // As in Prometheus, which may have both kinds under one name.
            (Value::Float(_), Function::HistogramCount | Function::HistogramSum | Function::HistogramAvg) => {
                return Ok(None);
            }
            (Value::Float(x), _) => *x,
            (Value::Histogram(_), _) => {
                let name = sample.name.as_deref().unwrap_or("what it is given");
                let function = function.as_str();
                return Err(format!(
                    "{function} takes numbers, and {name} is a histogram; use histogram_quantile"
                ));
            }
        };
        Ok(Some(match function {
            Function::Abs => x.abs(),
            Function::Ceil => x.ceil(),
            Function::Floor => x.floor(),
            Function::Exp => x.exp(),
            Function::Ln => x.ln(),
            Function::Log2 => x.log2(),
            Function::Log10 => x.log10(),
            Function::Sqrt => x.sqrt(),
            Function::Sgn if x == 0.0 || x.is_nan() => x,
            Function::Sgn => x.signum(),
            Function::Round => {
                let inverse = 1.0 / number(0).unwrap_or(1.0);
                (x * inverse + 0.5).floor() / inverse
            }
            Function::Clamp => x.min(number(1).unwrap_or(f64::NAN)).max(number(0).unwrap_or(f64::NAN)),
            Function::ClampMin => x.max(number(0).unwrap_or(f64::NAN)),
            Function::ClampMax => x.min(number(0).unwrap_or(f64::NAN)),
            _ => x,
        }))
    };
    let mut out = Vec::with_capacity(samples.len());
    for sample in samples {
        let Some(x) = value(sample)? else { continue };
        out.push(Sample { name: None, labels: sample.labels.clone(), value: Value::Float(x) });
    }
    Ok(out)
}

/// The quantile of histograms, and of classic buckets, which are series with a label `le`.
pub(super) fn histogram_quantile(q: f64, samples: &[Sample]) -> Vec<Sample> {
    let mut out = Vec::new();
    let mut classic: HashMap<Labels, Vec<(f64, f64)>> = HashMap::new();
    let mut order = Vec::new();
    for sample in samples {
        match (&sample.value, sample.labels.get("le").map(str::parse::<f64>)) {
            (Value::Histogram(histogram), _) => {
                out.push(Sample {
                    name: None,
                    labels: sample.labels.clone(),
                    value: Value::Float(histogram.quantile(q)),
                });
            }
            (Value::Float(count), Some(Ok(bound))) => {
                let labels = sample.labels.filtered(|name| name != "le");
                classic
                    .entry(labels)
                    .or_insert_with_key(|labels| {
                        order.push(labels.clone());
                        Vec::new()
                    })
                    .push((bound, *count));
            }
            // What is no bucket is left out, as in Prometheus.
            _ => {}
        }
    }
    for labels in order {
        let mut buckets = classic.remove(&labels).unwrap_or_default();
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        // Series of several histograms may have the same bounds.
        buckets.dedup_by(|later, first| {
            let same = later.0 == first.0;
            first.1 += if same { later.1 } else { 0.0 };
            same
        });
        // Each may have bounds that others lack, so counts up to a bound may be less than those of the bound before it.
        let mut most = 0.0_f64;
        buckets.iter_mut().for_each(|(_, count)| {
            most = most.max(*count);
            *count = most;
        });
        out.push(Sample { name: None, labels, value: Value::Float(of_classic(q, &buckets)) });
    }
    out
}

/// The series of classic buckets of a histogram.
pub(super) fn buckets(name: Option<&Arc<str>>, labels: &Labels, histogram: &Histogram) -> Vec<Sample> {
    let bucket = |(bound, count): (f64, f64)| {
        let le = if bound == f64::INFINITY { "+Inf".to_owned() } else { bound.to_string() };
        Sample { name: name.cloned(), labels: labels.with([("le", le)]), value: Value::Float(count) }
    };
    histogram.classic().into_iter().map(bucket).collect()
}
