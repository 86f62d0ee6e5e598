//! Computes all nodes of a plan, each once.

use super::super::store::{Part, Sample, Series, Store, Value};
use super::aggregate::{self, Aggregator, Grouping};
use super::binary::{self, Matching, Operation};
use super::functions::{self, Function};
use super::kept::{Kept, Memory, Pair, Parts, overwrite};
use super::over_time::{self, OverTime};
use super::plan::{LOOKBACK, Node, NodeId, Plan, SelectorId};
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

/// Values by labels.
pub(in super::super) type ByLabels<V> = HashMap<Labels, V, ByHash>;

/// The results of all nodes at `now`, in milliseconds since 1970.
pub(in super::super) fn evaluate(plan: &Plan, store: &Store, now: i64, memory: &mut Memory) -> Vec<Outcome> {
    memory.nodes.resize_with(plan.nodes.len(), Kept::default);
    memory.baselines.begin(now);
    let mut run = Run { plan, store, now, memory, done: Vec::with_capacity(plan.nodes.len()) };
    for id in 0..plan.nodes.len() {
        let outcome = run.node(id).unwrap_or_else(Outcome::Failed);
        run.done.push(outcome);
    }
    run.done
}

struct Run<'r> {
    plan: &'r Plan,
    store: &'r Store,
    now: i64,
    memory: &'r mut Memory,
    done: Vec<Outcome>,
}

impl<'r> Run<'r> {
    fn node(&mut self, id: NodeId) -> Result<Outcome, Arc<str>> {
        let plan = self.plan;
        let samples = match &plan.nodes[id] {
            Node::Number(x) => return Ok(Outcome::Number(x.get())),
            Node::Time => return Ok(Outcome::Number(self.now as f64 / 1000.0)),
            Node::Select { series: of, offset } => {
                let (store, then) = (self.store, self.now - offset);
                let value = |series: &'r Series| match offset {
                    0 => series.present(store.tick()).cloned(),
                    _ => series.between(then - LOOKBACK, then).last().map(|(_, value)| value.clone()),
                };
                return Ok(self.leaf(id, *of, true, value));
            }
            Node::OverTime { what, series: of, range, offset, argument } => {
                let argument = argument.map(|of| self.number(of)).transpose()?.unwrap_or_default();
                let (what, end) = (*what, self.now - offset);
                let is_rate = matches!(what, OverTime::Rate | OverTime::Increase);
                let mut values: Vec<(i64, &Value)> = Vec::new();
                let value = |series: &'r Series| {
                    if is_rate && !series.part.is_histogram() {
                        let (first, last, number) = series.ends(end - range, end)?;
                        return over_time::rate(what, first, last, number, (end, *range)).map(Value::Float);
                    }
                    values.clear();
                    values.extend(series.between(end - range, end));
                    over_time::compute(what, &values, (end, *range), argument)
                };
                return Ok(self.leaf(id, *of, what == OverTime::Last, value));
            }
            Node::Call { function: Function::Vector, arguments } => vec![alone(self.number(arguments[0])?)],
            Node::Call { function: Function::Scalar, arguments } => {
                return Ok(match &self.series(arguments[0])?[..] {
                    [Sample { value: Value::Float(x), .. }] => Outcome::Number(*x),
                    _ => Outcome::Number(f64::NAN),
                });
            }
            Node::Call { function: Function::HistogramQuantile, arguments } => {
                functions::histogram_quantile(self.number(arguments[0])?, &self.series(arguments[1])?)
            }
            Node::Call { function, arguments } => {
                let numbers: Result<Vec<f64>, _> = arguments[1..].iter().map(|of| self.number(*of)).collect();
                functions::of_each(*function, &self.series(arguments[0])?, &numbers?)?
            }
            Node::Seasonal { of, source, least } => {
                let least = least.map(|of| self.number(of)).transpose()?;
                let samples = self.series(*of)?;
                self.seasonal(source, &samples, least)?
            }
            Node::Absent { of, labels } => match self.series(*of)?.is_empty() {
                true => {
                    let labels = labels.iter().map(|(name, value)| (Arc::clone(name), Arc::clone(value)));
                    vec![Sample { labels: Labels::new(labels), ..alone(1.0) }]
                }
                false => Vec::new(),
            },
            Node::Aggregate { how, grouping, parameter, of } => {
                let parameter = parameter.map(|of| self.number(of)).transpose()?;
                return self.aggregate(id, *how, grouping, parameter, *of);
            }
            Node::Negate(of) => match &self.done[*of] {
                Outcome::Number(x) => return Ok(Outcome::Number(-x)),
                Outcome::Series(samples) => {
                    let times =
                        binary::Operation { operator: binary::Operator::Multiply, returns_bool: false };
                    binary::with_number(times, samples, -1.0, true)?
                }
                Outcome::Failed(why) => return Err(Arc::clone(why)),
            },
            Node::Binary { operation, left, right, matching } => {
                match (&self.done[*left], &self.done[*right]) {
                    (Outcome::Failed(why), _) | (_, Outcome::Failed(why)) => return Err(Arc::clone(why)),
                    (Outcome::Number(a), Outcome::Number(b)) => {
                        return Ok(Outcome::Number(operation.operator.computes(*a, *b)));
                    }
                    (Outcome::Series(a), Outcome::Number(b)) => binary::with_number(*operation, a, *b, true)?,
                    (Outcome::Number(a), Outcome::Series(b)) => {
                        binary::with_number(*operation, b, *a, false)?
                    }
                    (Outcome::Series(a), Outcome::Series(b)) if operation.operator.is_set() => {
                        binary::set(operation.operator, matching, a, b)
                    }
                    (Outcome::Series(a), Outcome::Series(b)) => {
                        let sides = (Arc::clone(a), Arc::clone(b));
                        return self.between(id, *operation, matching, (*left, *right), sides);
                    }
                }
            }
            Node::Recorded { of, name, labels } => {
                let named = |sample: &Sample| Sample {
                    name: Some(Arc::clone(name)),
                    labels: sample.labels.with(labels.iter().cloned()),
                    value: sample.value.clone(),
                };
                self.series(*of)?.iter().map(named).collect()
            }
        };
        Ok(self.keep(id, samples))
    }

    /// The result of a node. It is kept if another node asks for its shape.
    fn keep(&mut self, id: NodeId, samples: Vec<Sample>) -> Outcome {
        let samples = Arc::new(samples);
        if self.plan.is_shaped(id) {
            if !self.memory.nodes[id].is_like(&samples) {
                self.memory.nodes[id].shape = self.memory.new_shape();
            }
            self.memory.nodes[id].samples = Arc::clone(&samples);
        }
        Outcome::Series(samples)
    }

    /// A value of each of a selector's series.
    fn leaf(
        &mut self,
        id: NodeId,
        selector: SelectorId,
        keeps_name: bool,
        mut value: impl FnMut(&'r Series) -> Option<Value>,
    ) -> Outcome {
        let store = self.store;
        let (version, kept) = (store.version(selector), &mut self.memory.nodes[id]);
        if kept.of.0 == version
            && let Some(samples) = kept.in_place()
            && overwrite(samples, store.series_of(selector).map(&mut value))
        {
            return Outcome::Series(Arc::clone(&kept.samples));
        }
        let (mut out, mut members) = (Vec::new(), 0);
        for series in store.series_of(selector) {
            members += 1;
            let Some(value) = value(series) else { continue };
            let begin = out.len();
            self.put(selector, series.part, &series.name, &series.labels, value, &mut out);
            if !keeps_name {
                out[begin..].iter_mut().for_each(|sample: &mut Sample| sample.name = None);
            }
        }
        let is_plain = |sample: &Sample| matches!(sample.value, Value::Float(_));
        // A sample for each series, so that the next values are written in place.
        let of = if out.len() == members && out.iter().all(is_plain) { version } else { 0 };
        let outcome = self.keep(id, out);
        self.memory.nodes[id].of.0 = of;
        outcome
    }

    fn aggregate(
        &mut self,
        id: NodeId,
        how: Aggregator,
        grouping: &Grouping,
        parameter: Option<f64>,
        of: NodeId,
    ) -> Result<Outcome, Arc<str>> {
        let samples = self.series(of)?;
        let shape = self.memory.nodes[of].shape;
        let is_new = shape == 0 || self.memory.nodes[id].of.0 != shape;
        if is_new {
            let groups = Parts::of(&samples, |labels| grouping.group_of(labels));
            let own = self.memory.new_shape();
            self.memory.nodes[id] = Kept { shape: own, of: (shape, 0), groups, ..Kept::default() };
        }
        let Kept { samples: out, groups, .. } = &mut self.memory.nodes[id];
        if how.picks() {
            let mut picked = Vec::new();
            for (_, members) in groups.members(&samples) {
                aggregate::pick(how, parameter, members, &mut picked)?;
            }
            return Ok(self.keep(id, picked));
        }
        let members = groups.members(&samples);
        let values = members.map(|(labels, members)| (labels, aggregate::one(how, parameter, members)));
        let written = write(out, is_new, values);
        self.written(id, written)
    }

    fn between(
        &mut self,
        id: NodeId,
        operation: Operation,
        matching: &Matching,
        (left, right): (NodeId, NodeId),
        (a, b): (Arc<Vec<Sample>>, Arc<Vec<Sample>>),
    ) -> Result<Outcome, Arc<str>> {
        let shapes = (self.memory.nodes[left].shape, self.memory.nodes[right].shape);
        let is_new = shapes.0 == 0 || shapes.1 == 0 || self.memory.nodes[id].of != shapes;
        if is_new {
            self.memory.nodes[id] = Kept::default();
            let pairs = binary::pairs(operation.operator, matching, &a, &b)?;
            let own = self.memory.new_shape();
            self.memory.nodes[id] = Kept { shape: own, of: shapes, pairs, ..Kept::default() };
        }
        let Kept { samples: out, pairs, .. } = &mut self.memory.nodes[id];
        let sides = |pair: &Pair| (&a[pair.places.0 as usize], &b[pair.places.1 as usize]);
        if operation.leaves_out() {
            let mut left = Vec::new();
            for pair in pairs.iter() {
                let (a, b) = sides(pair);
                if operation.keeps(a, b)? {
                    left.push(Sample {
                        name: a.name.clone(),
                        labels: pair.labels.clone(),
                        value: a.value.clone(),
                    });
                }
            }
            return Ok(self.keep(id, left));
        }
        let values = pairs.iter().map(|pair| {
            let (a, b) = sides(pair);
            (&pair.labels, operation.value(a, b))
        });
        let written = write(out, is_new, values);
        self.written(id, written)
    }

    /// The result of a node whose samples were written.
    fn written(&mut self, id: NodeId, written: Result<(), String>) -> Result<Outcome, Arc<str>> {
        if let Err(why) = written {
            self.memory.nodes[id] = Kept::default();
            return Err(why.into());
        }
        Ok(Outcome::Series(Arc::clone(&self.memory.nodes[id].samples)))
    }

    /// How unusual values are for this time of the week.
    fn seasonal(
        &mut self,
        of: &Arc<str>,
        samples: &[Sample],
        least: Option<f64>,
    ) -> Result<Vec<Sample>, String> {
        let mut out = Vec::new();
        for sample in samples {
            let Value::Float(x) = sample.value else {
                let name = sample.name.as_deref().unwrap_or("what it is given");
                return Err(format!(
                    "seasonal_anomaly_score takes numbers, and {name} is a histogram; use histogram_quantile or histogram_count"
                ));
            };
            if let Some(usual) = self.memory.baselines.learn(of, &sample.labels, self.now, x) {
                let value = Value::Float(usual.score(x, least));
                out.push(Sample { name: None, labels: sample.labels.clone(), value });
            }
        }
        Ok(out)
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

/// Writes the values of a node: into the samples that it has, unless their labels are new or someone still holds them.
fn write<'l>(
    samples: &mut Arc<Vec<Sample>>,
    is_new: bool,
    values: impl Iterator<Item = (&'l Labels, Result<Value, String>)>,
) -> Result<(), String> {
    if let Some(samples) = Arc::get_mut(samples).filter(|_| !is_new) {
        return samples.iter_mut().zip(values).try_for_each(|(sample, (_, value))| {
            sample.value = value?;
            Ok(())
        });
    }
    let sample =
        |(labels, value): (&Labels, _)| Ok(Sample { name: None, labels: labels.clone(), value: value? });
    *samples = Arc::new(values.map(sample).collect::<Result<_, String>>()?);
    Ok(())
}

/// A sample without labels.
fn alone(x: f64) -> Sample {
    Sample { name: None, labels: Labels::none(), value: Value::Float(x) }
}
