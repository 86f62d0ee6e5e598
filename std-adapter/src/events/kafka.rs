//! Kafka as a receiver of events.

mod connected;
mod partition;

use super::{CloudEvent, Sink};
use connected::{Connected, Failure};
use rskafka::BackoffConfig;
use rskafka::client::{ClientBuilder, Credentials, SaslConfig};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::ledger::DropReason;
use throughline_export::otlp::{ConfigError, Tls};
use throughline_export::text::escaped;
use throughline_export::{Deadline, ExportError};
use tokio::runtime::{Builder, Runtime};

const PORT: &str = "9092";
/// Longest time that an attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks at whether the deadline was brought forward.
const LOOK: Duration = Duration::from_millis(100);
/// Time that is left before the deadline for counting what was not sent.
const MARGIN: Duration = Duration::from_millis(20);

/// Sends events to a topic of Kafka.
///
/// Source: *Kafka Protocol Binding for CloudEvents, version 1.0.2*, structured mode. A record's value is the event as JSON, its header `content-type` says
/// so, and its key is the id of the trace. Events of a trace are in one partition, in order: the one that Kafka's Java producer chooses for that key. What
/// has no trace goes to one partition for each batch, in turn.
///
/// A batch is taken when all replicas that are in sync have it (`acks=all`). For each partition there is one request at a time, of at most 900 KiB. An event
/// that the broker finds too large is refused; others of its batch are not. A broker that is away, a topic that does not exist and a login that is not
/// accepted are `unreachable`: the events wait in memory or in the spool. An event arrives twice when the broker's answer is lost or takes longer than 10 s; it
/// has the same id then. Quotas of producers cannot be used: when a broker throttles by one, `rskafka` sends again what was taken.
///
/// It uses the crate `rskafka`, on a runtime of its own, on the exporter's thread: one connection for each partition, and one more.
///
/// ```no_run
/// use throughline_std::events::{Events, Kafka};
/// use throughline_std::{Config, SpoolConfig};
/// let kafka = Kafka::new(["kafka-1:9092", "kafka-2:9092"], "shop-events")?;
/// let events = Events::new("kafka", kafka).spool(SpoolConfig::new("/var/spool/shop"));
/// let config = Config::new("shop").exporter("events.kafka", events);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Kafka {
    brokers: Vec<String>,
    topic: String,
    tls: Option<Tls>,
    login: Option<SaslConfig>,
    runtime: Option<Runtime>,
    connected: Option<Connected>,
    /// What has become of events of a batch whose others are sent again: of those that were refused, why.
    settled: HashMap<String, Option<String>>,
    /// The places of those that were refused, after the last batch.
    refused: Vec<usize>,
    /// The next partition for events without a key.
    turn: usize,
}

/// How a password is proved to the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// The password is sent as it is, so that the connection should be over TLS.
    #[default]
    Plain,
    /// SCRAM with SHA-256.
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

/// Brokers or a topic that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// There is no broker.
    #[error("there is no broker; write one or more as HOST:PORT, such as kafka-1:9092")]
    NoBroker,
    /// It has no host, or a port that is none.
    #[error("`{0}` is no broker; write HOST:PORT, such as kafka-1:9092, without a scheme")]
    Broker(String),
    /// No topic can have this name.
    #[error("`{0}` is no name of a topic; write at most 249 letters, digits, dots, underscores and hyphens")]
    Topic(String),
}

/// Leaves out the password.
impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        // Do not wait for a name lookup that is still running.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Kafka {
    /// Sends to this topic. The brokers are the first to be asked; they name all others. Their port is 9092 unless given.
    ///
    /// # Errors
    ///
    /// There is no broker, or one of them or the topic cannot be.
    pub fn new(
        brokers: impl IntoIterator<Item = impl AsRef<str>>,
        topic: impl Into<String>,
    ) -> Result<Kafka, KafkaError> {
        let brokers =
            brokers.into_iter().map(|at| broker(at.as_ref())).collect::<Result<Vec<String>, KafkaError>>()?;
        if brokers.is_empty() {
            return Err(KafkaError::NoBroker);
        }
        let topic = topic.into();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.is_empty()
            || topic.len() > 249
            || matches!(&*topic, "." | "..")
            || !topic.chars().all(is_name)
        {
            return Err(KafkaError::Topic(escaped(&topic).into_owned()));
        }
        Ok(Kafka {
            brokers,
            topic,
            tls: None,
            login: None,
            runtime: None,
            connected: None,
            settled: HashMap::new(),
            refused: Vec::new(),
            turn: 0,
        })
    }

    /// Connects over TLS. Brokers' certificates are checked for the names that the cluster gives them.
    #[must_use]
    pub fn tls(mut self) -> Kafka {
        self.tls.get_or_insert_default();
        self
    }

    /// Connects over TLS, and trusts the authorities in this PEM file instead of Mozilla's list.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate.
    pub fn ca_certificate(mut self, path: impl AsRef<Path>) -> Result<Kafka, ConfigError> {
        self.tls.get_or_insert_default().trust_file(path.as_ref())?;
        Ok(self)
    }

    /// Connects over TLS, and presents the certificate in this PEM file. The key is its private key, as PEM without a passphrase.
    ///
    /// # Errors
    ///
    /// One of the files cannot be used.
    pub fn client_certificate(
        mut self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Kafka, ConfigError> {
        self.tls.get_or_insert_default().identify(certificate.as_ref(), key.as_ref())?;
        Ok(self)
    }

    /// Logs in with this name and password (SASL).
    #[must_use]
    pub fn login(
        mut self,
        mechanism: Mechanism,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Kafka {
        let credentials = Credentials::new(user.into(), password.into());
        self.login = Some(match mechanism {
            Mechanism::Plain => SaslConfig::Plain(credentials),
            Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
            Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
        });
        self
    }
}

impl Kafka {
    fn builder(&self) -> Result<ClientBuilder, Failure> {
        // One attempt: the outbox makes others, each after a longer pause.
        let once = BackoffConfig { deadline: Some(Duration::ZERO), ..BackoffConfig::default() };
        let mut builder =
            ClientBuilder::new(self.brokers.clone()).client_id("throughline").backoff_config(once);
        if let Some(tls) = &self.tls {
            let config = tls.of_rustls(None).map_err(|why| Failure { why, is_broken: true })?;
            builder = builder.tls_config(Arc::new(config));
        }
        if let Some(login) = &self.login {
            builder = builder.sasl_config(login.clone());
        }
        Ok(builder)
    }

    /// Sends the events that are not settled. A connection that is found broken is opened again once, because brokers close those that are idle.
    async fn attempts(&mut self, events: &[CloudEvent]) -> Result<(), Failure> {
        let mut is_old = self.connected.is_some();
        loop {
            let sent = self.attempt(events).await;
            let Err(failure) = sent else { return Ok(()) };
            if failure.is_broken {
                self.connected = None;
            }
            if !(failure.is_broken && is_old) {
                return Err(failure);
            }
            is_old = false;
        }
    }

    async fn attempt(&mut self, events: &[CloudEvent]) -> Result<(), Failure> {
        let connected = match &mut self.connected {
            Some(open) => open,
            None => {
                let open = Connected::open(self.builder()?, &self.topic).await?;
                self.connected.insert(open)
            }
        };
        let settled = &mut self.settled;
        let open: Vec<usize> =
            (0..events.len()).filter(|at| !settled.contains_key(id(&events[*at]))).collect();
        let mut settle = |at: usize, refused| drop(settled.insert(id(&events[at]).to_owned(), refused));
        connected.send(&self.topic, events, &open, self.turn, &mut settle).await
    }
}

impl Sink for Kafka {
    fn send(&mut self, events: &[CloudEvent], deadline: &Deadline) -> Result<(), ExportError> {
        let later = |why: String| ExportError::new(DropReason::Unreachable, 0, why);
        self.refused.clear();
        // Of another batch, which was given up.
        if !events.iter().any(|event| self.settled.contains_key(id(event))) {
            self.settled.clear();
        }
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            None => Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| later(error.to_string()))?,
        };
        let sent = runtime.block_on(within(deadline, self.attempts(events)));
        self.runtime = Some(runtime);
        match sent {
            Some(Ok(())) => {}
            Some(Err(failure)) => return Err(later(escaped(&failure.why).into_owned())),
            None => {
                self.connected = None;
                let brokers = self.brokers.join(", ");
                return Err(later(format!(
                    "Kafka at {brokers} has not answered in time; see the brokers' state"
                )));
            }
        }
        self.turn = self.turn.wrapping_add(1);
        let mut settled = std::mem::take(&mut self.settled);
        let mut first = None;
        for (at, event) in events.iter().enumerate() {
            if let Some(Some(why)) = settled.remove(id(event)) {
                self.refused.push(at);
                first.get_or_insert(why);
            }
        }
        match first {
            Some(why) => Err(ExportError::new(DropReason::Refused, self.refused.len() as u64, why)),
            None => Ok(()),
        }
    }

    fn refused(&mut self) -> Option<Vec<usize>> {
        Some(std::mem::take(&mut self.refused))
    }
}

fn id(event: &CloudEvent) -> &str {
    event.get("id").unwrap_or_default()
}

/// Waits for the work, but not beyond [`PATIENCE`] and some time before the deadline, which may be brought forward meanwhile.
async fn within<T>(deadline: &Deadline, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let patience = Deadline::within(PATIENCE);
    loop {
        let left = deadline.left_of(patience.left_of(LOOK)? + MARGIN)?.checked_sub(MARGIN)?;
        if let Ok(done) = tokio::time::timeout(left, &mut work).await {
            return Some(done);
        }
    }
}

/// A broker with its port.
fn broker(text: &str) -> Result<String, KafkaError> {
    let wrong = || KafkaError::Broker(escaped(text).into_owned());
    let (host, port) = text.trim().split_once(':').unwrap_or((text.trim(), PORT));
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if host.is_empty() || !host.chars().all(is_host) || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(wrong());
    }
    Ok(format!("{host}:{port}"))
}
