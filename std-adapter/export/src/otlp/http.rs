//! Makes one attempt at a request over HTTP/1.1, on a connection that is kept open.

use super::attempt::{Attempt, WANTS_IDENTITY};
use super::client::Delivered;
use super::compress::Compression;
use super::config::Target;
use super::protocol::Protocol;
use super::response;
use crate::http::{LONGEST_TIMEOUT, asked_pause, client_with, page_for_people, parse_retry_after, read_body};
use std::time::{Duration, Instant};

/// Most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// The warning about an answer that is longer. Such a request is not sent again, because the same answer would come.
const TOO_LONG: &str =
    "its answer has 64 KiB or more, of which no more is read, so what it rejected may be unknown";

/// A pool of open connections, which clones share.
#[derive(Clone, Debug)]
pub(super) struct Http(ureq::Agent);

impl Http {
    /// Creates the pool. It connects when it is first used.
    pub(super) fn new(target: &Target) -> Http {
        Http(client_with(&target.tls).build().new_agent())
    }

    /// Sends a body that is encoded and compressed as the target says.
    pub(super) fn attempt(&self, target: &Target, body: &[u8], timeout: Duration) -> Attempt {
        let content_type = match target.protocol {
            Protocol::HttpJson => "application/json",
            _ => "application/x-protobuf",
        };
        let begun = Instant::now();
        let headers = match target.headers(timeout) {
            Ok(headers) => headers,
            Err(why) => return Attempt::Later { why, after: None },
        };
        let timeout = timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        let mut request = self
            .0
            .post(&target.url)
            .config()
            .timeout_global(Some(timeout.min(LONGEST_TIMEOUT)))
            .build()
            .content_type(content_type);
        for (name, value) in &*headers {
            request = request.header(name, value);
        }
        if target.compression != Compression::None {
            request = request.header("content-encoding", target.compression.as_str());
        }
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(error) => return failed(target, &error),
        };
        let status = response.status().as_u16();
        let header =
            |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (content_type, retry_after) = (header("content-type"), header("retry-after"));
        let (answer, whole) = read_body(&mut response, ANSWER_LIMIT);
        let refusal = || response::refusal(&content_type, &answer, |text| target.without_own(text));
        match status {
            200..=299 => {
                if let Err(why) = whole {
                    return Attempt::Later { why: format!("status {status}, but {why}"), after: None };
                }
                if let Some(why) = page_for_people(&content_type, &answer) {
                    return Attempt::Later { why: format!("status {status}, but {why}"), after: None };
                }
                let partial = response::partial_success(&content_type, &answer);
                let mut message = target.without_own(&partial.message);
                if answer.len() as u64 == ANSWER_LIMIT {
                    let mark = if message.is_empty() { "" } else { "; " };
                    message.insert_str(0, &format!("{TOO_LONG}{mark}"));
                }
                Attempt::Taken(Delivered { rejected: partial.rejected, message })
            }
            401 | 403 if target.renew_tokens(begun) => Attempt::Later {
                why: format!("status {status}; the token is read again"),
                after: Some(Duration::ZERO),
            },
            429 | 502 | 503 | 504 => Attempt::Later {
                why: format!("status {status} {}", refusal()),
                after: asked_pause(parse_retry_after(&retry_after)),
            },
            _ => Attempt::Refused { status: status.to_string(), reason: refusal(), hint: hint(status) },
        }
    }
}

/// Interprets the error of an attempt that got no answer.
fn failed(target: &Target, error: &ureq::Error) -> Attempt {
    use ureq::Error;
    let why = error.to_string();
    // Errors about certificates occur in the TLS handshake, and the library reports those as I/O errors.
    if matches!(error, Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData)
        && let Some(attempt) = Attempt::of_handshake(&why)
    {
        return attempt;
    }
    match error {
        Error::Io(error) if target.is_closed_for_want_of_identity(error.kind()) => {
            Attempt::Later { why: format!("{why} ({WANTS_IDENTITY})"), after: None }
        }
        // It says nothing about the request, and often comes from something on the way.
        Error::LargeResponseHeader(size, limit) => {
            let why = format!(
                "the header of the answer has {size} bytes or more, of which {limit} are read; see what is between here and the collector"
            );
            Attempt::Later { why, after: None }
        }
        Error::Io(_)
        | Error::Timeout(_)
        | Error::HostNotFound
        | Error::ConnectionFailed
        | Error::Protocol(_)
        | Error::BodyStalled => Attempt::Later { why, after: None },
        _ => Attempt::Impossible(why),
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        400 => "it holds the body for malformed; compare the versions of collector and exporter",
        401 | 403 => "set the credentials it wants, with OTEL_EXPORTER_OTLP_HEADERS for one",
        404 | 405 => "OTLP over HTTP is not served there; check the port (usually 4318) and the path",
        413 => "make batches smaller, or raise the receiver's limit",
        415 => "it does not take this encoding over HTTP; 4317 is the port of gRPC, 4318 that of HTTP",
        300..=399 => "it redirects, which is not followed; give the final address",
        _ => "see the collector's log",
    }
}
