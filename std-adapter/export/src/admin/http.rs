//! The part of HTTP/1.1 that pages need: one request without a body, one answer, and the connection is
//! closed. Everything is limited: the size of a request, and the times for sending it and for taking the
//! answer.

use std::time::{Duration, SystemTime};

/// Most bytes of a request. Prometheus's have some 500.
pub(super) const MOST_BYTES: usize = 8 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 64;
/// How many bytes of a refused request are read and for how long.
pub(super) const DRAIN: (usize, Duration) = (64 * 1024, Duration::from_millis(500));

/// A request, without its body: none is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) status: u16,
    pub(super) why: &'static str,
}

impl Bad {
    pub(super) const TOO_LARGE: Bad = Bad { status: 431, why: "the request is too large" };
    pub(super) const TOO_LATE: Bad = Bad { status: 408, why: "the request did not arrive in time" };
    const NOT_HTTP: Bad = Bad { status: 400, why: "that is not HTTP" };
}

impl Request {
    /// The request that `bytes` begin with; `None` when it is not there as a whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Request>, Bad> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(bytes) {
            Ok(httparse::Status::Partial) => return Ok(None),
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Bad::TOO_LARGE),
            Err(_) => return Err(Bad::NOT_HTTP),
        }
        let target = head.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let text = |header: &httparse::Header<'_>| {
            (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
        };
        Ok(Some(Request {
            method: head.method.unwrap_or_default().into(),
            path: path.into(),
            query: query.into(),
            headers: head.headers.iter().map(text).collect(),
        }))
    }

    /// `GET` or `HEAD`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A parameter of the query, as it was sent: escapes such as `%20` are left as they are.
    pub fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The value of a header, joined by commas if there are several, and empty if there is none.
    pub fn header(&self, name: &str) -> String {
        let of_name = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(",")
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    /// An answer with this status, such as 200, of this type, such as `application/json`.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, content_type, headers: Vec::new(), body: body.into() }
    }

    /// An answer for people.
    pub fn text(status: u16, text: impl Into<String>) -> Response {
        Response::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// Adds a header. Control characters of the value are left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Response {
        self.headers.push((name, value.into()));
        self
    }

    /// Its bytes; without the body, as HEAD asks for, if `is_head`.
    pub(super) fn to_bytes(&self, is_head: bool) -> Vec<u8> {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nDate: {date}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
            self.status,
            reason(self.status),
            self.content_type,
            self.body.len(),
        );
        for (name, value) in &self.headers {
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let body: &[u8] = if is_head { &[] } else { &self.body };
        [head.as_bytes(), body].concat()
    }
}

/// The words that go with a status. They are for people alone.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_come() {
        let text = "GET /metrics?name[]=a&seconds=5 HTTP/1.1\r\nHost: x\r\nACCEPT: a\r\naccept: b;q=0.5\r\nAccept-Encoding: gzip\r\n\r\n";
        for end in 0..text.len() {
            assert!(matches!(Request::parse(&text.as_bytes()[..end]), Ok(None)), "{end}");
        }
        let request = Request::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((request.method(), request.path()), ("GET", "/metrics"));
        assert_eq!((request.query("seconds"), request.query("x")), (Some("5"), None));
        assert_eq!([request.header("Accept"), request.header("accept-encoding")], ["a,b;q=0.5", "gzip"]);
        assert_eq!(request.header("authorization"), "");
        assert_eq!(Request::parse(b"\x16\x03\x01\x02\x00").unwrap_err().status, 400);
    }

    #[test]
    fn a_header_of_an_answer_stays_one_line() {
        let bytes = Response::text(200, "x").header("X-Name", "a\r\nSet-Cookie: b").to_bytes(true);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.ends_with("X-Name: aSet-Cookie: b\r\n\r\n"), "{text}");
    }
}
