//! Other names of keys, as used in files for other libraries, and advice for settings that do not exist here.

use super::key::Key;
use super::keys;
use super::value::Kind;

/// Whether the key is a section that may enclose the whole configuration.
pub(super) fn is_root(key: &str) -> bool {
    matches!(key, "telemetry" | "observability" | "throughline")
}

/// The unit of a duration that is given as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// The value contains its unit.
    Own,
    Seconds,
    Milliseconds,
}

impl Unit {
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Unit::Own => None,
            Unit::Seconds => Some("s"),
            Unit::Milliseconds => Some("ms"),
        }
    }
}

/// Why a known setting is not read, and what to do instead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advice {
    pub(super) text: &'static str,
    pub(super) is_error: bool,
}

const ALIASES: &[(&str, &str)] = &[
    ("tracing.endpoint", "tracing.otlp.endpoint"),
    ("tracing.service_name", "service.name"),
    ("tracing.sample_rate", "tracing.sampling.probability"),
    ("tracing.sampling.ratio", "tracing.sampling.probability"),
    ("tracing.intelligent_sampling.critical_paths", "tracing.sampling.critical_paths"),
    ("tracing.otlp.batch.scheduled_delay", "tracing.batch.scheduled_delay"),
    ("tracing.otlp.batch.max_export_batch_size", "tracing.batch.max_export_batch_size"),
    ("tracing.otlp.batch.max_queue_size", "tracing.batch.max_queue_size"),
    ("tracing.batch.schedule_delay", "tracing.batch.scheduled_delay"),
    ("metrics.otlp.interval", "metrics.interval"),
    ("metrics.collection_interval", "metrics.interval"),
    ("metrics.port", "metrics.prometheus.port"),
    ("metrics.path", "metrics.prometheus.path"),
    ("metrics.otlp.temporality", "metrics.temporality"),
    ("service.instance", "service.instance_id"),
    ("profiling.interval", "profiling.cpu.duration"),
    ("profiling.pyroscope_endpoint", "profiling.exporter.endpoint"),
    ("profiling.exporter.pyroscope_endpoint", "profiling.exporter.endpoint"),
    ("profiling.output_dir", "profiling.exporter.file_output_dir"),
    ("service.deployment_environment", "service.environment"),
];

const ADVICE: &[(&str, Advice)] = &[
    (
        "tracing.file",
        Advice {
            text: "is otlp.file here: write otlp.file.path, and otlp.file.signals = [\"traces\"] if the file is for traces alone",
            is_error: true,
        },
    ),
    (
        "logging.structured",
        Advice { text: "is not needed: every record keeps its fields apart; remove it", is_error: false },
    ),
    (
        "logging.loki.flush_interval",
        Advice {
            text: "is not done for one output alone: logging.batch.scheduled_delay says how often all outputs of logs send; write that instead",
            is_error: false,
        },
    ),
    (
        "metrics.retention",
        Advice {
            text: "is not done here: how long metrics are kept is for Prometheus (--storage.tsdb.retention.time) or another backend to say; remove it",
            is_error: false,
        },
    ),
    (
        "profiling.memory.track_allocations",
        Advice {
            text: "is not needed: allocations are counted wherever the program's allocator is profiling::Allocator; remove it",
            is_error: false,
        },
    ),
    (
        "profiling.memory.sampling_rate",
        Advice {
            text: "is not done: memory is sampled by bytes; use profiling.memory.interval",
            is_error: false,
        },
    ),
    (
        "profiling.memory.heap_profiling",
        Advice { text: "is not needed: use profiling.memory.enabled", is_error: false },
    ),
    (
        "profiling.pgo_enabled",
        Advice {
            text: "is not needed: throughline pgo makes a profile for the compiler of the profiles of any build",
            is_error: false,
        },
    ),
];

/// Finds the key with this path, by its own name or another one, and the unit that the name ends with. The
/// error says what to do instead.
pub(super) fn resolve(path: &str) -> Result<Option<(&'static Key, Unit)>, Advice> {
    if let Some((_, advice)) = ADVICE.iter().find(|(known, _)| *known == path) {
        return Err(*advice);
    }
    if let Some(key) = named(path) {
        return Ok(Some((key, Unit::Own)));
    }
    let units = [
        ("_seconds", Unit::Seconds),
        ("_secs", Unit::Seconds),
        ("_millis", Unit::Milliseconds),
        ("_ms", Unit::Milliseconds),
    ];
    let of_unit = |(suffix, unit): (&str, Unit)| {
        let key = named(path.strip_suffix(suffix)?)?;
        (key.kind == Kind::Duration).then_some((key, unit))
    };
    Ok(units.into_iter().find_map(of_unit))
}

fn named(path: &str) -> Option<&'static Key> {
    let other = ALIASES.iter().find(|(alias, _)| *alias == path);
    keys::find(other.map_or(path, |(_, path)| path))
}

/// Whether the path is a section of such other names.
pub(super) fn is_section(path: &str) -> bool {
    let below = |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    ALIASES.iter().any(|(alias, _)| below(alias))
}

/// The name that this library uses for a type of exporter.
pub(super) fn exporter(kind: &str) -> &str {
    match kind {
        "stderr" | "terminal" | "logging" => "console",
        // All of these take OTLP.
        "jaeger" | "tempo" | "collector" | "otel" => "otlp",
        other => other,
    }
}
