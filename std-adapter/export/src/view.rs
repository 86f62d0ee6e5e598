//! The views that exporters take: one borrowed view of a span, a log record or a metric, whether it comes
//! from a ring of this process or from a decoded device capture. Views own nothing, so a record in a ring
//! becomes OTLP bytes without a span object in between.

pub use crate::histogram::{ExemplarFields, ExemplarView, HistogramView, QUANTILES};
use crate::owned::Field;
use throughline::{Level, SpanId, SpanKind, Status, TraceId, Value};

/// Attribute that is `true` on a log record of a remote trace whose ids are not known, because the record that
/// named the remote parent was lost. Such a log record has no trace and no span.
pub const UNKNOWN_PARENT: &str = "throughline.unknown_parent";

/// Attributes as pairs of name and value, in order. Exporters clone it if they need two passes, so a clone
/// must be cheap.
pub trait Fields<'a>: Iterator<Item = (&'a str, Value<'a>)> + Clone {}
impl<'a, T: Iterator<Item = (&'a str, Value<'a>)> + Clone> Fields<'a> for T {}

/// The attributes for an [`Exporter`](crate::Exporter): an iterator over names and values. Cloning it is
/// cheap.
#[derive(Clone, Debug)]
pub struct FieldsView<'a>(Attributes<'a>);

#[derive(Clone, Debug)]
enum Attributes<'a> {
    Listed(std::slice::Iter<'a, (&'a str, Value<'a>)>),
    Stored { fields: std::slice::Iter<'a, Field>, bytes: &'a [u8] },
}

impl<'a> FieldsView<'a> {
    /// Fields whose texts are stored in `bytes`.
    pub(crate) fn stored(fields: &'a [Field], bytes: &'a [u8]) -> FieldsView<'a> {
        FieldsView(Attributes::Stored { fields: fields.iter(), bytes })
    }
}

/// For views that are built by hand, for example in tests.
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

/// The instrumented package that made a record: OTLP's instrumentation scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The package's name in Cargo.
    pub name: &'a str,
    /// Its version, or "".
    pub version: &'a str,
}

impl<'a> Scope<'a> {
    /// The scope of throughline itself, for records of its own.
    pub const OWN: Scope<'static> = Scope { name: "throughline", version: env!("CARGO_PKG_VERSION") };

    /// The scope of a callsite: its package, or the crate at the start of its module path if the package is
    /// not known.
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
    /// Id of the trace.
    pub trace_id: TraceId,
    /// Id of the span.
    pub span_id: SpanId,
    /// Id of its parent, in this process or another one.
    pub parent_span_id: Option<SpanId>,
    /// Whether the parent is in another process or on another device.
    pub parent_is_remote: bool,
    /// Name of the span.
    pub name: &'a str,
    /// The package that made it.
    pub scope: Scope<'a>,
    /// Module path of the code.
    pub target: &'a str,
    /// Source file.
    pub file: &'a str,
    /// Source line.
    pub line: u32,
    /// Its role in a call between processes.
    pub kind: SpanKind,
    /// Level of its callsite.
    pub level: Level,
    /// How it ended.
    pub status: Status,
    /// Start, in nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// End, in nanoseconds since 1970.
    pub end_unix_ns: u64,
    /// For an async span: how long its future was being polled, in nanoseconds.
    pub busy_ns: Option<u64>,
    /// For mapped clocks: half the width of the interval in which the true time lies, in nanoseconds.
    pub time_error_ns: Option<u64>,
    /// Attributes given at the start, then those added later.
    pub fields: F,
}

/// A log record, made from an event.
#[derive(Clone, Debug)]
pub struct LogView<'a, F = FieldsView<'a>> {
    /// Trace id and span id of the span in which it happened, if any.
    pub span: Option<(TraceId, SpanId)>,
    /// Time, in nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// Severity.
    pub level: Level,
    /// The message as in the source, with its `{}`; [`render`](crate::message::render) fills in the values.
    pub message: &'a str,
    /// The event's name as OpenTelemetry has it, which tells what kind of event it is; "" for most.
    pub event_name: &'a str,
    /// W3C flags of its span's trace. Bit 0 means that the trace is sampled by the decision of its beginning,
    /// which is what other processes were told.
    pub trace_flags: u8,
    /// The package that made it.
    pub scope: Scope<'a>,
    /// Module path of the code.
    pub target: &'a str,
    /// Source file.
    pub file: &'a str,
    /// Source line.
    pub line: u32,
    /// For mapped clocks: half the width of the interval in which the true time lies, in nanoseconds.
    pub time_error_ns: Option<u64>,
    /// Attributes.
    pub fields: F,
}

/// Records that were lost on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossView<'a> {
    /// Time of the first loss, in nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// Number of records lost.
    pub count: u64,
    /// The reason and the place as text, such as `a thread's ring was full`.
    pub what: &'a str,
}

/// One series of a metric at one time, cumulative since `start_unix_ns`.
#[derive(Clone, Debug)]
pub struct PointView<'a> {
    /// Stands for everything here but the times and the value, as long as the process runs: points with the same
    /// id are of one series, so an exporter may keep what it made of its name and labels. 0 if there is no id.
    pub id: u64,
    /// Name of the metric.
    pub name: &'a str,
    /// Its unit in UCUM, or "".
    pub unit: &'a str,
    /// Description of the metric, or "".
    pub description: &'a str,
    /// The package that made it.
    pub scope: Scope<'a>,
    /// Module path of the code, or "" if the series is observed: read when it is asked for.
    pub target: &'a str,
    /// Time at which counting began, in nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// Time of the reading, in nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// Labels, constant ones first. The overflow series of a family has the one label `otel.metric.overflow` = `true`.
    pub labels: &'a [(&'a str, &'a str)],
    /// The value.
    pub data: PointData<'a>,
}

/// The value of a [`PointView`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PointData<'a> {
    /// A monotonic integer sum. It saturates at `u64::MAX`.
    Counter(u64),
    /// A monotonic floating-point sum.
    CounterFloat(f64),
    /// An integer sum that may go down.
    UpDown(i64),
    /// A floating-point sum that may go down.
    UpDownFloat(f64),
    /// An integer gauge.
    GaugeInt(i64),
    /// A floating-point gauge.
    GaugeFloat(f64),
    /// A distribution.
    Histogram(HistogramView<'a>),
    /// A distribution as quantiles.
    Summary(SummaryView<'a>),
}

/// A distribution as quantiles, for backends without histograms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SummaryView<'a> {
    /// Number of values.
    pub count: u64,
    /// Sum of all values.
    pub sum: f64,
    /// Pairs of quantile (0 to 1) and value, in ascending order.
    pub quantiles: &'a [(f64, f64)],
}
