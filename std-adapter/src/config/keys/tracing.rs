//! Keys of traces.

use super::logging::{LEVELS, filter};
use crate::config::key::{Key, Standard};
use crate::config::value::Kind::{
    self, Bool, Duration, Int, List, Map, OneOf, Path, Ratio, SecretMap, Size, Text, Url,
};
use crate::config::value::Value;
use crate::config::{Queue, exporters};
use throughline_export::log::Filter;

const COUNT: Kind = Int { least: 1, most: 1 << 32 };
const ANY: Kind = Int { least: 0, most: u64::MAX };

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
            config.filters.spans = filter(value)?;
            Ok(())
        },
    )
    .example("info,shop::db=debug"),
    Key::new(
        "tracing.exporters",
        List(&["otlp", "zipkin", "console", "stdout", "none"]),
        "",
        "Where traces go; console is the terminal, stdout the same on standard output. Unless given: to OTLP, if it has an endpoint, else to the terminal.",
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
    Key::new(
        "tracing.sampling.always_sample_errors",
        Bool,
        "false",
        "Whether traces with an error are kept, whatever the probability. All spans are recorded then, and wait until their traces end.",
        set!(sampling_rules.errors, bool),
    ),
    Key::new(
        "tracing.sampling.always_sample_slow",
        Duration,
        "",
        "Traces that take longer are kept, whatever the probability.",
        set_some!(sampling_rules.slow, duration),
    )
    .example("2s"),
    Key::new(
        "tracing.sampling.slow_routes",
        Map,
        "",
        "The same for some routes or names of a trace's first span, each with its time. A * stands for anything.",
        |config, value| {
            config.sampling_rules.slow_at = each(value, Duration)?.map(|(name, time)| (name, time.duration())).collect();
            Ok(())
        },
    )
    .example("/export/*=30s,/api/chat=500ms"),
    Key::new(
        "tracing.sampling.critical_paths",
        List(&[]),
        "",
        "Routes or names of a trace's first span that are always kept. A * stands for anything.",
        |config, value| {
            config.sampling_rules.critical = value.list().to_vec();
            Ok(())
        },
    )
    .example("/api/chat,checkout.*"),
    Key::new(
        "tracing.sampling.rules",
        Map,
        "",
        "Routes or names of a trace's first span, each with the share that is kept instead of probability. A * stands for anything; the first that fits counts. With a / in a name all spans are recorded, because routes are known at the end.",
        |config, value| {
            config.sampling_rules.rules = each(value, Ratio)?.map(|(name, share)| (name, share.float())).collect();
            Ok(())
        },
    )
    .example("/health*=0,job.*=0.01"),
    Key::new(
        "tracing.sampling.rare_per_minute",
        Int { least: 0, most: 1 << 31 },
        "0",
        "So many traces of each route are kept in a minute, whatever the probability.",
        |config, value| {
            config.sampling_rules.rare = u32::try_from(value.int()).unwrap_or(u32::MAX);
            Ok(())
        },
    ),
    Key::new(
        "tracing.sampling.rate_limit",
        Int { least: 1, most: 1 << 31 },
        "",
        "Most traces that begin here and are recorded in a second.",
        |config, value| {
            config.sampling_rules.rate_limit = u32::try_from(value.int()).ok();
            Ok(())
        },
    )
    .example("100"),
    Key::new(
        "tracing.sampling.adaptive.target_spans_per_second",
        Int { least: 1, most: 1 << 31 },
        "",
        "The share of traces changes so that so many spans are kept in a second. It begins with probability, and makes up for a burst within about three seconds.",
        |config, value| {
            config.sampling_rules.target = Some(value.int() as f64);
            Ok(())
        },
    )
    .example("1000"),
    Key::new(
        "tracing.sampling.adaptive.max_cpu",
        Ratio,
        "",
        "The share of traces changes so that tracing takes at most this part of the CPU time of all processors that the process may use: 0.01 is 1 %.",
        |config, value| {
            config.sampling_rules.max_cpu = Some(value.float());
            Ok(())
        },
    )
    .example("0.01"),
    Key::new(
        "tracing.intelligent_sampling.enabled",
        Bool,
        "false",
        "Short for tracing.sampling.always_sample_errors, always_sample_slow of 1s and rare_per_minute of 1, where these are not given.",
        |config, value| {
            if value.bool() {
                let rules = &mut config.sampling_rules;
                rules.errors = true;
                rules.slow.get_or_insert(std::time::Duration::from_secs(1));
                rules.rare = rules.rare.max(1);
            }
            Ok(())
        },
    ),
    Key::new(
        "tracing.sampling.buffer.traces",
        COUNT,
        "10000",
        "Most traces whose spans wait for their end. When it is reached, the oldest is decided by the probability.",
        set!(sampling_rules.buffer.traces, size),
    ),
    Key::new(
        "tracing.sampling.buffer.size",
        Size,
        "64MiB",
        "About how much memory they may take.",
        set!(sampling_rules.buffer.bytes, size),
    ),
    Key::new(
        "tracing.sampling.buffer.time",
        Duration,
        "30s",
        "How long they wait at most.",
        set!(sampling_rules.buffer.time, duration),
    )
    .more_than_zero(),
    Key::new(
        "tracing.batch.scheduled_delay",
        Duration,
        "1s",
        "A batch is sent when its first record is this old; after a pause of this length, within 10 ms.",
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
    Key::of_exporter(
        "tracing.batch.export_timeout",
        Duration,
        "",
        "How long OTLP may take for a batch of spans, all attempts together, in place of otlp.retry_for.",
    )
    .example("30s")
    .standard(&[Standard::milliseconds("OTEL_BSP_EXPORT_TIMEOUT")]),
    Key::of_exporter("tracing.zipkin.enabled", Bool, "true", "Whether traces go there, if there is an endpoint."),
    Key::of_exporter("tracing.zipkin.endpoint", Url, "", "Where Zipkin takes spans; /api/v2/spans is appended if there is no path.")
        .example("http://localhost:9411/api/v2/spans")
        .standard(&[Standard::same("OTEL_EXPORTER_ZIPKIN_ENDPOINT")]),
    Key::of_exporter("tracing.zipkin.headers", SecretMap, "", "Headers of every request. Never shown.")
        .example("authorization=Basic%20${ZIPKIN_AUTH:-none}"),
    Key::of_exporter(
        "tracing.zipkin.certificate",
        Path,
        "",
        "A PEM file with the authority that signed Zipkin's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/ca.pem"),
    Key::of_exporter("tracing.chrome.enabled", Bool, "true", "Whether the file is written, if there is a path."),
    Key::of_exporter("tracing.chrome.path", Path, "", "The file; one that is there is replaced.").example("trace.json"),
    Key::of_exporter("tracing.chrome.max_size", Size, "256MiB", "Records that find no room are dropped and counted.").more_than_zero(),
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

/// The entries of a map, each text read as a value of this kind.
fn each(value: &Value, kind: Kind) -> Result<impl Iterator<Item = (String, Value)>, String> {
    let read = |(name, text): &(String, String)| {
        let value = kind.read(text).map_err(|why| format!("has `{text}` for {name}, which {why}"))?;
        Ok((name.clone(), value))
    };
    let all: Vec<_> = value.pairs().iter().map(read).collect::<Result<_, String>>()?;
    Ok(all.into_iter())
}
