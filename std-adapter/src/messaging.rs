//! Messages of queues and streams, such as Kafka: context in their headers, spans for sending and processing them, with
//! links from one to the other, and their durations, by OpenTelemetry's conventions. It needs no client library.
//!
//! ```
//! # async fn produce(_: Vec<(String, Vec<u8>)>) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn consume(_: &[(String, Vec<u8>)]) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn example() -> Result<(), std::io::Error> {
//! use throughline_std::messaging::{self, headers, headers_mut};
//! // The producer:
//! let mut own: Vec<(String, Vec<u8>)> = Vec::new();
//! let sending = messaging::send("kafka", "orders").begin();
//! sending.inject(&mut headers_mut(&mut own));
//! sending.run(produce(own.clone())).await?;
//! // The consumer:
//! let processing = messaging::process("kafka", "orders").group("billing").from(&headers(&own)).begin();
//! processing.run(consume(&own)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **Baggage goes with messages**, as the section `propagation` of the configuration allows. What is sent has that of the
//! code that sends it. What is processed runs with that of the messages, beside its own; of a batch, with the entries
//! that are equal in all of its messages, so that the tenant of one is never taken for the tenant of another. The
//! entries that `propagation.baggage_attributes` names become attributes of the span.
//!
//! A client library with headers of its own is read and written by closures:
//! [`from_fn`](crate::propagation::from_fn) and [`into_fn`](crate::propagation::into_fn).

use crate::conventions::{Convention, Operation, Site, Timed, convention};
use crate::propagation::{
    Baggage, Extractor, FullContext, FullGuard, Injector, Propagate, baggage_attributes, extract, inject,
};
use std::future::Future;
use throughline::adapter::bridge::FieldList;
use throughline::{Context, EnteredSpan, TraceContext};

static SEND: Convention = convention!(
    Producer,
    message_name,
    "throughline_std::messaging",
    "messaging.client.operation.duration",
    "Duration of messaging operations initiated by a producer or consumer client",
    labels: LABELS,
    outcome: &["error.type"],
    fields: LABELS,
);

static PROCESS: Convention = convention!(
    Consumer,
    message_name,
    "throughline_std::messaging",
    "messaging.process.duration",
    "Duration of processing operations",
    labels: LABELS,
    outcome: &["error.type"],
    fields: LABELS,
);

const LABELS: &[&str] = &[
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "messaging.destination.name",
    "messaging.consumer.group.name",
];

fn message_name(labels: &[&str]) -> String {
    match labels {
        [operation, _, _, destination, ..] => format!("{operation} {destination}"),
        _ => String::new(),
    }
}

/// Describes the sending of a message to a topic or queue. `system` is its name in the conventions, such as `kafka`,
/// `rabbitmq` or `aws_sqs`; both become labels.
pub fn send<'a>(system: &'a str, destination: &'a str) -> Message<'a> {
    Message {
        convention: &SEND,
        operation: "send",
        system,
        destination,
        group: "",
        senders: Vec::new(),
        baggage: None,
    }
}

/// Describes the processing of a message, or of several at once.
pub fn process<'a>(system: &'a str, destination: &'a str) -> Message<'a> {
    Message { convention: &PROCESS, operation: "process", ..send(system, destination) }
}

/// An operation on a message that has not begun; see [`send`] and [`process`].
#[derive(Clone, Debug)]
#[must_use = "it begins with `begin`"]
pub struct Message<'a> {
    convention: &'static Convention,
    operation: &'static str,
    system: &'a str,
    destination: &'a str,
    group: &'a str,
    senders: Vec<TraceContext>,
    /// What all messages that were read have in common.
    baggage: Option<Baggage>,
}

/// The most senders of a batch to which there is a link.
const MOST_LINKS: usize = 128;

impl<'a> Message<'a> {
    /// The group of consumers; it becomes a label.
    pub fn group(self, group: &'a str) -> Message<'a> {
        Message { group, ..self }
    }

    /// Links the span to the sender of a message with these headers, and takes its baggage. For a batch, call it for
    /// each message; a span has at most 128 links.
    pub fn from(mut self, headers: &dyn Extractor) -> Message<'a> {
        let carried = extract(headers);
        if self.senders.len() < MOST_LINKS
            && let Some(sender) = carried.parent
        {
            self.senders.push(sender);
        }
        match &mut self.baggage {
            Some(common) => common.retain_common(&carried.baggage),
            None => self.baggage = Some(carried.baggage),
        }
        self
    }

    /// Begins it, below the current span. It ends when it is dropped.
    pub fn begin(&self) -> Running {
        let Message { operation, system, destination, group, .. } = self;
        let labels = [operation, operation, *system, destination, group];
        let mut fields = FieldList::expecting(labels.len());
        for text in labels {
            fields.push(&Some(text).filter(|text| !text.is_empty()));
        }
        let operation = Operation::begin(Site::of(self.convention, &labels), Context::current(), &mut fields);
        self.senders.iter().for_each(|sender| operation.span.link(*sender));
        let baggage = self.baggage.clone().unwrap_or_default();
        baggage_attributes(&baggage, |name, value| _ = operation.span.record(name, value));
        Running { timed: Timed::new(operation), baggage }
    }
}

/// An operation on a message that has begun; it ends when it is dropped. [`Message::begin`] makes it.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Running {
    timed: Timed,
    /// That of the messages.
    baggage: Baggage,
}

impl Running {
    /// Writes its context and the current baggage into a message, so that who processes it links to this span.
    pub fn inject(&self, headers: &mut dyn Injector) {
        let _entered = self.context().enter();
        inject(headers);
    }

    /// Makes its span and the baggage of its messages current until the guard is dropped.
    #[must_use = "dropping the guard leaves the span"]
    pub fn enter(&self) -> Entered<'_> {
        Entered { baggage: self.context().enter(), span: self.timed.span().enter() }
    }

    /// Says that it failed; `error` becomes a label, so it is a kind of error and not its text.
    pub fn failed(&mut self, error: &'static str) {
        self.timed.failed(error);
    }

    /// Runs a future in its span, which ends with it, and with the baggage of its messages. An error makes the span an
    /// error, with the error's type.
    ///
    /// # Errors
    ///
    /// Those of the future.
    pub fn run<T, E>(self, future: impl Future<Output = Result<T, E>>) -> impl Future<Output = Result<T, E>> {
        let context = self.context();
        self.timed.run(future.in_context(context), |_, _| ())
    }

    /// The place of its span, with the baggage of the running code and of the messages.
    fn context(&self) -> FullContext {
        let here = FullContext::current().moved_to(self.timed.span().context());
        if self.baggage.is_empty() {
            return here;
        }
        let mut baggage = here.baggage().clone();
        baggage.add(self.baggage.clone());
        here.with_baggage(baggage)
    }
}

/// Leaves the span of a message when it is dropped; see [`Running::enter`].
#[derive(Debug)]
pub struct Entered<'a> {
    #[allow(dead_code, reason = "dropping it is its use")]
    span: EnteredSpan<'a>,
    #[allow(dead_code, reason = "dropping it is its use")]
    baggage: FullGuard,
}

/// Headers of Kafka: names, and values that are bytes. A value that is not UTF-8 is left out.
pub fn headers<K: AsRef<str>, V: AsRef<[u8]>>(headers: &[(K, V)]) -> impl Extractor {
    struct Bytes<'a, K, V>(&'a [(K, V)]);
    impl<K: AsRef<str>, V: AsRef<[u8]>> Extractor for Bytes<'_, K, V> {
        fn values(&self, name: &str, found: &mut dyn FnMut(&str)) {
            let same = self.0.iter().filter(|(known, _)| known.as_ref().eq_ignore_ascii_case(name));
            same.filter_map(|(_, value)| str::from_utf8(value.as_ref()).ok()).for_each(found);
        }

        fn names(&self, found: &mut dyn FnMut(&str)) {
            self.0.iter().for_each(|(name, _)| found(name.as_ref()));
        }
    }
    Bytes(headers)
}

/// Headers of Kafka that can be set; see [`headers`].
pub fn headers_mut<K, V>(headers: &mut Vec<(K, V)>) -> impl Injector
where
    K: AsRef<str> + for<'a> From<&'a str>,
    V: for<'a> From<&'a [u8]>,
{
    struct Bytes<'a, K, V>(&'a mut Vec<(K, V)>);
    impl<K: AsRef<str> + for<'a> From<&'a str>, V: for<'a> From<&'a [u8]>> Injector for Bytes<'_, K, V> {
        fn set(&mut self, name: &str, value: &str) {
            self.0.retain(|(known, _)| !known.as_ref().eq_ignore_ascii_case(name));
            self.0.push((name.into(), value.as_bytes().into()));
        }
    }
    Bytes(headers)
}
