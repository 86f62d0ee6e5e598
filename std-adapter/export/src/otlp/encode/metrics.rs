//! Metric points to the body of `/v1/metrics`.

use super::{
    Options,
    attribute::{self, Key},
    batch::Batch,
    out::Out,
    proto,
};
use crate::{
    Resource,
    view::{PointData, PointView, histogram_count},
};

/// Width of a metric's and its data's length: many series go into one metric.
const METRIC: usize = 4;
/// Width of a point's length.
const POINT: usize = 2;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u8 = 2;

/// Appends points to the body of one request. Consecutive points of one metric share one `Metric`, so give the series of a family
/// one after the other.
#[derive(Clone, Debug)]
pub struct MetricEncoder {
    batch: Batch,
    open: Option<Open>,
}

/// The metric to which the next point may belong.
#[derive(Clone, Debug)]
struct Open {
    name: String,
    unit: String,
    shape: Shape,
    metric_start: usize,
    data_start: usize,
}

/// Which of the `oneof data` of a `Metric`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Gauge,
    Sum { monotonic: bool },
    ExponentialHistogram,
}

impl MetricEncoder {
    /// An empty request for metrics of `resource`.
    pub fn new(resource: &Resource, options: Options) -> MetricEncoder {
        MetricEncoder { batch: Batch::new(resource, options), open: None }
    }

    /// Appends one series.
    pub fn point(&mut self, view: &PointView<'_>) {
        self.open_metric(view);
        let out = &mut self.batch.out;
        let start = proto::open::<POINT>(out, 0x0a);
        if let PointData::Histogram { scale, sum, zeros, offset, buckets } = view.data {
            times(out, view);
            labels(out, 0x0a, view.labels);
            let count = histogram_count(zeros, buckets);
            fixed64(out, 0x21, count);
            fixed64(out, 0x29, (sum as f64).to_bits());
            out.push(0x30);
            proto::varint(out, zigzag(i64::from(scale)));
            fixed64(out, 0x39, zeros);
            let positive = proto::open::<3>(out, 0x42);
            out.push(0x08);
            proto::varint(out, zigzag(i64::from(offset)));
            let counts = proto::open::<3>(out, 0x12);
            buckets.iter().for_each(|&n| proto::varint(out, n));
            proto::close::<3>(out, counts);
            proto::close::<3>(out, positive);
        } else {
            times(out, view);
            labels(out, 0x3a, view.labels);
            match view.data {
                PointData::Counter(n) => fixed64(out, 0x31, n),
                PointData::UpDown(n) | PointData::GaugeInt(n) => fixed64(out, 0x31, n as u64),
                PointData::GaugeFloat(x) => fixed64(out, 0x21, x.to_bits()),
                PointData::Histogram { .. } => {}
            }
        }
        proto::close::<POINT>(out, start);
        self.batch.count += 1;
    }

    /// Begins a metric unless the last point was of the same one.
    fn open_metric(&mut self, view: &PointView<'_>) {
        let shape = match view.data {
            PointData::Counter(_) => Shape::Sum { monotonic: true },
            PointData::UpDown(_) => Shape::Sum { monotonic: false },
            PointData::GaugeInt(_) | PointData::GaugeFloat(_) => Shape::Gauge,
            PointData::Histogram { .. } => Shape::ExponentialHistogram,
        };
        if self.open.as_ref().is_some_and(|o| o.shape == shape && o.name == view.name && o.unit == view.unit)
        {
            return;
        }
        self.close_metric();
        let out = &mut self.batch.out;
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
                out.extend_from_slice(&[0x10, CUMULATIVE, 0x18, u8::from(monotonic)]);
                start
            }
            Shape::ExponentialHistogram => {
                let start = proto::open::<METRIC>(out, 0x52);
                out.extend_from_slice(&[0x10, CUMULATIVE]);
                start
            }
        };
        self.open =
            Some(Open { name: view.name.into(), unit: view.unit.into(), shape, metric_start, data_start });
    }

    fn close_metric(&mut self) {
        if let Some(open) = self.open.take() {
            proto::close::<METRIC>(&mut self.batch.out, open.data_start);
            proto::close::<METRIC>(&mut self.batch.out, open.metric_start);
        }
    }

    /// Series appended since the last [`clear`](Self::clear).
    pub fn count(&self) -> usize {
        self.batch.count
    }

    /// Bytes they take.
    pub fn record_bytes(&self) -> usize {
        self.batch.record_bytes()
    }

    /// The body of the request. More points may be appended afterwards, and it be taken again.
    pub fn finish(&mut self) -> &[u8] {
        self.close_metric();
        self.batch.finish()
    }

    /// As [`finish`](Self::finish), but gives the bytes away; `spare` (empty, or one that was given away before) becomes the next buffer.
    pub fn take(&mut self, spare: Vec<u8>) -> Vec<u8> {
        self.close_metric();
        self.batch.take(spare)
    }

    /// Forgets the points; resource and memory stay.
    pub fn clear(&mut self) {
        self.open = None;
        self.batch.clear();
    }
}

/// `start_time_unix_nano` and `time_unix_nano`, which have the same numbers in both kinds of point.
fn times(out: &mut Out, view: &PointView<'_>) {
    fixed64(out, 0x11, view.start_unix_ns);
    fixed64(out, 0x19, view.time_unix_ns);
}

fn labels(out: &mut Out, tag: u8, labels: &[(&str, &str)]) {
    for (key, value) in labels {
        // The one label whose value the specification wants as a truth value.
        if *key == "otel.metric.overflow" {
            let truth = throughline::Value::Bool(*value == "true");
            attribute::attribute(out, tag, Key::Plain(key), &truth);
        } else {
            attribute::text_attribute(out, tag, key, value);
        }
    }
}

fn fixed64(out: &mut Out, tag: u8, bits: u64) {
    out.push(tag);
    out.extend_from_slice(&bits.to_le_bytes());
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}
