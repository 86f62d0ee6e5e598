//! A broker of our own, which takes only what the protocol allows and answers as the test wants.
#![allow(unreachable_pub, reason = "the test is a binary")]

use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// The name of its topic.
pub const TOPIC: &str = "shop-events";

/// A record of a request.
#[derive(Clone, Debug)]
pub struct Record {
    pub key: Option<String>,
    pub event: Value,
}

/// What is asked of a partition.
#[derive(Clone, Debug)]
pub struct Request {
    pub partition: i32,
    pub records: Vec<Record>,
}

/// What a request is answered with.
pub enum Answer {
    /// The code of an error; 0 takes the records.
    Code(i16),
    Never,
    /// The connection is closed after the records were taken.
    Closed,
}

type Script = Arc<Mutex<dyn FnMut(&Request) -> Answer + Send>>;

/// Serves a topic with so many partitions. What is taken is passed on.
pub fn serve(
    partitions: i32,
    script: impl FnMut(&Request) -> Answer + Send + 'static,
) -> (SocketAddr, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (taken, requests)) = (listener.local_addr().unwrap(), channel());
    let script: Script = Arc::new(Mutex::new(script));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (script, taken) = (Arc::clone(&script), taken.clone());
            let connection = Connection { stream: stream.unwrap(), partitions, address, script, taken };
            std::thread::spawn(move || connection.run());
        }
    });
    (address, requests)
}

struct Connection {
    stream: TcpStream,
    partitions: i32,
    address: SocketAddr,
    script: Script,
    taken: Sender<Request>,
}

impl Connection {
    fn run(mut self) -> Option<()> {
        loop {
            let mut length = [0; 4];
            self.stream.read_exact(&mut length).ok()?;
            let mut body = vec![0; u32::from_be_bytes(length) as usize];
            self.stream.read_exact(&mut body).ok()?;
            let mut body = Bytes(&body);
            let (api, version, correlation) = (body.i16(), body.i16(), body.i32());
            assert_eq!(body.text().as_deref(), Some("throughline"), "the client's id");
            let mut answer = Vec::new();
            answer.extend(correlation.to_be_bytes());
            match (api, version) {
                (18, 0) => self.versions(&mut answer, 0),
                // UNSUPPORTED_VERSION, in the form of the first version.
                (18, _) => self.versions(&mut answer, 35),
                (3, 1) => self.metadata(&mut answer),
                (0, 3) => self.produce(&mut body, &mut answer)?,
                other => panic!("{other:?} is not offered"),
            }
            self.stream.write_all(&(answer.len() as u32).to_be_bytes()).ok()?;
            self.stream.write_all(&answer).ok()?;
        }
    }

    fn versions(&self, out: &mut Vec<u8>, code: i16) {
        let all: &[(i16, i16)] = if code == 0 { &[(0, 3), (3, 1), (18, 0)] } else { &[] };
        out.extend(code.to_be_bytes());
        out.extend((all.len() as i32).to_be_bytes());
        for (api, version) in all {
            out.extend([*api, *version, *version].map(i16::to_be_bytes).concat());
        }
    }

    fn metadata(&self, out: &mut Vec<u8>) {
        let int = |out: &mut Vec<u8>, value: i32| out.extend(value.to_be_bytes());
        // One broker, whose number is 7.
        int(out, 1);
        int(out, 7);
        text(out, "127.0.0.1");
        int(out, self.address.port().into());
        out.extend((-1_i16).to_be_bytes());
        int(out, 7);
        int(out, 1);
        out.extend(0_i16.to_be_bytes());
        text(out, TOPIC);
        out.push(0);
        int(out, self.partitions);
        for partition in 0..self.partitions {
            out.extend(0_i16.to_be_bytes());
            // Its leader, its replicas and those in sync are the broker.
            out.extend([partition, 7, 1, 7, 1, 7].map(i32::to_be_bytes).concat());
        }
    }

    fn produce(&mut self, body: &mut Bytes<'_>, out: &mut Vec<u8>) -> Option<()> {
        assert_eq!(body.text(), None, "no transaction");
        assert_eq!(body.i16(), -1, "all replicas must have it");
        body.i32();
        assert_eq!((body.i32(), body.text().as_deref()), (1, Some(TOPIC)));
        assert_eq!(body.i32(), 1, "a request for each partition");
        let partition = body.i32();
        let length = body.i32() as usize;
        assert!(length <= 900 * 1024, "a request of {length} bytes");
        let request = Request { partition, records: records(Bytes(body.take(length))) };
        assert!(body.0.is_empty() && (0..self.partitions).contains(&partition));
        self.alone();
        let answer = (self.script.lock().unwrap())(&request);
        if matches!(answer, Answer::Code(0) | Answer::Closed) {
            let _ = self.taken.send(request);
        }
        let code = match answer {
            Answer::Code(code) => code,
            Answer::Closed => return None,
            Answer::Never => {
                // Until the client gives up.
                let _ = self.stream.read(&mut [0]);
                return None;
            }
        };
        out.extend(1_i32.to_be_bytes());
        text(out, TOPIC);
        out.extend(1_i32.to_be_bytes());
        out.extend(partition.to_be_bytes());
        out.extend(code.to_be_bytes());
        // The first offset, the time of the log, and no throttling.
        out.extend([0_i64, -1].map(i64::to_be_bytes).concat());
        out.extend(0_i32.to_be_bytes());
        Some(())
    }

    /// Nothing is sent to a partition while a request is not answered.
    fn alone(&self) {
        self.stream.set_nonblocking(true).unwrap();
        let more = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        assert!(more.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "a second request");
    }
}

/// The records of a batch: the second version of the format, without compression.
fn records(mut batch: Bytes<'_>) -> Vec<Record> {
    assert_eq!(batch.i64(), 0);
    assert_eq!(batch.i32() as usize, batch.0.len(), "one batch");
    batch.i32();
    assert_eq!(batch.take(1), [2]);
    let crc = batch.i32().cast_unsigned();
    assert_eq!(crc, crc32c(batch.0));
    assert_eq!(batch.i16(), 0, "not compressed, times of creation, no transaction");
    let last = batch.i32();
    let (first_time, last_time) = (batch.i64(), batch.i64());
    assert!(first_time <= last_time);
    assert_eq!((batch.i64(), batch.i16(), batch.i32()), (-1, -1, -1), "no idempotence");
    let count = batch.i32();
    assert_eq!(last, count - 1);
    let records = (0..count).map(|at| {
        let length = batch.varint() as usize;
        let mut record = Bytes(batch.take(length));
        assert_eq!(record.take(1), [0]);
        record.varint();
        assert_eq!(record.varint(), i64::from(at));
        let key = record.counted().map(|key| String::from_utf8(key.to_vec()).unwrap());
        let event: Value = serde_json::from_slice(record.counted().unwrap()).unwrap();
        assert_eq!(record.varint(), 1, "one header");
        assert_eq!(record.counted(), Some(&b"content-type"[..]));
        assert_eq!(record.counted(), Some(&b"application/cloudevents+json; charset=UTF-8"[..]));
        assert!(record.0.is_empty());
        assert_eq!((&event["specversion"], event["partitionkey"].as_str()), (&"1.0".into(), key.as_deref()));
        Record { key, event }
    });
    let records = records.collect();
    assert!(batch.0.is_empty());
    records
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// CRC-32C (Castagnoli), a bit at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// Takes numbers and texts from the front of bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.array())
    }

    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.array())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }

    fn text(&mut self) -> Option<String> {
        let length = self.i16();
        (length >= 0).then(|| String::from_utf8(self.take(length as usize).to_vec()).unwrap())
    }

    /// A number of variable length, with its sign in the last bit.
    fn varint(&mut self) -> i64 {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array();
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.varint();
        (length >= 0).then(|| self.take(length as usize))
    }
}
