//! Creates what sends events out.

use super::{Keys, secret};
use crate::config::problem::Problem;
use crate::events::{Events, Mode, Sink, Webhook};
#[cfg(feature = "events-kafka")]
use crate::events::{Kafka, KafkaError, Mechanism};
use throughline_export::log::RollingFile;
use throughline_export::otlp::Signal;
use throughline_export::{Exporter, SpoolConfig, reserve_spool};

/// Size at which the file of dead letters is rolled, and how many old ones are kept.
const DEAD_BYTES: u64 = 64 << 20;
const DEAD_FILES: usize = 7;

#[cfg(feature = "events-kafka")]
impl super::Fault for KafkaError {}

pub(super) fn webhook(keys: &Keys<'_>) -> Result<Option<Box<dyn Exporter>>, Problem> {
    const URL: &str = "events.webhook.url";
    if !keys.asks_for("events.webhook") {
        return Ok(None);
    }
    let url = match secret(keys, URL)? {
        Some(url) => url,
        None => keys.needed(URL)?,
    };
    let mut webhook = Webhook::new(&url).map_err(|error| keys.problem(URL, &error))?;
    if keys.is("events.webhook.allow_private") {
        webhook = webhook.allow_private();
    }
    if let Some(secret) = secret(keys, "events.webhook.secret")? {
        webhook = webhook.secret(secret);
    }
    for (name, value) in keys.pairs("events.webhook.headers") {
        webhook = webhook.header(name, value);
    }
    let mode = match keys.text("events.webhook.mode").as_deref() {
        Some("structured") => Mode::Structured,
        Some("binary") => Mode::Binary,
        _ => Mode::Batch,
    };
    let batch = (mode != Mode::Batch).then_some(1);
    events(keys, "events.webhook", webhook.mode(mode), batch).map(Some)
}

#[cfg(feature = "events-kafka")]
pub(super) fn kafka(keys: &Keys<'_>) -> Result<Option<Box<dyn Exporter>>, Problem> {
    if !keys.asks_for("events.kafka") {
        return Ok(None);
    }
    events(keys, "events.kafka", kafka_sink(keys, (keys, TOPIC))?, None).map(Some)
}

/// The key of the section's topic.
#[cfg(feature = "events-kafka")]
pub(super) const TOPIC: &str = "events.kafka.topic";

/// What sends to the brokers of the section, to the topic that this key says.
#[cfg(feature = "events-kafka")]
pub(super) fn kafka_sink(
    keys: &Keys<'_>,
    (with_topic, topic): (&Keys<'_>, &'static str),
) -> Result<Kafka, Problem> {
    const BROKERS: &str = "events.kafka.brokers";
    let brokers = keys.list(BROKERS);
    if brokers.is_empty() {
        // The error for a key that is missing.
        keys.needed(BROKERS)?;
    }
    let mut kafka = Kafka::new(brokers, with_topic.needed(topic)?).map_err(|error| match error {
        KafkaError::Topic(_) => with_topic.problem(topic, &error),
        _ => keys.problem(BROKERS, &error),
    })?;
    if keys.is("events.kafka.tls") {
        kafka = kafka.tls();
    }
    const CERTIFICATE: &str = "events.kafka.certificate";
    const CLIENT: &str = "events.kafka.client_certificate";
    if let Some(path) = keys.text(CERTIFICATE) {
        kafka = kafka.ca_certificate(path).map_err(|error| keys.problem(CERTIFICATE, &error))?;
    }
    if let (Some(certificate), Some(key)) = (keys.text(CLIENT), keys.text("events.kafka.client_key")) {
        kafka = kafka.client_certificate(certificate, key).map_err(|error| keys.problem(CLIENT, &error))?;
    }
    let password = secret(keys, "events.kafka.password")?;
    match (keys.said("events.kafka.username"), password) {
        (Some(name), Some(password)) => {
            let mechanism = match keys.text("events.kafka.mechanism").as_deref() {
                Some("scram-sha-256") => Mechanism::ScramSha256,
                Some("scram-sha-512") => Mechanism::ScramSha512,
                _ => Mechanism::Plain,
            };
            kafka = kafka.login(mechanism, name.value.text(), password);
        }
        (Some(alone), None) => return Err(alone.problem("wants password or password_file too")),
        (None, Some(_)) => {
            return Err(keys.problem("events.kafka.password", &"it wants username too".to_owned()));
        }
        (None, None) => {}
    }
    Ok(kafka)
}

/// The exporter of a section, with what all of them have. `batch` is the number of events in a batch, where that is no matter of a key.
fn events(
    keys: &Keys<'_>,
    section: &'static str,
    sink: impl Sink,
    batch: Option<usize>,
) -> Result<Box<dyn Exporter>, Problem> {
    let path = |name: &str| format!("{section}.{name}");
    let signals = keys.signals(&path("signals"));
    let most = keys.value(&path("batch_size")).map_or(100, |events| events.size());
    let mut events = Events::new(section, sink)
        .signals(signals.contains(&Signal::Traces), signals.contains(&Signal::Logs))
        .filter(keys.filter(&path("filter"))?)
        .batch(batch.unwrap_or(most));
    let directory = path("spool.directory");
    if let Some(folder) = keys.text(&directory) {
        let spool = SpoolConfig::new(&folder);
        let folder = spool.dir().join(section);
        // A service that runs with this file holds the lock.
        let checked = match keys.dry {
            true => RollingFile::new(folder.join("lock")).check(),
            false => reserve_spool(&folder),
        };
        checked.map_err(|error| keys.problem(&directory, &error))?;
        let bytes = keys.value(&path("spool.max_size"));
        events = events.spool(bytes.iter().fold(spool, |spool, bytes| spool.max_bytes(bytes.int())));
    }
    let dead = path("dead_letters");
    if let Some(path) = keys.text(&dead) {
        let file = RollingFile::new(path).max_bytes(DEAD_BYTES).keep(DEAD_FILES);
        file.check().map_err(|error| keys.problem(&dead, &error))?;
        events = events.dead_letters(file);
    }
    Ok(Box::new(events))
}
