//! Creates what sends events out.

#[cfg(feature = "events-kafka")]
use super::secret;
use super::webhook::signed;
use super::{Keys, Made, Wrong, needed_secret};
#[cfg(feature = "events-kafka")]
use crate::config::problem::Problem;
use crate::config::problem::Problems;
use crate::events::{Events, Mode, Sink, Webhook};
#[cfg(feature = "events-kafka")]
use crate::events::{Kafka, KafkaError, Mechanism};
use throughline_export::log::RollingFile;
use throughline_export::otlp::Signal;
use throughline_export::{SpoolConfig, reserve_spool};

/// Size at which the file of dead letters is rolled, and how many old ones are kept.
const DEAD_BYTES: u64 = 64 << 20;
const DEAD_FILES: usize = 7;

#[cfg(feature = "events-kafka")]
impl super::Fault for KafkaError {}

pub(super) fn webhook(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("events.webhook") {
        return Ok(None);
    }
    let mode = match keys.text("events.webhook.mode").as_deref() {
        Some("structured") => Mode::Structured,
        Some("binary") => Mode::Binary,
        _ => Mode::Batch,
    };
    let batch = (mode != Mode::Batch).then_some(1);
    events(keys, "events.webhook", webhook_sink(keys).map(|webhook| webhook.mode(mode)), batch)
}

fn webhook_sink(keys: &Keys<'_>) -> Result<Webhook, Problems> {
    let url = needed_secret(keys, "events.webhook.url");
    signed(keys, "events.webhook", url, Webhook::post).map(Webhook::posting)
}

#[cfg(feature = "events-kafka")]
pub(super) fn kafka(keys: &Keys<'_>) -> Made {
    if !keys.asks_for("events.kafka") {
        return Ok(None);
    }
    events(keys, "events.kafka", kafka_sink(keys, (keys, TOPIC)), None)
}

/// The key of the section's topic.
#[cfg(feature = "events-kafka")]
pub(super) const TOPIC: &str = "events.kafka.topic";

/// What sends to the brokers of the section, to the topic that this key says.
#[cfg(feature = "events-kafka")]
pub(super) fn kafka_sink(
    keys: &Keys<'_>,
    (with_topic, topic): (&Keys<'_>, &'static str),
) -> Result<Kafka, Problems> {
    const BROKERS: &str = "events.kafka.brokers";
    let mut wrong = Wrong::default();
    let brokers = keys.list(BROKERS);
    if brokers.is_empty() {
        // The error for a key that is missing.
        wrong.take(keys.needed(BROKERS));
    }
    let made = |name| {
        Kafka::new(brokers, name).map_err(|error| match error {
            KafkaError::Topic(_) => with_topic.problem(topic, &error),
            _ => keys.problem(BROKERS, &error),
        })
    };
    let kafka = wrong.take(with_topic.needed(topic).and_then(made));
    let login = wrong.take(login(keys));
    let (mut kafka, login) = wrong.or(kafka.zip(login))?;
    if keys.is("events.kafka.tls") {
        kafka = kafka.tls();
    }
    const CERTIFICATE: &str = "events.kafka.certificate";
    const CLIENT: &str = "events.kafka.client_certificate";
    kafka = keys.trusting(CERTIFICATE, kafka, |kafka, path| kafka.ca_certificate(path))?;
    if let (Some(certificate), Some(key)) = (keys.text(CLIENT), keys.text("events.kafka.client_key")) {
        kafka = kafka.client_certificate(certificate, key).map_err(|error| keys.problem(CLIENT, &error))?;
    }
    if let Some((mechanism, name, password)) = login {
        kafka = kafka.login(mechanism, name, password);
    }
    Ok(kafka)
}

/// The mechanism, the name and the password, if there are any.
#[cfg(feature = "events-kafka")]
fn login<'k>(keys: &Keys<'k>) -> Result<Option<(Mechanism, &'k str, String)>, Problem> {
    const PASSWORD: &str = "events.kafka.password";
    match (keys.said("events.kafka.username"), secret(keys, PASSWORD)?) {
        (Some(name), Some(password)) => {
            let mechanism = match keys.text("events.kafka.mechanism").as_deref() {
                Some("scram-sha-256") => Mechanism::ScramSha256,
                Some("scram-sha-512") => Mechanism::ScramSha512,
                _ => Mechanism::Plain,
            };
            Ok(Some((mechanism, name.value.text(), password)))
        }
        (Some(alone), None) => Err(alone.problem("wants password or password_file too")),
        (None, Some(_)) => Err(keys.problem(PASSWORD, &"it wants username too".to_owned())),
        (None, None) => Ok(None),
    }
}

/// The exporter of a section, with what all of them have. `batch` is the number of events in a batch, where that is no matter of a key.
fn events(
    keys: &Keys<'_>,
    section: &'static str,
    sink: Result<impl Sink, Problems>,
    batch: Option<usize>,
) -> Made {
    let path = |name: &str| format!("{section}.{name}");
    let mut wrong = Wrong::default();
    let sink = wrong.take(sink);
    let filter = wrong.take(keys.filter(&path("filter")));
    let directory = path("spool.directory");
    let spool = keys.text(&directory).map(SpoolConfig::new);
    if let Some(spool) = &spool {
        let folder = spool.dir().join(section);
        // A service that runs with this file holds the lock.
        let checked = match keys.dry {
            true => RollingFile::new(folder.join("lock")).check(),
            false => reserve_spool(&folder),
        };
        wrong.take(checked.map_err(|error| keys.problem(&directory, &error)));
    }
    let dead = path("dead_letters");
    let file = keys.text(&dead).map(|path| RollingFile::new(path).max_bytes(DEAD_BYTES).keep(DEAD_FILES));
    if let Some(file) = &file {
        wrong.take(file.check().map_err(|error| keys.problem(&dead, &error)));
    }
    let (sink, filter) = wrong.or(sink.zip(filter))?;
    let signals = keys.signals(&path("signals"));
    let most = keys.value(&path("batch_size")).map_or(100, |events| events.size());
    let mut events = Events::new(section, sink)
        .signals(signals.contains(&Signal::Traces), signals.contains(&Signal::Logs))
        .filter(filter)
        .batch(batch.unwrap_or(most));
    if let Some(spool) = spool {
        let bytes = keys.value(&path("spool.max_size"));
        events = events.spool(bytes.iter().fold(spool, |spool, bytes| spool.max_bytes(bytes.int())));
    }
    events = file.into_iter().fold(events, Events::dead_letters);
    Ok(Some(Box::new(events)))
}
