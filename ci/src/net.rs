//! Loopback ports: finding free ones and waiting for a program to listen.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a condition is checked. It is short, so that waiting adds almost nothing.
pub const POLL: Duration = Duration::from_millis(5);

/// `N` distinct loopback ports that were free a moment ago.
///
/// Another process may take one before it is bound, so a caller should try again with new ones if it can.
///
/// # Errors
///
/// Fails if the system has no port left.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All sockets stay open until every port is known, so that the ports differ.
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free loopback port")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// Calls `ready` every [`POLL`] until it returns a value.
///
/// # Errors
///
/// Errors of `ready`, and when `limit` has passed; `what` completes "still waiting for …".
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("still waiting for {what} after {} s", limit.as_secs_f32());
        }
        thread::sleep(POLL);
    }
}

/// Sends one HTTP/1.1 POST and returns the status code.
///
/// It is not a client; it only checks whether a local server answers.
///
/// # Errors
///
/// Fails if the server cannot be reached, is silent for ten seconds, or answers something other than HTTP.
pub fn post(address: SocketAddr, path: &str, content_type: &str, body: &[u8]) -> Result<u16> {
    let limit = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&address, limit)
        .with_context(|| format!("nothing listens on {address}"))?;
    stream.set_read_timeout(Some(limit))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("no answer from {address}"))?;
    status_code(&answer).with_context(|| format!("{address} answered something else than HTTP"))
}

/// Whether something accepts connections on that loopback port.
#[must_use]
pub fn listens(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

fn status_code(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|&byte| byte == b'\r').next()?;
    let mut words = str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ() {
        let [a, b, c] = free_ports().unwrap();
        assert!(a != b && b != c && a != c);
    }

    #[test]
    fn status_codes_are_found() {
        assert_eq!(status_code(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"), Some(200));
        assert_eq!(status_code(b"SSH-2.0-OpenSSH\r\n"), None);
        assert_eq!(status_code(b""), None);
    }

    #[test]
    fn waiting_ends_with_the_reason() {
        let error = wait_for::<()>("Godot", Duration::from_millis(10), || Ok(None)).unwrap_err();
        assert!(error.to_string().contains("waiting for Godot"));
    }
}
