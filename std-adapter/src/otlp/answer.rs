//! Reads the answer to a request off a connection: status, the headers that matter, and as much of the body as is of use.

use httparse::Status;
use std::io::{self, Read};

/// How much of a body is read.
pub(super) const BODY_LIMIT: usize = 64 * 1024;
/// The longest head.
const HEAD_LIMIT: usize = 64 * 1024;
/// The most headers in it.
const HEADERS: usize = 100;

/// What a collector answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Content-Type`, or nothing.
    pub(super) content_type: String,
    /// `Retry-After`, or nothing.
    pub(super) retry_after: String,
    pub(super) body: Vec<u8>,
}

/// How a body ends.
enum Ends {
    After(usize),
    WithLastChunk,
    WithConnection,
}

/// Reads an answer, and whether it left the connection fit for another request.
pub(super) fn read(from: impl Read) -> io::Result<(Answer, bool)> {
    let mut input = Input { from, bytes: Vec::new() };
    let (mut answer, ends, keeps_open) = loop {
        if let Some(head) = head(&mut input)? {
            break head;
        }
    };
    // An answer cut short after its head still is an answer.
    let whole = body(&mut input, &ends, &mut answer.body).unwrap_or(false);
    answer.body.truncate(BODY_LIMIT);
    Ok((answer, whole && keeps_open && input.bytes.is_empty()))
}

/// Reads a head; `None` when it announces another, with a status below 200.
fn head(input: &mut Input<impl Read>) -> io::Result<Option<(Answer, Ends, bool)>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed =
            response.parse(&input.bytes).map_err(|error| invalid(&format!("no HTTP answer: {error}")))?;
        if let Status::Complete(len) = parsed {
            let status = response.code.unwrap_or(0);
            let get = |name| header(response.headers, name);
            let ends = match status {
                204 | 304 => Ends::After(0),
                _ if get("transfer-encoding").to_ascii_lowercase().ends_with("chunked") => {
                    Ends::WithLastChunk
                }
                _ => get("content-length").parse().map_or(Ends::WithConnection, Ends::After),
            };
            let keeps_open = response.version == Some(1) && !get("connection").eq_ignore_ascii_case("close");
            let (content_type, retry_after) = (get("content-type"), get("retry-after"));
            let answer = Answer { status, content_type, retry_after, body: Vec::new() };
            input.bytes.drain(..len);
            return Ok((status >= 200).then_some((answer, ends, keeps_open)));
        }
        if input.bytes.len() > HEAD_LIMIT {
            return Err(invalid("no HTTP answer: its head does not end"));
        }
        input.more()?;
    }
}

/// Reads a body, and whether to its end.
fn body(input: &mut Input<impl Read>, ends: &Ends, out: &mut Vec<u8>) -> io::Result<bool> {
    match *ends {
        Ends::After(len) => input.take(len, out),
        Ends::WithLastChunk => loop {
            let chunk = httparse::parse_chunk_size(&input.bytes).map_err(|_| invalid("a malformed chunk"))?;
            let Status::Complete((at, len)) = chunk else {
                input.more()?;
                continue;
            };
            input.bytes.drain(..at);
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let mut end = Vec::new();
            // Trailers, which nobody sends, would be seen as bytes too many.
            if !input.take(len, out)? || !input.take(2, &mut end)? || end != b"\r\n" || len == 0 {
                return Ok(len == 0);
            }
        },
        Ends::WithConnection => {
            while out.len() < BODY_LIMIT {
                out.append(&mut input.bytes);
                input.more()?;
            }
            Ok(false)
        }
    }
}

/// The header of this name, or nothing.
fn header(headers: &[httparse::Header<'_>], name: &str) -> String {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    found.map_or_else(String::new, |header| String::from_utf8_lossy(header.value).trim().to_owned())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What was read and not yet used.
struct Input<R> {
    from: R,
    bytes: Vec<u8>,
}

impl<R: Read> Input<R> {
    /// Waits for more; an error at the end.
    fn more(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        match self.from.read(&mut bytes)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was closed before the answer ended",
            )),
            n => {
                self.bytes.extend_from_slice(&bytes[..n]);
                Ok(())
            }
        }
    }

    /// Moves `len` bytes to `out`; false when that is beyond what is read of a body.
    fn take(&mut self, len: usize, out: &mut Vec<u8>) -> io::Result<bool> {
        let wanted = len.min(BODY_LIMIT.saturating_sub(out.len()));
        while self.bytes.len() < wanted {
            if let Err(error) = self.more() {
                out.append(&mut self.bytes);
                return Err(error);
            }
        }
        out.extend(self.bytes.drain(..wanted));
        Ok(wanted == len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, so that everything ends everywhere.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            (out[0], self.0) = (*first, rest);
            Ok(1)
        }
    }

    fn parsed(text: &str) -> (u16, String, bool) {
        let whole = read(text.as_bytes()).unwrap();
        assert_eq!(read(Slow(text.as_bytes())).unwrap().0, whole.0);
        (whole.0.status, String::from_utf8(whole.0.body).unwrap(), whole.1)
    }

    #[test]
    fn bodies_end_as_their_heads_say() {
        let ok = |body: &str, fit| (200, body.to_owned(), fit);
        assert_eq!(parsed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), ok("hello", true));
        assert_eq!(parsed("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), ok("", true));
        assert_eq!(
            parsed(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n"
            ),
            ok("hello!", true)
        );
        assert_eq!(parsed("HTTP/1.1 200 OK\r\n\r\nuntil the end"), ok("until the end", false));
        assert_eq!(parsed("HTTP/1.1 204 No Content\r\n\r\n"), (204, String::new(), true));
        assert_eq!(
            parsed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1"),
            ok("1", true)
        );
    }

    #[test]
    fn a_connection_is_used_again_only_if_it_may_be() {
        for text in [
            "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n1",
            "HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 1\r\n\r\n1",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\nx: y\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1xx",
        ] {
            assert_eq!(parsed(text), (200, "1".to_owned(), false), "{text}");
        }
        assert!(!read(&b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1HTTP"[..]).unwrap().1);
    }

    #[test]
    fn headers_that_matter_are_kept_and_long_bodies_are_not() {
        let head = "HTTP/1.1 503 Busy\r\ncontent-type: text/plain\r\nRetry-After:  7 \r\n";
        let body = "x".repeat(BODY_LIMIT + 1);
        for framing in [
            format!("content-length: {}\r\n\r\n{body}", body.len()),
            format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
            format!("\r\n{body}"),
        ] {
            let (answer, fit) = read(format!("{head}{framing}").as_bytes()).unwrap();
            assert_eq!(
                (answer.status, &*answer.content_type, &*answer.retry_after),
                (503, "text/plain", "7")
            );
            assert!(answer.body.len() == BODY_LIMIT && !fit);
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(HEAD_LIMIT + 10_000));
        for text in [
            "",
            "HTTP/1.1 2",
            "HTTP/1.1 200 OK\r\nhalf",
            "\0\0\0\0\0\0\0\0\0",
            "220 smtp ready\r\n",
            &endless,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text:.20}");
        }
        assert!(read(&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"[..]).is_ok());
    }
}
