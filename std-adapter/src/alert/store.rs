//! The series that conditions look at: their present values, and those of the ranges that are asked for.
//!
//! Which selectors take a series is found out once, when it is seen for the first time; then a snapshot costs a comparison of ids for each point.

mod series;
mod wanted;

pub use series::Exemplar;
pub(super) use series::{Part, Point, Sample, Series, Value};

use super::histogram::Histogram;
use super::labels::Labels;
use super::language::{Plan, SelectorId};
use series::Kept;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use throughline_export::prometheus::{PageOptions, SeriesKind, SeriesName, process_metrics};
use throughline_export::view::{PointData, PointView};
use wanted::Wanted;

/// Snapshots after which series that are gone are looked for.
const SWEEP: u64 = 64;

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
    /// The last exemplar of each series that has some.
    exemplars: HashMap<usize, Exemplar>,
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
            exemplars: HashMap::new(),
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

    /// The latest exemplar of the series of these selectors from which an alert with these labels may follow.
    pub(super) fn exemplar(&self, selectors: &[SelectorId], alert: &Labels) -> Option<Exemplar> {
        if self.exemplars.is_empty() {
            return None;
        }
        let fits = |series: &Series| fits(series, alert);
        let members = selectors.iter().flat_map(|selector| &self.members[*selector]);
        let fitting = members.filter(|at| self.series[**at].as_ref().is_some_and(&fits));
        fitting.filter_map(|at| self.exemplars.get(at)).max_by_key(|it| it.time).copied()
    }

    /// Whether the last snapshot has a series of each of these selectors from which an alert with these labels may follow.
    pub(super) fn has_series_for(&self, selectors: &[SelectorId], alert: &Labels) -> bool {
        let is_there = |series: &Series| series.present(self.tick).is_some() && fits(series, alert);
        selectors.iter().all(|selector| self.series_of(*selector).any(is_there))
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
            if !series.is_empty()
                && let Some(exemplar) = exemplar(&point.data)
            {
                series.iter().for_each(|at| _ = self.exemplars.insert(*at, exemplar));
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
                self.exemplars.remove(&at);
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

/// Whether an alert with these labels may follow from the series: labels that both have are the same.
fn fits(series: &Series, alert: &Labels) -> bool {
    series.labels.iter().all(|(name, value)| alert.get(name).is_none_or(|other| other == value))
}

/// The latest exemplar of a point.
fn exemplar(data: &PointData<'_>) -> Option<Exemplar> {
    let PointData::Histogram(view) = data else { return None };
    let last = view.exemplars.iter().max_by_key(|it| it.time_unix_ns)?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(last.time_unix_ns);
    Some(Exemplar { trace_id: last.trace_id, span_id: last.span_id, value: last.value, time })
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
