//! A connection to a cluster: what is known of the topic, and records on their way to its partitions.

use super::partition;
use crate::events::CloudEvent;
use rskafka::chrono::{DateTime, Utc};
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use rskafka::{BackoffError, ConnectionError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// How long the number of partitions is taken for true. Kafka's own producers have the same.
const METADATA_AGE: Duration = Duration::from_secs(300);
/// Bytes of keys and values in a request. Brokers take batches of 1 MiB unless they are set otherwise.
const REQUEST: usize = 900 * 1024;
/// Most bytes of a record's lengths, times and flags, beside its key, its value and its headers.
const OVERHEAD: usize = 32;

/// Why something was not sent, and may be later.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: String,
    /// Whether the connection is of no use any more.
    pub(super) is_broken: bool,
}

/// See the [module](self).
pub(super) struct Connected {
    client: Arc<Client>,
    /// Those that something was sent to.
    partitions: Vec<Option<Arc<PartitionClient>>>,
    /// When the number of partitions was asked for.
    asked: Instant,
}

/// An event's place in its batch, and the record that it makes.
type Waiting = (usize, Record);

/// What has become of the records of one partition.
struct Sent {
    partition: usize,
    client: Option<Arc<PartitionClient>>,
    taken: Vec<usize>,
    refused: Vec<(usize, String)>,
    failure: Option<Failure>,
}

impl Connected {
    pub(super) async fn open(builder: ClientBuilder, topic: &str) -> Result<Connected, Failure> {
        let client = builder.build().await.map_err(|error| Failure::of(&error, topic))?;
        let partitions = partitions(&client, topic).await?;
        Ok(Connected { client: Arc::new(client), partitions: vec![None; partitions], asked: Instant::now() })
    }

    /// Sends these of the events. `settle` is told of each that was taken, or why it was refused. `turn` chooses the partition of those without a key.
    pub(super) async fn send(
        &mut self,
        topic: &str,
        events: &[CloudEvent],
        open: &[usize],
        turn: usize,
        settle: &mut impl FnMut(usize, Option<String>),
    ) -> Result<(), Failure> {
        if self.asked.elapsed() > METADATA_AGE {
            self.partitions.resize(partitions(&self.client, topic).await?, None);
            self.asked = Instant::now();
        }
        let mut to: BTreeMap<usize, Vec<Waiting>> = BTreeMap::new();
        for at in open {
            let key = events[*at].get("partitionkey");
            let partition = match key {
                Some(key) => partition::of_key(key.as_bytes(), self.partitions.len()),
                None => turn % self.partitions.len(),
            };
            to.entry(partition).or_default().push((*at, record(&events[*at], key)));
        }
        let mut running = JoinSet::new();
        for (partition, records) in to {
            let (client, known) = (Arc::clone(&self.client), self.partitions[partition].clone());
            running.spawn(produce(client, topic.to_owned(), partition, known, records));
        }
        let mut failure: Option<Failure> = None;
        while let Some(sent) = running.join_next().await {
            let failed = match sent {
                Ok(sent) => {
                    sent.taken.into_iter().for_each(|at| settle(at, None));
                    sent.refused.into_iter().for_each(|(at, why)| settle(at, Some(why)));
                    self.partitions[sent.partition] = sent.client;
                    sent.failure
                }
                Err(error) => {
                    Some(Failure { why: format!("the Kafka client ended: {error}"), is_broken: true })
                }
            };
            // One that breaks the connection matters more.
            let is_worse = failed.as_ref().is_some_and(|it| it.is_broken);
            if failure.is_none() || is_worse {
                failure = failed.or(failure);
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// How many partitions the topic has.
async fn partitions(client: &Client, topic: &str) -> Result<usize, Failure> {
    let topics = client.list_topics().await.map_err(|error| Failure::of(&error, topic))?;
    let partitions = topics.iter().find(|it| it.name == topic).map_or(0, |it| it.partitions.len());
    if partitions == 0 {
        let why = format!("there is no topic `{topic}`; create it, or let this login describe it");
        return Err(Failure { why, is_broken: false });
    }
    Ok(partitions)
}

/// The record of an event in structured mode (§3.3 of the binding).
fn record(event: &CloudEvent, key: Option<&str>) -> Record {
    let mut value = String::new();
    event.push_json(&mut value);
    let time = event.get("time").and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let now = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        DateTime::from_timestamp_millis(now.as_millis() as i64).unwrap_or_default()
    };
    Record {
        key: key.map(|key| key.as_bytes().to_vec()),
        value: Some(value.into_bytes()),
        headers: [("content-type".to_owned(), b"application/cloudevents+json; charset=UTF-8".to_vec())]
            .into(),
        timestamp: time.map_or_else(now, |time| time.with_timezone(&Utc)),
    }
}

/// Sends records to a partition, one request after the other.
async fn produce(
    client: Arc<Client>,
    topic: String,
    partition: usize,
    known: Option<Arc<PartitionClient>>,
    records: Vec<Waiting>,
) -> Sent {
    let mut sent = Sent { partition, client: known, taken: Vec::new(), refused: Vec::new(), failure: None };
    let to = match &sent.client {
        Some(known) => Arc::clone(known),
        None => match client.partition_client(&topic, partition as i32, UnknownTopicHandling::Error).await {
            Ok(new) => Arc::clone(sent.client.insert(Arc::new(new))),
            Err(error) => {
                sent.failure = Some(Failure::of(&error, &topic));
                return sent;
            }
        },
    };
    // The next request is the last one.
    let mut requests = requests(records);
    requests.reverse();
    while let Some(mut request) = requests.pop() {
        let records = request.iter().map(|(_, record)| record.clone()).collect();
        let Err(error) = to.produce(records, Compression::NoCompression).await else {
            sent.taken.extend(request.iter().map(|(at, _)| at));
            continue;
        };
        match refusal(&error) {
            // The broker has a smaller limit.
            Some(ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge) if request.len() > 1 => {
                let second = request.split_off(request.len() / 2);
                requests.extend([second, request]);
            }
            Some(refusal) => {
                let why = format!("Kafka refuses it: {refusal:?}; {}", hint(refusal));
                sent.refused.extend(request.iter().map(|(at, _)| (*at, why.clone())));
            }
            None => {
                sent.failure = Some(Failure::of(&error, &topic));
                break;
            }
        }
    }
    sent
}

/// The records in order, in requests of as many as brokers take, at least one.
fn requests(records: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut requests: Vec<Vec<Waiting>> = Vec::new();
    let mut room = 0;
    for (at, record) in records {
        let size = record.approximate_size() + OVERHEAD;
        match requests.last_mut().filter(|_| size <= room) {
            Some(request) => request.push((at, record)),
            None => {
                requests.push(vec![(at, record)]);
                room = REQUEST;
            }
        }
        room = room.saturating_sub(size);
    }
    requests
}

/// The answer by which a broker refuses records for ever.
fn refusal(error: &Error) -> Option<ProtocolError> {
    use ProtocolError::{
        InvalidRecord, InvalidTimestamp, MessageTooLarge, PolicyViolation, RecordListTooLarge,
        UnsupportedForMessageFormat,
    };
    match error {
        Error::ServerError {
            protocol_error:
                error @ (MessageTooLarge
                | RecordListTooLarge
                | InvalidTimestamp
                | InvalidRecord
                | PolicyViolation
                | UnsupportedForMessageFormat),
            ..
        } => Some(*error),
        _ => None,
    }
}

/// What to do about an answer.
fn hint(error: ProtocolError) -> &'static str {
    match error {
        ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge => {
            "raise max.message.bytes of the topic, or limit attributes"
        }
        ProtocolError::InvalidTimestamp => "see message.timestamp.type and its limits at the topic",
        ProtocolError::InvalidRecord | ProtocolError::UnsupportedForMessageFormat => {
            "see whether the topic is compacted, which wants a key for each record"
        }
        ProtocolError::TopicAuthorizationFailed | ProtocolError::ClusterAuthorizationFailed => {
            "let this login write to the topic"
        }
        ProtocolError::NotEnoughReplicas | ProtocolError::NotEnoughReplicasAfterAppend => {
            "see which replicas of the topic are in sync"
        }
        _ => "see the broker's log",
    }
}

impl Failure {
    fn of(error: &Error, topic: &str) -> Failure {
        let (answer, cause) = inner(error);
        match answer {
            Some(answer) => {
                let why = format!("Kafka does not take events for {topic} now: {answer:?}; {}", hint(answer));
                Failure { why, is_broken: false }
            }
            None => {
                let why = format!("Kafka cannot be reached: {cause}; check the brokers, TLS and the login");
                Failure { why, is_broken: true }
            }
        }
    }
}

/// What the last attempt met: the broker's answer if there is one, and the error in words.
fn inner(error: &Error) -> (Option<ProtocolError>, String) {
    let retried = match error {
        Error::ServerError { protocol_error, .. } => return (Some(*protocol_error), String::new()),
        Error::RetryFailed(retried) | Error::Connection(ConnectionError::RetryFailed(retried)) => retried,
        other => return (None, other.to_string()),
    };
    let BackoffError::DeadlineExceded { source, .. } = retried;
    source.downcast_ref().map_or_else(|| (None, source.to_string()), inner)
}
