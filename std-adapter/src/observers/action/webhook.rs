//! A request for each match.

use super::{Action, Match};
use crate::outgoing::SignedPost;
use std::path::Path;
use throughline_export::otlp::ConfigError;
use throughline_export::{Deadline, ExportError, PushUrlError};

/// Posts each match as JSON: [`Match::json`]. Addresses that are not public are refused unless they are [allowed](Webhook::allow_private). The URL is taken
/// for a secret: messages show no more than its host and port.
///
/// With a [secret](Webhook::secret) each request has the headers `X-Throughline-Timestamp`, in seconds since 1970, and `X-Throughline-Signature`:
/// `sha256=` and the hexadecimal HMAC-SHA256 of the timestamp, a dot, and the body. A receiver should refuse old timestamps.
#[derive(Clone, Debug)]
pub struct Webhook(SignedPost);

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
        SignedPost::new("a match of an observer", url, "https://example.org/observers")
    }

    pub(crate) fn posting(post: SignedPost) -> Webhook {
        Webhook(post)
    }

    /// Signs each request with this secret.
    #[must_use]
    pub fn secret(self, secret: impl AsRef<[u8]>) -> Webhook {
        Webhook(self.0.secret(secret))
    }

    /// Adds a header, such as `authorization`.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Webhook {
        Webhook(self.0.header(name, value))
    }

    /// Trusts a receiver whose certificate is signed by an authority in this PEM file, instead of by one in Mozilla's list. Which addresses are taken stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate.
    pub fn ca_certificate(self, path: impl AsRef<Path>) -> Result<Webhook, ConfigError> {
        self.0.ca_certificate(path).map(Webhook)
    }

    /// Takes addresses that are not public too, such as those of a cluster.
    #[must_use]
    pub fn allow_private(self) -> Webhook {
        Webhook(self.0.allow_private())
    }
}

impl Action for Webhook {
    fn run(&mut self, found: &Match, deadline: &Deadline) -> Result<(), ExportError> {
        self.0.send(&found.json(), found.time_unix_ns / 1_000_000_000, deadline)
    }
}
