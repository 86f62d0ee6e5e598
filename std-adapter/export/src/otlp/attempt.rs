//! How one attempt at a request ended, whatever carried it.

use super::client::Delivered;
use std::time::Duration;

/// With TLS 1.3 a client may have sent its request before it could read that its certificate is missed: it finds the connection closed.
pub(super) const WANTS_IDENTITY: &str = "perhaps it wants a certificate of this program, see OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY";

#[derive(Debug)]
pub(super) enum Attempt {
    Taken(Delivered),
    /// Worth another try, perhaps only after a time the collector named.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// Refused for good.
    Refused {
        status: String,
        reason: String,
        hint: &'static str,
    },
    /// The collector's certificate is not accepted here.
    Untrusted(String),
    /// The certificate of this client is not accepted there, or there is none.
    Unknown(String),
    Impossible(String),
}

impl Attempt {
    /// What a failed TLS handshake says about certificates: another attempt would find the same. `None` if it is not about them.
    pub(super) fn of_handshake(why: &str) -> Option<Attempt> {
        let is_alert = why.contains("alert");
        if is_alert && (why.contains("Certificate") || why.contains("UnknownCA")) {
            Some(Attempt::Unknown(why.into()))
        } else if !is_alert && why.contains("certificate") {
            Some(Attempt::Untrusted(why.into()))
        } else {
            None
        }
    }
}
