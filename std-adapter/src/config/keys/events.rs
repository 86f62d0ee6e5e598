//! Keys of events that go out.

use crate::config::key::Key;
use crate::config::value::Kind::{self, Bool, Int, List, OneOf, Path, Secret, SecretMap, Size, Text};

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("events", cfg!(feature = "events"))
}

const fn of_kafka(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("events-kafka", cfg!(feature = "events-kafka"))
}

pub(super) const KAFKA: &[Key] = &[
    of_kafka("events.kafka.enabled", Bool, "", "Whether events go to Kafka, if anything is said here.").example("true"),
    of_kafka(
        "events.kafka.brokers",
        List(&[]),
        "",
        "The brokers that are asked first, as HOST or HOST:PORT. They name all others.",
    )
    .example("kafka-1:9092, kafka-2:9092"),
    of_kafka("events.kafka.topic", Text, "", "The topic, which must exist. Its records have the trace id as their key.")
        .example("shop-events"),
    of_kafka("events.kafka.tls", Bool, "false", "Whether brokers are connected to over TLS. So they are too if there is a certificate here."),
    of_kafka(
        "events.kafka.certificate",
        Path,
        "",
        "A PEM file with the authority that signed the brokers' certificates, in place of Mozilla's list.",
    )
    .example("/etc/shop/kafka-ca.pem"),
    of_kafka(
        "events.kafka.client_certificate",
        Path,
        "",
        "A PEM file with the certificate to show to brokers that ask for one; wants client_key too.",
    )
    .example("/etc/shop/client.pem"),
    of_kafka("events.kafka.client_key", Path, "", "A PEM file with the key of client_certificate.")
        .example("/etc/shop/client.key"),
    of_kafka("events.kafka.username", Text, "", "The name to log in with (SASL).").example("shop"),
    of_kafka("events.kafka.password", Secret, "", "Its password. Never shown.").example("${KAFKA_PASSWORD:-none}"),
    of_kafka("events.kafka.password_file", Path, "", "A file that holds this password.")
        .example("/run/secrets/kafka-password"),
    of_kafka(
        "events.kafka.mechanism",
        OneOf(&["plain", "scram-sha-256", "scram-sha-512"]),
        "plain",
        "How the password is proved. With plain it is sent as it is, so that there should be TLS.",
    ),
    of_kafka("events.kafka.signals", List(&["traces", "logs"]), "logs", "What is sent."),
    of_kafka("events.kafka.filter", Text, "info", "What logs are sent, as logging.filter."),
    of_kafka(
        "events.kafka.batch_size",
        Int { least: 1, most: 100_000 },
        "1000",
        "Most events in a batch. A request to a partition has at most 900 KiB of them.",
    ),
    of_kafka(
        "events.kafka.spool.directory",
        Path,
        "",
        "The folder in which batches wait from before they are sent until all replicas have them. Without it, and while it cannot be written, they wait in 16 MiB of memory.",
    )
    .example("/var/spool/shop"),
    of_kafka("events.kafka.spool.max_size", Size, "128MiB", "Most bytes of it.").more_than_zero(),
    of_kafka(
        "events.kafka.dead_letters",
        Path,
        "",
        "The file for events that were refused for good, a JSON object in a line. It is rolled at 64 MiB, and 7 old ones are kept.",
    )
    .example("/var/log/shop/dead-events.jsonl"),
];

pub(super) const KEYS: &[Key] = &[
    key("events.webhook.enabled", Bool, "", "Whether events are posted, if anything is said here.").example("true"),
    key("events.webhook.url", Secret, "", "Where events are posted as CloudEvents. Never shown.")
        .example("https://example.org/events"),
    key("events.webhook.url_file", Path, "", "A file that holds this URL.").example("/run/secrets/events"),
    key(
        "events.webhook.secret",
        Secret,
        "",
        "What requests are signed with: the header X-Throughline-Signature is sha256= and, in hexadecimal, the HMAC-SHA256 of the header X-Throughline-Timestamp, a dot and the body. In the mode binary the attributes of an event are headers, which are not signed. Never shown.",
    )
    .example("${WEBHOOK_SECRET:-none}"),
    key("events.webhook.secret_file", Path, "", "A file that holds this secret.").example("/run/secrets/events-secret"),
    key("events.webhook.headers", SecretMap, "", "More headers. Their values are never shown.")
        .example("authorization=Bearer ${WEBHOOK_TOKEN:-none}"),
    key(
        "events.webhook.certificate",
        Path,
        "",
        "A PEM file with the authority that signed the receiver's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/events-ca.pem"),
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
        "The folder in which batches wait from before they are sent until they were taken. Without it, and while it cannot be written, they wait in 16 MiB of memory.",
    )
    .example("/var/spool/shop"),
    key("events.webhook.spool.max_size", Size, "128MiB", "Most bytes of it.").more_than_zero(),
    key(
        "events.webhook.dead_letters",
        Path,
        "",
        "The file for events that were refused for good, a JSON object in a line: by any status but 2xx, after which they are delivered, and 408, 425, 429 and 5xx, after which they are sent again, as without an answer, for as long as there is room for them. It is rolled at 64 MiB, and 7 old ones are kept.",
    )
    .example("/var/log/shop/dead-letters.jsonl"),
];
