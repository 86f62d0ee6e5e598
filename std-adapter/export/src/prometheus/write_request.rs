//! Encodes the requests of remote write, compressed as a snappy block: `prometheus.WriteRequest` messages in version
//! 1, `io.prometheus.write.v2.Request` in version 2, which has each text once.
//!
//! Source: prometheus/prometheus, `prompb/remote.proto`, `prompb/types.proto` and
//! `prompb/io/prometheus/write/v2/types.proto`. Comments give the name of each field; where a field has another
//! number in each version, both.

use super::PageOptions;
use super::histogram::{Bound, Histogram, labels};
use super::name::Kind;
use super::page::{Encoder, Family, Value};
use super::protobuf::{ZERO_THRESHOLD, bytes, float, native_buckets, number, pair, put_varint, zigzag};
use super::text::{Bounds, float_text};
use crate::view::ExemplarView;
use std::collections::HashMap;

/// A request ends when its series have this many bytes before compression.
const ENOUGH_BYTES: usize = 1 << 20;
/// The number that means that a series has ended.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// The name of the label that holds a metric's name.
const NAME: &str = "__name__";

/// The version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteWriteVersion {
    /// `prometheus.WriteRequest`, which all receivers take.
    #[default]
    V1,
    /// `io.prometheus.write.v2.Request`: smaller, with the start time of counters, and with kind, help and unit beside
    /// each series. Prometheus takes it from version 3.0 on.
    V2,
}

impl RemoteWriteVersion {
    /// The value of the header that names the version, and the type of the body.
    pub(super) const fn headers(self) -> (&'static str, &'static str) {
        match self {
            RemoteWriteVersion::V1 => ("0.1.0", "application/x-protobuf"),
            RemoteWriteVersion::V2 => {
                ("2.0.0", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
            }
        }
    }
}

/// A request, and how many samples are in it.
#[derive(Debug, Default)]
pub(super) struct Body {
    symbols: Symbols,
    bytes: Vec<u8>,
    pub(super) samples: u64,
}

/// The texts of a request of version 2, each once.
#[derive(Debug, Default)]
struct Symbols {
    places: HashMap<Vec<u8>, u64>,
    /// The texts as fields of the request.
    bytes: Vec<u8>,
}

impl Symbols {
    /// The place of a text, where it is put if it is not there yet. That of the empty text is 0.
    fn place(&mut self, text: &[u8]) -> u64 {
        if self.places.is_empty() {
            self.put(b"");
        }
        self.places.get(text).copied().unwrap_or_else(|| self.put(text))
    }

    fn put(&mut self, text: &[u8]) -> u64 {
        let place = self.places.len() as u64;
        self.places.insert(text.to_vec(), place);
        bytes(&mut self.bytes, 4, text); // symbols
        place
    }
}

impl Body {
    pub(super) fn compressed(&self) -> Vec<u8> {
        let all = [&self.symbols.bytes[..], &self.bytes].concat();
        // Only a body of 4 GiB cannot be compressed; bodies have a few MiB.
        snap::raw::Encoder::new().compress_vec(&all).unwrap_or_default()
    }
}

/// The time of all samples, and whether they mark the end of their series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Milliseconds since 1970.
    pub(super) ms: i64,
    pub(super) is_stale: bool,
    /// The time of the newest exemplar that was sent before, in nanoseconds since 1970. In version 2, receivers
    /// refuse a request with an exemplar that is older than the last one of its series.
    pub(super) newest_exemplar_ns: u64,
}

/// Writes requests.
pub(super) struct WriteRequests<'o> {
    out: &'o mut Vec<Body>,
    version: RemoteWriteVersion,
    moment: Moment,
    native: bool,
    classic_scale: u8,
    bounds: &'o mut Bounds,
    /// When the series that is being written began to count, in milliseconds since 1970; 0 if it does not count.
    start_ms: u64,
    /// The time of the newest exemplar that was written.
    newest_exemplar_ns: u64,
    series: Vec<u8>,
    part: Vec<u8>,
}

impl<'o> WriteRequests<'o> {
    pub(super) fn new(
        out: &'o mut Vec<Body>,
        version: RemoteWriteVersion,
        moment: Moment,
        native: bool,
        options: &PageOptions,
        bounds: &'o mut Bounds,
    ) -> WriteRequests<'o> {
        let classic_scale = options.classic_scale;
        let (series, part) = Default::default();
        let newest_exemplar_ns = moment.newest_exemplar_ns;
        WriteRequests {
            out,
            version,
            moment,
            native,
            classic_scale,
            bounds,
            start_ms: 0,
            newest_exemplar_ns,
            series,
            part,
        }
    }

    /// The time of the newest exemplar that has been sent by now.
    pub(super) fn newest_exemplar_ns(&self) -> u64 {
        self.newest_exemplar_ns
    }

    fn is_v2(&self) -> bool {
        self.version == RemoteWriteVersion::V2
    }

    /// The request that is being written. It is the same from the beginning of a series to its end.
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
        if self.is_v2() {
            let labels = std::mem::take(&mut self.series);
            let places = self.places(
                std::iter::successors(first_label(&labels), |label| first_label(label.after))
                    .flat_map(|label| [label.name, label.value]),
            );
            bytes(&mut self.series, 1, &places); // labels_refs
        }
    }

    /// The places of these texts among the symbols, as a list of numbers.
    fn places<'t>(&mut self, texts: impl Iterator<Item = &'t [u8]>) -> Vec<u8> {
        let symbols = &mut self.body().symbols;
        let mut places = Vec::new();
        texts.for_each(|text| put_varint(&mut places, symbols.place(text)));
        places
    }

    fn end_series(&mut self, family: &Family) {
        let mut series = std::mem::take(&mut self.series);
        if self.is_v2() {
            let symbols = &mut self.body().symbols;
            let (help, unit) = (symbols.place(family.help.as_bytes()), symbols.place(family.unit.as_bytes()));
            let mut metadata = Vec::new();
            number(&mut metadata, 1, kind_number(family.kind)); // type
            number(&mut metadata, 3, help); // help_ref
            number(&mut metadata, 4, unit); // unit_ref
            bytes(&mut series, 5, &metadata); // metadata
        }
        let field = if self.is_v2() { 5 } else { 1 };
        let body = self.body();
        bytes(&mut body.bytes, field, &series); // timeseries
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
        if self.is_v2() && self.start_ms > 0 {
            number(&mut self.part, 3, self.start_ms); // start_timestamp
        }
        bytes(&mut self.series, 2, &self.part); // samples
        if let Some(exemplar) = exemplar {
            self.exemplar(exemplar);
        }
        self.end_series(family);
    }

    fn exemplar(&mut self, shown: &ExemplarView) {
        // Version 1 sends it again, because older receivers forget the first one of a new series.
        let is_known = self.is_v2() && shown.time_unix_ns <= self.moment.newest_exemplar_ns;
        if self.moment.is_stale || is_known {
            return;
        }
        self.newest_exemplar_ns = self.newest_exemplar_ns.max(shown.time_unix_ns);
        let mut exemplar = Vec::new();
        // Labels are sorted by name.
        let mut labels = labels(shown);
        labels.sort_unstable();
        if self.is_v2() {
            let texts = labels.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
            bytes(&mut exemplar, 1, &self.places(texts)); // labels_refs
        } else {
            for (name, value) in &labels {
                pair(&mut self.part, name, value);
                bytes(&mut exemplar, 1, &self.part); // labels
            }
        }
        float(&mut exemplar, 2, shown.value); // value
        number(&mut exemplar, 3, shown.time_unix_ns / 1_000_000); // timestamp
        let field = if self.is_v2() { 4 } else { 3 };
        bytes(&mut self.series, field, &exemplar); // exemplars
    }

    fn native(&mut self, family: &Family, labels: &[u8], histogram: &Histogram<'_>) {
        self.begin_series(family, "", labels, None);
        let Moment { ms, is_stale, .. } = self.moment;
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
        if self.is_v2() && self.start_ms > 0 {
            number(&mut value, 17, self.start_ms); // start_timestamp
        }
        let mut exemplars: Vec<&ExemplarView> = histogram.exemplars.iter().collect();
        exemplars.sort_by_key(|exemplar| exemplar.time_unix_ns);
        exemplars.into_iter().for_each(|exemplar| self.exemplar(exemplar));
        let field = if self.is_v2() { 3 } else { 4 };
        bytes(&mut self.series, field, &value); // histograms
        self.end_series(family);
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
        if self.is_v2() {
            return;
        }
        let mut metadata = Vec::new();
        number(&mut metadata, 1, kind_number(family.kind)); // type
        bytes(&mut metadata, 2, format!("{}{}", family.name, suffix(family.kind)).as_bytes()); // metric_family_name
        bytes(&mut metadata, 4, family.help.as_bytes()); // help
        bytes(&mut metadata, 5, family.unit.as_bytes()); // unit
        bytes(&mut self.body().bytes, 3, &metadata); // metadata
    }

    fn series(&mut self, family: &Family, labels: &[u8], created_unix_ns: u64, value: &Value<'_>) {
        self.start_ms = match family.kind {
            Kind::Counter | Kind::Histogram | Kind::Summary => created_unix_ns / 1_000_000,
            Kind::Gauge | Kind::Info => 0,
        };
        match value {
            Value::Histogram(histogram) if self.native => self.native(family, labels, histogram),
            Value::Histogram(histogram) => self.classic(family, labels, histogram),
            Value::Summary { count, sum, quantiles } => {
                let start_ms = std::mem::take(&mut self.start_ms);
                for (quantile, value) in *quantiles {
                    let text = float_text(*quantile);
                    self.sample(family, "", labels, Some(("quantile", &text)), *value, None);
                }
                self.start_ms = start_ms;
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
    while let Some(label) = first_label(rest) {
        while let Some((key, value)) = others.next_if(|(key, _)| key.as_bytes() < label.name) {
            pair(part, key, value);
            bytes(out, 1, part); // labels
        }
        out.extend_from_slice(label.whole);
        rest = label.after;
    }
    for (key, value) in others {
        pair(part, key, value);
        bytes(out, 1, part); // labels
    }
}

/// A `Label` field among others.
struct LabelField<'a> {
    /// With its tag and length.
    whole: &'a [u8],
    name: &'a [u8],
    value: &'a [u8],
    /// What comes after it.
    after: &'a [u8],
}

fn first_label(bytes: &[u8]) -> Option<LabelField<'_>> {
    let (label, after) = first_field(bytes)?;
    let (name, rest) = first_field(label)?;
    let (value, _) = first_field(rest)?;
    Some(LabelField { whole: bytes.get(..bytes.len() - after.len())?, name, value, after })
}

/// The content of a field with a length, and what comes after it.
fn first_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = varint(bytes.get(1..)?)?;
    rest.split_at_checked(length)
}

/// A varint, and what comes after it.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let last = bytes.iter().take(9).position(|byte| *byte < 0x80)?;
    let (varint, rest) = bytes.split_at(last + 1);
    Some((varint.iter().rev().fold(0, |n, byte| n << 7 | usize::from(byte & 0x7f)), rest))
}
