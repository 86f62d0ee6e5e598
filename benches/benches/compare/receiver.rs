//! A collector that counts: it receives OTLP over HTTP/1.1 on the loopback interface, or over gRPC (in [`grpc`]), and
//! counts the spans and the bytes.
//!
//! It walks the messages down to the spans and skips those by their length. That is so little work that the
//! exporters are measured and not the receiver.

#[cfg(feature = "peers")]
mod grpc;

use std::{
    io::{self, BufRead, BufReader, Read, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::system::CpuClock;

/// What carries the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Http,
    #[cfg(feature = "peers")]
    Grpc,
}

/// Listens until the process ends.
pub(crate) struct Receiver {
    /// `http://127.0.0.1:PORT`.
    pub(crate) endpoint: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    spans: AtomicU64,
    /// Bytes read from the sockets: bodies, and the heads or frames around them.
    bytes: AtomicU64,
    /// Nanoseconds of CPU time used by connections that have ended.
    ended: AtomicU64,
    /// The CPU clocks of the threads of open connections.
    open: Mutex<Vec<CpuClock>>,
}

impl Receiver {
    pub(crate) fn start(transport: Transport) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let counts = Arc::<Counts>::default();
        let shared = Arc::clone(&counts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counts = Arc::clone(&shared);
                thread::spawn(move || counts.connection(stream, transport));
            }
        });
        Ok(Self { endpoint, counts })
    }

    /// Spans of all requests answered so far.
    pub(crate) fn spans(&self) -> u64 {
        self.counts.spans.load(Ordering::Acquire)
    }

    /// Bytes read so far, in whatever requests.
    pub(crate) fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Acquire)
    }

    /// Nanoseconds of CPU time that the receiver has used.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let open = self.counts.open.lock().expect("no panic goes on");
        open.iter().map(CpuClock::ns).sum::<u64>() + self.counts.ended.load(Ordering::Acquire)
    }
}

impl Counts {
    fn connection(&self, stream: TcpStream, transport: Transport) {
        let clock = CpuClock::of_this_thread();
        self.open.lock().expect("no panic goes on").push(clock);
        // A client that hangs up ends only its own connection.
        let _ = match transport {
            Transport::Http => self.serve(stream),
            #[cfg(feature = "peers")]
            Transport::Grpc => grpc::serve(self, stream),
        };
        let mut open = self.open.lock().expect("no panic goes on");
        open.retain(|other| *other != clock);
        self.ended.fetch_add(clock.ns(), Ordering::AcqRel);
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut answers = stream.try_clone()?;
        let mut requests = BufReader::with_capacity(64 * 1024, Counted { stream, bytes: &self.bytes });
        let mut body = Vec::new();
        while let Some(traces) = request(&mut requests, &mut body)? {
            let spans = if traces { spans(&body) } else { 0 };
            self.spans.fetch_add(spans, Ordering::AcqRel);
            answers.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
            )?;
        }
        Ok(())
    }
}

/// A connection whose bytes are counted.
struct Counted<'a> {
    stream: TcpStream,
    bytes: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(into)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reads a request's body. Returns whether the request went to `/v1/traces`; `None` at the end of the
/// connection.
fn request(from: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let (mut line, mut length) = (String::new(), 0);
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let traces = line.contains("/v1/traces");
    loop {
        line.clear();
        from.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        assert!(!name.eq_ignore_ascii_case("content-encoding"), "bodies are compared uncompressed");
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a length");
        }
    }
    body.resize(length, 0);
    from.read_exact(body)?;
    Ok(Some(traces))
}

/// The number of spans in an `ExportTraceServiceRequest`: `resource_spans` (1), their `scope_spans` (2),
/// their `spans` (2).
fn spans(request: &[u8]) -> u64 {
    let mut count = 0;
    for_each(request, 1, &mut |resource| {
        for_each(resource, 2, &mut |scope| for_each(scope, 2, &mut |_| count += 1));
    });
    count
}

/// Calls `found` with each length-delimited field of a message that has the number `field`.
fn for_each(mut message: &[u8], field: u64, found: &mut dyn FnMut(&[u8])) {
    while !message.is_empty() {
        let tag = varint(&mut message);
        assert_eq!(tag & 7, 2, "down to the spans OTLP has only length-delimited fields");
        let length = varint(&mut message) as usize;
        let (value, rest) = message.split_at(length);
        if tag >> 3 == field {
            found(value);
        }
        message = rest;
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first().expect("a whole varint");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
        shift += 7;
    }
}
