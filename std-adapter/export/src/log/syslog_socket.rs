//! The sockets over which syslog messages are sent.

use super::SyslogTarget;
use crate::Deadline;
use crate::otlp::Tls;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// Longest time for connecting and for each write.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest time in which a receiver over TLS may answer the end of the connection.
#[cfg(feature = "tls")]
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum Socket {
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

/// The open socket, or a new one if there is none or the receiver has closed it.
pub(super) fn connect<'s>(
    target: &SyslogTarget,
    tls: &Tls,
    socket: &'s mut Option<Socket>,
    deadline: &Deadline,
) -> io::Result<&'s mut Socket> {
    if socket.as_mut().is_some_and(Socket::is_broken) {
        *socket = None;
    }
    match socket {
        Some(open) => Ok(open),
        None => Ok(socket.insert(Socket::open(target, tls, deadline)?)),
    }
}

impl Socket {
    fn open(target: &SyslogTarget, tls: &Tls, deadline: &Deadline) -> io::Result<Socket> {
        let patience = deadline.left_of(PATIENCE).ok_or(io::ErrorKind::TimedOut)?;
        match target {
            #[cfg(unix)]
            SyslogTarget::Unix(path) => {
                let socket = std::os::unix::net::UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Socket::Unix(socket))
            }
            #[cfg(not(unix))]
            SyslogTarget::Unix(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "there are no Unix sockets here"))
            }
            SyslogTarget::Udp(address) => each(address, |address| {
                let any: std::net::IpAddr = match address {
                    std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
                    std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.connect(address)?;
                Ok(Socket::Udp(socket))
            }),
            SyslogTarget::Tcp(address) => tcp(address, patience).map(Socket::Tcp),
            SyslogTarget::Tls(address) => over_tls(address, tls, patience),
        }
    }

    /// Whether the receiver has closed the connection, which a write would report only at the write after it.
    fn is_broken(&mut self) -> bool {
        match self {
            Socket::Tcp(stream) => {
                let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
                let is_open = match peeked {
                    Ok(n) => n > 0,
                    Err(error) => error.kind() == io::ErrorKind::WouldBlock,
                };
                stream.set_nonblocking(false).is_err() || !is_open
            }
            #[cfg(feature = "tls")]
            Socket::Tls(stream) => {
                // A receiver sends nothing but messages of TLS itself, which reading takes in.
                let read =
                    stream.sock.set_nonblocking(true).and_then(|()| io::Read::read(stream, &mut [0; 64]));
                let is_open = match read {
                    Ok(n) => n > 0,
                    Err(error) => error.kind() == io::ErrorKind::WouldBlock,
                };
                stream.sock.set_nonblocking(false).is_err() || !is_open
            }
            _ => false,
        }
    }

    pub(super) fn send(&mut self, body: &[u8]) -> io::Result<()> {
        match self {
            #[cfg(unix)]
            Socket::Unix(socket) => socket.send(body).map(drop),
            Socket::Udp(socket) => socket.send(body).map(drop),
            Socket::Tcp(stream) => stream.write_all(body),
            #[cfg(feature = "tls")]
            Socket::Tls(stream) => stream.write_all(body).and_then(|()| stream.flush()),
        }
    }

    /// Closes the connection. Over TLS, tells the receiver that nothing follows (RFC 5425, section 4.4), and waits
    /// up to a second for its answer.
    pub(super) fn close(self, deadline: &Deadline) {
        #[cfg(feature = "tls")]
        if let Socket::Tls(mut stream) = self {
            let end = deadline.left_of(FAREWELL).map(Deadline::within);
            stream.conn.send_close_notify();
            let told = stream.flush().and_then(|()| stream.sock.shutdown(std::net::Shutdown::Write));
            // What the receiver has sent, such as session tickets, must be read. Otherwise the system resets the
            // connection, and the receiver may lose messages that it has not read yet.
            while told.is_ok()
                && let Some(left) = end.as_ref().and_then(|end| end.left_of(FAREWELL))
                && stream.sock.set_read_timeout(Some(left)).is_ok()
                && io::Read::read(&mut stream.sock, &mut [0; 256]).is_ok_and(|n| n > 0)
            {}
        }
        #[cfg(not(feature = "tls"))]
        let _ = (self, deadline);
    }
}

fn tcp(address: &str, patience: Duration) -> io::Result<TcpStream> {
    each(address, |address| {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    })
}

/// Connects, and makes the handshake.
#[cfg(feature = "tls")]
fn over_tls(address: &str, tls: &Tls, patience: Duration) -> io::Result<Socket> {
    let config = tls.of_rustls(None).map_err(io::Error::other)?;
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = rustls::pki_types::ServerName::try_from(name).map_err(io::Error::other)?;
    let connection =
        rustls::ClientConnection::new(std::sync::Arc::new(config), name).map_err(io::Error::other)?;
    let stream = tcp(address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut stream = rustls::StreamOwned::new(connection, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Socket::Tls(Box::new(stream)))
}

#[cfg(not(feature = "tls"))]
fn over_tls(_: &str, _: &Tls, _: Duration) -> io::Result<Socket> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "TLS is not built in: build with the feature `tls`"))
}

/// Tries the addresses of a name one after another.
fn each<T>(address: &str, mut open: impl FnMut(std::net::SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in address.to_socket_addrs()? {
        match open(address) {
            Ok(opened) => return Ok(opened),
            Err(error) => last = error,
        }
    }
    Err(last)
}
