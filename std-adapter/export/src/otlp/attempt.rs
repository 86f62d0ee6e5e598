//! The result of one attempt at a request, for HTTP and gRPC alike.

use super::client::Delivered;
use std::time::Duration;

/// Explains a closed connection. With TLS 1.3, a client may send its request before it learns that the server
/// requires a certificate, and then only sees that the connection was closed.
pub(super) const WANTS_IDENTITY: &str = "perhaps it wants a certificate of this program, see OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY";

#[derive(Debug)]
pub(super) enum Attempt {
    Taken(Delivered),
    /// Another attempt may succeed, after this time if the collector named one.
    Later {
        why: String,
        after: Option<Duration>,
    },
    /// The collector refused the request, and will refuse it again.
    Refused {
        status: String,
        reason: String,
        hint: &'static str,
    },
    /// This client does not accept the collector's certificate.
    Untrusted(String),
    /// The collector does not accept this client's certificate, or requires one and got none.
    Unknown(String),
    Impossible(String),
}

impl Attempt {
    /// Interprets the error of a failed TLS handshake. An error about certificates would occur again in the
    /// next attempt; `None` for any other error.
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
