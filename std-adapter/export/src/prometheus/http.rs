//! The part of HTTP/1.1 that a scrape needs: one request without a body, one answer, and the connection is
//! closed. Everything is limited: the size of a request, and the times for sending it and for taking the
//! answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant, SystemTime};

/// Most bytes of a request. Prometheus's have some 500.
const MOST_BYTES: usize = 8 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 64;
/// How many bytes of a refused request are read and for how long. Closing a connection with unread bytes
/// resets it, and the client would not get the refusal.
const DRAIN: (u64, Duration) = (64 * 1024, Duration::from_millis(500));

/// A request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) accept: String,
    pub(super) accept_encoding: String,
}

/// Why a request is not answered.
#[derive(Debug)]
pub(super) enum Bad {
    /// Not before it was told why, with this status.
    Request(&'static str, &'static str),
    /// There is nobody to tell.
    Gone,
}

impl Request {
    /// Reads a request, until `until` at most.
    pub(super) fn read(stream: &mut TcpStream, until: Instant) -> Result<Request, Bad> {
        let mut bytes = [0; MOST_BYTES];
        let mut len = 0;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Bad::Request("408 Request Timeout", "the request did not arrive in time"));
            }
            stream.set_read_timeout(Some(left)).map_err(|_| Bad::Gone)?;
            match stream.read(&mut bytes[len..]) {
                Ok(0) => return Err(Bad::Gone),
                Ok(n) => len += n,
                Err(error) if is_pause(&error) => continue,
                Err(_) => return Err(Bad::Gone),
            }
            match Request::parse(&bytes[..len])? {
                Some(request) => return Ok(request),
                None if len == bytes.len() => return Err(TOO_LARGE),
                None => {}
            }
        }
    }

    /// The request that `bytes` begin with; `None` when it is not there as a whole.
    fn parse(bytes: &[u8]) -> Result<Option<Request>, Bad> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(bytes) {
            Ok(httparse::Status::Partial) => return Ok(None),
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(TOO_LARGE),
            Err(_) => return Err(Bad::Request("400 Bad Request", "that is not HTTP")),
        }
        let target = head.path.unwrap_or_default();
        let path = target.split_once('?').map_or(target, |(path, _)| path).to_owned();
        let mut request =
            Request { method: head.method.unwrap_or_default().into(), path, ..Request::default() };
        for header in head.headers.iter() {
            let into = match header.name {
                name if name.eq_ignore_ascii_case("accept") => &mut request.accept,
                name if name.eq_ignore_ascii_case("accept-encoding") => &mut request.accept_encoding,
                _ => continue,
            };
            if !into.is_empty() {
                into.push(',');
            }
            into.push_str(&String::from_utf8_lossy(header.value));
        }
        Ok(Some(request))
    }
}

const TOO_LARGE: Bad = Bad::Request("431 Request Header Fields Too Large", "the request is too large");

/// An answer.
#[derive(Debug)]
pub(super) struct Response<'b> {
    /// Code and reason.
    pub(super) status: &'static str,
    pub(super) content_type: &'static str,
    /// Whole further lines.
    pub(super) headers: &'static str,
    pub(super) body: &'b [u8],
    /// Whether the body is left out, as HEAD asks for.
    pub(super) is_head: bool,
}

impl<'b> Response<'b> {
    /// An answer for people.
    pub(super) fn plain(status: &'static str, text: &'b str) -> Response<'b> {
        let content_type = "text/plain; charset=utf-8";
        Response { status, content_type, headers: "", body: text.as_bytes(), is_head: false }
    }

    /// Writes it, until `until` at most.
    pub(super) fn write(&self, stream: &mut TcpStream, until: Instant) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
            self.status,
            httpdate::fmt_http_date(SystemTime::now()),
            self.content_type,
            self.body.len(),
            self.headers,
        );
        write_until(stream, head.as_bytes(), until)?;
        write_until(stream, if self.is_head { &[] } else { self.body }, until)
    }
}

fn write_until(stream: &mut TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads and forgets some of what a client still sends, after it was refused.
pub(super) fn drain(stream: &mut TcpStream) {
    let (most, long) = DRAIN;
    let until = Instant::now() + long;
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let (mut bytes, mut read) = ([0; 4096], 0);
    while read < most {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return;
        }
        match stream.read(&mut bytes) {
            Ok(n) if n > 0 => read += n as u64,
            _ => return,
        }
    }
}

/// Whether reading or writing may go on after it: a signal, or a timeout, after which the deadline is looked at.
fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_come() {
        let text = "GET /metrics?name[]=a HTTP/1.1\r\nHost: x\r\nACCEPT: a\r\naccept: b;q=0.5\r\nAccept-Encoding: gzip\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(Request::parse(&text.as_bytes()[..end]), Ok(None)), "{end}");
        }
        let request = Request::parse(text.as_bytes()).unwrap().unwrap();
        let expected = Request {
            method: "GET".into(),
            path: "/metrics".into(),
            accept: "a,b;q=0.5".into(),
            accept_encoding: "gzip".into(),
        };
        assert_eq!(request, expected);
        assert!(matches!(Request::parse(b"\x16\x03\x01\x02\x00"), Err(Bad::Request("400 Bad Request", _))));
    }
}
