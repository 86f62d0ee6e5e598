//! Computes all nodes of a plan, each once.

use super::super::store::{Part, Sample, Store, Value};
use super::functions::{self, Function};
use super::over_time::{self, OverTime};
use super::plan::{LOOKBACK, Node, NodeId, Plan, SelectorId};
use super::{aggregate, binary};
use crate::alert::Labels;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// The result of a node.
#[derive(Clone, Debug)]
pub(in super::super) enum Outcome {
    Number(f64),
    Series(Arc<Vec<Sample>>),
    /// Why there is none.
    Failed(Arc<str>),
}

/// Hashes what already is a hash.
pub(in super::super) type ByHash = BuildHasherDefault<Identity>;

#[derive(Debug, Default)]
pub(in super::super) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// The results of all nodes at `now`, in milliseconds since 1970.
pub(in super::super) fn evaluate(plan: &Plan, store: &Store, now: i64, known: &mut Known) -> Vec<Outcome> {
    let mut run = Run { plan, store, now, done: Vec::with_capacity(plan.nodes.len()) };
    known.resize_with(plan.nodes.len(), Groups::default);
    for (node, groups) in plan.nodes.iter().zip(known) {
        let outcome = run.node(node, groups).unwrap_or_else(Outcome::Failed);
        run.done.push(outcome);
    }
    run.done
}

/// For each node, the groups into which it puts series: it is the same at each evaluation.
pub(in super::super) type Known = Vec<Groups>;

/// The labels of groups by those of their members.
pub(in super::super) type Groups = HashMap<Labels, Labels, ByHash>;

struct Run<'r> {
    plan: &'r Plan,
    store: &'r Store,
    now: i64,
    done: Vec<Outcome>,
}

impl Run<'_> {
    fn node(&self, node: &Node, groups: &mut Groups) -> Result<Outcome, Arc<str>> {
        let series = |samples: Vec<Sample>| Ok(Outcome::Series(Arc::new(samples)));
        let checked = |samples: Result<Vec<Sample>, String>| match samples {
            Ok(samples) => Ok(Outcome::Series(Arc::new(samples))),
            Err(why) => Err(Arc::from(why)),
        };
        match node {
            Node::Number(x) => Ok(Outcome::Number(x.get())),
            Node::Time => Ok(Outcome::Number(self.now as f64 / 1000.0)),
            Node::Select { series: of, offset } => series(self.select(*of, *offset)),
            Node::OverTime { what, series: of, range, offset, argument } => {
                let argument = argument.map(|of| self.number(of)).transpose()?;
                series(self.over_time(*what, *of, (self.now - offset, *range), argument.unwrap_or_default()))
            }
            Node::Call { function: Function::Vector, arguments } => {
                series(vec![alone(self.number(arguments[0])?)])
            }
            Node::Call { function: Function::Scalar, arguments } => match &self.series(arguments[0])?[..] {
                [Sample { value: Value::Float(x), .. }] => Ok(Outcome::Number(*x)),
                _ => Ok(Outcome::Number(f64::NAN)),
            },
            Node::Call { function: Function::HistogramQuantile, arguments } => {
                series(functions::histogram_quantile(self.number(arguments[0])?, &self.series(arguments[1])?))
            }
            Node::Call { function, arguments } => {
                let numbers: Result<Vec<f64>, _> = arguments[1..].iter().map(|of| self.number(*of)).collect();
                checked(functions::of_each(*function, &self.series(arguments[0])?, &numbers?))
            }
            Node::Absent { of, labels } => match self.series(*of)?.is_empty() {
                true => series(vec![Sample {
                    labels: Labels::new(
                        labels.iter().map(|(name, value)| (Arc::clone(name), Arc::clone(value))),
                    ),
                    ..alone(1.0)
                }]),
                false => series(Vec::new()),
            },
            Node::Aggregate { how, grouping, parameter, of } => {
                let parameter = parameter.map(|of| self.number(of)).transpose()?;
                checked(aggregate::aggregate(*how, grouping, parameter, &self.series(*of)?, groups))
            }
            Node::Negate(of) => match &self.done[*of] {
                Outcome::Number(x) => Ok(Outcome::Number(-x)),
                Outcome::Series(samples) => {
                    let times =
                        binary::Operation { operator: binary::Operator::Multiply, returns_bool: false };
                    checked(binary::with_number(times, samples, -1.0, true))
                }
                Outcome::Failed(why) => Err(Arc::clone(why)),
            },
            Node::Binary { operation, left, right, matching } => {
                match (&self.done[*left], &self.done[*right]) {
                    (Outcome::Failed(why), _) | (_, Outcome::Failed(why)) => Err(Arc::clone(why)),
                    (Outcome::Number(a), Outcome::Number(b)) => {
                        Ok(Outcome::Number(operation.operator.computes(*a, *b)))
                    }
                    (Outcome::Series(a), Outcome::Number(b)) => {
                        checked(binary::with_number(*operation, a, *b, true))
                    }
                    (Outcome::Number(a), Outcome::Series(b)) => {
                        checked(binary::with_number(*operation, b, *a, false))
                    }
                    (Outcome::Series(a), Outcome::Series(b)) => {
                        checked(binary::between(*operation, matching, a, b))
                    }
                }
            }
            Node::Recorded { of, name, labels } => {
                let named = |sample: &Sample| Sample {
                    name: Some(Arc::clone(name)),
                    labels: sample.labels.with(labels.iter().cloned()),
                    value: sample.value.clone(),
                };
                series(self.series(*of)?.iter().map(named).collect())
            }
        }
    }

    fn series(&self, of: NodeId) -> Result<Arc<Vec<Sample>>, Arc<str>> {
        match &self.done[of] {
            Outcome::Series(samples) => Ok(Arc::clone(samples)),
            Outcome::Number(x) => Ok(Arc::new(vec![alone(*x)])),
            Outcome::Failed(why) => Err(Arc::clone(why)),
        }
    }

    fn number(&self, of: NodeId) -> Result<f64, Arc<str>> {
        match &self.done[of] {
            Outcome::Number(x) => Ok(*x),
            Outcome::Series(_) => Ok(f64::NAN),
            Outcome::Failed(why) => Err(Arc::clone(why)),
        }
    }

    /// The values of a selector's series, at so many milliseconds before now.
    fn select(&self, selector: SelectorId, offset: i64) -> Vec<Sample> {
        let mut out = Vec::new();
        let then = self.now - offset;
        for series in self.store.series_of(selector) {
            let value = match offset {
                0 => series.present(self.store.tick()),
                _ => series.between(then - LOOKBACK, then).last().map(|(_, value)| value),
            };
            if let Some(value) = value {
                self.put(selector, series.part, &series.name, &series.labels, value.clone(), &mut out);
            }
        }
        out
    }

    fn over_time(
        &self,
        what: OverTime,
        selector: SelectorId,
        (end, range): (i64, i64),
        argument: f64,
    ) -> Vec<Sample> {
        let mut out = Vec::new();
        let mut values: Vec<(i64, &Value)> = Vec::new();
        for series in self.store.series_of(selector) {
            if matches!(what, OverTime::Rate | OverTime::Increase) && !series.part.is_histogram() {
                let ends = series.ends(end - range, end);
                let rate =
                    ends.and_then(|(first, last, n)| over_time::rate(what, first, last, n, (end, range)));
                out.extend(rate.map(|x| Sample {
                    name: None,
                    labels: series.labels.clone(),
                    value: Value::Float(x),
                }));
                continue;
            }
            values.clear();
            values.extend(series.between(end - range, end));
            if let Some(value) = over_time::compute(what, &values, (end, range), argument) {
                let begin = out.len();
                self.put(selector, series.part, &series.name, &series.labels, value, &mut out);
                if what != OverTime::Last {
                    out[begin..].iter_mut().for_each(|sample: &mut Sample| sample.name = None);
                }
            }
        }
        out
    }

    /// Adds a sample; of a histogram that is asked for by its buckets, one for each.
    fn put(
        &self,
        selector: SelectorId,
        part: Part,
        name: &Arc<str>,
        labels: &Labels,
        value: Value,
        out: &mut Vec<Sample>,
    ) {
        match (part, &value) {
            (Part::Buckets, Value::Histogram(histogram)) => {
                let mut matchers =
                    self.plan.selectors[selector].matchers.iter().filter(|it| it.name() == "le").peekable();
                let buckets = functions::buckets(Some(name), labels, histogram);
                if matchers.peek().is_none() {
                    return out.extend(buckets);
                }
                let matchers: Vec<_> = matchers.collect();
                // A bound may be written in several ways: 1 and 1.0.
                let fits = |sample: &Sample| {
                    let le = sample.labels.get("le").unwrap_or_default();
                    let long = if le.contains(['.', 'I']) { le.to_owned() } else { format!("{le}.0") };
                    matchers.iter().all(|matcher| matcher.matches_value(le))
                        || matchers.iter().all(|matcher| matcher.matches_value(&long))
                };
                out.extend(buckets.into_iter().filter(fits));
            }
            _ => out.push(Sample { name: Some(Arc::clone(name)), labels: labels.clone(), value }),
        }
    }
}

/// A sample without labels.
fn alone(x: f64) -> Sample {
    Sample { name: None, labels: Labels::none(), value: Value::Float(x) }
}
