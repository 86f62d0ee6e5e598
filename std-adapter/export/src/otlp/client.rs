//! Delivers OTLP bodies. It keeps connections open, retries with growing pauses, and stops at a deadline.

use super::attempt::Attempt;
use super::config::{ClientConfig, Target};
use super::http::Http;
use super::json;
use super::protocol::{Protocol, Signal};
use crate::text::{masked_url, said};
use crate::{Deadline, Meter};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest pause between two attempts, unless the collector asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The advice if a request is not accepted.
const CHECK: &str = "check that a collector listens there, for this protocol";

/// Sends request bodies to a collector, one at a time. It blocks the caller and needs no async runtime.
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
    config: ClientConfig,
    stats: ClientStats,
    /// The transport of each signal.
    transports: [Transport; 3],
    /// Until when the collector asked to get no more requests, for each signal.
    asked: [Option<Instant>; 3],
    json: String,
    compressed: Vec<u8>,
    meter: Option<Arc<Meter>>,
}

/// The transport for the requests of one signal.
#[derive(Debug)]
enum Transport {
    Http(Http),
    #[cfg(feature = "grpc")]
    Grpc(super::grpc::Grpc),
}

impl Transport {
    /// Creates the transports, which connect when they are first used. Signals with the same certificates
    /// share their HTTP connections, which is the usual case with one collector.
    fn of_all(config: &ClientConfig) -> [Transport; 3] {
        let shared = Http::new(config.target(Signal::Traces));
        Signal::ALL.map(|signal| {
            let target = config.target(signal);
            match target.protocol {
                #[cfg(feature = "grpc")]
                Protocol::Grpc => Transport::Grpc(super::grpc::Grpc::default()),
                _ if target.tls.is_same(&config.target(Signal::Traces).tls) => {
                    Transport::Http(shared.clone())
                }
                _ => Transport::Http(Http::new(target)),
            }
        })
    }

    fn attempt(&mut self, target: &Target, body: &[u8], timeout: Duration) -> Attempt {
        match self {
            Transport::Http(http) => http.attempt(target, body, timeout),
            #[cfg(feature = "grpc")]
            Transport::Grpc(grpc) => grpc.attempt(target, body, timeout),
        }
    }
}

/// The counts of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Attempts, including retries.
    pub attempts: u64,
    /// Requests that the collector accepted.
    pub delivered: u64,
    /// Requests that were given up.
    pub failed: u64,
    /// Bytes of the accepted bodies, before JSON encoding and compression.
    pub bytes: u64,
}

/// A body was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Records of the body that the collector rejected (partial success).
    pub rejected: u64,
    /// The reason, or a warning; often empty.
    pub message: String,
}

impl Delivered {
    /// Whether the collector accepted everything without a message.
    pub fn is_whole(&self) -> bool {
        self.rejected == 0 && self.message.is_empty()
    }
}

/// Writes what the collector said, in one line.
impl fmt::Display for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.rejected == 1 { "" } else { "s" };
        match self.rejected {
            0 => write!(f, "the collector took everything and warns")?,
            n => write!(f, "the collector took a request but rejected {n} record{s} of it")?,
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", said(&self.message)) }
    }
}

/// A body was given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The collector refused the body, and will refuse it again.
    #[error("{url} answered {status}{}: {hint}", if reason.is_empty() { String::new() } else { format!(" ({reason})") })]
    Refused {
        /// Where it was sent.
        url: String,
        /// The HTTP status or the gRPC status.
        status: String,
        /// What the collector said.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The time was over before the collector accepted the body.
    #[error("{url} did not take the request in {attempts} attempt(s): {last}; {CHECK}")]
    Deadline {
        /// Where it was sent.
        url: String,
        /// Number of attempts.
        attempts: u32,
        /// The last error.
        last: String,
        /// The time to wait that the collector asked for last, if any.
        retry_after: Option<Duration>,
        /// Whether the caller's deadline ended the attempts, and not the time limit for retries.
        by_caller: bool,
    },
    /// The collector's certificate is not trusted. Another attempt would meet the same certificate.
    #[error(
        "the certificate of {url} is not accepted: {reason}; name the authority that signed it with OTEL_EXPORTER_OTLP_CERTIFICATE, or mend the names and dates in it"
    )]
    Certificate {
        /// Where it was to be sent.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The collector requires a certificate of this program, and got none, or one that it does not accept.
    #[error(
        "{url} does not accept the certificate of this program, or wants one: {reason}; give one that its authority signed with OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY"
    )]
    ClientCertificate {
        /// Where it was to be sent.
        url: String,
        /// What the collector said.
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

impl Client {
    /// Creates a client, which connects when it first sends.
    pub fn new(config: ClientConfig) -> Client {
        let transports = Transport::of_all(&config);
        Client {
            config,
            stats: ClientStats::default(),
            transports,
            asked: [None; 3],
            json: String::new(),
            compressed: Vec::new(),
            meter: None,
        }
    }

    /// Has `meter` count the requests too.
    pub(super) fn metered_by(self, meter: Arc<Meter>) -> Client {
        Client { meter: Some(meter), ..self }
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

    /// Sends a body. After 429, 502, 503, 504 and broken connections it tries again until the configured
    /// limit. Over gRPC it retries after the codes that OTLP names.
    ///
    /// If the collector asks for a pause (`Retry-After`, or `RetryInfo` over gRPC), it gets no request of this signal
    /// until then, at most for five minutes. A body for which the limit ends earlier is given up at the limit.
    pub fn send(&mut self, signal: Signal, body: &[u8]) -> Result<Delivered, SendError> {
        self.send_until(signal, body, &Deadline::never())
    }

    /// Like [`send`](Self::send), but stops at `deadline`, which another thread may move nearer in the
    /// meantime. A request that is under way keeps the timeout that it was started with.
    pub fn send_until(
        &mut self,
        signal: Signal,
        body: &[u8],
        deadline: &Deadline,
    ) -> Result<Delivered, SendError> {
        self.send_watched(signal, body, deadline, |_| ())
    }

    /// Like [`send_until`](Self::send_until), and calls `failed` with the error after each attempt that will
    /// be followed by another.
    pub fn send_watched(
        &mut self,
        signal: Signal,
        body: &[u8],
        deadline: &Deadline,
        failed: impl Fn(&str),
    ) -> Result<Delivered, SendError> {
        self.send_within(signal, body, deadline, self.config.target(signal).retry_for, failed)
    }

    /// Makes a single attempt.
    pub(super) fn send_once(
        &mut self,
        signal: Signal,
        body: &[u8],
        deadline: &Deadline,
    ) -> Result<Delivered, SendError> {
        self.send_within(signal, body, deadline, Duration::ZERO, |_| ())
    }

    fn send_within(
        &mut self,
        signal: Signal,
        body: &[u8],
        deadline: &Deadline,
        retry_for: Duration,
        failed: impl Fn(&str),
    ) -> Result<Delivered, SendError> {
        let Client { config, stats, transports, asked, json, compressed, meter } = self;
        let target = config.target(signal);
        let encoded = match target.protocol {
            Protocol::HttpJson => {
                json.clear();
                json::append(json, signal, body);
                json.as_bytes()
            }
            _ => body,
        };
        let encoded = target.compression.apply(encoded, compressed);
        let give_up = Deadline::within(retry_for);
        let mut pause = config.first_backoff;
        let mut attempts = 0;
        let mut last = String::from("the deadline had passed");
        let asked = &mut asked[signal as usize];
        let mut retry_after = asked.map(|until| until.saturating_duration_since(Instant::now()));
        retry_after.take_if(|wait| wait.is_zero());
        if retry_after.is_some() {
            last = String::from("the pause that it asked for is not over");
        }
        let mut wait = retry_after;
        let url = masked_url(&target.url);
        let error = loop {
            if let Some(wanted) = wait {
                let within = give_up.is_after(wanted);
                if within && attempts > 0 {
                    failed(&format!("{url} did not take a request: {last}; trying again; {CHECK}"));
                }
                let wanted = match (within, retry_after) {
                    (true, _) => wanted,
                    // The next request may not come earlier either, so this one may wait as long as it can.
                    (false, Some(_)) => give_up.left_of(wanted).unwrap_or_default(),
                    (false, None) => Duration::ZERO,
                };
                let by_caller = !deadline.pause(wanted);
                if by_caller || !within {
                    break SendError::Deadline { url, attempts, last, retry_after, by_caller };
                }
            }
            let Some(timeout) = deadline.left_of(target.timeout) else {
                break SendError::Deadline { url, attempts, last, retry_after, by_caller: true };
            };
            attempts += 1;
            stats.attempts += 1;
            let begun = Instant::now();
            let attempt = transports[signal as usize].attempt(target, encoded, timeout);
            if let Some(meter) = meter {
                meter.requests.add(begun.elapsed());
                if attempts > 1 {
                    meter.retried();
                }
                if let Attempt::Taken(_) = attempt {
                    meter.delivered(encoded.len() as u64);
                }
            }
            match attempt {
                Attempt::Taken(mut delivered) => {
                    // No body has more records than bytes.
                    delivered.rejected = delivered.rejected.min(body.len() as u64);
                    stats.delivered += 1;
                    stats.bytes += body.len() as u64;
                    return Ok(delivered);
                }
                Attempt::Refused { status, reason, hint } => {
                    break SendError::Refused { url, status, reason, hint };
                }
                Attempt::Untrusted(reason) => break SendError::Certificate { url, reason },
                Attempt::Unknown(reason) => break SendError::ClientCertificate { url, reason },
                Attempt::Impossible(reason) => break SendError::Request { url, reason },
                Attempt::Later { why, after } => {
                    last = why;
                    retry_after = after;
                    *asked = retry_after.map(|after| Instant::now() + after);
                    wait = Some(retry_after.unwrap_or_else(|| jitter(pause)));
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        };
        stats.failed += 1;
        Err(error)
    }

    /// The counts so far.
    pub fn stats(&self) -> ClientStats {
        self.stats
    }

    /// The configuration.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }
}

/// The pause after a failure that follows this many earlier ones, as between attempts at one request.
pub(super) fn backoff(first: Duration, failures: u32) -> Duration {
    jitter(first.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE))
}

/// A random time between half of `pause` and `pause`, so that clients that failed together do not retry
/// together.
fn jitter(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) >> 48;
    let half = pause / 2;
    half + half / (1 << 16) * random as u32
}

#[cfg(test)]
mod tests {
    use super::*;

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
            status: "404".into(),
            reason: reason.into(),
            hint: "check the port",
        };
        let hint = "check the port";
        assert_eq!(refused("").to_string(), format!("http://a/v1/traces answered 404: {hint}"));
        assert_eq!(refused("gone").to_string(), format!("http://a/v1/traces answered 404 (gone): {hint}"));
        assert_eq!(
            SendError::Deadline {
                url: url(),
                attempts: 2,
                last: "refused".into(),
                retry_after: None,
                by_caller: false
            }
            .to_string(),
            "http://a/v1/traces did not take the request in 2 attempt(s): refused; check that a collector listens there, for this protocol"
        );
        assert_eq!(
            SendError::Request { url: url(), reason: "bad uri: x".into() }.to_string(),
            "no request to http://a/v1/traces can be made: bad uri: x; check the endpoint and the headers"
        );
    }
}
