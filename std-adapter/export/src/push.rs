//! Sends bodies to backends that take JSON over HTTP, one request after another on a connection that is kept
//! open.

use crate::Deadline;
use crate::backlog::Failure;
use crate::ledger::DropReason;
use crate::text::escaped;
use std::fmt;
use std::time::{Duration, SystemTime};

/// Longest time that a request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 1 << 20;

/// A URL to which records cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushUrlError {
    /// It is not `http://host:port/path` or `https://…`.
    #[error("`{0}` is not an http:// or https:// URL; give one such as {1}")]
    Url(String, &'static str),
    /// An https URL, but TLS is not compiled in.
    #[error("`{0}` wants TLS; build throughline-std with the feature `tls`, or use http://")]
    NoTls(String),
}

/// Sends bodies to one URL.
pub(crate) struct Push {
    agent: ureq::Agent,
    url: String,
    content_type: &'static str,
    headers: Vec<(String, String)>,
    /// The name of the server, for messages.
    peer: &'static str,
}

impl Push {
    /// Appends `path` to `url` if that has no path. `example` is a valid URL for messages.
    pub(crate) fn new(
        peer: &'static str,
        url: &str,
        path: &str,
        content_type: &'static str,
        example: &'static str,
    ) -> Result<Push, PushUrlError> {
        let parsed = url.trim().parse::<ureq::http::Uri>().ok();
        let parsed = parsed.filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        let Some(uri) = parsed.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https"))) else {
            return Err(PushUrlError::Url(escaped(url).into_owned(), example));
        };
        if uri.scheme_str() == Some("https") && !cfg!(feature = "tls") {
            return Err(PushUrlError::NoTls(escaped(url).into_owned()));
        }
        let url = url.trim();
        let url = if matches!(uri.path(), "" | "/") && uri.query().is_none() {
            format!("{}{path}", url.trim_end_matches('/'))
        } else {
            url.to_owned()
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("throughline-export/", env!("CARGO_PKG_VERSION")));
        Ok(Push { agent: config.build().new_agent(), url, content_type, headers: Vec::new(), peer })
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.headers.push((name.into(), value.into()));
    }

    /// Sends a body, and returns the answer.
    pub(crate) fn send(&self, body: &[u8], deadline: &Deadline) -> Result<Vec<u8>, Failure> {
        let (url, peer) = (&self.url, self.peer);
        let later = |why: String, after| {
            let why = format!("{url} did not take a request: {why}; check that {peer} listens there");
            Failure::Later { why, after }
        };
        let Some(timeout) = deadline.left_of(PATIENCE) else {
            return Err(later("the deadline had passed".into(), None));
        };
        let request = self.agent.post(url).config().timeout_global(Some(timeout)).build();
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut response = match request.content_type(self.content_type).send(body) {
            Ok(response) => response,
            Err(error @ (ureq::Error::Http(_) | ureq::Error::BadUri(_))) => {
                let why = format!("no request to {url} can be made: {error}; check the URL and the headers");
                return Err(Failure::Never { why, reason: DropReason::Refused });
            }
            Err(error) => return Err(later(error.to_string(), None)),
        };
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let after = after.and_then(parse_retry_after);
        let answer = response.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let said: String = String::from_utf8_lossy(&answer).trim().chars().take(200).collect();
        let said = escaped(&said);
        if matches!(status, 429 | 502 | 503 | 504) {
            return Err(later(format!("status {status} {said}"), after));
        }
        let hint = match status {
            401 | 403 => "set the credentials that it wants",
            404 | 405 => "check the port and the path",
            413 => "make batches smaller, or raise its limit",
            _ => "see its log",
        };
        let why = format!("{url} answered {status} ({said}): {hint}");
        Err(Failure::Never { why, reason: DropReason::Refused })
    }
}

/// Leaves out the headers, which may be secret.
impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Reads `Retry-After`, which is a number of seconds or an HTTP date.
fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}
