//! Delivers OTLP bodies over HTTP: one connection kept open, retries with a growing pause, never beyond a deadline.

use super::{
    endpoint::{ClientConfig, Signal},
    response,
};
use crate::Deadline;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

/// The longest pause between two attempts that was not asked for by the collector.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The HTTP library adds the timeout to the current time; a longer one could overflow.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);
/// What to do when nothing takes a request.
const CHECK: &str = "check that a collector listens there for OTLP over HTTP";
/// How much of an answer is read.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// Sends request bodies to a collector, one at a time. Blocks the caller, on no async runtime.
///
/// ```no_run
/// use throughline_export::{Resource, otlp::{Client, ClientConfig, Options, Signal, TraceEncoder}};
/// let mut encoder = TraceEncoder::new(&Resource::new("shop"), Options::default());
/// // … encoder.span(&view) …
/// let mut client = Client::new(ClientConfig::new("http://localhost:4318")?);
/// let delivered = client.send(Signal::Traces, encoder.finish())?;
/// println!("the collector rejected {} spans", delivered.rejected);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    agent: ureq::Agent,
    config: ClientConfig,
    stats: ClientStats,
    #[cfg(feature = "gzip")]
    compressed: Vec<u8>,
}

/// What a client did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Attempts, retries included.
    pub attempts: u64,
    /// Requests the collector took.
    pub delivered: u64,
    /// Requests given up.
    pub failed: u64,
    /// Bytes of bodies taken, before compression.
    pub bytes: u64,
}

/// A body was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Records of it that the collector rejected (partial success).
    pub rejected: u64,
    /// Why, or a warning; often empty.
    pub message: String,
}

/// A body was given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The collector refused it for good.
    #[error("{url} answered {status}{}: {hint}", if reason.is_empty() { String::new() } else { format!(" ({reason})") })]
    Refused {
        /// Where it was sent.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the collector said.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The time was over before the collector took it.
    #[error("{url} did not take the request in {attempts} attempt(s): {last}; {CHECK}")]
    Deadline {
        /// Where it was sent.
        url: String,
        /// How often.
        attempts: u32,
        /// What went wrong last.
        last: String,
        /// Whether the deadline that the caller gave came before the end of the time for retries.
        by_caller: bool,
    },
    /// The collector's certificate is not to be trusted; another attempt would find the same.
    #[error(
        "the certificate of {url} is not accepted: {reason}; name the authority that signed it with OTEL_EXPORTER_OTLP_CERTIFICATE, or mend the names and dates in it"
    )]
    Certificate {
        /// Where it was to be sent.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request could not be made.
    #[error("no request to {url} can be made: {reason}; check the endpoint and the headers")]
    Request {
        /// Where it was to be sent.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// How one attempt ended.
enum Attempt {
    Taken(Delivered),
    /// Worth another try, perhaps only after a time the collector named.
    Later {
        why: String,
        after: Option<Duration>,
    },
    Refused {
        status: u16,
        reason: String,
    },
    Untrusted(String),
    Impossible(String),
}

impl Client {
    /// A client; connects when it first sends.
    pub fn new(config: ClientConfig) -> Client {
        let builder = ureq::Agent::config_builder();
        #[cfg(feature = "tls")]
        let builder = match &config.roots {
            Some(roots) => {
                builder.tls_config(ureq::tls::TlsConfig::builder().root_certs(roots.clone()).build())
            }
            None => builder,
        };
        let agent = builder
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("throughline-export/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Client {
            agent,
            config,
            stats: ClientStats::default(),
            #[cfg(feature = "gzip")]
            compressed: Vec::new(),
        }
    }

    /// Sends spans, the bytes of a [`TraceEncoder`](super::TraceEncoder).
    pub fn send_traces(&mut self, body: &[u8]) -> Result<Delivered, SendError> {
        self.send(Signal::Traces, body)
    }

    /// Sends log records, the bytes of a [`LogEncoder`](super::LogEncoder).
    pub fn send_logs(&mut self, body: &[u8]) -> Result<Delivered, SendError> {
        self.send(Signal::Logs, body)
    }

    /// Sends metric points, the bytes of a [`MetricEncoder`](super::MetricEncoder).
    pub fn send_metrics(&mut self, body: &[u8]) -> Result<Delivered, SendError> {
        self.send(Signal::Metrics, body)
    }

    /// Sends a body, trying again on 429, 502, 503, 504 and broken connections until the configured limit. `Retry-After` is honoured.
    pub fn send(&mut self, signal: Signal, body: &[u8]) -> Result<Delivered, SendError> {
        self.send_until(signal, body, &Deadline::never())
    }

    /// As [`send`](Self::send), but never beyond `deadline`, which another thread may draw nearer meanwhile. A request that is
    /// under way keeps the time limit that it was started with.
    pub fn send_until(
        &mut self,
        signal: Signal,
        body: &[u8],
        deadline: &Deadline,
    ) -> Result<Delivered, SendError> {
        self.send_watched(signal, body, deadline, |_| ())
    }

    /// As [`send_until`](Self::send_until), and calls `failed` with what went wrong after each attempt that will be followed by another.
    pub fn send_watched(
        &mut self,
        signal: Signal,
        body: &[u8],
        deadline: &Deadline,
        failed: impl Fn(&str),
    ) -> Result<Delivered, SendError> {
        let give_up = Deadline::within(self.config.retry_for);
        let mut pause = self.config.first_backoff;
        let mut attempts = 0;
        let mut last = String::from("the deadline had passed");
        let url = self.config.url(signal).to_owned();
        let error = loop {
            let Some(timeout) = deadline.left_of(self.config.timeout) else {
                break SendError::Deadline { url, attempts, last, by_caller: true };
            };
            attempts += 1;
            self.stats.attempts += 1;
            match self.attempt(signal, body, timeout) {
                Attempt::Taken(delivered) => {
                    self.stats.delivered += 1;
                    self.stats.bytes += body.len() as u64;
                    return Ok(delivered);
                }
                Attempt::Refused { status, reason } => {
                    break SendError::Refused { url, status, reason, hint: hint(status) };
                }
                Attempt::Untrusted(reason) => {
                    break SendError::Certificate { url, reason };
                }
                Attempt::Impossible(reason) => {
                    break SendError::Request { url, reason };
                }
                Attempt::Later { why, after } => {
                    last = why;
                    let wanted = after.unwrap_or_else(|| jitter(pause));
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    if !give_up.is_after(wanted) {
                        break SendError::Deadline { url, attempts, last, by_caller: false };
                    }
                    failed(&format!("{url} did not take a request: {last}; trying again; {CHECK}"));
                    if !deadline.pause(wanted) {
                        break SendError::Deadline { url, attempts, last, by_caller: true };
                    }
                }
            }
        };
        self.stats.failed += 1;
        Err(error)
    }

    fn attempt(&mut self, signal: Signal, body: &[u8], timeout: Duration) -> Attempt {
        let mut request = self
            .agent
            .post(self.config.url(signal))
            .config()
            .timeout_global(Some(timeout.min(LONGEST_TIMEOUT)))
            .build()
            .content_type("application/x-protobuf");
        for (name, value) in &self.config.headers {
            request = request.header(name, value);
        }
        #[cfg(feature = "gzip")]
        let (body, request) = if self.config.gzip {
            compress(body, &mut self.compressed);
            (&self.compressed[..], request.header("content-encoding", "gzip"))
        } else {
            (body, request)
        };
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(error) if is_about_a_certificate(&error) => {
                return Attempt::Untrusted(error.to_string());
            }
            Err(error) if passes(&error) => return Attempt::Later { why: error.to_string(), after: None },
            Err(error) => return Attempt::Impossible(error.to_string()),
        };
        let status = response.status().as_u16();
        let header =
            |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (content_type, retry_after) = (header("content-type"), header("retry-after"));
        // The status line is enough: if the rest of the answer is cut short, it is ignored.
        let answer = response.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().unwrap_or_default();
        match status {
            200..=299 => {
                let partial = response::partial_success(&answer);
                Attempt::Taken(Delivered { rejected: partial.rejected, message: partial.message })
            }
            429 | 502 | 503 | 504 => Attempt::Later {
                why: format!("status {status} {}", response::refusal(&content_type, &answer)),
                after: parse_retry_after(&retry_after),
            },
            _ => Attempt::Refused { status, reason: response::refusal(&content_type, &answer) },
        }
    }

    /// What it did so far.
    pub fn stats(&self) -> ClientStats {
        self.stats
    }

    /// How it is configured.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }
}

/// Whether the collector's certificate was not accepted. That is found in the handshake, whose errors come as those of input and output.
fn is_about_a_certificate(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData)
        && error.to_string().contains("certificate")
}

/// Whether another attempt may fare better.
fn passes(error: &ureq::Error) -> bool {
    use ureq::Error;
    matches!(
        error,
        Error::Io(_)
            | Error::Timeout(_)
            | Error::HostNotFound
            | Error::ConnectionFailed
            | Error::Protocol(_)
            | Error::BodyStalled
    )
}

const fn hint(status: u16) -> &'static str {
    match status {
        400 => "it holds the body for malformed; compare the versions of collector and exporter",
        401 | 403 => "set the credentials it wants, with OTEL_EXPORTER_OTLP_HEADERS for one",
        404 | 405 => "OTLP over HTTP is not served there; check the port (usually 4318) and the path",
        413 => "make batches smaller, or raise the receiver's limit",
        415 => "it does not take protobuf over HTTP; 4317 is the port of gRPC, 4318 that of HTTP",
        300..=399 => "it redirects, which is not followed; give the final address",
        _ => "see the collector's log",
    }
}

/// Between half of `pause` and all of it, so that clients that failed together do not return together.
fn jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) >> 48;
    let half = pause / 2;
    half + half / (1 << 16) * random as u32
}

/// `Retry-After`: seconds, or an HTTP date.
fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(feature = "gzip")]
fn compress(body: &[u8], out: &mut Vec<u8>) {
    use std::io::Write;
    out.clear();
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(body).and_then(|()| encoder.finish().map(drop));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        assert_eq!(parse_retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon"), None);
        let ahead = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1000));
        assert!(parse_retry_after(&ahead).unwrap() > Duration::from_secs(900));
    }

    #[test]
    fn jitter_stays_in_its_half() {
        let pause = Duration::from_secs(5);
        for _ in 0..1000 {
            assert!((pause / 2..=pause).contains(&jitter(pause)));
        }
    }

    #[test]
    fn every_error_says_what_to_do() {
        let url = || "http://a/v1/traces".to_owned();
        let refused = |reason: &str| SendError::Refused {
            url: url(),
            status: 404,
            reason: reason.into(),
            hint: hint(404),
        };
        let hint = "OTLP over HTTP is not served there; check the port (usually 4318) and the path";
        assert_eq!(refused("").to_string(), format!("http://a/v1/traces answered 404: {hint}"));
        assert_eq!(refused("gone").to_string(), format!("http://a/v1/traces answered 404 (gone): {hint}"));
        assert_eq!(
            SendError::Deadline { url: url(), attempts: 2, last: "refused".into(), by_caller: false }
                .to_string(),
            "http://a/v1/traces did not take the request in 2 attempt(s): refused; check that a collector listens there for OTLP over HTTP"
        );
        assert_eq!(
            SendError::Request { url: url(), reason: "bad uri: x".into() }.to_string(),
            "no request to http://a/v1/traces can be made: bad uri: x; check the endpoint and the headers"
        );
    }
}
