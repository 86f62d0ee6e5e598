//! The part of HTTP/1.1 that a scrape needs: one request without a body, one answer, and the connection is
//! closed. Everything is limited: the size of a request, and the times for sending it and for taking the
//! answer.

use std::time::{Duration, SystemTime};

/// Most bytes of a request. Prometheus's have some 500.
pub(super) const MOST_BYTES: usize = 8 * 1024;
/// Most headers of a request.
const MOST_HEADERS: usize = 64;
/// How many bytes of a refused request are read and for how long.
pub(super) const DRAIN: (usize, Duration) = (64 * 1024, Duration::from_millis(500));

/// A request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) accept: String,
    pub(super) accept_encoding: String,
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) status: &'static str,
    pub(super) why: &'static str,
}

impl Bad {
    pub(super) const TOO_LARGE: Bad =
        Bad { status: "431 Request Header Fields Too Large", why: "the request is too large" };
    pub(super) const TOO_LATE: Bad =
        Bad { status: "408 Request Timeout", why: "the request did not arrive in time" };
    const NOT_HTTP: Bad = Bad { status: "400 Bad Request", why: "that is not HTTP" };
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

    /// Its bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
            self.status,
            httpdate::fmt_http_date(SystemTime::now()),
            self.content_type,
            self.body.len(),
            self.headers,
        );
        let body: &[u8] = if self.is_head { &[] } else { self.body };
        [head.as_bytes(), body].concat()
    }
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
        assert_eq!(Request::parse(b"\x16\x03\x01\x02\x00").unwrap_err().status, "400 Bad Request");
    }
}
