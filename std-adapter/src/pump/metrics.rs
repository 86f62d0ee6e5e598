//! A series and its value, and the points that are no series of the program's: what is observed, and the counts
//! of the ledger, of attributes and of the clock.

#[cfg(profiled)]
mod memory;
mod own;
#[cfg(profiled)]
mod process;

pub(super) use own::of_pump;
#[cfg(profiled)]
pub(super) use {memory::of_memory, process::of_process};

use super::distribution::Histogram;
use super::identity::Identities;
use crate::bridge;
use crate::observe::{self, Answer, Kind, Number};
use std::borrow::Cow;
use throughline::adapter::metrics::{Reading, Series, SeriesKey};
use throughline_export::ledger::Ledger;
use throughline_export::otlp::Counts;
use throughline_export::view::{PointData, PointView, Scope, SummaryView};

/// One series with owned data, so that all points can be read first and then borrow from it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) name: Cow<'static, str>,
    unit: &'static str,
    description: &'static str,
    pub(super) scope: Scope<'static>,
    target: &'static str,
    pub(super) labels: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Counter(u64),
    CounterFloat(f64),
    UpDown(i64),
    UpDownFloat(f64),
    GaugeInt(i64),
    GaugeFloat(f64),
    Histogram(Histogram),
}

impl From<Answer> for Point {
    fn from(answer: Answer) -> Point {
        let Answer { name, unit, description, labels, kind, number } = answer;
        let data = match (kind, number) {
            // A counter's number is never negative, because it starts at 0 and only grows.
            (Kind::Counter, Number::Int(n)) => Data::Counter(n.unsigned_abs()),
            (Kind::Counter, Number::Float(x)) => Data::CounterFloat(x),
            (Kind::UpDown, Number::Int(n)) => Data::UpDown(n),
            (Kind::UpDown, Number::Float(x)) => Data::UpDownFloat(x),
            (Kind::Gauge, Number::Int(n)) => Data::GaugeInt(n),
            (Kind::Gauge, Number::Float(x)) => Data::GaugeFloat(x),
        };
        Point { name: Cow::Borrowed(name), unit, description, scope: Scope::OWN, target: "", labels, data }
    }
}

/// The ledger's counts as the metric `throughline.records`, by hop and outcome.
pub(super) fn of_ledger(ledger: &Ledger) -> Vec<Point> {
    let mut points = Vec::new();
    for (hop, counts) in ledger.hops() {
        if counts.input == 0 {
            continue;
        }
        let absorbed = (counts.absorbed > 0).then_some(("absorbed", counts.absorbed));
        let outcomes = std::iter::once(("output", counts.output)).chain(absorbed);
        let dropped = counts.dropped.iter().map(|(reason, n)| (reason.as_str(), *n));
        for (outcome, n) in outcomes.chain(dropped) {
            points.push(Point {
                name: Cow::Borrowed("throughline.records"),
                unit: "{record}",
                description: "Records by hop and by their outcome there",
                scope: Scope::OWN,
                target: module_path!(),
                labels: vec![("hop", Cow::Owned(hop.to_owned())), ("outcome", Cow::Borrowed(outcome))],
                data: Data::Counter(n),
            });
        }
    }
    points
}

/// The share of the traces that begin here that is kept, if it is not all.
pub(super) fn of_sampling(share: f64) -> Option<Point> {
    (share < 1.0).then(|| Point {
        name: Cow::Borrowed("throughline.sampling.probability"),
        unit: "1",
        description: "Share of the traces that begin here that is kept, but for those that a rule is about",
        scope: Scope::OWN,
        target: module_path!(),
        labels: Vec::new(),
        data: Data::GaugeFloat(share),
    })
}

/// Attributes that were cut or dropped so far, because of OTLP's limits or the room in records.
pub(super) fn of_attributes(counts: Counts) -> impl Iterator<Item = Point> {
    let outcomes = [("cut", counts.cut_values), ("dropped", counts.dropped_attributes)];
    outcomes.into_iter().filter(|(_, n)| *n > 0).map(|(outcome, n)| Point {
        name: Cow::Borrowed("throughline.attributes"),
        unit: "{attribute}",
        description: "Attributes of spans and logs whose values were cut, or that were left out",
        scope: Scope::OWN,
        target: module_path!(),
        labels: vec![("outcome", Cow::Borrowed(outcome))],
        data: Data::Counter(n),
    })
}

/// What bridges from other APIs could not keep apart or record so far.
pub(super) fn of_bridges() -> impl Iterator<Item = Point> {
    bridge::losses().into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| Point {
        name: Cow::Borrowed("throughline.bridge.refused"),
        unit: "",
        description: "Callsites and metrics of bridges for which there was no room, and fields that were left out",
        scope: Scope::OWN,
        target: module_path!(),
        labels: vec![("what", Cow::Borrowed(what))],
        data: Data::Counter(n as u64),
    })
}

/// What spans have used that was not told to them.
pub(super) fn of_resources(lost: [u64; 3]) -> impl Iterator<Item = Point> {
    let lost = ["bytes", "samples", "switches"].into_iter().zip(lost).filter(|(_, n)| *n > 0);
    lost.map(|(what, n)| {
        let description =
            "Memory, samples and context switches that spans do not have, because they were not read in time";
        let labels = vec![("what", Cow::Borrowed(what))];
        own_point("throughline.resources.lost", "", description, labels, Data::Counter(n))
    })
}

/// Profiles that were removed from their folder, by the limit that they were beyond.
pub(super) fn of_profiles(removed: [u64; 3]) -> impl Iterator<Item = Point> {
    let removed = ["count", "age", "bytes"].into_iter().zip(removed).filter(|(_, n)| *n > 0);
    removed.map(|(limit, n)| {
        let description = "Profiles that were removed from their folder, by the limit that they were beyond";
        let labels = vec![("limit", Cow::Borrowed(limit))];
        own_point("throughline.profiles.removed", "{profile}", description, labels, Data::Counter(n))
    })
}

/// A point of this library's own.
pub(super) fn own_point(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    labels: Vec<(&'static str, Cow<'static, str>)>,
    data: Data,
) -> Point {
    let (name, scope, target) = (Cow::Borrowed(name), Scope::OWN, module_path!());
    Point { name, unit, description, scope, target, labels, data }
}

/// The metrics that observers make.
#[cfg(feature = "observers")]
pub(super) fn of_listeners() -> Vec<Point> {
    use crate::observers::metrics::{Value, each};
    let mut points = Vec::new();
    each(|cell| {
        let data = match &cell.value {
            Value::Counter(sum) => Some(Data::Counter(sum.load(std::sync::atomic::Ordering::Relaxed))),
            Value::Histogram(times) => Histogram::of_times(times).map(Data::Histogram),
        };
        let labels = cell.labels.iter().map(|(name, value)| (*name, Cow::Owned(value.clone()))).collect();
        points.extend(data.map(|data| own_point(cell.name, cell.unit, cell.description, labels, data)));
    });
    points
}

/// Observed metrics that were left out because their callbacks had not returned, by their names.
pub(super) fn of_observers() -> impl Iterator<Item = Point> {
    observe::left_out().into_iter().map(|(metric, n)| {
        let description = "How often metrics were read without one whose callback had not returned in time";
        let labels = vec![("metric", Cow::Borrowed(metric))];
        own_point("throughline.observe.left_out", "{reading}", description, labels, Data::Counter(n))
    })
}

/// Steps of the wall clock that were found while recording.
pub(super) fn of_clock(steps: u64, last_step_ns: i64) -> [Point; 2] {
    let point = |name, unit, description, data| Point {
        name: Cow::Borrowed(name),
        unit,
        description,
        scope: Scope::OWN,
        target: module_path!(),
        labels: Vec::new(),
        data,
    };
    [
        point(
            "throughline.clock.last_step",
            "ns",
            "By how much the wall clock was set last; negative when it was set back",
            Data::GaugeInt(last_step_ns),
        ),
        point(
            "throughline.clock.steps",
            "{step}",
            "How often the wall clock was found set by more than 0.1 s",
            Data::Counter(steps),
        ),
    ]
}

impl Point {
    /// What a series is, with a value of its kind. `None` for a series without a description.
    pub(super) fn of(series: &Series) -> Option<Point> {
        let blob = series.blob()?;
        let mut labels: Vec<_> = blob.labels().map(|(key, value)| (key, Cow::Borrowed(value))).collect();
        if series.is_overflow() {
            labels = vec![("otel.metric.overflow", Cow::Borrowed("true"))];
        } else {
            let mut packed = [0; SeriesKey::BYTES];
            let used = series.labels(&mut packed);
            let mut rest = &packed[..used];
            for key in blob.fields() {
                let Some((len, tail)) = rest.split_first() else { break };
                let Some((value, tail)) = tail.split_at_checked(usize::from(*len)) else { break };
                labels.push((key, Cow::Owned(String::from_utf8_lossy(value).into_owned())));
                rest = tail;
            }
        }
        let (mut unit, mut description, target) = (blob.unit, blob.description, blob.target);
        if unit.is_empty() && description.is_empty() {
            (unit, description) = bridge::described(blob.name);
        }
        let scope = Scope::of(blob.package, blob.version, target);
        let (name, data) = (Cow::Borrowed(blob.name), Data::of(series));
        Some(Point { name, unit, description, scope, target, labels, data })
    }

    /// Adds the identity of the series.
    pub(super) fn identify(&self, identities: &mut Identities) {
        let mut labels: Vec<_> = self.labels.iter().map(|(key, value)| (*key, &**value)).collect();
        identities.push(&self.name, self.unit, &mut labels, self.data.kind());
    }

    /// Shows the series, whose labels are `labels`.
    pub(super) fn view<'a>(
        &'a self,
        id: u64,
        labels: &'a [(&'a str, &'a str)],
        (start_unix_ns, time_unix_ns): (u64, u64),
    ) -> PointView<'a> {
        PointView {
            id,
            name: &self.name,
            unit: self.unit,
            description: self.description,
            scope: self.scope,
            target: self.target,
            start_unix_ns,
            time_unix_ns,
            labels,
            data: self.data.view(),
        }
    }
}

/// Sorts the points and adds up those with equal name, unit, labels and kind, because several observers may
/// observe one thing.
pub(super) fn merged(points: Vec<Point>) -> Vec<Point> {
    let mut identities = Identities::default();
    points.iter().for_each(|point| point.identify(&mut identities));
    let mut points: Vec<Option<Point>> = points.into_iter().map(Some).collect();
    let mut out: Vec<Point> = Vec::with_capacity(points.len());
    for (index, is_first) in identities.order() {
        match (points[index].take(), out.last_mut()) {
            (Some(point), Some(same)) if !is_first => same.data.add(point.data),
            (point, _) => out.extend(point),
        }
    }
    out
}

impl Data {
    /// The value of a series.
    pub(super) fn of(series: &Series) -> Data {
        let mut data = Data::Counter(0);
        data.set(series);
        data
    }

    /// Becomes the value of a series. The memory of a histogram is used again.
    pub(super) fn set(&mut self, series: &Series) {
        *self = match (series.read(), &mut *self) {
            (Reading::Counter(n), _) => Data::Counter(n),
            (Reading::CounterFloat(x), _) => Data::CounterFloat(x),
            (Reading::UpDown(n), _) => Data::UpDown(n),
            (Reading::GaugeInt(n), _) => Data::GaugeInt(n),
            (Reading::GaugeFloat(x), _) => Data::GaugeFloat(x),
            (Reading::Histogram(reading), Data::Histogram(histogram)) => {
                return histogram.set(series, reading);
            }
            (Reading::Histogram(reading), _) => {
                let mut histogram = Histogram::default();
                histogram.set(series, reading);
                Data::Histogram(histogram)
            }
        };
    }

    /// For a summary: computes its quantiles, when all callsites are added up.
    pub(super) fn find_quantiles(&mut self) {
        if let Data::Histogram(histogram) = self
            && histogram.is_summary
        {
            histogram.quantiles = histogram.view().quantiles();
        }
    }

    /// Data of equal kind are added up. A gauge of integers and one of floats are not, because they are two
    /// last values.
    pub(super) fn kind(&self) -> u8 {
        match self {
            Data::Counter(_) | Data::CounterFloat(_) => 0,
            Data::UpDown(_) | Data::UpDownFloat(_) => 1,
            Data::GaugeInt(_) => 2,
            Data::GaugeFloat(_) => 3,
            Data::Histogram(_) => 4,
        }
    }

    pub(super) fn add(&mut self, other: Data) {
        match (self, other) {
            (Data::Counter(a), Data::Counter(b)) => *a = a.saturating_add(b),
            (Data::CounterFloat(a), Data::CounterFloat(b)) => *a += b,
            (Data::CounterFloat(a), Data::Counter(b)) => *a += b as f64,
            (this @ Data::Counter(_), Data::CounterFloat(b)) => {
                let Data::Counter(a) = *this else { return };
                *this = Data::CounterFloat(a as f64 + b);
            }
            (Data::UpDown(a), Data::UpDown(b)) => *a = a.saturating_add(b),
            (Data::UpDownFloat(a), Data::UpDownFloat(b)) => *a += b,
            (Data::UpDownFloat(a), Data::UpDown(b)) => *a += b as f64,
            (this @ Data::UpDown(_), Data::UpDownFloat(b)) => {
                let Data::UpDown(a) = *this else { return };
                *this = Data::UpDownFloat(a as f64 + b);
            }
            (Data::Histogram(a), Data::Histogram(b)) => a.add(b),
            // All callsites of a gauge share one cell, so a gauge has several points only if it is observed;
            // then the last observer counts.
            (this, other) => *this = other,
        }
    }

    fn view(&self) -> PointData<'_> {
        match self {
            Data::Counter(n) => PointData::Counter(*n),
            Data::CounterFloat(x) => PointData::CounterFloat(*x),
            Data::UpDown(n) => PointData::UpDown(*n),
            Data::UpDownFloat(x) => PointData::UpDownFloat(*x),
            Data::GaugeInt(n) => PointData::GaugeInt(*n),
            Data::GaugeFloat(x) => PointData::GaugeFloat(*x),
            Data::Histogram(histogram) if histogram.is_summary => {
                let view = histogram.view();
                let (count, sum, quantiles) = (view.count(), view.sum, &histogram.quantiles[..]);
                PointData::Summary(SummaryView { count, sum, quantiles })
            }
            Data::Histogram(histogram) => PointData::Histogram(histogram.view()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(name: &'static str, label: &'static str, data: Data) -> Point {
        let labels = vec![("k", Cow::Borrowed(label))];
        Point {
            name: Cow::Borrowed(name),
            unit: "",
            description: "",
            scope: Scope::OWN,
            target: "",
            labels,
            data,
        }
    }

    #[test]
    fn callsites_of_one_series_add_up() {
        let points = vec![
            point("b", "x", Data::Counter(1)),
            point("a", "y", Data::UpDown(-5)),
            point("b", "y", Data::Counter(10)),
            point("b", "x", Data::UpDown(7)),
            point("b", "x", Data::Counter(2)),
            point("a", "y", Data::UpDown(3)),
        ];
        let expected = vec![
            point("a", "y", Data::UpDown(-2)),
            point("b", "x", Data::Counter(3)),
            point("b", "x", Data::UpDown(7)),
            point("b", "y", Data::Counter(10)),
        ];
        assert_eq!(merged(points), expected);
    }

    #[test]
    fn no_sum_goes_down_18() {
        let mut counter = Data::Counter(u64::MAX - 1);
        counter.add(Data::Counter(7));
        assert_eq!(counter, Data::Counter(u64::MAX));
    }
}
