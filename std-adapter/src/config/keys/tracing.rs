//! Keys of traces.

use super::logging::LEVELS;
use crate::config::key::{Key, Standard};
use crate::config::value::Kind::{
    self, Bool, Duration, Int, List, OneOf, Path, Ratio, SecretMap, Size, Text, Url,
};
use crate::config::{Queue, exporters};
use throughline_export::log::{Filter, FilterError};

const COUNT: Kind = Int { least: 1, most: 1 << 32 };
const ANY: Kind = Int { least: 0, most: u64::MAX };
const OTLP_FILE: &str = "OTLP file";
const TAIL: &str = "sampling by outcome";

pub(super) const KEYS: &[Key] = &[
    Key::new("tracing.enabled", Bool, "true", "Whether spans are recorded.", set!(filters.spans_on, bool)),
    Key::new(
        "tracing.level",
        OneOf(LEVELS),
        "trace",
        "The least level of spans that is recorded; a span is of level info unless its code says otherwise.",
        |config, value| {
            config.filters.spans = Filter::level(value.text().parse().ok());
            Ok(())
        },
    ),
    Key::new(
        "tracing.filter",
        Text,
        "",
        "Levels of spans by module path, in the grammar of RUST_LOG; in place of tracing.level.",
        |config, value| {
            config.filters.spans = value.text().parse().map_err(|error: FilterError| format!("= {error}"))?;
            Ok(())
        },
    )
    .example("info,shop::db=debug"),
    Key::new(
        "tracing.exporters",
        List(&["otlp", "zipkin", "console", "none"]),
        "",
        "Where traces go. Unless given: to OTLP, if it has an endpoint, else to the terminal.",
        |config, value| exporters::set_route(&mut config.routes.traces, value),
    )
    .example("otlp")
    .standard(&[Standard { name: "OTEL_TRACES_EXPORTER", translate: exporters::exporter_names }]),
    Key::new(
        "tracing.sampling.strategy",
        OneOf(&["always_on", "always_off", "probability", "parent_based"]),
        "parent_based",
        "Which of the traces that begin here are recorded: all, none, or the share that probability says, which the last two mean alike.",
        |config, value| {
            config.sampling = value.text().parse()?;
            Ok(())
        },
    )
    .standard(&[Standard { name: "OTEL_TRACES_SAMPLER", translate: exporters::sampler }]),
    Key::new(
        "tracing.sampling.probability",
        Ratio,
        "1.0",
        "The share of traces that is recorded, chosen by the trace's id.",
        set!(sample_ratio, float),
    )
    .standard(&[Standard::same("OTEL_TRACES_SAMPLER_ARG")]),
    Key::not_yet(
        "tracing.sampling.always_sample_errors",
        Bool,
        "false",
        "Whether traces with an error are kept, whatever the probability.",
        TAIL,
    ),
    Key::not_yet(
        "tracing.sampling.always_sample_slow",
        Duration,
        "",
        "Traces that take longer are kept, whatever the probability.",
        TAIL,
    )
    .example("2s"),
    Key::new(
        "tracing.batch.scheduled_delay",
        Duration,
        "1s",
        "A batch is sent when its first record is this old.",
        set!(batch_interval, duration),
    )
    .standard(&[Standard::milliseconds("OTEL_BSP_SCHEDULE_DELAY")]),
    Key::new(
        "tracing.batch.max_export_batch_size",
        COUNT,
        "512",
        "A batch is sent when it has this many records, each taken for 1 KiB: batches are measured in bytes.",
        |config, value| {
            config.batch_bytes = value.size().saturating_mul(1024);
            Ok(())
        },
    )
    .standard(&[Standard::same("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")]),
    Key::new(
        "tracing.batch.max_queue_size",
        COUNT,
        "8192",
        "Most records that wait for a slow exporter, each taken for 1 KiB; more are dropped and counted.",
        |config, value| {
            config.queue = Queue::Records(value.size());
            Ok(())
        },
    )
    .standard(&[Standard::same("OTEL_BSP_MAX_QUEUE_SIZE")]),
    Key::of_exporter("tracing.zipkin.enabled", Bool, "true", "Whether traces go there, if there is an endpoint."),
    Key::of_exporter("tracing.zipkin.endpoint", Url, "", "Where Zipkin takes spans; /api/v2/spans is appended if there is no path.")
        .example("http://localhost:9411/api/v2/spans")
        .standard(&[Standard::same("OTEL_EXPORTER_ZIPKIN_ENDPOINT")]),
    Key::of_exporter("tracing.zipkin.headers", SecretMap, "", "Headers of every request. Never shown.")
        .example("authorization=Basic%20${ZIPKIN_AUTH:-none}"),
    Key::of_exporter("tracing.chrome.enabled", Bool, "true", "Whether the file is written, if there is a path."),
    Key::of_exporter("tracing.chrome.path", Path, "", "The file; one that is there is replaced.").example("trace.json"),
    Key::of_exporter("tracing.chrome.max_size", Size, "256MiB", "Records that find no room are dropped and counted."),
    Key::no_exporter("tracing.file.path", Path, "", "The file.", OTLP_FILE).example("traces.jsonl"),
    Key::new(
        "tracing.limits.attribute_value_length",
        ANY,
        "",
        "As limits.attribute_value_length, of spans alone.",
        set!(options.spans.value_length, size),
    )
    .example("4096")
    .standard(&[Standard::same("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")]),
    Key::new(
        "tracing.limits.attribute_count",
        ANY,
        "",
        "As limits.attribute_count, of spans alone.",
        set!(options.spans.count, size),
    )
    .example("128")
    .standard(&[Standard::same("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT")]),
];
