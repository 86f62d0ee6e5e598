//! The series that conditions look at: their present values, and those of the ranges that are asked for.
//!
//! Which selectors take a series is found out once, when it is seen for the first time; then a snapshot costs a comparison of ids for each point.

use super::histogram::Histogram;
use super::labels::Labels;
use super::language::{MetricName, Plan, SelectorId};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use throughline_export::prometheus::{PageOptions, SeriesKind, SeriesName, process_metrics};
use throughline_export::view::{PointData, PointView};

/// Snapshots after which series that are gone are looked for.
const SWEEP: u64 = 64;

/// The value of a series at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Value {
    fn add(&mut self, other: Value) {
        match (self, other) {
            (Value::Float(x), Value::Float(y)) => *x += y,
            (Value::Histogram(sum), Value::Histogram(other)) => Arc::make_mut(sum).add(&other, 1.0),
            (this, other) => *this = other,
        }
    }
}

/// A value with the labels of its series, and the name while it has one.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) name: Option<Arc<str>>,
    pub(super) labels: Labels,
    pub(super) value: Value,
}

/// Which part of a point is the value of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Number,
    Histogram,
    /// The histogram too, which is shown as its classic buckets.
    Buckets,
    Count,
    Sum,
    Quantile(usize),
}

impl Part {
    pub(super) fn is_histogram(self) -> bool {
        matches!(self, Part::Histogram | Part::Buckets)
    }
}

/// A value that is kept for ranges.
#[derive(Debug)]
struct Kept {
    at: i64,
    value: Value,
    /// By how much a counter had grown before it began anew, all times together.
    before: f64,
}

/// A number at one time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    pub(super) at: i64,
    pub(super) x: f64,
    /// By how much a counter had grown before it began anew, all times together.
    pub(super) before: f64,
}

impl Kept {
    fn point(&self) -> Option<Point> {
        match self.value {
            Value::Float(x) => Some(Point { at: self.at, x, before: self.before }),
            Value::Histogram(_) => None,
        }
    }
}

/// A series that a selector takes.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: Arc<str>,
    pub(super) labels: Labels,
    pub(super) part: Part,
    /// Whether the last of several values counts, and not their sum.
    is_last: bool,
    value: Value,
    /// The snapshot that `value` is of.
    tick: u64,
    /// Milliseconds for which values are kept.
    range: i64,
    kept: VecDeque<Kept>,
    /// The first and the last of these, if they are numbers: rates need no others, and each look at what is kept is a look at cold memory.
    outermost: Option<(Point, Point)>,
}

impl Series {
    /// The value, if the series was in this snapshot.
    pub(super) fn present(&self, tick: u64) -> Option<&Value> {
        (self.tick == tick).then_some(&self.value)
    }

    /// The places of the values after one time and up to another.
    fn places(&self, after: i64, until: i64) -> Range<usize> {
        // Usually everything is within.
        let first = match self.kept.front() {
            Some(first) if first.at > after => 0,
            _ => self.kept.partition_point(|kept| kept.at <= after),
        };
        let end = match self.kept.back() {
            Some(last) if last.at <= until => self.kept.len(),
            _ => self.kept.partition_point(|kept| kept.at <= until),
        };
        first..end.max(first)
    }

    /// The values after one time and up to another.
    pub(super) fn between(&self, after: i64, until: i64) -> impl Iterator<Item = (i64, &Value)> {
        self.kept.range(self.places(after, until)).map(|kept| (kept.at, &kept.value))
    }

    /// The first and the last number of these, and how many there are.
    pub(super) fn ends(&self, after: i64, until: i64) -> Option<(Point, Point, usize)> {
        match self.outermost {
            // Usually everything is within.
            Some((first, last)) if first.at > after && last.at <= until => {
                Some((first, last, self.kept.len()))
            }
            _ => {
                let places = self.places(after, until);
                let (first, last) =
                    (self.kept.get(places.start)?, self.kept.get(places.end.checked_sub(1)?)?);
                (!places.is_empty()).then_some((first.point()?, last.point()?, places.len()))
            }
        }
    }

    fn find_outermost(&mut self) {
        let ends = self.kept.front().zip(self.kept.back());
        self.outermost = ends.and_then(|(first, last)| Some((first.point()?, last.point()?)));
    }

    fn put(&mut self, tick: u64, now: i64, value: Value) {
        if self.tick == tick {
            // Several points are one series.
            if self.is_last {
                self.value = value
            } else {
                self.value.add(value)
            }
            if let Some(last) = self.kept.back_mut() {
                last.value = self.value.clone();
                self.find_outermost();
            }
            return;
        }
        (self.tick, self.value) = (tick, value);
        if self.range > 0 {
            while self.kept.front().is_some_and(|kept| kept.at <= now - self.range) {
                self.kept.pop_front();
            }
            let before = self.kept.back().map_or(0.0, |last| match (&last.value, &self.value) {
                (Value::Float(x), Value::Float(y)) if y < x => last.before + x,
                _ => last.before,
            });
            self.kept.push_back(Kept { at: now, value: self.value.clone(), before });
            self.find_outermost();
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Store {
    page: PageOptions,
    wanted: Wanted,
    /// The points that have been seen, by their ids, with the series of each that selectors take: none for most.
    known: HashMap<u64, Box<[usize]>>,
    /// The ids of the last snapshot in its order, with their series.
    order: Vec<(u64, Box<[usize]>)>,
    /// By name, labels, and whether it is a histogram.
    by_name: HashMap<(Arc<str>, Labels, bool), usize>,
    series: Vec<Option<Series>>,
    free: Vec<usize>,
    /// Of each selector.
    members: Vec<Vec<usize>>,
    /// Of each selector, a number that grows when its series become others.
    versions: Vec<u64>,
    tick: u64,
    /// When the snapshot before was taken.
    before: Option<i64>,
    keys: RandomState,
}

impl Store {
    pub(super) fn new(plan: &Plan, page: PageOptions) -> Store {
        Store {
            page,
            wanted: Wanted::of(plan),
            known: HashMap::new(),
            order: Vec::new(),
            by_name: HashMap::new(),
            series: Vec::new(),
            free: Vec::new(),
            members: vec![Vec::new(); plan.selectors.len()],
            versions: vec![1; plan.selectors.len()],
            tick: 0,
            before: None,
            keys: RandomState::new(),
        }
    }

    /// The number of the last snapshot.
    pub(super) fn tick(&self) -> u64 {
        self.tick
    }

    /// How many series are kept.
    pub(super) fn len(&self) -> usize {
        self.series.len() - self.free.len()
    }

    /// The series that a selector takes.
    pub(super) fn series_of(&self, selector: SelectorId) -> impl Iterator<Item = &Series> {
        self.members[selector].iter().filter_map(|at| self.series[*at].as_ref())
    }

    /// A number that is another one when a selector takes other series than before; never 0.
    pub(super) fn version(&self, selector: SelectorId) -> u64 {
        self.versions[selector]
    }

    /// Takes a snapshot of all metrics at `now`, in milliseconds since 1970.
    pub(super) fn update(&mut self, plan: &Plan, now: i64, points: &[PointView<'_>], with_process: bool) {
        self.tick += 1;
        let mut order = std::mem::take(&mut self.order);
        let mut next = Vec::with_capacity(points.len());
        for (i, point) in points.iter().enumerate() {
            let id = if point.id == 0 { self.id_of(point) } else { point.id };
            let series = match order.get_mut(i) {
                // Points usually come in the same order.
                Some((same, series)) if *same == id => std::mem::take(series),
                _ => match self.known.get(&id) {
                    Some(series) => series.clone(),
                    None => self.meet(plan, id, point, now),
                },
            };
            for at in &series {
                if let Some(series) = &mut self.series[*at]
                    && let Some(value) = value(series.part, &point.data)
                {
                    series.put(self.tick, now, value);
                }
            }
            next.push((id, series));
        }
        self.order = next;
        if with_process {
            self.process(plan, now);
        }
        if self.tick.is_multiple_of(SWEEP) {
            self.sweep(now);
        }
        self.before = Some(now);
    }

    /// An id for a point without one: a hash with keys that nobody knows.
    fn id_of(&self, point: &PointView<'_>) -> u64 {
        self.keys.hash_one((point.name, point.unit, point.labels, kind(&point.data) as u8)).max(1)
    }

    /// Finds out which selectors take the series of a point.
    fn meet(&mut self, plan: &Plan, id: u64, point: &PointView<'_>, now: i64) -> Box<[usize]> {
        let described = SeriesName::of(point, &self.page);
        let labels = Labels::new(described.labels.iter().map(|(name, value)| (&**name, &**value)));
        let metric = &described.metric;
        let mut found = Vec::new();
        let is_last = matches!(point.data, PointData::GaugeInt(_) | PointData::GaugeFloat(_));
        let mut add = |name: &str, labels: &Labels, part, by_dots| {
            found.extend(self.take(plan, name, labels, part, is_last, by_dots));
        };
        match described.kind {
            SeriesKind::Counter => add(&format!("{metric}_total"), &labels, Part::Number, false),
            SeriesKind::Histogram => {
                add(metric, &labels, Part::Histogram, false);
                add(&format!("{metric}_bucket"), &labels, Part::Buckets, false);
            }
            SeriesKind::Summary => {}
            _ => add(metric, &labels, Part::Number, false),
        }
        if matches!(described.kind, SeriesKind::Histogram | SeriesKind::Summary) {
            add(&format!("{metric}_count"), &labels, Part::Count, false);
            add(&format!("{metric}_sum"), &labels, Part::Sum, false);
        }
        if let PointData::Summary(summary) = &point.data {
            for (at, (quantile, _)) in summary.quantiles.iter().enumerate() {
                let labels = labels.with([("quantile", quantile.to_string())]);
                add(metric, &labels, Part::Quantile(at), false);
                add(point.name, &labels, Part::Quantile(at), true);
            }
        } else {
            let part = if described.kind == SeriesKind::Histogram { Part::Histogram } else { Part::Number };
            add(point.name, &labels, part, true);
        }
        self.begin_at_zero(&found, point, now);
        let series: Box<[usize]> = found.into();
        self.known.insert(id, series.clone());
        series
    }

    /// The series of this name and these labels, if a selector takes it.
    fn take(
        &mut self,
        plan: &Plan,
        name: &str,
        labels: &Labels,
        part: Part,
        is_last: bool,
        by_dots: bool,
    ) -> Option<usize> {
        let ignores_le = part == Part::Buckets;
        let fits = |selector: &SelectorId| {
            plan.selectors[*selector].matchers.iter().all(|matcher| match matcher.name() {
                "__name__" => matcher.matches_value(name),
                "le" if ignores_le => true,
                _ => matcher.matches(labels),
            })
        };
        let selectors: Vec<SelectorId> = self.wanted.candidates(name, labels, by_dots).filter(fits).collect();
        if selectors.is_empty() {
            return None;
        }
        let name: Arc<str> = name.into();
        // Several points may be one series.
        let at = match self.by_name.entry((Arc::clone(&name), labels.clone(), part.is_histogram())) {
            Entry::Occupied(there) => return Some(*there.get()),
            Entry::Vacant(empty) => {
                let range =
                    selectors.iter().map(|selector| plan.selectors[*selector].range).max().unwrap_or(0);
                let (labels, value, kept) = (labels.clone(), Value::Float(0.0), VecDeque::new());
                let outermost = None;
                let series = Series { name, labels, part, is_last, value, tick: 0, range, kept, outermost };
                let at = self.free.pop().unwrap_or(self.series.len());
                if at == self.series.len() {
                    self.series.push(Some(series));
                } else {
                    self.series[at] = Some(series);
                }
                *empty.insert(at)
            }
        };
        for selector in selectors {
            self.members[selector].push(at);
            self.versions[selector] += 1;
        }
        Some(at)
    }

    /// A counter that was not in the snapshot before was zero then, so that its first values are an increase. That is not known of one that is read from
    /// elsewhere, which may have counted for long.
    fn begin_at_zero(&mut self, found: &[usize], point: &PointView<'_>, now: i64) {
        let counts = match point.data {
            PointData::Counter(_) | PointData::CounterFloat(_) | PointData::Histogram(_) => {
                !point.target.is_empty()
            }
            _ => false,
        };
        let started = i64::try_from(point.start_unix_ns / 1_000_000).unwrap_or(i64::MAX);
        let at = self.before.map_or(started, |before| before.max(started));
        if !counts || at >= now {
            return;
        }
        for series in found {
            if let Some(series) = &mut self.series[*series]
                && series.range > 0
                && series.kept.is_empty()
            {
                let zero = match series.part {
                    Part::Histogram | Part::Buckets => Value::Histogram(Arc::default()),
                    _ => Value::Float(0.0),
                };
                series.kept.push_back(Kept { at, value: zero, before: 0.0 });
            }
        }
    }

    /// The metrics of the process, which are no points.
    fn process(&mut self, plan: &Plan, now: i64) {
        if !self.wanted.has_process {
            return;
        }
        process_metrics(|name, kind, value| {
            let is_last = kind != SeriesKind::Counter;
            if let Some(at) = self.take(plan, name, &Labels::none(), Part::Number, is_last, false)
                && let Some(series) = &mut self.series[at]
            {
                series.put(self.tick, now, Value::Float(value));
            }
        });
    }

    /// Forgets series that are gone and whose values are too old for every range.
    fn sweep(&mut self, now: i64) {
        let is_old = |series: &Series| {
            series.tick != self.tick && series.kept.back().is_none_or(|last| last.at <= now - series.range)
        };
        let mut is_gone = vec![false; self.series.len()];
        for (at, place) in self.series.iter_mut().enumerate() {
            if let Some(series) = place.take_if(|series| is_old(series)) {
                self.by_name.remove(&(series.name, series.labels, series.part.is_histogram()));
                self.free.push(at);
                is_gone[at] = true;
            }
        }
        for (members, version) in self.members.iter_mut().zip(&mut self.versions) {
            let before = members.len();
            members.retain(|at| !is_gone[*at]);
            *version += u64::from(members.len() < before);
        }
        // A point of whose series some are gone is met anew when it comes again.
        let is_whole = |series: &[usize]| !series.iter().any(|at| is_gone[*at]);
        let seen: HashSet<u64> = self.order.iter().map(|(id, _)| *id).collect();
        self.known.retain(|id, series| is_whole(series) && (seen.contains(id) || !series.is_empty()));
        self.order.retain(|(_, series)| is_whole(series));
    }

    /// Moves all times, after the wall clock was set.
    pub(super) fn shift(&mut self, by: i64) {
        for series in self.series.iter_mut().flatten() {
            series.kept.iter_mut().for_each(|kept| kept.at += by);
            series.find_outermost();
        }
        self.before = self.before.map(|before| before + by);
    }
}

fn kind(data: &PointData<'_>) -> SeriesKind {
    match data {
        PointData::Counter(_) | PointData::CounterFloat(_) => SeriesKind::Counter,
        PointData::Histogram(_) => SeriesKind::Histogram,
        PointData::Summary(_) => SeriesKind::Summary,
        _ => SeriesKind::Gauge,
    }
}

/// The part of a point.
fn value(part: Part, data: &PointData<'_>) -> Option<Value> {
    Some(match (part, data) {
        (Part::Number, data) => Value::Float(match data {
            PointData::Counter(n) => *n as f64,
            PointData::UpDown(n) | PointData::GaugeInt(n) => *n as f64,
            PointData::CounterFloat(x) | PointData::UpDownFloat(x) | PointData::GaugeFloat(x) => *x,
            _ => return None,
        }),
        (Part::Histogram | Part::Buckets, PointData::Histogram(view)) => {
            Value::Histogram(Arc::new(Histogram::of(view)))
        }
        (Part::Count, PointData::Histogram(view)) => Value::Float(view.count() as f64),
        (Part::Sum, PointData::Histogram(view)) => Value::Float(view.sum),
        (Part::Count, PointData::Summary(summary)) => Value::Float(summary.count as f64),
        (Part::Sum, PointData::Summary(summary)) => Value::Float(summary.sum),
        (Part::Quantile(at), PointData::Summary(summary)) => Value::Float(summary.quantiles.get(at)?.1),
        _ => return None,
    })
}

/// The selectors by what they ask for.
#[derive(Debug, Default)]
struct Wanted {
    /// By the name, and by the first label that must have a value.
    by_name: HashMap<MetricName, Vec<SelectorId>>,
    by_label: HashMap<(MetricName, Arc<str>, Arc<str>), Vec<SelectorId>>,
    any: Vec<SelectorId>,
    /// Whether a metric of the process is asked for.
    has_process: bool,
}

impl Wanted {
    fn of(plan: &Plan) -> Wanted {
        let mut wanted = Wanted::default();
        for (id, selector) in plan.selectors.iter().enumerate() {
            let name = &selector.name;
            let exact = selector
                .matchers
                .iter()
                .find(|matcher| matcher.is_exact() && !matches!(matcher.name(), "__name__" | "le"));
            match (name, exact) {
                (MetricName::Any, _) => wanted.any.push(id),
                (name, None) => wanted.by_name.entry(name.clone()).or_default().push(id),
                (name, Some(matcher)) => {
                    let key = (name.clone(), matcher.name().into(), matcher.value().into());
                    wanted.by_label.entry(key).or_default().push(id);
                }
            }
            wanted.has_process |= match name {
                MetricName::Prometheus(name) => name.starts_with("process_"),
                MetricName::Dotted(_) => false,
                MetricName::Any => true,
            };
        }
        wanted
    }

    /// The selectors that may take a series of this name.
    fn candidates(&self, name: &str, labels: &Labels, by_dots: bool) -> impl Iterator<Item = SelectorId> {
        let metric = match by_dots {
            true => MetricName::Dotted(name.into()),
            false => MetricName::Prometheus(name.into()),
        };
        let mut out = self.by_name.get(&metric).cloned().unwrap_or_default();
        if !self.by_label.is_empty() {
            for (label, value) in labels.iter() {
                let key = (metric.clone(), label.into(), value.into());
                out.extend(self.by_label.get(&key).into_iter().flatten());
            }
        }
        // A name with dots is another name of a series, which is found by its own.
        out.extend(self.any.iter().filter(|_| !by_dots));
        out.into_iter()
    }
}
