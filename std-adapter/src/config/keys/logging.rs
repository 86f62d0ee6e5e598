//! Keys of logs and of the terminal.

use crate::config::key::{Key, Standard};
use crate::config::value::Kind::{
    self, Bool, Duration, Int, List, Map, OneOf, Path, Secret, SecretMap, Size, Text, Url,
};
use crate::config::value::Value;
use crate::config::{environment, exporters};
use std::sync::Arc;
use throughline_export::Redaction;
use throughline_export::log::{Filter, FilterError};

pub(crate) const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "off"];
const COUNT: Kind = Int { least: 1, most: u64::MAX };
/// The names of [`Redaction::default`].
const SECRET_NAMES: &str = "*passwd,*password,access_key,access_token,api_key,apikey,auth_token,authorization,connection_string,cookie,credential,credentials,encryption_key,jwt,passphrase,passwd,password,private_key,privatekey,pwd,secret,secret_key,secrets,signing_key,token";

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
        exporters::terminal_output,
    ),
    Key::new(
        "terminal.records",
        COUNT,
        "10000",
        "Most records that are held back until the root of their trace ends.",
        set!(terminal_records, size),
    ),
    Key::new(
        "terminal.filter",
        Text,
        "",
        "What logs are drawn there of what is recorded, or written there as lines if logging.format says so, as logging.filter.",
        |config, value| {
            config.terminal_filter = filter(value)?;
            Ok(())
        },
    )
    .example("info,shop::db=warn"),
    Key::new("logging.enabled", Bool, "true", "Whether events are recorded.", set!(filters.logs_on, bool)),
    Key::new(
        "logging.level",
        OneOf(LEVELS),
        "trace",
        "The least level of events that is recorded, for all targets: with bridges, trace has what hyper and others say too, so choose info there. Spans have tracing.level.",
        |config, value| {
            config.filters.logs = Filter::level(value.text().parse().ok());
            Ok(())
        },
    ),
    Key::new(
        "logging.filter",
        Text,
        "",
        "Levels of events by module path, in the grammar of RUST_LOG; in place of logging.level.",
        |config, value| {
            config.filters.logs = filter(value)?;
            Ok(())
        },
    )
    .example("info,shop::db=debug,hyper=warn")
    .standard(&[Standard { name: "RUST_LOG", translate: environment::directives }]),
    Key::new(
        "logging.exporters",
        List(&["otlp", "console", "stdout", "none"]),
        "",
        "Where logs go. Unless given: to OTLP, if it has an endpoint, else to the terminal.",
        |config, value| exporters::set_route(&mut config.routes.logs, value),
    )
    .example("otlp")
    .standard(&[Standard { name: "OTEL_LOGS_EXPORTER", translate: exporters::exporter_names }]),
    Key::of_exporter(
        "logging.format",
        OneOf(&["pretty", "text", "json"]),
        "pretty",
        "How logs are written: pretty draws them within their traces on the terminal, text is a line each, json an object a line.",
    ),
    Key::new(
        "logging.output",
        OneOf(&["stderr", "stdout"]),
        "stderr",
        "Where they are written; while the format is pretty, the same as terminal.output.",
        exporters::terminal_output,
    ),
    Key::of_exporter(
        "logging.otlp.filter",
        Text,
        "",
        "What goes to OTLP of what is recorded, as logging.filter.",
    )
    .example("info"),
    Key::of_exporter("logging.file.enabled", Bool, "true", "Whether logs go there, if there is a path."),
    Key::of_exporter("logging.file.path", Path, "", "The file.").example("/var/log/shop/shop.log"),
    Key::of_exporter("logging.file.format", OneOf(&["text", "json"]), "json", "How a record is written."),
    Key::of_exporter(
        "logging.file.filter",
        Text,
        "",
        "What goes there of what is recorded, as logging.filter.",
    )
    .example("info"),
    Key::of_exporter("logging.file.max_size", Size, "100MiB", "The file begins anew before it is larger.").more_than_zero(),
    Key::of_exporter(
        "logging.file.roll",
        OneOf(&["never", "hourly", "daily"]),
        "never",
        "When the file begins anew besides, in UTC.",
    ),
    Key::of_exporter("logging.file.max_files", COUNT, "7", "How many old files are kept."),
    Key::of_exporter(
        "logging.syslog.enabled",
        Bool,
        "true",
        "Whether logs go there, if anything is said here.",
    ),
    Key::of_exporter(
        "logging.syslog.endpoint",
        Text,
        "unix:/dev/log",
        "unix:PATH, udp://HOST:514, tcp://HOST:514 or, with the feature tls, tls://HOST:6514.",
    ),
    Key::of_exporter(
        "logging.syslog.certificate",
        Path,
        "",
        "For tls://, a PEM file with the authority that signed the receiver's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/ca.pem"),
    Key::of_exporter(
        "logging.syslog.client_certificate",
        Path,
        "",
        "For tls://, a PEM file with the certificate to show to a receiver that asks for one; wants client_key too.",
    )
    .example("/etc/shop/client.pem"),
    Key::of_exporter(
        "logging.syslog.client_key",
        Path,
        "",
        "A PEM file with the key of client_certificate.",
    )
    .example("/etc/shop/client.key"),
    Key::of_exporter("logging.syslog.facility", OneOf(exporters::FACILITIES), "local0", "The facility."),
    Key::of_exporter(
        "logging.syslog.filter",
        Text,
        "",
        "What goes there of what is recorded, as logging.filter.",
    )
    .example("info"),
    Key::of_exporter("logging.journald.enabled", Bool, "false", "Whether logs go there."),
    Key::of_exporter(
        "logging.journald.filter",
        Text,
        "",
        "What goes there of what is recorded, as logging.filter.",
    )
    .example("info"),
    Key::of_exporter("logging.loki.enabled", Bool, "true", "Whether logs go there, if there is an endpoint."),
    Key::of_exporter(
        "logging.loki.endpoint",
        Url,
        "",
        "Where Loki takes logs; /loki/api/v1/push is appended if there is no path.",
    )
    .example("http://localhost:3100/loki/api/v1/push"),
    Key::of_exporter("logging.loki.labels", Map, "", "Labels of the streams, beside service_name and level.")
        .example("env=prod"),
    Key::of_exporter("logging.loki.batch_size", COUNT, "1000", "Most records of a push."),
    Key::of_exporter("logging.loki.tenant", Text, "", "The header X-Scope-OrgID.").example("store"),
    Key::of_exporter("logging.loki.headers", SecretMap, "", "Headers of every request. Never shown.")
        .example("authorization=Basic%20${LOKI_AUTH:-none}"),
    Key::of_exporter(
        "logging.loki.certificate",
        Path,
        "",
        "A PEM file with the authority that signed Loki's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/ca.pem"),
    Key::of_exporter(
        "logging.loki.filter",
        Text,
        "",
        "What goes there of what is recorded, as logging.filter.",
    )
    .example("info"),
    Key::of_exporter(
        "logging.elasticsearch.enabled",
        Bool,
        "true",
        "Whether logs go there, if there is an endpoint.",
    ),
    Key::of_exporter(
        "logging.elasticsearch.endpoint",
        Url,
        "",
        "Where Elasticsearch or OpenSearch is; /_bulk is appended if there is no path.",
    )
    .example("http://localhost:9200"),
    Key::of_exporter(
        "logging.elasticsearch.index",
        Text,
        "logs-throughline-default",
        "The index or data stream.",
    ),
    Key::of_exporter(
        "logging.elasticsearch.api_key",
        Secret,
        "",
        "The API key, as Elasticsearch encodes it. Never shown.",
    )
    .example("${ELASTIC_API_KEY:-none}"),
    Key::of_exporter(
        "logging.elasticsearch.headers",
        SecretMap,
        "",
        "Headers of every request. Never shown.",
    )
    .example("authorization=Basic%20${ELASTIC_AUTH:-none}"),
    Key::of_exporter(
        "logging.elasticsearch.certificate",
        Path,
        "",
        "A PEM file with the authority that signed Elasticsearch's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/ca.pem"),
    Key::of_exporter(
        "logging.elasticsearch.filter",
        Text,
        "",
        "What goes there of what is recorded, as logging.filter.",
    )
    .example("info"),
    Key::new(
        "logging.batch.scheduled_delay",
        Duration,
        "",
        "As tracing.batch.scheduled_delay, of logs alone.",
        set_some!(log_batches.interval, duration),
    )
    .example("1s")
    .standard(&[Standard::milliseconds("OTEL_BLRP_SCHEDULE_DELAY")]),
    Key::new(
        "logging.batch.max_export_batch_size",
        COUNT,
        "",
        "As tracing.batch.max_export_batch_size, of logs alone.",
        |config, value| {
            config.log_batches.bytes = Some(value.size().saturating_mul(1024));
            Ok(())
        },
    )
    .example("512")
    .standard(&[Standard::same("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE")]),
    Key::new(
        "logging.batch.max_queue_size",
        COUNT,
        "",
        "As tracing.batch.max_queue_size, of logs alone.",
        set_some!(log_batches.queue, size),
    )
    .example("2048")
    .standard(&[Standard::same("OTEL_BLRP_MAX_QUEUE_SIZE")]),
    Key::of_exporter(
        "logging.batch.export_timeout",
        Duration,
        "",
        "How long OTLP may take for a batch of logs, all attempts together, in place of otlp.retry_for.",
    )
    .example("30s")
    .standard(&[Standard::milliseconds("OTEL_BLRP_EXPORT_TIMEOUT")]),
    Key::new(
        "logging.redaction.fields",
        List(&[]),
        SECRET_NAMES,
        "Names of attributes and metric labels whose values are replaced, in traces and metrics too. A name also fits as the last words of a longer one, in snake_case, kebab-case, dotted.case and camelCase; * stands for anything.",
        |config, value| {
            let messages = config.redaction.is_for_messages();
            config.redaction = Arc::new(Redaction::new(value.list()).messages(messages));
            Ok(())
        },
    ),
    Key::new(
        "logging.redaction.messages",
        Bool,
        "true",
        "Whether these names are looked for in the text of messages too, such as password=… or \"password\":\"…\", and tokens after Bearer. What follows them is replaced.",
        |config, value| {
            config.redaction = Arc::new(Redaction::clone(&config.redaction).messages(value.bool()));
            Ok(())
        },
    ),
    Key::new(
        "logging.rate_limit",
        Int { least: 0, most: u32::MAX as u64 },
        "0",
        "Most events of one place in the code in a second; what is beyond it is counted and told. 0 for no limit.",
        |config, value| {
            config.logs_per_second = u32::try_from(value.int()).ok().filter(|most| *most > 0);
            Ok(())
        },
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

/// The filter of a key.
pub(super) fn filter(value: &Value) -> Result<Filter, String> {
    if value.text().trim().is_empty() {
        return Err("is empty, so nothing would be taken; write off for that, or remove it".into());
    }
    value.text().parse().map_err(|error: FilterError| format!("= {error}"))
}
