//! Sends bodies to backends that take JSON over HTTP, one request after another on a connection that is kept
//! open.

use crate::backlog::{Backlog, Failure};
use crate::http::{client, hint_of_failure, page_for_people, parse_retry_after, read_body, trusting};
use crate::ledger::DropReason;
use crate::otlp::ConfigError;
use crate::text::{escaped, masked_url, said_without};
use crate::{Deadline, ExportError};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// Longest time that a request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER_LIMIT: u64 = 1 << 20;
/// Most bytes of requests that wait while the server is unavailable.
const BACKLOG: usize = 16 << 20;

/// A URL to which records cannot be sent.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushUrlError {
    /// It is not `http://host:port/path` or `https://…`.
    #[error("`{0}` is not an http:// or https:// URL; give one such as {1}")]
    Url(String, &'static str),
    /// An https URL, but TLS is not compiled in.
    #[error("`{0}` wants TLS; build throughline-std with the feature `tls`, or use http://")]
    NoTls(String),
}

crate::__debug_as_display!(PushUrlError);

/// Sends bodies to one URL, in order, and keeps those that the server has not taken yet.
#[derive(Debug)]
pub(crate) struct Push {
    server: Server,
    backlog: Backlog,
}

/// The answer to a request that was taken.
#[derive(Debug)]
pub(crate) struct Answer {
    #[cfg_attr(not(feature = "prometheus"), expect(dead_code, reason = "no other protocol has any"))]
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Where bodies go.
struct Server {
    agent: ureq::Agent,
    url: String,
    content_type: &'static str,
    headers: Vec<(String, String)>,
    /// Its name, for messages.
    peer: &'static str,
    /// Whether a body is sent again after this status.
    retried: fn(u16) -> bool,
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
            return Err(PushUrlError::Url(shown(url), example));
        };
        if uri.scheme_str() == Some("https") && !cfg!(feature = "tls") {
            return Err(PushUrlError::NoTls(shown(url)));
        }
        let url = url.trim();
        let url = if matches!(uri.path(), "" | "/") && uri.query().is_none() {
            format!("{}{path}", url.trim_end_matches('/'))
        } else {
            url.to_owned()
        };
        let agent = client().build().new_agent();
        let retried = |status| matches!(status, 429 | 502 | 503 | 504);
        let server = Server { agent, url, content_type, headers: Vec::new(), peer, retried };
        Ok(Push { server, backlog: Backlog::new(BACKLOG) })
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        self.server.headers.push((name.into(), value.into()));
    }

    /// Trusts the authorities in this file alone.
    pub(crate) fn ca_certificate(&mut self, path: &Path) -> Result<(), ConfigError> {
        self.server.agent = trusting(path)?;
        Ok(())
    }

    /// Sets the type of the bodies.
    #[cfg(feature = "prometheus")]
    pub(crate) fn content_type(&mut self, content_type: &'static str) {
        self.server.content_type = content_type;
    }

    /// Sets after which statuses a body is sent again later. The default is those that say so: 429, 502, 503, 504.
    #[cfg(feature = "prometheus")]
    pub(crate) fn retry(&mut self, after: fn(u16) -> bool) {
        self.server.retried = after;
    }

    /// Puts a body with this many records at the end.
    pub(crate) fn queue(&mut self, body: impl Into<Vec<u8>>, records: u64) {
        self.backlog.push(body.into(), records);
    }

    /// The number of records that wait.
    pub(crate) fn held(&self) -> u64 {
        self.backlog.held()
    }

    /// Sends what waits; see [`Backlog::deliver`]. `check` reads each answer.
    pub(crate) fn deliver(
        &mut self,
        deadline: &Deadline,
        last: bool,
        check: impl Fn(&Answer) -> Result<(), Failure>,
    ) -> Result<(), ExportError> {
        let server = &self.server;
        self.backlog.deliver(deadline, last, |body| check(&server.send(body, deadline)?))
    }
}

impl Server {
    /// Sends a body, and returns the answer.
    fn send(&self, body: &[u8], deadline: &Deadline) -> Result<Answer, Failure> {
        let (url, peer) = (shown(&self.url), self.peer);
        let later = |why: String, after| {
            let why = format!("{url} did not take a request: {why}; check that {peer} listens there");
            Failure::Later { why, after }
        };
        let Some(timeout) = deadline.left_of(PATIENCE) else {
            return Err(later("the deadline had passed".into(), None));
        };
        let request = self.agent.post(&self.url).config().timeout_global(Some(timeout)).build();
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let mut response = match request.content_type(self.content_type).send(body) {
            Ok(response) => response,
            Err(error @ (ureq::Error::Http(_) | ureq::Error::BadUri(_))) => {
                // The library may quote the URL.
                let error = error.to_string().replace(&self.url, &url);
                let why = format!("no request to {url} can be made: {error}; check the URL and the headers");
                return Err(Failure::Never { why, reason: DropReason::Refused });
            }
            Err(error) => {
                let error = error.to_string();
                let hint = hint_of_failure(&error, peer);
                let why = format!("{url} did not take a request: {error}; {hint}");
                return Err(Failure::Later { why, after: None });
            }
        };
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let after = after.and_then(parse_retry_after);
        let (answer, whole) = read_body(&mut response, ANSWER_LIMIT);
        if (200..300).contains(&status) {
            whole.map_err(|why| later(format!("status {status}, but {why}"), None))?;
            let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
            if let Some(why) = page_for_people(content_type.unwrap_or_default(), &answer) {
                return Err(later(format!("status {status}, but {why}"), None));
            }
            return Ok(Answer { headers: response.into_parts().0.headers, body: answer });
        }
        let said = said_without(&answer, self.headers.iter().map(|(_, value)| &**value));
        if (self.retried)(status) {
            return Err(later(format!("status {status} {said}"), after));
        }
        let hint = match status {
            401 | 403 => "set the credentials that it wants",
            404 | 405 => "check the port and the path",
            413 => "make batches smaller, or raise its limit",
            415 => "it takes no such body: check the path, and the version of the protocol",
            _ => "see its log",
        };
        let why = format!("{url} answered {status} ({said}): {hint}");
        Err(Failure::Never { why, reason: DropReason::Refused })
    }
}

/// The URL as it is shown in messages.
fn shown(url: &str) -> String {
    escaped(&masked_url(url)).into_owned()
}

/// Leaves out the headers, which may be secret.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &shown(&self.url)).finish_non_exhaustive()
    }
}
