//! Keys of OTLP: the same ones for all signals together and for each signal.

use crate::config::exporters::PRESETS;
use crate::config::key::{Key, Standard};
use crate::config::url;
use crate::config::value::Kind::{
    Bool, Duration, Int, List, OneOf, Path, Secret, SecretMap, Size, Text, Url,
};

const PROTOCOLS: &[&str] = &["http/protobuf", "http/json", "grpc"];
const COMPRESSIONS: &[&str] = &["none", "gzip", "zstd"];

/// The keys of a section and OpenTelemetry's variables for them. `$signal` is the signal in the names of
/// these variables. The section of one signal has no defaults.
macro_rules! section {
    ($section:literal, $signal:literal, $endpoint:literal, $as_it_is:expr, [$protocol:literal, $timeout:literal, $compression:literal]) => {
        &[
            Key::of_exporter(concat!($section, ".endpoint"), Url, "", $endpoint)
                .example("http://localhost:4318")
                .standard(&[Standard {
                    name: concat!("OTEL_EXPORTER_OTLP_", $signal, "ENDPOINT"),
                    translate: $as_it_is,
                }]),
            Key::of_exporter(
                concat!($section, ".protocol"),
                OneOf(PROTOCOLS),
                $protocol,
                "How it is spoken. The usual port of gRPC is 4317, that of HTTP 4318.")
            .example("http/protobuf")
            .standard(&[Standard::same(concat!("OTEL_EXPORTER_OTLP_", $signal, "PROTOCOL"))]),
            Key::of_exporter(
                concat!($section, ".headers"),
                SecretMap,
                "",
                "Headers of every request, such as a key of the backend. Never shown.",
            )
            .example("authorization=Bearer%20${OTLP_TOKEN:-none}")
            .standard(&[Standard::same(concat!("OTEL_EXPORTER_OTLP_", $signal, "HEADERS"))]),
            Key::of_exporter(
                concat!($section, ".timeout"),
                Duration,
                $timeout,
                "How long one attempt at a request may take.")
            .example("10s")
            .more_than_zero()
            .standard(&[Standard::milliseconds(concat!("OTEL_EXPORTER_OTLP_", $signal, "TIMEOUT"))]),
            Key::of_exporter(
                concat!($section, ".compression"),
                OneOf(COMPRESSIONS),
                $compression,
                "How bodies are compressed; gzip and zstd want the feature of that name.")
            .example("none")
            .standard(&[Standard::same(concat!("OTEL_EXPORTER_OTLP_", $signal, "COMPRESSION"))]),
            Key::of_exporter(
                concat!($section, ".certificate"),
                Path,
                "",
                "A PEM file with the authority that signed the collector's certificate, in place of Mozilla's list.")
            .example("/etc/shop/ca.pem")
            .standard(&[Standard::same(concat!("OTEL_EXPORTER_OTLP_", $signal, "CERTIFICATE"))]),
            Key::of_exporter(
                concat!($section, ".client_certificate"),
                Path,
                "",
                "A PEM file with the certificate to show to a collector that asks for one; wants client_key too.")
            .example("/etc/shop/client.pem")
            .standard(&[Standard::same(concat!("OTEL_EXPORTER_OTLP_", $signal, "CLIENT_CERTIFICATE"))]),
            Key::of_exporter(
                concat!($section, ".client_key"),
                Path,
                "",
                "A PEM file with the key of client_certificate.")
            .example("/etc/shop/client.key")
            .standard(&[Standard::same(concat!("OTEL_EXPORTER_OTLP_", $signal, "CLIENT_KEY"))]),
        ]
    };
}

pub(super) const SHARED: &[Key] = section!(
    "otlp",
    "",
    "The collector: scheme, host and port. /v1/traces and so on are appended.",
    same,
    ["http/protobuf", "10s", "none"]
);
pub(super) const MORE: &[Key] = &[
    Key::of_exporter(
        "otlp.retry_for",
        Duration,
        "1m",
        "How long a request is tried again while the collector is away or says that it is busy.",
    ),
    Key::of_exporter(
        "otlp.system_roots",
        Bool,
        "false",
        "Whether the operating system's authorities are trusted, in place of Mozilla's list; wants the feature system-roots.",
    ),
    Key::of_exporter(
        "otlp.preset",
        OneOf(PRESETS),
        "",
        "A backend whose endpoint and headers are known here; docs/backends.md says for each what it wants of the keys below. endpoint and headers override it.",
    )
    .example("jaeger"),
    Key::of_exporter("otlp.api_key", Secret, "", "The key or token of the preset's backend. Never shown.")
        .example("${OTLP_API_KEY:-none}"),
    Key::of_exporter(
        "otlp.region",
        Text,
        "",
        "The preset's region: us or eu, or for grafana_cloud its zone, such as prod-us-east-0.",
    )
    .example("us"),
    Key::of_exporter("otlp.dataset", Text, "", "The data set of the preset honeycomb.").example("shop"),
    Key::of_exporter("otlp.instance_id", Text, "", "The instance id of the preset grafana_cloud, a number.")
        .example("123456"),
    Key::new(
        "otlp.project",
        Text,
        "",
        "The project of the preset gcp; also the attribute gcp.project_id.",
        attribute!("gcp.project_id"),
    )
    .example("my-project"),
    Key::of_exporter(
        "otlp.token.command",
        List(&[]),
        "",
        "A program and its arguments whose output is the value of a header, such as a token that expires. No shell is involved.",
    )
    .example("gcloud,auth,print-access-token"),
    Key::of_exporter(
        "otlp.token.file",
        Path,
        "",
        "A file with the value of a header, which is read for every request.",
    )
    .example("/var/run/secrets/token"),
    Key::of_exporter("otlp.token.header", Text, "authorization", "The header."),
    Key::of_exporter("otlp.token.prefix", Text, "Bearer ", "What is put before the value."),
    Key::of_exporter(
        "otlp.token.every",
        Duration,
        "50m",
        "How long the output of the command is used; less than the token is valid.",
    ),
    Key::of_exporter("otlp.spool.enabled", Bool, "true", "Whether there is a spool, if there is a directory."),
    Key::of_exporter(
        "otlp.spool.directory",
        Path,
        "",
        "The directory. Each service needs its own; each signal has a folder in it.",
    )
    .example("/var/spool/shop"),
    Key::of_exporter("otlp.spool.max_size", Size, "128MiB", "Most bytes on the disk, for each signal.").more_than_zero(),
];

/// Keys of the file of OTLP.
pub(super) const FILE: &[Key] = &[
    Key::of_exporter("otlp.file.enabled", Bool, "true", "Whether there is a file, if there is a path."),
    Key::of_exporter("otlp.file.path", Path, "", "The file.").example("/var/log/shop/otlp.jsonl"),
    Key::of_exporter(
        "otlp.file.signals",
        List(&["traces", "logs", "metrics"]),
        "traces,logs,metrics",
        "What is written to it.",
    ),
    Key::of_exporter("otlp.file.max_size", Size, "100MiB", "The file begins anew before it is larger.")
        .more_than_zero(),
    Key::of_exporter(
        "otlp.file.roll",
        OneOf(&["never", "hourly", "daily"]),
        "never",
        "When the file begins anew besides, in UTC.",
    ),
    Key::of_exporter(
        "otlp.file.max_files",
        Int { least: 1, most: u64::MAX },
        "7",
        "How many old files are kept.",
    ),
];

/// The keys that an item of `otlp.also` has beside those of the section `otlp`.
pub(crate) const ALSO: &[Key] = &[
    Key::of_exporter("otlp.also.name", Text, "", "Its name in the ledger and in messages.")
        .example("archive"),
    Key::of_exporter(
        "otlp.also.signals",
        List(&["traces", "logs", "metrics"]),
        "traces,logs,metrics",
        "What is sent to it.",
    ),
    Key::of_exporter("otlp.also.filter", Text, "", "What logs are sent to it, as logging.filter.")
        .example("info"),
];
pub(super) const TRACES: &[Key] = section!(
    "tracing.otlp",
    "TRACES_",
    "Where traces go. Used as it is; only when it has no path at all, /v1/traces is appended.",
    url::as_it_is,
    ["", "", ""]
);
pub(super) const LOGS: &[Key] = section!(
    "logging.otlp",
    "LOGS_",
    "Where logs go. Used as it is; only when it has no path at all, /v1/logs is appended.",
    url::as_it_is,
    ["", "", ""]
);
pub(super) const METRICS: &[Key] = section!(
    "metrics.otlp",
    "METRICS_",
    "Where metrics go. Used as it is; only when it has no path at all, /v1/metrics is appended.",
    url::as_it_is,
    ["", "", ""]
);

fn same(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}
