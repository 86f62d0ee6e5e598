//! Reads every metric of the program and of the ledger, adds up equal series, and shows them as points.

use super::identity::Identities;
use crate::bridge;
use crate::observe::{Answer, Kind, Number};
use std::borrow::Cow;
use std::collections::HashMap;
use throughline::adapter::metrics::{self, HistogramReading, Reading, Series, SeriesKey};
use throughline_export::ledger::Ledger;
use throughline_export::otlp::Counts;
use throughline_export::view::{HistogramView, PointData, PointView, Scope, SummaryView};
use throughline_export::{REDACTED, Redaction, diagnostics};

/// One series with owned data, so that all points can be read first and then borrow from it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    name: Cow<'static, str>,
    unit: &'static str,
    description: &'static str,
    scope: Scope<'static>,
    target: &'static str,
    labels: Vec<(&'static str, Cow<'static, str>)>,
    data: Data,
}

#[derive(Clone, Debug, PartialEq)]
enum Data {
    Counter(u64),
    CounterFloat(f64),
    UpDown(i64),
    UpDownFloat(f64),
    GaugeInt(i64),
    GaugeFloat(f64),
    Histogram(Histogram),
}

/// Bucket counts of integers, which are values in units of 2^-`fraction_bits`. Position p is OTLP's bucket
/// index p − 1 of these integers.
#[derive(Clone, Debug, PartialEq)]
struct Histogram {
    scale: u8,
    fraction_bits: u8,
    is_summary: bool,
    sum: u64,
    zeros: u64,
    extremes: Option<(u64, u64)>,
    buckets: Vec<u64>,
    /// Quantiles of a summary; filled in after all callsites are merged.
    quantiles: Vec<(f64, f64)>,
}

/// The current values of all metrics, sorted by name, then by labels. `answers` are those of observers.
/// Values of secret labels are replaced, so that their series become one.
pub(super) fn snapshot(answers: Vec<Answer>, redaction: &Redaction) -> Vec<Point> {
    if let Some(place) = metrics::take_negative() {
        diagnostics::tell(format_args!(
            "{place}: a counter was given a negative amount, which adds nothing; for a sum that may go down, use `up_down_counter!`"
        ));
    }
    let mut points = Vec::new();
    metrics::for_each(|series| points.extend(read(&series)));
    points.extend(answers.into_iter().map(Point::from));
    let mut secrets = HashMap::new();
    for (key, value) in points.iter_mut().flat_map(|point| &mut point.labels) {
        if *secrets.entry(*key).or_insert_with(|| redaction.hides(key)) {
            *value = Cow::Borrowed(REDACTED);
        }
    }
    merged(points)
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

/// Calls `f` with the points as views.
pub(super) fn with_views<R>(
    points: &[Point],
    (start_unix_ns, time_unix_ns): (u64, u64),
    f: impl FnOnce(&[PointView<'_>]) -> R,
) -> R {
    let labels: Vec<Vec<(&str, &str)>> =
        points.iter().map(|p| p.labels.iter().map(|(k, v)| (*k, &**v)).collect()).collect();
    let views: Vec<_> = points
        .iter()
        .zip(&labels)
        .map(|(point, labels)| PointView {
            name: &point.name,
            unit: point.unit,
            description: point.description,
            scope: point.scope,
            target: point.target,
            start_unix_ns,
            time_unix_ns,
            labels,
            data: point.data.view(),
        })
        .collect();
    f(&views)
}

fn read(series: &Series) -> Option<Point> {
    let blob = series.blob()?;
    let data = match series.read() {
        Reading::Counter(n) => Data::Counter(n),
        Reading::CounterFloat(x) => Data::CounterFloat(x),
        Reading::UpDown(n) => Data::UpDown(n),
        Reading::GaugeInt(n) => Data::GaugeInt(n),
        Reading::GaugeFloat(x) => Data::GaugeFloat(x),
        Reading::Histogram(reading) => Data::Histogram(Histogram::new(series, reading)),
    };
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
    Some(Point { name: Cow::Borrowed(blob.name), unit, description, scope, target, labels, data })
}

/// Sorts the points and adds up those with equal name, unit, labels and kind, because several callsites may
/// count one thing.
fn merged(points: Vec<Point>) -> Vec<Point> {
    let (mut identities, mut labels) = (Identities::default(), Vec::new());
    for point in &points {
        labels.clear();
        labels.extend(point.labels.iter().map(|(key, value)| (*key, &**value)));
        identities.push(&point.name, point.unit, &mut labels, point.data.kind());
    }
    let order = identities.order();
    let mut points: Vec<Option<Point>> = points.into_iter().map(Some).collect();
    let mut out: Vec<Point> = Vec::with_capacity(points.len());
    for (index, is_first) in order {
        match (points[index].take(), out.last_mut()) {
            (Some(point), Some(same)) if !is_first => same.data.add(point.data),
            (point, _) => out.extend(point),
        }
    }
    for point in &mut out {
        if let Data::Histogram(histogram) = &mut point.data
            && histogram.is_summary
        {
            histogram.quantiles = histogram.view().quantiles();
        }
    }
    // If several packages have a metric, it is sent under one of them, so that its series stay together.
    for metric in out.chunk_by_mut(|a, b| a.name == b.name) {
        let scope = metric.iter().map(|point| point.scope).min_by_key(|scope| (scope.name, scope.version));
        metric.iter_mut().for_each(|point| point.scope = scope.unwrap_or(Scope::OWN));
    }
    out
}

impl Data {
    /// Data of equal kind are added up. A gauge of integers and one of floats are not, because they are two
    /// last values.
    fn kind(&self) -> u8 {
        match self {
            Data::Counter(_) | Data::CounterFloat(_) => 0,
            Data::UpDown(_) | Data::UpDownFloat(_) => 1,
            Data::GaugeInt(_) => 2,
            Data::GaugeFloat(_) => 3,
            Data::Histogram(_) => 4,
        }
    }

    fn add(&mut self, other: Data) {
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

impl Histogram {
    fn new(series: &Series, reading: HistogramReading) -> Histogram {
        let HistogramReading { scale, fraction_bits, is_summary, sum, zeros, extremes, .. } = reading;
        let buckets = (0..series.bucket_count()).map(|position| series.bucket(position)).collect();
        Histogram { scale, fraction_bits, is_summary, sum, zeros, extremes, buckets, quantiles: Vec::new() }
    }

    /// Adds another histogram, at the coarser scale and in the finer steps of the two. Both conversions are
    /// exact.
    fn add(&mut self, mut other: Histogram) {
        let scale = self.scale.min(other.scale);
        let fraction_bits = self.fraction_bits.max(other.fraction_bits);
        for histogram in [&mut *self, &mut other] {
            histogram.coarsen_to(scale);
            histogram.refine_to(fraction_bits);
        }
        self.sum = self.sum.saturating_add(other.sum);
        self.zeros += other.zeros;
        self.extremes = match (self.extremes, other.extremes) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        self.buckets.iter_mut().zip(other.buckets).for_each(|(a, b)| *a += b);
    }

    /// Lowers the scale: OTLP's index i becomes ⌊i / 2^by⌋, and a position is an index + 1. This is exact,
    /// because the bucket boundaries of a scale are also boundaries of every higher scale.
    fn coarsen_to(&mut self, scale: u8) {
        let by = self.scale - scale;
        if by == 0 {
            return;
        }
        let mut coarse = Vec::new();
        for (position, n) in self.buckets.iter().enumerate() {
            let to = (((position as i64 - 1) >> by) + 1) as usize;
            if coarse.len() <= to {
                coarse.resize(to + 1, 0);
            }
            coarse[to] += n;
        }
        (self.scale, self.buckets) = (scale, coarse);
    }

    /// Converts to smaller steps, of which every value is a larger multiple.
    fn refine_to(&mut self, fraction_bits: u8) {
        let by = fraction_bits - self.fraction_bits;
        if by == 0 {
            return;
        }
        let larger = |n: u64| n.saturating_mul(1 << by);
        self.buckets.splice(0..0, std::iter::repeat_n(0, usize::from(by) << self.scale));
        self.sum = larger(self.sum);
        self.extremes = self.extremes.map(|(least, greatest)| (larger(least), larger(greatest)));
        self.fraction_bits = fraction_bits;
    }

    fn view(&self) -> HistogramView<'_> {
        let first = self.buckets.iter().position(|n| *n > 0).unwrap_or(0);
        let end = self.buckets.iter().rposition(|n| *n > 0).map_or(first, |last| last + 1);
        let step = (-f64::from(self.fraction_bits)).exp2();
        let offset = first as i32 - 1 - (i32::from(self.fraction_bits) << self.scale);
        let sum = self.sum as f64 * step;
        let view = HistogramView::new(self.scale, sum, self.zeros, offset, &self.buckets[first..end])
            .with_fraction_bits(self.fraction_bits);
        match self.extremes {
            Some((least, greatest)) => {
                view.with_extremes(Some((least as f64 * step, greatest as f64 * step)))
            }
            None => view.with_extremes_of_buckets(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline::adapter::metrics::{bucket_count, position};

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

    fn histogram(scale: u8, fraction_bits: u8, values: &[u64]) -> Histogram {
        let mut buckets = vec![0; bucket_count(u32::from(scale))];
        for value in values {
            buckets[position(*value, u32::from(scale)).unwrap()] += 1;
        }
        let extremes = values.iter().min().copied().zip(values.iter().max().copied());
        Histogram {
            scale,
            fraction_bits,
            is_summary: false,
            sum: values.iter().sum(),
            zeros: 2,
            extremes,
            buckets,
            quantiles: Vec::new(),
        }
    }

    #[test]
    fn histograms_of_unlike_scales_merge_exactly() {
        let values: Vec<u64> = (1..5000).collect();
        let mut fine = histogram(3, 0, &values);
        fine.add(histogram(1, 0, &values));
        let mut single = histogram(1, 0, &values);
        single.buckets.iter_mut().for_each(|n| *n *= 2);
        let sum = 2 * single.sum;
        assert_eq!(fine, Histogram { sum, zeros: 4, ..single });
    }

    #[test]
    fn histograms_of_unlike_steps_merge_exactly() {
        // Merge integers with values in quarters.
        let mut whole = histogram(2, 0, &[1, 3, 1000]);
        whole.add(histogram(2, 2, &[1, 6]));
        let quarters = histogram(2, 2, &[1, 4, 6, 12, 4000]);
        whole.buckets.truncate(quarters.buckets.len());
        assert_eq!(whole, Histogram { zeros: 4, ..quarters });
        assert_eq!(whole.view().extremes, Some((0.25, 1000.0)));
    }

    #[test]
    fn no_sum_goes_down_18() {
        let mut counter = Data::Counter(u64::MAX - 1);
        counter.add(Data::Counter(7));
        assert_eq!(counter, Data::Counter(u64::MAX));
        let mut sum = histogram(0, 0, &[u64::MAX - 1]);
        sum.add(histogram(0, 0, &[9]));
        assert_eq!(sum.sum, u64::MAX);
    }

    #[test]
    fn empty_buckets_are_not_sent() {
        let mut data = histogram(0, 0, &[]);
        data.buckets = vec![0, 0, 4, 0, 1, 0];
        data.zeros = 0;
        let view = data.view();
        assert_eq!((view.offset, view.buckets, view.extremes), (1, &[4, 0, 1][..], Some((3.0, 16.0))));
        data.buckets = vec![0, 0];
        let view = data.view();
        assert_eq!((view.offset, view.buckets, view.extremes), (-1, &[][..], None));
    }
}
