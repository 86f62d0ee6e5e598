//! Keys of local pages, whatever they show.

use crate::config::key::Key;
use crate::config::places;
use crate::config::value::Kind::{self, Int, Path, Secret, Text};

const PORT: Kind = Int { least: 0, most: 65535 };
const CONNECTIONS: Kind = Int { least: 1, most: 1024 };

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("admin", cfg!(feature = "admin"))
}

pub(super) const KEYS: &[Key] = &[
    key(
        "admin.host",
        Text,
        "127.0.0.1",
        "The address that pages listen on which have no own; 0.0.0.0 for all networks.",
    )
    .checked(places::host),
    key("admin.port", PORT, "8081", "The port of pages which have no own."),
    key(
        "admin.token",
        Secret,
        "",
        "What a client of any page, also of metrics and health, must send as Authorization: Bearer. Never shown.",
    )
    .example("${ADMIN_TOKEN:-none}")
    .checked(places::token),
    key("admin.certificate", Path, "", "A PEM file: pages are https then, with this certificate.")
        .example("/etc/shop/pages.pem"),
    key("admin.certificate_key", Path, "", "A PEM file with the key of the certificate.")
        .example("/etc/shop/pages.key"),
    key("admin.connections", CONNECTIONS, "32", "How many clients of a server of pages there may be at once."),
];
