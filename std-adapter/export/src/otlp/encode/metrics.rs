//! Encodes metric points as the body of a request to `/v1/metrics`.

use super::{
    Histograms,
    attribute::{self, Key},
    explicit,
    out::Out,
    proto,
    request::{Request, ScopeKey},
};
use crate::{
    Resource,
    view::{ExemplarView, HistogramView, PointData, PointView, SummaryView},
};

/// Width of the lengths of a metric and of its data, in bytes. One metric may have many series.
const METRIC: usize = 4;
/// Width of the length of a point, in bytes.
const POINT: usize = 2;
/// `AGGREGATION_TEMPORALITY_DELTA`
const DELTA: u8 = 1;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u8 = 2;

/// Appends points to the body of one request. Consecutive points of one metric share one `Metric`, so pass
/// the series of a metric one after another. Each scope, that is each instrumented package, has its own part
/// of the request.
#[derive(Clone, Debug)]
pub struct MetricEncoder {
    request: Request,
    open: Option<Open>,
    histograms: Histograms,
}

/// The metric to which the next point may belong.
#[derive(Clone, Debug)]
struct Open {
    scope: u64,
    name: String,
    unit: String,
    shape: Shape,
    temporality: u8,
    metric_start: usize,
    data_start: usize,
}

/// The case of `oneof data` in a `Metric`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Gauge,
    Sum { monotonic: bool },
    ExponentialHistogram,
    Histogram,
    Summary,
}

impl MetricEncoder {
    /// An empty request for metrics of `resource`.
    pub fn new(resource: &Resource) -> MetricEncoder {
        MetricEncoder { request: Request::new(resource), open: None, histograms: Histograms::default() }
    }

    /// Appends one series.
    pub fn point(&mut self, view: &PointView<'_>) {
        self.put(view, CUMULATIVE);
    }

    /// Appends the delta of one series since `start_unix_ns`.
    pub(in crate::otlp) fn delta_point(&mut self, view: &PointView<'_>) {
        self.put(view, DELTA);
    }

    /// The form in which histograms are written.
    pub(in crate::otlp) fn histograms(&self) -> Histograms {
        self.histograms
    }

    /// Sets how histograms are written from now on.
    pub(in crate::otlp) fn set_histograms(&mut self, histograms: Histograms) {
        self.histograms = histograms;
    }

    fn put(&mut self, view: &PointView<'_>, temporality: u8) {
        self.open_metric(view, temporality);
        let out = self.request.current();
        let start = proto::open::<POINT>(out, 0x0a);
        times(out, view);
        match &view.data {
            PointData::Histogram(histogram) if self.histograms == Histograms::Explicit => {
                labels(out, 0x4a, view.labels);
                explicit::put_histogram(out, histogram);
                exemplars(out, 0x42, view, histogram.exemplars);
            }
            PointData::Histogram(histogram) => {
                labels(out, 0x0a, view.labels);
                put_histogram(out, histogram);
                exemplars(out, 0x5a, view, histogram.exemplars);
            }
            PointData::Summary(summary) => {
                labels(out, 0x3a, view.labels);
                put_summary(out, summary);
            }
            number => {
                labels(out, 0x3a, view.labels);
                put_number(out, number);
            }
        }
        proto::close::<POINT>(out, start);
        self.request.count += 1;
    }

    /// Begins a metric, unless the last point belongs to the same one.
    fn open_metric(&mut self, view: &PointView<'_>, temporality: u8) {
        let shape = match view.data {
            PointData::Counter(_) | PointData::CounterFloat(_) => Shape::Sum { monotonic: true },
            PointData::UpDown(_) | PointData::UpDownFloat(_) => Shape::Sum { monotonic: false },
            PointData::GaugeInt(_) | PointData::GaugeFloat(_) => Shape::Gauge,
            PointData::Histogram(_) if self.histograms == Histograms::Explicit => Shape::Histogram,
            PointData::Histogram(_) => Shape::ExponentialHistogram,
            PointData::Summary(_) => Shape::Summary,
        };
        let scope = ScopeKey::new(view.scope);
        if self.open.as_ref().is_some_and(|o| {
            o.scope == scope.key()
                && o.shape == shape
                && o.temporality == temporality
                && o.name == view.name
                && o.unit == view.unit
        }) {
            return;
        }
        self.close_metric();
        let out = self.request.of(&scope);
        let metric_start = proto::open::<METRIC>(out, 0x12);
        for (tag, text) in [(0x0a, view.name), (0x12, view.description), (0x1a, view.unit)] {
            if !text.is_empty() {
                proto::bytes_field(out, tag, text.as_bytes());
            }
        }
        let data_start = match shape {
            Shape::Gauge => proto::open::<METRIC>(out, 0x2a),
            Shape::Sum { monotonic } => {
                let start = proto::open::<METRIC>(out, 0x3a);
                out.extend_from_slice(&[0x10, temporality, 0x18, u8::from(monotonic)]);
                start
            }
            Shape::ExponentialHistogram => {
                let start = proto::open::<METRIC>(out, 0x52);
                out.extend_from_slice(&[0x10, temporality]);
                start
            }
            Shape::Histogram => {
                let start = proto::open::<METRIC>(out, 0x4a);
                out.extend_from_slice(&[0x10, temporality]);
                start
            }
            Shape::Summary => proto::open::<METRIC>(out, 0x5a),
        };
        self.open = Some(Open {
            scope: scope.key(),
            name: view.name.into(),
            unit: view.unit.into(),
            shape,
            temporality,
            metric_start,
            data_start,
        });
    }

    fn close_metric(&mut self) {
        if let Some(open) = self.open.take() {
            let out = self.request.current();
            proto::close::<METRIC>(out, open.data_start);
            proto::close::<METRIC>(out, open.metric_start);
        }
    }

    /// Series appended since the last [`clear`](Self::clear).
    pub fn count(&self) -> usize {
        self.request.count
    }

    /// Number of bytes that these series take.
    pub fn record_bytes(&self) -> usize {
        self.request.record_bytes()
    }

    /// Returns the body of the request. More points may be appended afterwards, and `finish` called again.
    pub fn finish(&mut self) -> &[u8] {
        self.close_metric();
        self.request.finish()
    }

    /// Like [`finish`](Self::finish), but returns the buffer itself. `spare`, which is empty or an earlier
    /// buffer, is used for the next request.
    pub fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.close_metric();
        self.request.take(spare)
    }

    /// Removes the points, and keeps the resource and the memory.
    pub fn clear(&mut self) {
        self.open = None;
        self.request.clear();
    }
}

/// Writes the value of a `NumberDataPoint`. A whole number is `as_int`. A counter above `i64::MAX` is written
/// as a double, because a monotonic sum must not go down.
fn put_number(out: &mut Out, data: &PointData<'_>) {
    let (mut int, mut double) = (None, None);
    match *data {
        PointData::Counter(n) => match i64::try_from(n) {
            Ok(n) => int = Some(n),
            Err(_) => double = Some(n as f64),
        },
        PointData::UpDown(n) | PointData::GaugeInt(n) => int = Some(n),
        PointData::CounterFloat(x) | PointData::UpDownFloat(x) | PointData::GaugeFloat(x) => double = Some(x),
        PointData::Histogram(_) | PointData::Summary(_) => {}
    }
    if let Some(n) = int {
        fixed64(out, 0x31, n as u64);
    }
    if let Some(x) = double {
        fixed64(out, 0x21, x.to_bits());
    }
}

/// Writes the rest of an `ExponentialHistogramDataPoint`.
fn put_histogram(out: &mut Out, histogram: &HistogramView<'_>) {
    fixed64(out, 0x21, histogram.count());
    fixed64(out, 0x29, histogram.sum.to_bits());
    out.push(0x30);
    proto::varint(out, zigzag(i64::from(histogram.scale)));
    fixed64(out, 0x39, histogram.zeros);
    let positive = proto::open::<3>(out, 0x42);
    out.push(0x08);
    proto::varint(out, zigzag(i64::from(histogram.offset)));
    let counts = proto::open::<3>(out, 0x12);
    histogram.buckets.iter().for_each(|&n| proto::varint(out, n));
    proto::close::<3>(out, counts);
    proto::close::<3>(out, positive);
    if let Some((min, max)) = histogram.extremes {
        fixed64(out, 0x61, min.to_bits());
        fixed64(out, 0x69, max.to_bits());
    }
}

/// Writes those exemplars that were recorded in the time that the point is about: for a delta, those since the
/// last one.
fn exemplars(out: &mut Out, tag: u8, point: &PointView<'_>, exemplars: &[ExemplarView]) {
    let time = point.start_unix_ns..=point.time_unix_ns;
    for exemplar in exemplars.iter().filter(|exemplar| time.contains(&exemplar.time_unix_ns)) {
        // The ids and numbers fit in a length of one byte, fields need two.
        let fields = exemplar.fields.as_deref().unwrap_or_default();
        let (short, long) = match fields {
            [] => (Some(proto::open::<1>(out, tag)), None),
            _ => (None, Some(proto::open::<2>(out, tag))),
        };
        fixed64(out, 0x11, exemplar.time_unix_ns);
        fixed64(out, 0x19, exemplar.value.to_bits());
        proto::bytes_field(out, 0x22, &exemplar.span_id.to_bytes());
        proto::bytes_field(out, 0x2a, &exemplar.trace_id.to_bytes());
        let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (&**key, &**value)).collect();
        labels(out, 0x3a, &fields);
        short.into_iter().for_each(|start| proto::close::<1>(out, start));
        long.into_iter().for_each(|start| proto::close::<2>(out, start));
    }
}

/// Writes the rest of a `SummaryDataPoint`.
fn put_summary(out: &mut Out, summary: &SummaryView<'_>) {
    fixed64(out, 0x21, summary.count);
    fixed64(out, 0x29, summary.sum.to_bits());
    for (quantile, value) in summary.quantiles {
        let start = proto::open::<1>(out, 0x32);
        fixed64(out, 0x09, quantile.to_bits());
        fixed64(out, 0x11, value.to_bits());
        proto::close::<1>(out, start);
    }
}

/// Writes `start_time_unix_nano` and `time_unix_nano`, whose field numbers are the same for all kinds of
/// points.
fn times(out: &mut Out, view: &PointView<'_>) {
    fixed64(out, 0x11, view.start_unix_ns);
    fixed64(out, 0x19, view.time_unix_ns);
}

fn labels(out: &mut Out, tag: u8, labels: &[(&str, &str)]) {
    for (i, (key, value)) in labels.iter().enumerate() {
        // Keys must be unique, so the last value wins.
        if labels[i + 1..].iter().any(|(later, _)| later == key) {
            continue;
        }
        // The specification requires a boolean for this label only.
        if *key == "otel.metric.overflow" {
            let truth = throughline::Value::Bool(*value == "true");
            attribute::attribute(out, tag, Key::Plain(key), &truth);
        } else {
            attribute::text_attribute(out, tag, key, value);
        }
    }
}

pub(super) fn fixed64(out: &mut Out, tag: u8, bits: u64) {
    out.push(tag);
    out.extend_from_slice(&bits.to_le_bytes());
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}
