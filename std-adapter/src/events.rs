//! Events out: spans and log records to other programs, as [CloudEvents](https://cloudevents.io) 1.0.
//!
//! ```no_run
//! use throughline_std::events::{Events, Webhook};
//! use throughline_std::{Config, SpoolConfig, log::RollingFile};
//! let webhook = Webhook::new("https://example.org/events")?.secret("…");
//! let events = Events::new("webhook", webhook)
//!     .filter("warn".parse()?)
//!     .spool(SpoolConfig::new("/var/spool/shop"))
//!     .dead_letters(RollingFile::new("/var/log/shop/dead-letters.jsonl"));
//! let config = Config::new("shop").exporter("events.webhook", events);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In a file this is the section `events.webhook`; with the feature `events-kafka`, `events.kafka` sends them to Kafka. What an observer finds goes out too, if one of its actions is a log record: their target is
//! `throughline::observers`.

#[cfg(feature = "events-kafka")]
mod kafka;

#[cfg(feature = "events-kafka")]
pub use kafka::{Kafka, KafkaError, Mechanism};
pub use throughline_export::events::{CloudEvent, CloudEventEncoder, Events, Sink};

use crate::outgoing::SignedPost;
use std::borrow::Cow;
use std::path::Path;
use std::time::SystemTime;
use throughline_export::otlp::ConfigError;
use throughline_export::{Deadline, ExportError, PushUrlError};

/// Posts events to a URL.
///
/// Source: *HTTP Protocol Binding for CloudEvents, version 1.0.2*. Without another [mode](Webhook::mode), a batch is one request with the content type
/// `application/cloudevents-batch+json`.
///
/// Addresses that are not public are refused unless they are [allowed](Webhook::allow_private). The URL is taken for a secret: messages show no more than
/// its host. With a [secret](Webhook::secret) each request has the headers `X-Throughline-Timestamp`, in seconds since 1970, and
/// `X-Throughline-Signature`: `sha256=` and the hexadecimal HMAC-SHA256 of the timestamp, a dot, and the body.
#[derive(Clone, Debug)]
pub struct Webhook {
    post: SignedPost,
    mode: Mode,
}

/// How events are put into requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// All events of a batch in one request, as a JSON array of events.
    #[default]
    Batch,
    /// A request for each event, which is a JSON object.
    Structured,
    /// A request for each event: its attributes are headers, and its data is the body.
    Binary,
}

impl Webhook {
    /// Posts to this URL.
    ///
    /// # Errors
    ///
    /// It is no URL.
    pub fn new(url: &str) -> Result<Webhook, PushUrlError> {
        Webhook::post(url).map(Webhook::posting)
    }

    pub(crate) fn post(url: &str) -> Result<SignedPost, PushUrlError> {
        SignedPost::new("events", url, "https://example.org/events")
    }

    pub(crate) fn posting(post: SignedPost) -> Webhook {
        Webhook { post, mode: Mode::Batch }
    }

    /// How events are put into requests. If an event of several is not taken, all of its batch are sent again, so that a mode of one request for each
    /// event should have batches of one: [`Events::batch`].
    #[must_use]
    pub fn mode(self, mode: Mode) -> Webhook {
        Webhook { mode, ..self }
    }

    /// Signs each request with this secret.
    #[must_use]
    pub fn secret(self, secret: impl AsRef<[u8]>) -> Webhook {
        Webhook { post: self.post.secret(secret), ..self }
    }

    /// Adds a header, such as `authorization`.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Webhook {
        Webhook { post: self.post.header(name, value), ..self }
    }

    /// Trusts a receiver whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list. Which addresses are taken stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate.
    pub fn ca_certificate(self, path: impl AsRef<Path>) -> Result<Webhook, ConfigError> {
        Ok(Webhook { post: self.post.ca_certificate(path)?, ..self })
    }

    /// Takes addresses that are not public too, such as those of a cluster.
    #[must_use]
    pub fn allow_private(self) -> Webhook {
        Webhook { post: self.post.allow_private(), ..self }
    }

    fn structured(&self, event: &CloudEvent, now: u64, deadline: &Deadline) -> Result<(), ExportError> {
        let mut body = String::new();
        event.push_json(&mut body);
        self.post.send_once(&body, "application/cloudevents+json; charset=UTF-8", now, &[], deadline)
    }

    fn binary(&self, event: &CloudEvent, now: u64, deadline: &Deadline) -> Result<(), ExportError> {
        let headers: Vec<(String, Cow<'_, str>)> =
            event.attributes().map(|(name, value)| (format!("ce-{name}"), header_value(value))).collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.post.send_once(event.data(), "application/json", now, &headers, deadline)
    }
}

impl Sink for Webhook {
    fn send(&mut self, events: &[CloudEvent], deadline: &Deadline) -> Result<(), ExportError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        match self.mode {
            Mode::Structured => events.iter().try_for_each(|event| self.structured(event, now, deadline)),
            Mode::Binary => events.iter().try_for_each(|event| self.binary(event, now, deadline)),
            Mode::Batch => {
                let mut body = String::from("[");
                for (at, event) in events.iter().enumerate() {
                    if at > 0 {
                        body.push(',');
                    }
                    event.push_json(&mut body);
                }
                body.push(']');
                let content_type = "application/cloudevents-batch+json; charset=UTF-8";
                self.post.send_once(&body, content_type, now, &[], deadline)
            }
        }
    }
}

/// An attribute as the value of a header (§3.1.3.2): what is not printable ASCII, spaces, quotes and percent signs are percent-encoded.
fn header_value(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| matches!(byte, b'!' | b'#' | b'$' | b'&'..=b'~');
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.bytes().fold(String::new(), |mut out, byte| {
        match is_plain(byte) {
            true => out.push(byte.into()),
            false => out.push_str(&format!("%{byte:02X}")),
        }
        out
    }))
}
