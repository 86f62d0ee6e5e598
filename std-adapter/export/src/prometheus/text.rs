//! Writes the text formats: Prometheus's 0.0.4 and OpenMetrics 1.0.0.
//!
//! Source: Prometheus, *Exposition formats*; OpenMetrics 1.0, the ABNF and "Text Format".

use super::PageOptions;
use super::histogram::Histogram;
use super::name::Kind;
use super::page::{Encoder, Family, Label, Series, Value};
use crate::view::ExemplarView;
use std::io::Write;

/// Writes one of the two formats, which differ little.
pub(super) struct Text<'o> {
    out: &'o mut Vec<u8>,
    open_metrics: bool,
    created: bool,
    classic_scale: u8,
    /// The labels of the series being written, as text between braces.
    labels: Vec<u8>,
}

impl<'o> Text<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>, open_metrics: bool, options: &PageOptions) -> Text<'o> {
        let created = options.created && open_metrics;
        Text { out, open_metrics, created, classic_scale: options.classic_scale, labels: Vec::new() }
    }
}

impl Encoder for Text<'_> {
    fn family(&mut self, family: &Family<'_>, series: &[Series<'_>]) {
        let (kind, suffix) = match (family.kind, self.open_metrics) {
            (Kind::Counter, true) => ("counter", ""),
            (Kind::Counter, false) => ("counter", "_total"),
            (Kind::Gauge, _) => ("gauge", ""),
            (Kind::Histogram, _) => ("histogram", ""),
            (Kind::Summary, _) => ("summary", ""),
            (Kind::Info, true) => ("info", ""),
            (Kind::Info, false) => ("gauge", "_info"),
        };
        let name = &*family.name;
        // Writing to a Vec cannot fail.
        let _ = write!(self.out, "# HELP {name}{suffix} ");
        escape(self.out, &family.help, self.open_metrics);
        let _ = write!(self.out, "\n# TYPE {name}{suffix} {kind}\n");
        if self.open_metrics && family.is_named_for_its_unit() {
            let _ = writeln!(self.out, "# UNIT {name} {}", family.unit);
        }
        for series in series {
            self.series(name, family.kind, series);
        }
    }

    fn finish(&mut self) {
        if self.open_metrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
    }
}

impl Text<'_> {
    fn series(&mut self, name: &str, kind: Kind, series: &Series<'_>) {
        self.labels.clear();
        write_labels(&mut self.labels, &series.labels);
        match &series.value {
            Value::Histogram(histogram) => self.histogram(name, histogram),
            Value::Summary { count, sum, quantiles } => {
                for (quantile, value) in *quantiles {
                    self.sample(name, "", Some(("quantile", *quantile)));
                    self.float(*value);
                    self.out.push(b'\n');
                }
                self.count_and_sum(name, *count, *sum);
            }
            plain => {
                let suffix = match kind {
                    Kind::Counter => "_total",
                    Kind::Info => "_info",
                    _ => "",
                };
                self.sample(name, suffix, None);
                match plain {
                    Value::Unsigned(n) => self.integer(*n),
                    Value::Signed(n) => _ = write!(self.out, "{n}"),
                    Value::Float(x) => self.float(*x),
                    Value::Histogram(_) | Value::Summary { .. } => {}
                }
                self.out.push(b'\n');
            }
        }
        let counts = matches!(kind, Kind::Counter | Kind::Histogram | Kind::Summary);
        if self.created && counts && series.created_unix_ns > 0 {
            self.sample(name, "_created", None);
            self.time(series.created_unix_ns);
            self.out.push(b'\n');
        }
    }

    fn histogram(&mut self, name: &str, histogram: &Histogram<'_>) {
        let mut below = f64::NEG_INFINITY;
        let mut bucket = |text: &mut Self, bound: f64, n: u64| {
            text.sample(name, "_bucket", Some(("le", bound)));
            text.integer(n);
            if text.open_metrics
                && let Some(exemplar) = histogram.exemplar(below, bound)
            {
                text.exemplar(exemplar);
            }
            below = bound;
            text.out.push(b'\n');
        };
        histogram.classic(self.classic_scale, |bound, n| bucket(self, bound, n));
        let count = histogram.count();
        bucket(self, f64::INFINITY, count);
        self.count_and_sum(name, count, histogram.sum);
    }

    fn count_and_sum(&mut self, name: &str, count: u64, sum: f64) {
        self.sample(name, "_sum", None);
        self.float(sum);
        self.out.push(b'\n');
        self.sample(name, "_count", None);
        self.integer(count);
        self.out.push(b'\n');
    }

    /// Writes the start of a line, with the series' labels and one more.
    fn sample(&mut self, name: &str, suffix: &str, more: Option<(&str, f64)>) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        if !self.labels.is_empty() || more.is_some() {
            self.out.push(b'{');
            self.out.extend_from_slice(&self.labels);
            if let Some((key, value)) = more {
                if !self.labels.is_empty() {
                    self.out.push(b',');
                }
                self.out.extend_from_slice(key.as_bytes());
                self.out.extend_from_slice(b"=\"");
                self.float(value);
                self.out.push(b'"');
            }
            self.out.push(b'}');
        }
        self.out.push(b' ');
    }

    fn exemplar(&mut self, exemplar: &ExemplarView) {
        let _ =
            write!(self.out, " # {{trace_id=\"{}\",span_id=\"{}\"}} ", exemplar.trace_id, exemplar.span_id);
        self.float(exemplar.value);
        self.out.push(b' ');
        self.time(exemplar.time_unix_ns);
    }

    /// Writes a number in the canonical form of OpenMetrics, such as `1.0` for one.
    fn float(&mut self, x: f64) {
        if x.is_nan() {
            self.out.extend_from_slice(b"NaN");
        } else if x.is_infinite() {
            self.out.extend_from_slice(if x > 0.0 { b"+Inf" } else { b"-Inf" });
        } else {
            let _ = write!(self.out, "{x:?}");
        }
    }

    fn integer(&mut self, n: u64) {
        let _ = write!(self.out, "{n}");
    }

    /// Writes a time in seconds since 1970.
    fn time(&mut self, unix_ns: u64) {
        let _ = write!(self.out, "{}.{:09}", unix_ns / 1_000_000_000, unix_ns % 1_000_000_000);
    }
}

fn write_labels(out: &mut Vec<u8>, labels: &[Label<'_>]) {
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
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
