//! Keys of logs and of the terminal.

use crate::config::key::{Key, Standard};
use crate::config::value::Kind::{
    self, Bool, Duration, Int, List, Map, OneOf, Path, Secret, Size, Text, Url,
};
use crate::config::wire;

pub(super) const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "off"];
const COUNT: Kind = Int { least: 1, most: u64::MAX };
const FILE: &str = "file";
const LOKI: &str = "Loki";
const ELASTIC: &str = "Elasticsearch";
const SYSLOG: &str = "syslog";
const JOURNALD: &str = "journald";
const REDACTION: &str = "redaction";

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "terminal.enabled",
        Bool,
        "",
        "Whether traces, logs and metrics are drawn. Unless given: when there is no exporter.",
        set_some!(terminal, bool),
    )
    .example("true"),
    Key::new(
        "terminal.output",
        OneOf(&["stderr", "stdout"]),
        "stderr",
        "Where they are drawn.",
        wire::terminal_output,
    ),
    Key::new(
        "terminal.records",
        COUNT,
        "10000",
        "Most records that are held back until the root of their trace ends.",
        set!(terminal_records, size),
    ),
    Key::new("logging.enabled", Bool, "true", "Whether events are recorded.", set!(filters.logs_on, bool)),
    Key::new(
        "logging.level",
        OneOf(LEVELS),
        "trace",
        "The least level of events that is recorded. Spans have tracing.level.",
        |config, value| {
            config.filters.logs_level = value.text().parse().ok();
            Ok(())
        },
    ),
    Key::new(
        "logging.filter",
        Text,
        "",
        "Levels by module path, in the grammar of RUST_LOG; goes before logging.level.",
        |config, value| {
            config.filters.logs = Some(value.text().parse()?);
            Ok(())
        },
    )
    .example("info,shop::db=debug,hyper=warn")
    .standard(&[Standard::same("RUST_LOG")]),
    Key::new(
        "logging.exporters",
        List(&["otlp", "console", "none"]),
        "",
        "Where logs go. Unless given: to OTLP, if it has an endpoint, else to the terminal.",
        |config, value| wire::exporters(&mut config.routes.logs, value),
    )
    .example("otlp")
    .standard(&[Standard { name: "OTEL_LOGS_EXPORTER", translate: wire::exporter_names }]),
    Key::new(
        "logging.format",
        OneOf(&["pretty", "text", "json"]),
        "pretty",
        "How logs are written: pretty draws them within their traces, text is a line each, json an object a line.",
        wire::log_format,
    ),
    Key::new(
        "logging.output",
        OneOf(&["stderr", "stdout"]),
        "stderr",
        "Where they are written; the same as terminal.output while the format is pretty.",
        wire::terminal_output,
    ),
    Key::no_exporter("logging.file.path", Path, "", "The file.", FILE).example("/var/log/shop/shop.log"),
    Key::no_exporter(
        "logging.file.format",
        OneOf(&["text", "json"]),
        "json",
        "How a record is written.",
        FILE,
    ),
    Key::no_exporter("logging.file.level", OneOf(LEVELS), "trace", "The least level that goes there.", FILE),
    Key::no_exporter("logging.file.max_size", Size, "100MiB", "A file of this size is rolled.", FILE),
    Key::no_exporter("logging.file.max_age", Duration, "1d", "A file of this age is rolled.", FILE),
    Key::no_exporter("logging.file.max_files", COUNT, "7", "How many rolled files are kept.", FILE),
    Key::no_exporter(
        "logging.loki.enabled",
        Bool,
        "true",
        "Whether logs go there, if there is an endpoint.",
        LOKI,
    ),
    Key::no_exporter("logging.loki.endpoint", Url, "", "Where Loki takes logs.", LOKI)
        .example("http://localhost:3100/loki/api/v1/push"),
    Key::no_exporter("logging.loki.labels", Map, "", "Labels of the streams.", LOKI).example("job=shop"),
    Key::no_exporter("logging.loki.batch_size", COUNT, "100", "Most records of a push.", LOKI),
    Key::no_exporter(
        "logging.loki.flush_interval",
        Duration,
        "1s",
        "A push is made at least this often.",
        LOKI,
    ),
    Key::no_exporter("logging.loki.tenant", Text, "", "The header X-Scope-OrgID.", LOKI).example("store"),
    Key::no_exporter("logging.loki.username", Text, "", "User for basic authentication.", LOKI)
        .example("shop"),
    Key::no_exporter("logging.loki.password", Secret, "", "Its password.", LOKI)
        .example("${LOKI_PASSWORD:-none}"),
    Key::no_exporter("logging.elasticsearch.endpoint", Url, "", "Where Elasticsearch is.", ELASTIC)
        .example("http://localhost:9200"),
    Key::no_exporter("logging.elasticsearch.index", Text, "", "The index or data stream.", ELASTIC)
        .example("logs-shop-default"),
    Key::no_exporter("logging.elasticsearch.api_key", Secret, "", "The API key.", ELASTIC)
        .example("${ELASTIC_API_KEY:-none}"),
    Key::no_exporter(
        "logging.syslog.endpoint",
        Text,
        "",
        "unix:///dev/log, udp://host:514, tcp://… or tls://….",
        SYSLOG,
    )
    .example("unix:///dev/log"),
    Key::no_exporter("logging.syslog.facility", Text, "user", "The facility.", SYSLOG),
    Key::no_exporter("logging.journald.enabled", Bool, "false", "Whether logs go there.", JOURNALD),
    Key::not_yet(
        "logging.redaction.fields",
        List(&[]),
        "password,api_key,token,authorization,set-cookie",
        "Names of fields whose values are replaced.",
        REDACTION,
    ),
    Key::new(
        "logging.limits.attribute_value_length",
        Int { least: 0, most: u64::MAX },
        "",
        "As limits.attribute_value_length, of logs alone.",
        set!(options.logs.value_length, size),
    )
    .example("4096")
    .standard(&[Standard::same("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT")]),
    Key::new(
        "logging.limits.attribute_count",
        Int { least: 0, most: u64::MAX },
        "",
        "As limits.attribute_count, of logs alone.",
        set!(options.logs.count, size),
    )
    .example("128")
    .standard(&[Standard::same("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT")]),
];
