//! Syslog messages over TLS.

use super::logs::log;
use super::{File, authority, server_config};
use rcgen::{CertifiedIssuer, KeyPair};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use throughline::Level;
use throughline_export::log::Syslog;
use throughline_export::{Deadline, Exporter};

/// The end of a connection that the sender announced.
const CLOSED: &str = "closed";

/// Waits until the peer's system has all that was sent. On a busy machine that may be later than the end of a write, even on loopback.
fn wait_until_received(stream: &TcpStream) {
    #[cfg(target_os = "linux")]
    loop {
        let mut left: libc::c_int = 0;
        // SAFETY: the socket is open, and the number is written into a local of this type.
        let asked =
            unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(stream), libc::TIOCOUTQ, &mut left) };
        if asked != 0 || left == 0 {
            return;
        }
        std::thread::yield_now();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

/// Listens for syslog messages over TLS as 127.0.0.1, and passes on each message of each connection, and
/// [`CLOSED`] where the sender says that none follows. A connection is closed after `most` messages.
fn syslog_receiver(authority: &CertifiedIssuer<'static, KeyPair>, most: usize) -> (u16, Receiver<String>) {
    let config = server_config("127.0.0.1", authority, None);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (messages, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut reader = BufReader::new(rustls::StreamOwned::new(connection, stream));
            for n in 1..=most {
                // Each message comes after its length and a space (RFC 5425).
                let mut length = Vec::new();
                match reader.read_until(b' ', &mut length) {
                    Ok(0) => {
                        let _ = messages.send(CLOSED.into());
                        break;
                    }
                    // An end without notice may be an attacker's.
                    Err(_) => break,
                    Ok(_) => {}
                }
                let length = std::str::from_utf8(&length).unwrap().trim().parse().unwrap();
                let mut message = vec![0; length];
                reader.read_exact(&mut message).unwrap();
                // The sender must find the connection closed when the test goes on.
                if n == most {
                    reader.get_mut().conn.send_close_notify();
                    let _ = reader.get_mut().flush();
                    wait_until_received(&reader.get_ref().sock);
                }
                let _ = messages.send(String::from_utf8(message).unwrap());
            }
        }
    });
    (port, received)
}

#[test]
fn syslog_messages_go_over_tls_in_octets_that_are_counted() {
    let authority = authority();
    let file = File::new("syslog-ca.pem", &authority.pem());
    let (port, received) = syslog_receiver(&authority, 2);
    let target = format!("tls://127.0.0.1:{port}");
    let mut syslog = Syslog::new(target.parse().unwrap(), "shop").ca_certificate(&file.0).unwrap();
    let deadline = Deadline::within(Duration::from_secs(30));
    let next = || received.recv_timeout(Duration::from_secs(30)).unwrap();
    for round in 0..2 {
        // The receiver closes the connection after two messages; the third goes over a new one.
        let message = format!("größe {round}\nforged");
        syslog.log(&log(Level::Info, &message, &[]));
        syslog.log(&log(Level::Info, "second", &[]));
        syslog.flush(&deadline).unwrap();
        let first = next();
        assert!(
            first.starts_with("<134>1 ") && first.ends_with(&format!("größe {round}\\nforged")),
            "{first}"
        );
        assert!(next().ends_with("second"));
        assert_eq!(syslog.held(), 0);
    }

    // Without the authority, nothing is sent, and the message says what to do.
    let mut syslog = Syslog::new(target.parse().unwrap(), "shop");
    syslog.log(&log(Level::Info, "secret", &[]));
    let error = syslog.flush(&deadline).unwrap_err().message;
    assert!(error.contains("UnknownIssuer") && error.contains("ca_certificate"), "{error}");
    assert_eq!(syslog.held(), 1);
    let missing = Syslog::new(target.parse().unwrap(), "shop").ca_certificate("/none/ca.pem").unwrap_err();
    assert!(missing.to_string().contains("`/none/ca.pem` cannot be used"), "{missing}");
}

#[test]
fn the_last_syslog_message_over_tls_is_followed_by_a_notice_of_the_end() {
    let authority = authority();
    let file = File::new("syslog-end-ca.pem", &authority.pem());
    let (port, received) = syslog_receiver(&authority, usize::MAX);
    let target = format!("tls://127.0.0.1:{port}");
    let mut syslog = Syslog::new(target.parse().unwrap(), "shop").ca_certificate(&file.0).unwrap();
    syslog.log(&log(Level::Info, "last", &[]));
    syslog.finish(&Deadline::within(Duration::from_secs(30))).unwrap();
    assert!(received.recv().unwrap().ends_with("last"));
    assert_eq!(received.recv_timeout(Duration::from_secs(30)).unwrap(), CLOSED);
}
