//! Keys of metrics.

use crate::config::key::{Key, Standard};
use crate::config::value::Kind::{self, Bool, Duration, Int, List, Map, OneOf, Path, SecretMap, Text, Url};
use crate::config::{exporters, places};

const PORT: Kind = Int { least: 0, most: 65535 };

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "metrics.enabled",
        Bool,
        "true",
        "Whether metrics are sent. They are counted all the same, as that costs next to nothing.",
        set!(routes.metrics_on, bool),
    ),
    Key::new(
        "metrics.interval",
        Duration,
        "10s",
        "How often metrics are sent.",
        set_some!(metrics_every, duration),
    )
    .more_than_zero()
    .standard(&[Standard::milliseconds("OTEL_METRIC_EXPORT_INTERVAL")]),
    Key::of_exporter(
        "metrics.export_timeout",
        Duration,
        "",
        "How long OTLP may take to send the metrics, all attempts together, in place of otlp.retry_for.",
    )
    .example("30s")
    .standard(&[Standard::milliseconds("OTEL_METRIC_EXPORT_TIMEOUT")]),
    Key::new(
        "metrics.exporters",
        List(&["otlp", "console", "stdout", "prometheus", "none"]),
        "",
        "Where metrics go. Unless given: to OTLP, if it has an endpoint, else to the terminal.",
        |config, value| exporters::set_route(&mut config.routes.metrics, value),
    )
    .example("otlp")
    .standard(&[Standard { name: "OTEL_METRICS_EXPORTER", translate: exporters::exporter_names }]),
    Key::of_exporter(
        "metrics.temporality",
        OneOf(&["cumulative", "delta", "lowmemory"]),
        "cumulative",
        "Whether OTLP's sums count from the start or from the last export.",
    )
    .standard(&[Standard::same("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")]),
    Key::of_exporter(
        "metrics.histograms",
        OneOf(&["exponential", "explicit"]),
        "exponential",
        "How OTLP's histograms are sent: as they are, or with fixed bounds.",
    )
    .standard(&[Standard {
        name: "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        translate: exporters::aggregation,
    }]),
    Key::new(
        "metrics.exemplars",
        Bool,
        "true",
        "Whether histograms keep a few values with their traces, so that a slow request leads to its trace.",
        set!(exemplars, bool),
    )
    .standard(&[Standard { name: "OTEL_METRICS_EXEMPLAR_FILTER", translate: exporters::exemplar_filter }]),
    Key::of_exporter("metrics.namespace", Text, "", "What the names on Prometheus' page begin with.")
        .example("shop"),
    Key::of_exporter(
        "metrics.prometheus.enabled",
        Bool,
        "true",
        "Whether there is a page, if anything is said here.",
    ),
    Key::of_exporter(
        "metrics.prometheus.host",
        Text,
        "127.0.0.1",
        "The address that it listens on; 0.0.0.0 for all.",
    )
    .checked(places::host)
    .standard(&[Standard::same("OTEL_EXPORTER_PROMETHEUS_HOST")]),
    Key::of_exporter("metrics.prometheus.port", PORT, "9464", "The port that it listens on.")
        .standard(&[Standard::same("OTEL_EXPORTER_PROMETHEUS_PORT")]),
    Key::of_exporter("metrics.prometheus.path", Text, "/metrics", "The path of the page.")
        .checked(places::path),
    Key::of_exporter(
        "metrics.prometheus.utf8_names",
        Bool,
        "false",
        "Whether names keep dots and other characters, for a Prometheus that allows them: from version 3 on.",
    ),
    Key::of_exporter(
        "metrics.remote_write.enabled",
        Bool,
        "true",
        "Whether metrics are sent by remote write, if there is an endpoint.",
    ),
    Key::of_exporter(
        "metrics.remote_write.endpoint",
        Url,
        "",
        "Where remote write goes; without a path, to /api/v1/write.",
    )
    .example("http://localhost:9090/api/v1/write"),
    Key::of_exporter(
        "metrics.remote_write.interval",
        Duration,
        "",
        "The shortest time between two snapshots. Unless given, metrics.interval says how often.",
    )
    .example("15s"),
    Key::of_exporter(
        "metrics.remote_write.native_histograms",
        Bool,
        "false",
        "Whether histograms are native ones, for a server that keeps those; others refuse them.",
    ),
    Key::of_exporter(
        "metrics.remote_write.version",
        OneOf(&["1.0", "2.0"]),
        "1.0",
        "The version of remote write. 2.0 is smaller and tells when counters began; Prometheus takes it from 3.0 on.",
    ),
    Key::of_exporter("metrics.remote_write.headers", SecretMap, "", "Headers of every request. Never shown.")
        .example("authorization=Bearer%20${REMOTE_WRITE_TOKEN:-none}"),
    Key::of_exporter(
        "metrics.remote_write.certificate",
        Path,
        "",
        "A PEM file with the authority that signed the receiver's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/ca.pem"),
    Key::of_exporter(
        "metrics.pushgateway.enabled",
        Bool,
        "true",
        "Whether metrics are pushed, if there is an endpoint.",
    ),
    Key::of_exporter("metrics.pushgateway.endpoint", Url, "", "Where the Pushgateway is.")
        .example("http://localhost:9091"),
    Key::of_exporter("metrics.pushgateway.job", Text, "", "The job; the service's name unless given.")
        .example("shop"),
    Key::of_exporter("metrics.pushgateway.grouping", Map, "", "Further labels of the group.")
        .example("instance=shop-0"),
    Key::of_exporter(
        "metrics.pushgateway.interval",
        Duration,
        "",
        "The shortest time between two pushes. Unless given, metrics.interval says how often.",
    )
    .example("1m"),
    Key::of_exporter("metrics.pushgateway.timeout", Duration, "10s", "How long a request may take.")
        .more_than_zero(),
    Key::of_exporter(
        "metrics.pushgateway.delete_on_exit",
        Bool,
        "false",
        "Whether the group is deleted when the program ends.",
    ),
    Key::of_exporter("metrics.pushgateway.headers", SecretMap, "", "Headers of every request. Never shown.")
        .example("authorization=Basic%20${PUSHGATEWAY_AUTH:-none}"),
    Key::of_exporter(
        "metrics.pushgateway.certificate",
        Path,
        "",
        "A PEM file with the authority that signed the Pushgateway's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/ca.pem"),
];
