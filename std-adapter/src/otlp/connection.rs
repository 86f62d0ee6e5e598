//! A connection to a collector in the clear: HTTP/1.1, kept open, one request at a time, each step within the request's time limit. A body is written
//! from where it lies.

use super::answer::{self, Answer};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// What goes out with the head at once, so that a small request is one packet.
const TOGETHER: usize = 16 * 1024;

/// A collector's address, and the connection to it while there is one.
#[derive(Debug)]
pub(super) struct Connection {
    host: String,
    port: u16,
    stream: Option<TcpStream>,
    /// The head of a request and the beginning of its body.
    start: Vec<u8>,
}

impl Connection {
    /// To `host`, a name or an address; connects when something is sent.
    pub(super) fn new(host: &str, port: u16) -> Connection {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Connection { host, port, stream: None, start: Vec::new() }
    }

    pub(super) fn is_to(&self, host: &str, port: u16) -> bool {
        self.port == port && self.host == host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Sends a request, whose `head` ends with an empty line, and reads the answer, all within `timeout`.
    pub(super) fn send(&mut self, head: &[u8], body: &[u8], timeout: Duration) -> io::Result<Answer> {
        let by = Instant::now() + timeout;
        let kept = self.stream.take().filter(is_open);
        let mut timed = Timed { stream: kept.map_or_else(|| connect(&self.host, self.port, by), Ok)?, by };
        let (first, rest) = body.split_at(body.len().min(TOGETHER));
        self.start.clear();
        self.start.extend_from_slice(head);
        self.start.extend_from_slice(first);
        let written = timed.write_all(&self.start).and_then(|()| timed.write_all(rest));
        let (answer, fit) = match written {
            Ok(()) => answer::read(&mut timed)?,
            Err(error) if error.kind() == ErrorKind::TimedOut => return Err(error),
            // Who refuses a request may answer and hang up before it has been sent.
            Err(error) => (answer::read(&mut timed).map_err(|_| error)?.0, false),
        };
        self.stream = Some(timed.stream).filter(|_| fit);
        Ok(answer)
    }
}

/// A stream whose every read and write ends in time.
struct Timed {
    stream: TcpStream,
    by: Instant,
}

impl Read for Timed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.by)?))?;
        self.stream.read(out).map_err(in_time)
    }
}

// Not vectored: that system call can raise SIGPIPE, which in a program whose `main` is not Rust's may be deadly.
impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.by)?))?;
        self.stream.write(bytes).map_err(in_time)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Time that is left; not zero.
fn left(by: Instant) -> io::Result<Duration> {
    let left = by.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(timeout()) } else { Ok(left) }
}

fn timeout() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "timeout")
}

/// A system call that ran out of time says so in two ways.
fn in_time(error: io::Error) -> io::Error {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) { timeout() } else { error }
}

/// Whether a connection on which nothing is under way has neither been closed nor said anything unasked.
fn is_open(stream: &TcpStream) -> bool {
    let quiet = |stream: &TcpStream| matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(true).is_ok() && quiet(stream) && stream.set_nonblocking(false).is_ok()
}

fn connect(host: &str, port: u16, by: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the collector's name has no address");
    let addresses = addresses(host, port, by)?;
    for (i, address) in addresses.iter().enumerate() {
        // One that does not answer must not take the time of those after it.
        let left = left(by)?;
        let share = if i + 1 < addresses.len() { left / 2 } else { left };
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = in_time(error),
        }
    }
    Err(last)
}

/// The addresses of a name. The system's look-up has no time limit, so it is left to a thread.
fn addresses(host: &str, port: u16, by: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let (found, wait) = sync_channel(1);
    let host = host.to_owned();
    std::thread::Builder::new().name("throughline-dns".into()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = found.try_send((&*host, port).to_socket_addrs().map(Vec::from_iter));
    })?;
    wait.recv_timeout(left(by)?).map_err(|_| timeout())?
}
