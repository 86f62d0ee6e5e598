//! What is found.

use throughline::TraceId;

/// Bottlenecks, and what they are seen by. [`Report::json`] and [`Report::text`] show it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The time that it is about, in nanoseconds since 1970.
    pub from_unix_ns: u64,
    /// The end of this time.
    pub to_unix_ns: u64,
    /// The length of a window, in seconds.
    pub window_seconds: f64,
    /// Spans that were looked at, since the beginning.
    pub spans: u64,
    /// What is found, the most severe first.
    pub findings: Vec<Finding>,
    /// The operations that take most time themselves, at most 20.
    pub operations: Vec<Operation>,
    /// How resources and queues with limits go on.
    pub forecasts: Vec<Forecast>,
    /// What found no room.
    pub left_out: LeftOut,
}

/// Something that an operator wants to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// How urgent it is.
    pub severity: Severity,
    /// What it is about: an operation, `parent → child`, a queue or a resource.
    pub subject: String,
    /// A sentence.
    pub summary: String,
    /// The numbers in it, by names that tell their units.
    pub figures: Vec<(&'static str, f64)>,
    /// Traces that show it, the best first. Queues and resources have none.
    pub traces: Vec<TraceId>,
}

/// How urgent a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth to know.
    Info,
    /// Someone should look at it.
    Warning,
    /// Someone should look at it now.
    Critical,
}

/// What is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// An operation takes longer than before.
    GrowingLatency,
    /// Async spans wait while others of their kind run, and no child says for what.
    ContendedSpan,
    /// An operation fails again and again in one trace.
    RetryStorm,
    /// A parent has many equal children, one after the other.
    NPlusOne,
    /// A queue grows, or is full.
    QueueGrowth,
    /// A resource runs out.
    RunningOut,
}

/// The spans of one name, route and kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Operation {
    /// The name, with the route if the name does not have it.
    pub name: String,
    /// Its spans.
    pub count: u64,
    /// Those that failed.
    pub failed: u64,
    /// The median of their durations, in seconds. Quantiles are at most 9 % off.
    pub p50: f64,
    /// Their 95th percentile.
    pub p95: f64,
    /// Their 99th percentile.
    pub p99: f64,
    /// Their time without that of their children, in seconds.
    pub own_seconds: f64,
    /// The part of all spans' own time, 0 to 1.
    pub share: f64,
    /// The slowest traces.
    pub traces: Vec<TraceId>,
}

/// How something with a limit goes on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Forecast {
    /// A resource, such as `memory` or `disk /var/log`, or a queue.
    pub name: String,
    /// The unit in UCUM.
    pub unit: String,
    /// How much is used.
    pub used: f64,
    /// How much there is.
    pub limit: f64,
    /// By how much the use grows in a second.
    pub per_second: f64,
    /// Seconds until the limit is met; `None` if it does not grow.
    pub expected: Option<f64>,
    /// The beginning of the interval that has the truth with 90 %, if the growth goes on as it was; `None` if it is never met.
    pub earliest: Option<f64>,
    /// Its end; `None` if it may never be met.
    pub latest: Option<f64>,
    /// How many values it is known from.
    pub points: usize,
    /// For how long they were taken, in seconds.
    pub over_seconds: f64,
}

/// What found no room. Everything else is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Spans whose operation is one too many.
    pub operations: u64,
    /// Spans that came after the windows that are kept.
    pub late: u64,
    /// Parents that were forgotten before they ended, with what was known of their children.
    pub parents: u64,
    /// Traces whose failures were forgotten.
    pub traces: u64,
    /// Patterns and retries that are too many.
    pub patterns: u64,
    /// Values of series that are too many.
    pub series: u64,
}

impl LeftOut {
    /// Each with its name.
    pub(super) fn all(self) -> [(&'static str, u64); 6] {
        [
            ("operations", self.operations),
            ("late", self.late),
            ("parents", self.parents),
            ("traces", self.traces),
            ("patterns", self.patterns),
            ("series", self.series),
        ]
    }
}

impl Severity {
    /// `info`, `warning` or `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl FindingKind {
    /// All of them.
    pub const ALL: [FindingKind; 6] = [
        FindingKind::GrowingLatency,
        FindingKind::ContendedSpan,
        FindingKind::RetryStorm,
        FindingKind::NPlusOne,
        FindingKind::QueueGrowth,
        FindingKind::RunningOut,
    ];

    /// Its name: `growing_latency`, `contended_span`, `retry_storm`, `n_plus_one`, `queue_growth` or `running_out`.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::GrowingLatency => "growing_latency",
            FindingKind::ContendedSpan => "contended_span",
            FindingKind::RetryStorm => "retry_storm",
            FindingKind::NPlusOne => "n_plus_one",
            FindingKind::QueueGrowth => "queue_growth",
            FindingKind::RunningOut => "running_out",
        }
    }
}
