//! Writes the protobuf format: a sequence of `MetricFamily` messages, each after its length, with exponential
//! histograms as native histograms.
//!
//! Source: prometheus/client_model, `io/prometheus/client/metrics.proto`. Comments give the name of each
//! field.

use super::PageOptions;
use super::histogram::{Bound, Histogram, labels};
use super::layout::Label;
use super::name::Kind;
use super::page::{Encoder, Family, Value};
use crate::view::ExemplarView;

/// Values up to this one count as zero. Prometheus's own libraries use the same threshold, so their
/// histograms and these can be added. In these, only zero itself is counted below it.
pub(super) const ZERO_THRESHOLD: f64 = f64::from_bits((1023 - 128) << 52);
/// Up to this many empty buckets between two others are cheaper to write than another span.
const SMALL_GAP: i64 = 2;

/// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// Writes the format. The length of a message comes before it, so inner messages are written first, each into
/// a buffer that is reused.
pub(super) struct Protobuf<'o> {
    out: &'o mut Vec<u8>,
    classic_scale: u8,
    family: Vec<u8>,
    metric: Vec<u8>,
    value: Vec<u8>,
    part: Vec<u8>,
}

impl<'o> Protobuf<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>, options: &PageOptions) -> Protobuf<'o> {
        let (family, metric, value, part) = Default::default();
        Protobuf { out, classic_scale: options.classic_scale, family, metric, value, part }
    }
}

impl Encoder for Protobuf<'_> {
    fn begin(&mut self, family: &Family) {
        let (kind, suffix) = match family.kind {
            Kind::Counter => (0, "_total"),
            Kind::Gauge => (1, ""),
            Kind::Info => (1, "_info"),
            Kind::Summary => (2, ""),
            Kind::Histogram => (4, ""),
        };
        self.family.clear();
        bytes(&mut self.family, 1, format!("{}{suffix}", family.name).as_bytes()); // name
        bytes(&mut self.family, 2, family.help.as_bytes()); // help
        number(&mut self.family, 3, kind); // type
        if family.is_named_for_its_unit() {
            bytes(&mut self.family, 5, family.unit.as_bytes()); // unit
        }
    }

    fn series(&mut self, family: &Family, labels: &[u8], created: u64, value: &Value<'_>) {
        self.value.clear();
        let field = match value {
            Value::Histogram(histogram) => {
                self.histogram(histogram);
                self.created(15, created); // created_timestamp
                7 // histogram
            }
            Value::Summary { count, sum, quantiles } => {
                number(&mut self.value, 1, *count); // sample_count
                float(&mut self.value, 2, *sum); // sample_sum
                for (quantile, value) in *quantiles {
                    self.part.clear();
                    float(&mut self.part, 1, *quantile); // quantile
                    float(&mut self.part, 2, *value); // value
                    bytes(&mut self.value, 3, &self.part); // quantile
                }
                self.created(4, created); // created_timestamp
                4 // summary
            }
            plain => {
                float(&mut self.value, 1, plain.number()); // value
                if family.kind == Kind::Counter {
                    self.created(3, created); // created_timestamp
                    3 // counter
                } else {
                    2 // gauge
                }
            }
        };
        self.metric.clear();
        self.metric.extend_from_slice(labels);
        bytes(&mut self.metric, field, &self.value);
        bytes(&mut self.family, 4, &self.metric); // metric
    }

    fn end(&mut self) {
        put_varint(self.out, self.family.len() as u64);
        self.out.extend_from_slice(&self.family);
    }

    fn finish(&mut self) {}
}

impl Protobuf<'_> {
    fn created(&mut self, field: u32, unix_ns: u64) {
        if unix_ns > 0 {
            timestamp(&mut self.part, unix_ns);
            bytes(&mut self.value, field, &self.part);
        }
    }

    fn histogram(&mut self, histogram: &Histogram<'_>) {
        let count = histogram.count();
        number(&mut self.value, 1, count); // sample_count
        float(&mut self.value, 2, histogram.sum); // sample_sum
        let mut below = f64::NEG_INFINITY;
        let (value, part) = (&mut self.value, &mut self.part);
        let bucket = |bound: Bound, n| {
            let bound = bound.upper();
            part.clear();
            number(part, 1, n); // cumulative_count
            float(part, 2, bound); // upper_bound
            if let Some(shown) = histogram.exemplar(below, bound) {
                bytes(part, 3, &exemplar(shown)); // exemplar
            }
            bytes(value, 3, part); // bucket
            below = bound;
        };
        // Write classic buckets too, for scrapers that take this format but do not keep native histograms.
        histogram.classic(self.classic_scale, bucket);
        number(&mut self.value, 5, zigzag(histogram.scale.into())); // schema
        float(&mut self.value, 6, ZERO_THRESHOLD); // zero_threshold
        number(&mut self.value, 7, histogram.zeros); // zero_count
        native_buckets(&mut self.value, &mut self.part, histogram, (12, 13)); // positive_span, positive_delta
        for shown in &*histogram.exemplars {
            bytes(&mut self.value, 16, &exemplar(shown)); // exemplars
        }
    }
}

/// Writes spans of consecutive buckets, and the difference of each bucket's count from the one before, into the
/// fields with these numbers. A bucket's index is that of its upper bound, which is OTLP's index plus one.
pub(super) fn native_buckets(
    value: &mut Vec<u8>,
    part: &mut Vec<u8>,
    histogram: &Histogram<'_>,
    (spans, counts): (u32, u32),
) {
    let (mut next, mut length, mut offset) = (0, 0, 0);
    let mut deltas = Vec::new();
    let mut before = 0_i64;
    let mut span = |offset: i64, length: u64| {
        if length > 0 {
            part.clear();
            number(part, 1, zigzag(offset)); // offset
            number(part, 2, length); // length
            bytes(value, spans, part);
        }
    };
    for (i, n) in histogram.buckets.iter().enumerate().filter(|(_, n)| **n > 0) {
        let index = histogram.offset + i as i64 + 1;
        if length > 0 && index - next <= SMALL_GAP {
            for _ in next..index {
                put_varint(&mut deltas, zigzag(-before));
                before = 0;
            }
            length += (index - next) as u64;
        } else {
            span(offset, length);
            (offset, length) = (index - next, 0);
        }
        let n = i64::try_from(*n).unwrap_or(i64::MAX);
        put_varint(&mut deltas, zigzag(n - before));
        (before, next, length) = (n, index + 1, length + 1);
    }
    span(offset, length);
    if !deltas.is_empty() {
        bytes(value, counts, &deltas);
    }
}

fn exemplar(shown: &ExemplarView) -> Vec<u8> {
    let (mut out, mut part) = (Vec::new(), Vec::new());
    for (name, value) in labels(shown) {
        pair(&mut part, &name, &value);
        bytes(&mut out, 1, &part); // label
    }
    float(&mut out, 2, shown.value); // value
    timestamp(&mut part, shown.time_unix_ns);
    bytes(&mut out, 3, &part); // timestamp
    out
}

/// Writes the labels of a series, each as a field of its `Metric`.
pub(super) fn put_labels(out: &mut Vec<u8>, labels: &[Label<'_>]) {
    let mut part = Vec::new();
    for (name, value) in labels {
        pair(&mut part, name, value);
        bytes(out, 1, &part); // label
    }
}

pub(super) fn pair(out: &mut Vec<u8>, name: &str, value: &str) {
    out.clear();
    bytes(out, 1, name.as_bytes()); // name
    bytes(out, 2, value.as_bytes()); // value
}

fn timestamp(out: &mut Vec<u8>, unix_ns: u64) {
    out.clear();
    number(out, 1, unix_ns / 1_000_000_000); // seconds
    number(out, 2, unix_ns % 1_000_000_000); // nanos
}

pub(super) fn number(out: &mut Vec<u8>, field: u32, n: u64) {
    tag(out, field, VARINT);
    put_varint(out, n);
}

pub(super) fn float(out: &mut Vec<u8>, field: u32, x: f64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&x.to_le_bytes());
}

pub(super) fn bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    tag(out, field, BYTES);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    put_varint(out, u64::from(field << 3 | wire_type));
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Encodes a signed number as protobuf's `sint` types do.
pub(super) const fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}
