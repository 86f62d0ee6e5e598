//! Encodes the requests of remote write: `prometheus.WriteRequest` messages, compressed as a snappy block.
//!
//! Source: prometheus/prometheus, `prompb/remote.proto` and `prompb/types.proto`. Comments give the name of each
//! field.

use super::PageOptions;
use super::histogram::{Bound, Histogram};
use super::name::Kind;
use super::page::{Encoder, Family, Value};
use super::protobuf::{ZERO_THRESHOLD, bytes, float, native_buckets, number, pair, zigzag};
use super::text::{Bounds, float_text};
use crate::view::ExemplarView;

/// A request ends when it has this many bytes before compression.
const ENOUGH_BYTES: usize = 1 << 20;
/// The number that means that a series has ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// The name of the label that holds a metric's name.
const NAME: &str = "__name__";

/// A request, and how many samples are in it.
#[derive(Debug, Default)]
pub(super) struct Body {
    bytes: Vec<u8>,
    pub(super) samples: u64,
}

impl Body {
    pub(super) fn compressed(&self) -> Vec<u8> {
        // Only a body of 4 GiB cannot be compressed; bodies have one MiB and a series.
        snap::raw::Encoder::new().compress_vec(&self.bytes).unwrap_or_default()
    }
}

/// The time of all samples, and whether they mark the end of their series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Milliseconds since 1970.
    pub(super) ms: i64,
    pub(super) is_stale: bool,
}

/// Writes requests.
pub(super) struct WriteRequests<'o> {
    out: &'o mut Vec<Body>,
    moment: Moment,
    native: bool,
    classic_scale: u8,
    bounds: &'o mut Bounds,
    series: Vec<u8>,
    part: Vec<u8>,
}

impl<'o> WriteRequests<'o> {
    pub(super) fn new(
        out: &'o mut Vec<Body>,
        moment: Moment,
        native: bool,
        options: &PageOptions,
        bounds: &'o mut Bounds,
    ) -> WriteRequests<'o> {
        let classic_scale = options.classic_scale;
        WriteRequests { out, moment, native, classic_scale, bounds, series: Vec::new(), part: Vec::new() }
    }

    /// The request that is being written.
    fn body(&mut self) -> &mut Body {
        if self.out.last().is_none_or(|body| body.bytes.len() >= ENOUGH_BYTES) {
            self.out.push(Body::default());
        }
        let last = self.out.len() - 1;
        &mut self.out[last]
    }

    /// Begins a series with these labels, its name and at most one more label.
    fn begin_series(&mut self, family: &Family, suffix: &str, labels: &[u8], more: Option<(&str, &str)>) {
        let name = format!("{}{suffix}", family.name);
        let own = [(NAME, &*name)].into_iter().chain(more);
        self.series.clear();
        put_sorted(&mut self.series, labels, own, &mut self.part);
    }

    fn end_series(&mut self) {
        let series = std::mem::take(&mut self.series);
        let body = self.body();
        bytes(&mut body.bytes, 1, &series); // timeseries
        body.samples += 1;
        self.series = series;
    }

    /// Writes a series with one sample.
    fn sample(
        &mut self,
        family: &Family,
        suffix: &str,
        labels: &[u8],
        more: Option<(&str, &str)>,
        value: f64,
        exemplar: Option<&ExemplarView>,
    ) {
        self.begin_series(family, suffix, labels, more);
        self.part.clear();
        float(&mut self.part, 1, if self.moment.is_stale { STALE } else { value }); // value
        number(&mut self.part, 2, self.moment.ms as u64); // timestamp
        bytes(&mut self.series, 2, &self.part); // samples
        if let Some(exemplar) = exemplar {
            self.exemplar(exemplar);
        }
        self.end_series();
    }

    fn exemplar(&mut self, shown: &ExemplarView) {
        if self.moment.is_stale {
            return;
        }
        let mut exemplar = Vec::new();
        // Labels are sorted by name.
        for (name, id) in [("span_id", shown.span_id.to_string()), ("trace_id", shown.trace_id.to_string())] {
            pair(&mut self.part, name, &id);
            bytes(&mut exemplar, 1, &self.part); // labels
        }
        float(&mut exemplar, 2, shown.value); // value
        number(&mut exemplar, 3, shown.time_unix_ns / 1_000_000); // timestamp
        bytes(&mut self.series, 3, &exemplar); // exemplars
    }

    fn native(&mut self, family: &Family, labels: &[u8], histogram: &Histogram<'_>) {
        self.begin_series(family, "", labels, None);
        let Moment { ms, is_stale } = self.moment;
        let mut value = Vec::new();
        if is_stale {
            float(&mut value, 3, STALE); // sum
        } else {
            number(&mut value, 1, histogram.count()); // count_int
            float(&mut value, 3, histogram.sum); // sum
            number(&mut value, 4, zigzag(histogram.scale.into())); // schema
            float(&mut value, 5, ZERO_THRESHOLD); // zero_threshold
            number(&mut value, 6, histogram.zeros); // zero_count_int
            native_buckets(&mut value, &mut self.part, histogram, (11, 12)); // positive_spans, positive_deltas
        }
        number(&mut value, 15, ms as u64); // timestamp
        for exemplar in &*histogram.exemplars {
            self.exemplar(exemplar);
        }
        bytes(&mut self.series, 4, &value); // histograms
        self.end_series();
    }

    fn classic(&mut self, family: &Family, labels: &[u8], histogram: &Histogram<'_>) {
        let mut below = f64::NEG_INFINITY;
        histogram.classic(self.classic_scale, |bound: Bound, n| {
            let (upper, le) = (bound.upper(), self.bounds.text(bound).to_owned());
            let exemplar = histogram.exemplar(below, upper);
            self.sample(family, "_bucket", labels, Some(("le", &le)), n as f64, exemplar);
            below = upper;
        });
        self.count_and_sum(family, labels, histogram.count(), histogram.sum);
    }

    fn count_and_sum(&mut self, family: &Family, labels: &[u8], count: u64, sum: f64) {
        self.sample(family, "_sum", labels, None, sum, None);
        self.sample(family, "_count", labels, None, count as f64, None);
    }
}

impl Encoder for WriteRequests<'_> {
    fn begin(&mut self, family: &Family) {
        let mut metadata = Vec::new();
        number(&mut metadata, 1, kind_number(family.kind)); // type
        bytes(&mut metadata, 2, format!("{}{}", family.name, suffix(family.kind)).as_bytes()); // metric_family_name
        bytes(&mut metadata, 4, family.help.as_bytes()); // help
        bytes(&mut metadata, 5, family.unit.as_bytes()); // unit
        bytes(&mut self.body().bytes, 3, &metadata); // metadata
    }

    fn series(&mut self, family: &Family, labels: &[u8], _created_unix_ns: u64, value: &Value<'_>) {
        match value {
            Value::Histogram(histogram) if self.native => self.native(family, labels, histogram),
            Value::Histogram(histogram) => self.classic(family, labels, histogram),
            Value::Summary { count, sum, quantiles } => {
                for (quantile, value) in *quantiles {
                    let text = float_text(*quantile);
                    self.sample(family, "", labels, Some(("quantile", &text)), *value, None);
                }
                self.count_and_sum(family, labels, *count, *sum);
            }
            plain => self.sample(family, suffix(family.kind), labels, None, plain.number(), None),
        }
    }

    fn end(&mut self) {}

    fn finish(&mut self) {}
}

/// Prometheus's number of a kind, as in `MetricMetadata`.
const fn kind_number(kind: Kind) -> u64 {
    match kind {
        Kind::Counter => 1,
        Kind::Gauge => 2,
        Kind::Histogram => 3,
        Kind::Summary => 5,
        Kind::Info => 6,
    }
}

/// What the name of the only sample of a series ends with.
const fn suffix(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        _ => "",
    }
}

/// Writes labels with others among them, sorted by name. `labels` are sorted `Label` fields as
/// [`put_labels`](super::protobuf::put_labels) wrote them.
fn put_sorted<'a>(
    out: &mut Vec<u8>,
    labels: &[u8],
    others: impl Iterator<Item = (&'a str, &'a str)>,
    part: &mut Vec<u8>,
) {
    let mut others = others.peekable();
    let mut rest = labels;
    while let Some((label, name, after)) = first_label(rest) {
        while let Some((key, value)) = others.next_if(|(key, _)| key.as_bytes() < name) {
            pair(part, key, value);
            bytes(out, 1, part); // labels
        }
        out.extend_from_slice(label);
        rest = after;
    }
    for (key, value) in others {
        pair(part, key, value);
        bytes(out, 1, part); // labels
    }
}

/// The first label with its tag and length, its name, and what comes after it.
fn first_label(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, label) = varint(bytes.get(1..)?)?;
    let (label, after) = label.split_at_checked(length)?;
    let (length, name) = varint(label.get(1..)?)?;
    Some((bytes.get(..bytes.len() - after.len())?, name.get(..length)?, after))
}

/// A varint, and what comes after it.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().take(9).position(|byte| *byte < 0x80)?;
    let (varint, rest) = bytes.split_at(last + 1);
    Some((varint.iter().rev().fold(0, |n, byte| n << 7 | usize::from(byte & 0x7f)), rest))
}
