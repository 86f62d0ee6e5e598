//! Makes one attempt at a request over gRPC: a unary call on an HTTP/2 connection that is kept open, with the
//! crate `h2`.
//!
//! Each client has its own small runtime, which runs on the calling thread and is independent of other
//! threads and of the program's runtime. Between calls the connection makes no progress. If the collector has
//! closed it in the meantime, the call is repeated once on a new connection. Source:
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

mod connect;
mod status;

use super::attempt::Attempt;
use super::client::Delivered;
use super::compress::Compression;
use super::config::Target;
use super::response;
use crate::http::asked_pause;
use crate::text::said;
use connect::connect;
use h2::RecvStream;
use status::Status;
use std::fmt;
use std::io::Cursor;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Request};

/// Most bytes of an answer that are kept.
const ANSWER_LIMIT: usize = 64 * 1024;
/// Length of the prefix of a message: a flag for compression, and the length.
const PREFIX: usize = 5;
/// The longest timeout that fits into the eight digits of `grpc-timeout`, in seconds.
const LONGEST_TIMEOUT_S: u64 = 99_999_999;

/// The handle that sends requests on an open connection.
type Sender = h2::client::SendRequest<Cursor<Vec<u8>>>;

/// The connection to the destination of one signal.
#[derive(Default)]
pub(super) struct Grpc {
    runtime: Option<Runtime>,
    sender: Option<Sender>,
}

impl fmt::Debug for Grpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grpc").field("is_connected", &self.sender.is_some()).finish()
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        // Do not wait for a name lookup that is still running.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Why a call got no answer.
#[derive(Debug)]
enum Failure {
    /// The request is invalid, so no attempt can succeed.
    Request(String),
    /// The connection failed or could not be opened.
    Connection(String),
}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Failure {
        Failure::Connection(error.to_string())
    }
}

impl Grpc {
    /// Makes a call with a body that is compressed as the target requires.
    pub(super) fn attempt(&mut self, target: &Target, body: &[u8], timeout: Duration) -> Attempt {
        let Grpc { runtime, sender } = self;
        let runtime = match runtime {
            Some(runtime) => runtime,
            None => match Builder::new_current_thread().enable_all().build() {
                Ok(new) => runtime.insert(new),
                Err(error) => return Attempt::Later { why: error.to_string(), after: None },
            },
        };
        let was_connected = sender.is_some();
        // A longer timeout could overflow the runtime's clock, and in practice is no limit.
        let timeout = timeout.min(Duration::from_secs(LONGEST_TIMEOUT_S));
        let begun = Instant::now();
        let fields = match target.headers(timeout) {
            Ok(fields) => fields,
            Err(why) => return Attempt::Later { why, after: None },
        };
        let timeout = timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        let called = runtime.block_on(async {
            let call = async {
                let first = call(sender, target, &fields, body, timeout).await;
                match first {
                    Err(Failure::Connection(_)) if was_connected => {
                        *sender = None;
                        call(sender, target, &fields, body, timeout).await
                    }
                    other => other,
                }
            };
            tokio::time::timeout(timeout, call).await
        });
        match called {
            Ok(Ok((status, _))) if status.is_about_credentials() && target.renew_tokens(begun) => {
                let why = format!("{}; the token is read again", status.name());
                Attempt::Later { why, after: Some(Duration::ZERO) }
            }
            Ok(Ok((status, answer))) => finished(target, status, &answer),
            Ok(Err(Failure::Request(why))) => Attempt::Impossible(why),
            Ok(Err(Failure::Connection(why))) => {
                *sender = None;
                Attempt::of_handshake(&why).unwrap_or(Attempt::Later { why, after: None })
            }
            Err(_) => {
                *sender = None;
                Attempt::Later { why: format!("timeout: no answer in {timeout:?}"), after: None }
            }
        }
    }
}

/// Makes one call. Returns its status and the message of the answer.
async fn call(
    sender: &mut Option<Sender>,
    target: &Target,
    fields: &[(String, String)],
    body: &[u8],
    timeout: Duration,
) -> Result<(Status, Vec<u8>), Failure> {
    let request = request(target, fields, timeout)?;
    let open = match sender.take() {
        Some(open) => open,
        None => connect(target).await?,
    };
    let mut ready = open.ready().await?;
    let (response, mut stream) = ready.send_request(request, false)?;
    *sender = Some(ready);
    stream.send_data(Cursor::new(message(target.compression, body)), true)?;
    let response = response.await?;
    let (parts, mut received) = response.into_parts();
    // If a call fails at once, the status is in the headers instead of the trailers.
    if let Some(status) = Status::of_headers(&parts.headers) {
        return Ok((status, Vec::new()));
    }
    if parts.status != 200 {
        return Ok((Status::of_http(parts.status.as_u16()), Vec::new()));
    }
    let answer = read(&mut received).await?;
    let trailers = received.trailers().await?;
    let status = Status::of_headers(&trailers.unwrap_or_default());
    let status = status.ok_or_else(|| Failure::Connection("the answer has no gRPC status".into()))?;
    Ok((status, answer))
}

async fn read(stream: &mut RecvStream) -> Result<Vec<u8>, Failure> {
    let mut answer = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        if answer.len() < ANSWER_LIMIT {
            answer.extend_from_slice(&data);
        }
    }
    Ok(answer)
}

fn request(target: &Target, fields: &[(String, String)], timeout: Duration) -> Result<Request<()>, Failure> {
    let invalid = |error: String| Failure::Request(error);
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| invalid(error.to_string()))?;
        let value = HeaderValue::from_str(value).map_err(|error| invalid(error.to_string()))?;
        headers.append(name, value);
    }
    let mut own = |name: &'static str, value: String| {
        // All of these values are plain ASCII, so the conversion does not fail.
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    own("content-type", "application/grpc".into());
    own("te", "trailers".into());
    own("user-agent", concat!("throughline-export/", env!("CARGO_PKG_VERSION")).into());
    own("grpc-timeout", grpc_timeout(timeout));
    if target.compression != Compression::None {
        own("grpc-encoding", target.compression.as_str().into());
    }
    let request = Request::post(&target.url).version(ureq::http::Version::HTTP_2).body(());
    let mut request = request.map_err(|error| invalid(error.to_string()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Writes the timeout as at most eight digits and a unit.
fn grpc_timeout(timeout: Duration) -> String {
    match timeout.as_millis() {
        ms @ 0..=99_999_999 => format!("{}m", ms.max(1)),
        _ => format!("{}S", timeout.as_secs().min(LONGEST_TIMEOUT_S)),
    }
}

fn message(compression: Compression, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(PREFIX + body.len());
    message.push(u8::from(compression != Compression::None));
    message.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(body);
    message
}

/// Interprets the status and the message of an answer.
fn finished(target: &Target, mut status: Status, answer: &[u8]) -> Attempt {
    status.message = target.without_own(&status.message);
    if status.is_ok() {
        // The request asked for no compression of the answer.
        let message = answer.get(PREFIX..).unwrap_or_default();
        let partial = response::partial_success("application/x-protobuf", message);
        let message = target.without_own(&partial.message);
        return Attempt::Taken(Delivered { rejected: partial.rejected, message });
    }
    if status.is_retryable() {
        return Attempt::Later { why: status.to_string(), after: asked_pause(status.retry_after) };
    }
    Attempt::Refused { hint: status.hint(), reason: said(&status.message), status: status.name() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_eight_digits_at_most() {
        assert_eq!(grpc_timeout(Duration::from_millis(250)), "250m");
        assert_eq!(grpc_timeout(Duration::from_nanos(1)), "1m");
        assert_eq!(grpc_timeout(Duration::from_secs(100_000)), "100000S");
        assert_eq!(grpc_timeout(Duration::MAX), "99999999S");
    }

    #[test]
    fn a_message_has_its_length_in_front() {
        assert_eq!(message(Compression::None, b"abc"), b"\0\0\0\0\x03abc");
        assert_eq!(message(Compression::Gzip, b""), b"\x01\0\0\0\0");
    }
}
