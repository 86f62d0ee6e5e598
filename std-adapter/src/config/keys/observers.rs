//! Keys of observers.

use crate::config::key::Key;
use crate::config::value::Kind::{
    self, Bool, Duration, Int, List, Map, OneOf, Path, Ratio, Secret, SecretMap, Size, Text,
};

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key::of_exporter(path, kind, default, doc).of_feature("observers", cfg!(feature = "observers"))
}

/// What all observers share. The observers themselves are a list, which has no variables.
pub(super) const KEYS: &[Key] = &[
    key("observing.enabled", Bool, "", "Whether observers work, if there are any.").example("true"),
    key(
        "observing.state_file",
        Path,
        "",
        "The file that keeps windows, sequences, cooldowns and waiting actions from one run to the next. Its folder is created. One process per file: a second one says so, goes on without, and takes it over when the first one has ended. Unless given, a restart forgets them.",
    )
    .example("/var/lib/shop/observers.state"),
    key("observing.save_every", Duration, "1s", "How often this file is written at most, while something changes."),
];

/// The actions of an observer, which have sections of their names.
pub(crate) const ACTIONS: &[&str] =
    &["metric", "log", "webhook", "kafka", "command", "profile", "sample", "dump"];

/// The keys of an item of `observers`.
pub(crate) const OBSERVER: &[Key] = &[
    key("observers.name", Text, "", "Its name, which is a label of its metrics.").example("slow-checkout"),
    key("observers.on", List(&["span", "event", "metric"]), "span", "What it listens to."),
    key(
        "observers.match",
        Map,
        "",
        "Patterns for names and attributes, in which * stands for any characters. All must fit.",
    )
    .example("http.route=/checkout*"),
    key("observers.when", Text, "", "An expression that must hold, in the Common Expression Language.")
        .example("duration_ms > 500"),
    key(
        "observers.sequence",
        List(&[]),
        "",
        "Expressions that must hold for records that come one after the other, within the time `within` and of one trace.",
    ),
    key("observers.count", Int { least: 1, most: 1000 }, "1", "How many records there must be within the time `within`."),
    key("observers.within", Duration, "", "The time for `count` or `sequence`.").example("1m").more_than_zero(),
    key(
        "observers.by",
        List(&[]),
        "",
        "Names or attributes that tell records apart: each combination of values has a count, a sequence and a cooldown of its own.",
    )
    .example("http.route"),
    key("observers.cooldown", Duration, "0s", "How long no action runs after the observer has found something."),
    key("observers.timeout", Duration, "30s", "How long an action is tried before it is dropped and counted.").more_than_zero(),
    key("observers.queue", Int { least: 1, most: 1_000_000 }, "256", "How many actions may wait."),
    key(
        "observers.actions",
        List(ACTIONS),
        "",
        "What is done: names, each with the keys of its section; or sections with a type each.",
    )
    .example("log"),
    key("observers.metric.name", Text, "", "The name of the metric that counts what is found.").example("checkout.slow"),
    key(
        "observers.metric.kind",
        OneOf(&["counter", "histogram"]),
        "counter",
        "A counter of matches, or a histogram of their durations in milliseconds or values.",
    ),
    key("observers.metric.unit", Text, "", "Its unit.").example("ms"),
    key("observers.metric.labels", List(&[]), "", "Attributes that are its labels.").example("http.route"),
    key(
        "observers.log.message",
        Text,
        "{observer}: {name}{message}",
        "The message of the log record. Attributes and properties in braces are filled in.",
    ),
    key("observers.log.level", OneOf(&["trace", "debug", "info", "warn", "error"]), "warn", "Its level."),
    key("observers.webhook.url", Secret, "", "Where matches are posted as JSON. Never shown.")
        .example("https://example.org/observers"),
    key("observers.webhook.url_file", Path, "", "A file that holds this URL.").example("/run/secrets/observers"),
    key(
        "observers.webhook.secret",
        Secret,
        "",
        "What they are signed with: the header X-Throughline-Signature is sha256= and, in hexadecimal, the HMAC-SHA256 of the header X-Throughline-Timestamp, a dot and the body. Never shown.",
    )
    .example("${WEBHOOK_SECRET:-none}"),
    key("observers.webhook.secret_file", Path, "", "A file that holds this secret.").example("/run/secrets/secret"),
    key("observers.webhook.headers", SecretMap, "", "More headers. Their values are never shown.")
        .example("authorization=Bearer ${WEBHOOK_TOKEN:-none}"),
    key(
        "observers.webhook.certificate",
        Path,
        "",
        "A PEM file with the authority that signed the receiver's certificate, in place of Mozilla's list.",
    )
    .example("/etc/shop/hooks-ca.pem"),
    key(
        "observers.webhook.allow_private",
        Bool,
        "false",
        "Whether addresses are taken that are not public, such as those of a cluster.",
    ),
    key(
        "observers.kafka.topic",
        Text,
        "",
        "The topic for matches, if it is not that of events.kafka. The brokers and the login are those of that section, which may be off. It needs the feature `events-kafka`.",
    )
    .example("shop-matches"),
    key(
        "observers.command.run",
        List(&[]),
        "",
        "A program and its arguments, run for each match, which is JSON on its standard input.",
    )
    .example("/usr/local/bin/note"),
    key("observers.profile.duration", Duration, "10s", "How long the process is profiled. It needs the feature `profile`.").more_than_zero(),
    key("observers.sample.share", Ratio, "1.0", "The share of the traces that is kept for a time."),
    key("observers.sample.duration", Duration, "5m", "For how long.").more_than_zero(),
    key(
        "observers.sample.pattern",
        Text,
        "",
        "A pattern of the traces. Unless given: the attribute http.route of what was found, or its name.",
    )
    .example("{http.route}"),
    key("observers.dump.directory", Path, "", "The folder for files of the last spans and events.").example("/var/log/shop"),
    key("observers.dump.max_size", Size, "4MiB", "How much of them is kept in memory.").more_than_zero(),
    key("observers.dump.max_files", Int { least: 1, most: 10_000 }, "10", "How many files are kept."),
];
