//! Keys of OTLP: the same ones for all signals together and for each signal.

use crate::config::key::{Key, Standard};
use crate::config::url;
use crate::config::value::Kind::{Bool, Duration, OneOf, Path, SecretMap, Url};

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
