//! Reads every metric of the program and of the ledger, adds up series that are the same, and shows them as points.

use std::borrow::Cow;
use throughline::adapter::callsite::Kind;
use throughline::adapter::metrics::{self, Series, SeriesKey, bucket_count, histogram_cells};
use throughline_export::ledger::Ledger;
use throughline_export::view::{PointData, PointView};

/// One series, owned; read in one go so that points can borrow from it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    name: Cow<'static, str>,
    unit: &'static str,
    description: &'static str,
    target: &'static str,
    labels: Vec<(&'static str, Cow<'static, str>)>,
    data: Data,
}

#[derive(Clone, Debug, PartialEq)]
enum Data {
    Counter(u64),
    UpDown(i64),
    GaugeInt(i64),
    GaugeFloat(f64),
    /// Buckets by position; position p is OTLP's index p − 1.
    Histogram {
        scale: u8,
        sum: u64,
        zeros: u64,
        buckets: Vec<u64>,
    },
}

/// All metrics now, in order of name, then of labels.
pub(super) fn snapshot() -> Vec<Point> {
    let mut points = Vec::new();
    metrics::for_each(|series| points.extend(read(&series)));
    merged(points)
}

/// The ledger's counts, as `throughline.records` by hop and outcome.
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
                description: "Records by hop and by what became of them there",
                target: module_path!(),
                labels: vec![("hop", Cow::Owned(hop.to_owned())), ("outcome", Cow::Borrowed(outcome))],
                data: Data::Counter(n),
            });
        }
    }
    points
}

/// Steps of the wall clock that were found while recording.
pub(super) fn of_clock(steps: u64, last_step_ns: i64) -> [Point; 2] {
    let point = |name, unit, description, data| Point {
        name: Cow::Borrowed(name),
        unit,
        description,
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
    let data = match blob.kind {
        Kind::Counter => Data::Counter(series.cell(0) as u64),
        Kind::UpDownCounter => Data::UpDown(series.cell(0) as isize as i64),
        Kind::Gauge if blob.param == 0 => Data::GaugeInt(series.cell(0) as isize as i64),
        Kind::Gauge if usize::BITS == 64 => Data::GaugeFloat(f64::from_bits(series.cell(0) as u64)),
        Kind::Gauge => Data::GaugeFloat(f64::from(f32::from_bits(series.cell(0) as u32))),
        Kind::Histogram => histogram(series, blob.param),
        _ => return None,
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
    let (unit, description, target) = (blob.unit, blob.description, blob.target);
    Some(Point { name: Cow::Borrowed(blob.name), unit, description, target, labels, data })
}

fn histogram(series: &Series, scale: u8) -> Data {
    let buckets = bucket_count(u32::from(scale));
    let first = histogram_cells(u32::from(scale)) - buckets;
    let mut sum = series.cell(1) as u64;
    if first == 3 {
        sum |= (series.cell(2) as u64) << 32;
    }
    let buckets = (first..first + buckets).map(|i| series.cell(i) as u64).collect();
    Data::Histogram { scale, sum, zeros: series.cell(0) as u64, buckets }
}

/// Sorts, and adds up what has equal name, unit, labels and kind: several callsites may count one thing.
fn merged(mut points: Vec<Point>) -> Vec<Point> {
    let kind = |p: &Point| std::mem::discriminant(&p.data);
    points.sort_by(|a, b| (&a.name, a.unit, &a.labels).cmp(&(&b.name, b.unit, &b.labels)));
    let mut out: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        // Equal names of different kinds may alternate; there are few.
        let same = out
            .iter_mut()
            .rev()
            .take_while(|p| p.name == point.name)
            .find(|p| p.unit == point.unit && p.labels == point.labels && kind(p) == kind(&point));
        match same {
            Some(same) => same.data.add(point.data),
            None => out.push(point),
        }
    }
    out
}

impl Data {
    fn add(&mut self, other: Data) {
        match (self, other) {
            (Data::Counter(a), Data::Counter(b)) => *a = a.wrapping_add(b),
            (Data::UpDown(a), Data::UpDown(b)) => *a = a.wrapping_add(b),
            // Of two last values neither is known to be later.
            (Data::GaugeInt(a), Data::GaugeInt(b)) => *a = b,
            (Data::GaugeFloat(a), Data::GaugeFloat(b)) => *a = b,
            (
                Data::Histogram { scale, sum, zeros, buckets },
                Data::Histogram { scale: scale_b, sum: sum_b, zeros: zeros_b, buckets: mut buckets_b },
            ) => {
                let coarse = (*scale).min(scale_b);
                coarsen(buckets, *scale - coarse);
                coarsen(&mut buckets_b, scale_b - coarse);
                *scale = coarse;
                *sum = sum.wrapping_add(sum_b);
                *zeros += zeros_b;
                if buckets.len() < buckets_b.len() {
                    buckets.resize(buckets_b.len(), 0);
                }
                buckets.iter_mut().zip(buckets_b).for_each(|(a, b)| *a += b);
            }
            _ => {}
        }
    }

    fn view(&self) -> PointData<'_> {
        match *self {
            Data::Counter(n) => PointData::Counter(n),
            Data::UpDown(n) => PointData::UpDown(n),
            Data::GaugeInt(n) => PointData::GaugeInt(n),
            Data::GaugeFloat(x) => PointData::GaugeFloat(x),
            Data::Histogram { scale, sum, zeros, ref buckets } => {
                let first = buckets.iter().position(|n| *n > 0).unwrap_or(0);
                let end = buckets.iter().rposition(|n| *n > 0).map_or(first, |last| last + 1);
                PointData::Histogram {
                    scale,
                    sum,
                    zeros,
                    offset: first as i32 - 1,
                    buckets: &buckets[first..end],
                }
            }
        }
    }
}

/// Lowers the scale by `by`: OTLP's index i becomes ⌊i / 2^by⌋, and position is index + 1. Exact: boundaries of a scale are boundaries of all above.
fn coarsen(buckets: &mut Vec<u64>, by: u8) {
    if by == 0 {
        return;
    }
    let mut coarse = Vec::new();
    for (position, n) in buckets.iter().enumerate() {
        let to = (((position as i64 - 1) >> by) + 1) as usize;
        if coarse.len() <= to {
            coarse.resize(to + 1, 0);
        }
        coarse[to] += n;
    }
    *buckets = coarse;
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline::adapter::metrics::position;

    fn point(name: &'static str, label: &'static str, data: Data) -> Point {
        let labels = vec![("k", Cow::Borrowed(label))];
        Point { name: Cow::Borrowed(name), unit: "", description: "", target: "", labels, data }
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
    fn histograms_of_unlike_scales_merge_exactly() {
        let fill = |scale: u8| {
            let mut buckets = vec![0; bucket_count(u32::from(scale))];
            for v in 1..5000usize {
                buckets[position(v, u32::from(scale))] += 1;
            }
            Data::Histogram { scale, sum: 1, zeros: 2, buckets }
        };
        let mut fine = fill(3);
        fine.add(fill(1));
        let Data::Histogram { scale, sum, zeros, buckets } = fine else { panic!() };
        let Data::Histogram { buckets: single, .. } = fill(1) else { panic!() };
        let twice: Vec<u64> = single.iter().map(|n| 2 * n).collect();
        assert_eq!((scale, sum, zeros), (1, 2, 4));
        assert_eq!(buckets, twice);
    }

    #[test]
    fn empty_buckets_are_not_sent() {
        let data = Data::Histogram { scale: 0, sum: 9, zeros: 0, buckets: vec![0, 0, 4, 0, 1, 0] };
        let expected = PointData::Histogram { scale: 0, sum: 9, zeros: 0, offset: 1, buckets: &[4, 0, 1] };
        assert_eq!(data.view(), expected);
        let data = Data::Histogram { scale: 0, sum: 0, zeros: 3, buckets: vec![0, 0] };
        assert_eq!(
            data.view(),
            PointData::Histogram { scale: 0, sum: 0, zeros: 3, offset: -1, buckets: &[] }
        );
    }
}
