//! What exporters take: one borrowed view of a span, a log record or a metric, whether it comes from a ring of this process or from a
//! decoded device capture. Views own nothing, so a ring record goes to OTLP bytes with no span object between.

pub use crate::histogram::{HistogramView, QUANTILES};
use crate::owned::Field;
use throughline::{Level, SpanId, SpanKind, Status, TraceId, Value};

/// Attributes in order: name, value. Cloned when an exporter needs two passes, so it must be cheap to clone.
pub trait Fields<'a>: Iterator<Item = (&'a str, Value<'a>)> + Clone {}
impl<'a, T: Iterator<Item = (&'a str, Value<'a>)> + Clone> Fields<'a> for T {}

/// The attributes that an [`Exporter`](crate::Exporter) gets: an iterator of names and values. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FieldsView<'a>(Attributes<'a>);

#[derive(Clone, Debug)]
enum Attributes<'a> {
    Listed(std::slice::Iter<'a, (&'a str, Value<'a>)>),
    Stored { fields: std::slice::Iter<'a, Field>, bytes: &'a [u8] },
}

impl<'a> FieldsView<'a> {
    /// Fields whose texts lie among `bytes`.
    pub(crate) fn stored(fields: &'a [Field], bytes: &'a [u8]) -> FieldsView<'a> {
        FieldsView(Attributes::Stored { fields: fields.iter(), bytes })
    }
}

/// For views that are made by hand, in tests for example.
impl<'a> From<&'a [(&'a str, Value<'a>)]> for FieldsView<'a> {
    fn from(fields: &'a [(&'a str, Value<'a>)]) -> FieldsView<'a> {
        FieldsView(Attributes::Listed(fields.iter()))
    }
}

impl<'a> Iterator for FieldsView<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Attributes::Listed(fields) => fields.next().copied(),
            Attributes::Stored { fields, bytes } => fields.next().map(|field| field.view(bytes)),
        }
    }
}

/// Who made a record: the instrumented package, OTLP's instrumentation scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Its name, as Cargo has it.
    pub name: &'a str,
    /// Its version, or "".
    pub version: &'a str,
}

impl<'a> Scope<'a> {
    /// Throughline itself, for what it says of its own accord.
    pub const OWN: Scope<'static> = Scope { name: "throughline", version: env!("CARGO_PKG_VERSION") };

    /// The scope of a callsite: its package, or else the crate that its module path begins with.
    pub fn of(package: &'a str, version: &'a str, target: &'a str) -> Scope<'a> {
        match (package, target.split("::").next().unwrap_or_default()) {
            ("", "") => Scope::OWN,
            ("", name) => Scope { name, version },
            (name, _) => Scope { name, version },
        }
    }
}

/// A finished span.
#[derive(Clone, Debug)]
pub struct SpanView<'a, F = FieldsView<'a>> {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Its parent, in this process or another.
    pub parent_span_id: Option<SpanId>,
    /// Whether the parent is in another process, or on another device.
    pub parent_is_remote: bool,
    /// Its name.
    pub name: &'a str,
    /// The package it was made in.
    pub scope: Scope<'a>,
    /// Module path of the code.
    pub target: &'a str,
    /// Source file.
    pub file: &'a str,
    /// Source line.
    pub line: u32,
    /// Its role in a call between processes.
    pub kind: SpanKind,
    /// Severity of its callsite.
    pub level: Level,
    /// How it ended.
    pub status: Status,
    /// Nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// Nanoseconds since 1970.
    pub end_unix_ns: u64,
    /// Time a future was being polled, of an async span, in nanoseconds.
    pub busy_ns: Option<u64>,
    /// Half width of the interval in which the true time lies, where clocks had to be mapped, in nanoseconds.
    pub time_error_ns: Option<u64>,
    /// Attributes, those given at the start and those added later.
    pub fields: F,
}

/// A log record: an event.
#[derive(Clone, Debug)]
pub struct LogView<'a, F = FieldsView<'a>> {
    /// The span it happened in, if any: its trace's id and its own.
    pub span: Option<(TraceId, SpanId)>,
    /// Nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// Severity.
    pub level: Level,
    /// The message as it stands in the source, with its `{}`; [`render`](crate::message::render) fills them in.
    pub message: &'a str,
    /// W3C flags of its span's trace; bit 0: the spans of the trace are recorded.
    pub trace_flags: u8,
    /// The package it was made in.
    pub scope: Scope<'a>,
    /// Module path of the code.
    pub target: &'a str,
    /// Source file.
    pub file: &'a str,
    /// Source line.
    pub line: u32,
    /// Half width of the interval in which the true time lies, where clocks had to be mapped, in nanoseconds.
    pub time_error_ns: Option<u64>,
    /// Attributes.
    pub fields: F,
}

/// Records that were lost on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossView<'a> {
    /// When the first of them was lost, nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// How many.
    pub count: u64,
    /// Why and where, in words: `a thread's ring was full`.
    pub what: &'a str,
}

/// One series of a metric at one time, cumulative since `start_unix_ns`.
#[derive(Clone, Debug)]
pub struct PointView<'a> {
    /// Name of the metric.
    pub name: &'a str,
    /// Its unit in UCUM, or "".
    pub unit: &'a str,
    /// What it means, or "".
    pub description: &'a str,
    /// The package it was made in.
    pub scope: Scope<'a>,
    /// Module path of the code.
    pub target: &'a str,
    /// When counting began, nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// When it was read, nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// Labels, constant ones first. The overflow series of a family has the one label `otel.metric.overflow` = `true`.
    pub labels: &'a [(&'a str, &'a str)],
    /// What was read.
    pub data: PointData<'a>,
}

/// The value of a [`PointView`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PointData<'a> {
    /// A monotonic sum; `u64::MAX` stands for all above as well.
    Counter(u64),
    /// A monotonic sum of fractions.
    CounterFloat(f64),
    /// A sum that may go down.
    UpDown(i64),
    /// A sum of fractions that may go down.
    UpDownFloat(f64),
    /// A last value.
    GaugeInt(i64),
    /// A last value.
    GaugeFloat(f64),
    /// A distribution.
    Histogram(HistogramView<'a>),
    /// A distribution by its quantiles.
    Summary(SummaryView<'a>),
}

/// A distribution by its quantiles, for backends that take no histograms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SummaryView<'a> {
    /// How many values there were.
    pub count: u64,
    /// Sum of all values.
    pub sum: f64,
    /// Quantile (0 to 1) and value, in order.
    pub quantiles: &'a [(f64, f64)],
}
