//! Which way requests go: straight over a connection of ours where that is all it takes, else through an HTTP library, which speaks TLS and asks proxies.

use super::answer::{Answer, BODY_LIMIT};
use super::connection::Connection;
use super::endpoint::{ClientConfig, Signal};
use std::io::{self, Write};
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue, Uri};

const USER_AGENT: &str = concat!("throughline-std/", env!("CARGO_PKG_VERSION"));
const CONTENT_TYPE: &str = "application/x-protobuf";
/// Headers that are ours to say.
const OURS: [&str; 6] =
    ["host", "user-agent", "content-type", "content-length", "transfer-encoding", "connection"];

/// The ways of the three signals.
#[derive(Debug)]
pub(super) struct Routes {
    /// A connection for each collector that can be reached straight.
    connections: Vec<Connection>,
    straight: [Option<Straight>; 3],
    agent: ureq::Agent,
}

/// A request that goes over a connection.
#[derive(Debug)]
struct Straight {
    /// Which.
    connection: usize,
    /// Its head, up to the length of the body.
    head: Vec<u8>,
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another attempt may fare better.
    Passing(String),
    /// No request can be made.
    Lasting(Box<ureq::Error>),
}

impl Routes {
    pub(super) fn new(config: &ClientConfig) -> Routes {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(USER_AGENT)
            .build()
            .new_agent();
        let mut connections = Vec::new();
        let straight = Signal::ALL.map(|signal| straight(config, signal, &mut connections));
        Routes { connections, straight, agent }
    }

    /// Sends a body once, and reads the answer.
    pub(super) fn send(
        &mut self,
        config: &ClientConfig,
        signal: Signal,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let Some(Straight { connection, head }) = &mut self.straight[signal as usize] else {
            return by_agent(&self.agent, config, signal, body, timeout);
        };
        let always = head.len();
        let sent = write!(head, "content-length: {}\r\n\r\n", body.len())
            .and_then(|()| self.connections[*connection].send(head, body, timeout));
        head.truncate(always);
        sent.map_err(|error| Failure::Passing(error.to_string()))
    }
}

/// The way over a connection; `None` if it takes more than that.
fn straight(config: &ClientConfig, signal: Signal, connections: &mut Vec<Connection>) -> Option<Straight> {
    let uri: Uri = config.url(signal).parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let by_proxy = ureq::Proxy::try_from_env().is_some_and(|proxy| !proxy.is_no_proxy(&uri));
    if uri.scheme_str() != Some("http") || by_proxy {
        return None;
    }
    let head = head(config, &uri).ok()?;
    let port = authority.port_u16().unwrap_or(80);
    let known = connections.iter().position(|connection| connection.is_to(authority.host(), port));
    let connection = known.unwrap_or_else(|| {
        connections.push(Connection::new(authority.host(), port));
        connections.len() - 1
    });
    Some(Straight { connection, head })
}

/// A request's head up to the length of its body; an error for headers that cannot be sent as they are.
fn head(config: &ClientConfig, uri: &Uri) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.authority().map_or("", |authority| authority.as_str());
    write!(head, "POST {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {USER_AGENT}\r\naccept: */*\r\n")?;
    write!(head, "content-type: {CONTENT_TYPE}\r\n")?;
    #[cfg(feature = "gzip")]
    if config.gzip {
        head.extend_from_slice(b"content-encoding: gzip\r\n");
    }
    for (name, value) in &config.headers {
        let name = HeaderName::try_from(name).map_err(io::Error::other)?;
        let value = HeaderValue::try_from(value).map_err(io::Error::other)?;
        if OURS.contains(&name.as_str()) {
            return Err(io::Error::other("ours to say"));
        }
        write!(head, "{name}: ")?;
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    Ok(head)
}

fn by_agent(
    agent: &ureq::Agent,
    config: &ClientConfig,
    signal: Signal,
    body: &[u8],
    timeout: Duration,
) -> Result<Answer, Failure> {
    let mut request = agent
        .post(config.url(signal))
        .config()
        .timeout_global(Some(timeout))
        .build()
        .content_type(CONTENT_TYPE);
    #[cfg(feature = "gzip")]
    if config.gzip {
        request = request.header("content-encoding", "gzip");
    }
    for (name, value) in &config.headers {
        request = request.header(name, value);
    }
    let mut response = request.send(body).map_err(|error| {
        if passes(&error) { Failure::Passing(error.to_string()) } else { Failure::Lasting(Box::new(error)) }
    })?;
    let header =
        |name| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (content_type, retry_after) = (header("content-type"), header("retry-after"));
    let status = response.status().as_u16();
    // An answer cut short after its status line still is an answer.
    let body = response.body_mut().with_config().limit(BODY_LIMIT as u64).read_to_vec().unwrap_or_default();
    Ok(Answer { status, content_type, retry_after, body })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(url: &str, headers: &[(&str, &str)]) -> Routes {
        let config = ClientConfig::new(url).unwrap();
        Routes::new(&headers.iter().fold(config, |config, (name, value)| config.header(*name, *value)))
    }

    #[test]
    fn signals_share_the_connection_to_one_collector() {
        let routes = routes("http://[::1]:4318/base", &[("X-Key", "k1")]);
        assert_eq!(routes.connections.len(), 1);
        let head =
            String::from_utf8(routes.straight[Signal::Logs as usize].as_ref().unwrap().head.clone()).unwrap();
        assert!(head.starts_with("POST /base/v1/logs HTTP/1.1\r\nhost: [::1]:4318\r\n"), "{head}");
        assert!(head.ends_with("x-key: k1\r\n"), "{head}");
    }

    #[test]
    fn what_takes_more_goes_through_the_library() {
        for (url, headers) in [
            ("http://user:secret@collector:4318", &[][..]),
            ("http://collector", &[("bad name", "x")][..]),
            ("http://collector", &[("x", "a\r\nb: c")][..]),
            ("http://collector", &[("Host", "other")][..]),
        ] {
            assert!(routes(url, headers).straight.iter().all(Option::is_none), "{url} {headers:?}");
        }
    }
}
