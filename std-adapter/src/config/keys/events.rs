//! Keys of events that go out.

use crate::config::key::Key;
use crate::config::value::Kind::{self, Bool, Int, List, OneOf, Path, Secret, SecretMap, Size, Text};

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("events", cfg!(feature = "events"))
}

pub(super) const KEYS: &[Key] = &[
    key("events.webhook.enabled", Bool, "", "Whether events are posted, if anything is said here.").example("true"),
    key("events.webhook.url", Secret, "", "Where events are posted as CloudEvents. Never shown.")
        .example("https://example.org/events"),
    key("events.webhook.url_file", Path, "", "A file that holds this URL.").example("/run/secrets/events"),
    key(
        "events.webhook.secret",
        Secret,
        "",
        "What requests are signed with, by HMAC-SHA256 in the header X-Throughline-Signature. Never shown.",
    )
    .example("${WEBHOOK_SECRET:-none}"),
    key("events.webhook.secret_file", Path, "", "A file that holds this secret.").example("/run/secrets/events-secret"),
    key("events.webhook.headers", SecretMap, "", "More headers. Their values are never shown.")
        .example("authorization=Bearer ${WEBHOOK_TOKEN:-none}"),
    key(
        "events.webhook.allow_private",
        Bool,
        "false",
        "Whether addresses are taken that are not public, such as those of a cluster.",
    ),
    key(
        "events.webhook.mode",
        OneOf(&["batch", "structured", "binary"]),
        "batch",
        "A request for a batch of events as JSON, or one for each event: as JSON, or with the attributes as headers.",
    ),
    key("events.webhook.signals", List(&["traces", "logs"]), "logs", "What is sent."),
    key("events.webhook.filter", Text, "info", "What logs are sent, as logging.filter."),
    key("events.webhook.batch_size", Int { least: 1, most: 10_000 }, "100", "Most events in a request."),
    key(
        "events.webhook.spool.directory",
        Path,
        "",
        "The folder in which batches wait from before they are sent until they were taken. Without it they wait in memory.",
    )
    .example("/var/spool/shop"),
    key("events.webhook.spool.max_size", Size, "128MiB", "Most bytes of it."),
    key(
        "events.webhook.dead_letters",
        Path,
        "",
        "The file for events that were refused for good, a JSON object in a line. It is rolled at 64 MiB, and 7 old ones are kept.",
    )
    .example("/var/log/shop/dead-letters.jsonl"),
];
