//! Keys of checks and of the pages of health.

use crate::config::key::Key;
use crate::config::places;
use crate::config::value::Kind::{self, Bool, Duration, Int, List, Map, Ratio, Text};

const PORT: Kind = Int { least: 0, most: 65535 };

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("health", cfg!(feature = "health"))
}

pub(super) const KEYS: &[Key] = &[
    key("health.enabled", Bool, "", "Whether there are checks and pages, if anything is said here.").example("true"),
    key("health.host", Text, "", "The address that the pages listen on. Unless given: admin.host.").example("127.0.0.1").checked(places::host),
    key("health.port", PORT, "", "The port that they listen on. Unless given: admin.port.").example("8081"),
    Key::of_exporter(
        "health.grpc_port",
        PORT,
        "",
        "A port at which the same host tells health over gRPC, as grpc.health.v1.Health, with the token and the certificate of pages. Unless given, none does.",
    )
    .example("8082")
    .of_feature(
        if cfg!(feature = "health") { "grpc" } else { "health" },
        cfg!(all(feature = "grpc", feature = "health")),
    ),
    key(
        "health.path",
        Text,
        "/health",
        "The path of the page of all checks. /livez, /readyz and /startupz are there too.",
    )
    .checked(places::path),
    key("health.timeout", Duration, "5s", "How long a check may take.").more_than_zero(),
    key("health.interval", Duration, "30s", "How long to wait from the end of a check to its next run.").more_than_zero(),
    key(
        "health.telemetry",
        Bool,
        "true",
        "Whether losses and failing exporters of this library make the service degraded.",
    ),
    key("health.tcp", Map, "", "Checks whether a TCP connection can be opened: names, and host:port.")
        .example("database=localhost:5432")
        .checked(places::hosts_and_ports),
    key("health.http", Map, "", "Checks whether a GET is answered with a status below 400: names, and URLs.")
        .example("stock=http://stock:8080/health")
        .checked(places::urls),
    key("health.dns", Map, "", "Checks whether hosts have addresses: names, and hosts.").example("mail=mail.example")
        .checked(places::names),
    key("health.disk", Map, "", "Checks whether there is room on disks: names, and paths.").example("data=/var/lib/shop"),
    key("health.disk_free", Ratio, "0.05", "The share of a disk that must be free. Below twice as much it is degraded."),
    key(
        "health.memory_free",
        Ratio,
        "",
        "The share of the memory that must be free, of the container's or the machine's. Unless given, it is not checked.",
    )
    .example("0.05"),
    key("health.optional", List(&[]), "", "Names of checks that make the service degraded, not unhealthy.").example("stock"),
];
