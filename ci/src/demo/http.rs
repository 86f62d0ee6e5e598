//! One HTTP/1.1 request to a server on loopback.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Status code.
    pub(super) status: u16,
    head: String,
}

impl Answer {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
    }
}

/// Sends a request without a body, with the caller's `traceparent` if there is one.
///
/// # Errors
///
/// Fails if the server can't be reached, doesn't answer in time, or answers something else than HTTP.
pub(super) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    traceparent: Option<&str>,
) -> Result<Answer> {
    let stream = TcpStream::connect_timeout(&address, LIMIT);
    let mut stream = stream.with_context(|| format!("nothing listens on {address}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let parent = traceparent.map(|value| format!("traceparent: {value}\r\n")).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{parent}Content-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("no answer from {address}"))?;
    parse(&String::from_utf8_lossy(&answer))
        .with_context(|| format!("{address} answered something else than HTTP"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    Some(Answer { status: words.next()?.parse().ok()?, head: head.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_headers_are_found() {
        let answer = parse("HTTP/1.1 200 OK\r\nTraceParent: 00-a:b\r\n\r\nbody: no header\r\n").unwrap();
        assert_eq!(
            (answer.status, answer.header("traceparent"), answer.header("body")),
            (200, Some("00-a:b"), None)
        );
        assert!(parse("SSH-2.0-OpenSSH\r\n\r\n").is_none());
    }
}
