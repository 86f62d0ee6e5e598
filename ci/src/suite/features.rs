//! The features of `throughline-std` with which the suite builds, as arguments of cargo.

/// What a server can be built with, beside the default. They turn on those of the exporters.
const SERVER_FEATURES: [&str; 23] = [
    "alerts",
    "alerts-email",
    "events",
    "events-kafka",
    "health",
    "insights",
    "observers",
    "prometheus",
    "tls",
    "system-roots",
    "gzip",
    "zstd",
    "grpc-tls",
    "yaml",
    "tower",
    "reqwest",
    "futures-core",
    "tracing",
    "log",
    "metrics",
    "opentelemetry",
    "profile",
    "thread-context",
];

/// Those of [`SERVER_FEATURES`] whose dependencies build C.
const FEATURES_WITH_C: [&str; 9] = [
    "alerts",
    "alerts-email",
    "events",
    "events-kafka",
    "observers",
    "tls",
    "system-roots",
    "zstd",
    "grpc-tls",
];

/// All of them.
pub(super) fn all() -> String {
    of(|_| true)
}

/// Those that need no compiler of C; of gRPC what needs no TLS.
pub(super) fn without_c() -> String {
    of(|name| !FEATURES_WITH_C.contains(&name)) + ",throughline-std/grpc"
}

fn of(wanted: impl Fn(&str) -> bool) -> String {
    let wanted = SERVER_FEATURES.iter().filter(|name| wanted(name));
    wanted.map(|name| format!("throughline-std/{name}")).collect::<Vec<_>>().join(",")
}
