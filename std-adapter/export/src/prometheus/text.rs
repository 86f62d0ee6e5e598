//! Writes the text formats: Prometheus's 0.0.4 and OpenMetrics 1.0.0.
//!
//! Source: Prometheus, *Exposition formats* and *UTF-8 in Prometheus* (quoted names); OpenMetrics 1.0, the ABNF
//! and "Text Format".

use super::PageOptions;
use super::histogram::{Bound, Histogram, labels};
use super::layout::Label;
use super::name::{self, Kind};
use super::page::{Encoder, Family, Value};
use crate::view::ExemplarView;
use std::io::Write;

/// Writes one of the two formats, which differ little.
pub(super) struct Text<'o> {
    out: &'o mut Vec<u8>,
    bounds: &'o mut Bounds,
    open_metrics: bool,
    created: bool,
    classic_scale: u8,
}

/// The labels `le` of classic buckets, because writing a float takes longer than all else in a line.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// The text of each bound, by [`Bound::number`]; "" if it has not been needed.
    texts: Vec<Box<str>>,
    scale: u8,
}

impl Bounds {
    pub(super) fn text(&mut self, bound: Bound) -> &str {
        if self.scale != bound.scale {
            self.texts.clear();
            self.scale = bound.scale;
        }
        let number = bound.number();
        if self.texts.len() <= number {
            self.texts.resize(number + 1, Box::default());
        }
        let text = &mut self.texts[number];
        if text.is_empty() {
            *text = float_text(bound.upper()).into();
        }
        text
    }
}

impl<'o> Text<'o> {
    pub(super) fn new(
        out: &'o mut Vec<u8>,
        open_metrics: bool,
        options: &PageOptions,
        bounds: &'o mut Bounds,
    ) -> Text<'o> {
        let created = options.created && open_metrics;
        Text { out, bounds, open_metrics, created, classic_scale: options.classic_scale }
    }
}

impl Encoder for Text<'_> {
    fn begin(&mut self, family: &Family) {
        let (kind, suffix) = match (family.kind, self.open_metrics) {
            (Kind::Counter, true) => ("counter", ""),
            (Kind::Counter, false) => ("counter", "_total"),
            (Kind::Gauge, _) => ("gauge", ""),
            (Kind::Histogram, _) => ("histogram", ""),
            (Kind::Summary, _) => ("summary", ""),
            (Kind::Info, true) => ("info", ""),
            (Kind::Info, false) => ("gauge", "_info"),
        };
        // Writing to a Vec cannot fail.
        self.out.extend_from_slice(b"# HELP ");
        self.name(family, suffix);
        self.out.push(b' ');
        escape(self.out, &family.help, self.open_metrics);
        self.out.extend_from_slice(b"\n# TYPE ");
        self.name(family, suffix);
        let _ = writeln!(self.out, " {kind}");
        if self.open_metrics && family.is_named_for_its_unit() {
            self.out.extend_from_slice(b"# UNIT ");
            self.name(family, "");
            let _ = writeln!(self.out, " {}", family.unit);
        }
    }

    fn series(&mut self, family: &Family, labels: &[u8], created_unix_ns: u64, value: &Value<'_>) {
        match value {
            Value::Histogram(histogram) => self.histogram(family, labels, histogram),
            Value::Summary { count, sum, quantiles } => {
                for (quantile, value) in *quantiles {
                    self.sample_of(family, "", labels, b"quantile", |text| put_float(text.out, *quantile));
                    put_float(self.out, *value);
                    self.out.push(b'\n');
                }
                self.count_and_sum(family, labels, *count, *sum);
            }
            plain => {
                let suffix = match family.kind {
                    Kind::Counter => "_total",
                    Kind::Info => "_info",
                    _ => "",
                };
                self.sample(family, suffix, labels);
                match plain {
                    Value::Unsigned(n) => self.integer(*n),
                    Value::Signed(n) => {
                        self.out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes());
                    }
                    Value::Float(x) => put_float(self.out, *x),
                    Value::Histogram(_) | Value::Summary { .. } => {}
                }
                self.out.push(b'\n');
            }
        }
        let counts = matches!(family.kind, Kind::Counter | Kind::Histogram | Kind::Summary);
        if self.created && counts && created_unix_ns > 0 {
            self.sample(family, "_created", labels);
            self.time(created_unix_ns);
            self.out.push(b'\n');
        }
    }

    fn end(&mut self) {}

    fn finish(&mut self) {
        if self.open_metrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
    }
}

impl Text<'_> {
    fn histogram(&mut self, family: &Family, labels: &[u8], histogram: &Histogram<'_>) {
        let mut below = f64::NEG_INFINITY;
        let mut bucket = |text: &mut Self, bound: Bound, n: u64| {
            text.sample_of(family, "_bucket", labels, b"le", |text| {
                text.out.extend_from_slice(text.bounds.text(bound).as_bytes());
            });
            text.integer(n);
            if text.open_metrics && !histogram.exemplars.is_empty() {
                let upper = bound.upper();
                if let Some(exemplar) = histogram.exemplar(below, upper) {
                    text.exemplar(exemplar);
                }
                below = upper;
            }
            text.out.push(b'\n');
        };
        histogram.classic(self.classic_scale, |bound, n| bucket(self, bound, n));
        self.count_and_sum(family, labels, histogram.count(), histogram.sum);
    }

    fn count_and_sum(&mut self, family: &Family, labels: &[u8], count: u64, sum: f64) {
        self.sample(family, "_sum", labels);
        put_float(self.out, sum);
        self.out.push(b'\n');
        self.sample(family, "_count", labels);
        self.integer(count);
        self.out.push(b'\n');
    }

    /// Writes the start of a line, with the series' labels.
    fn sample(&mut self, family: &Family, suffix: &str, labels: &[u8]) {
        if self.name_and_labels(family, suffix, labels) {
            self.out.push(b'}');
        }
        self.out.push(b' ');
    }

    /// Writes the start of a line, with the series' labels and one more, whose value `put` writes.
    fn sample_of(
        &mut self,
        family: &Family,
        suffix: &str,
        labels: &[u8],
        key: &[u8],
        put: impl FnOnce(&mut Self),
    ) {
        let begun = self.name_and_labels(family, suffix, labels);
        self.out.push(if begun { b',' } else { b'{' });
        self.out.extend_from_slice(key);
        self.out.extend_from_slice(b"=\"");
        put(self);
        self.out.extend_from_slice(b"\"} ");
    }

    /// Writes the name and, if there is anything to put between braces, the first brace and that. A quoted name is
    /// between the braces.
    fn name_and_labels(&mut self, family: &Family, suffix: &str, labels: &[u8]) -> bool {
        if family.is_quoted {
            self.out.push(b'{');
        }
        self.name(family, suffix);
        if !labels.is_empty() {
            self.out.push(if family.is_quoted { b',' } else { b'{' });
            self.out.extend_from_slice(labels);
        }
        family.is_quoted || !labels.is_empty()
    }

    /// Writes a name, in quotes if it needs them.
    fn name(&mut self, family: &Family, suffix: &str) {
        if family.is_quoted {
            self.out.push(b'"');
            escape(self.out, &family.name, true);
            self.out.extend_from_slice(suffix.as_bytes());
            self.out.push(b'"');
        } else {
            self.out.extend_from_slice(family.name.as_bytes());
            self.out.extend_from_slice(suffix.as_bytes());
        }
    }

    fn exemplar(&mut self, exemplar: &ExemplarView) {
        for (i, (name, value)) in labels(exemplar).iter().enumerate() {
            let before = if i == 0 { " # {" } else { "," };
            let _ = write!(self.out, "{before}{name}=\"");
            escape(self.out, value, true);
            self.out.push(b'"');
        }
        self.out.extend_from_slice(b"} ");
        put_float(self.out, exemplar.value);
        self.out.push(b' ');
        self.time(exemplar.time_unix_ns);
    }

    fn integer(&mut self, n: u64) {
        self.out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }

    /// Writes a time in seconds since 1970.
    fn time(&mut self, unix_ns: u64) {
        let _ = write!(self.out, "{}.{:09}", unix_ns / 1_000_000_000, unix_ns % 1_000_000_000);
    }
}

/// A number in the canonical form of OpenMetrics.
pub(super) fn float_text(x: f64) -> String {
    let mut text = Vec::new();
    put_float(&mut text, x);
    String::from_utf8(text).unwrap_or_default()
}

/// Writes a number in the canonical form of OpenMetrics, such as `1.0` for one.
fn put_float(out: &mut Vec<u8>, x: f64) {
    if x.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if x.is_infinite() {
        out.extend_from_slice(if x > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        let _ = write!(out, "{x:?}");
    }
}

/// Writes the labels of a series as they are between braces.
pub(super) fn put_labels(out: &mut Vec<u8>, labels: &[Label<'_>]) {
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if name::is_label(name) {
            out.extend_from_slice(name.as_bytes());
        } else {
            out.push(b'"');
            escape(out, name, true);
            out.push(b'"');
        }
        out.extend_from_slice(b"=\"");
        escape(out, value, true);
        out.push(b'"');
    }
}

/// Appends a text with backslashes and line feeds escaped, and quotes if `quotes` is set.
fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let special = |b: &u8| matches!(b, b'\\' | b'\n' | b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ if quotes => out.extend_from_slice(b"\\\""),
            _ => out.push(b'"'),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
