//! A small model of a device: an encoder of wire format 1 and a writer of ELFs. They are written from the
//! specification and share no code with the library's encoder or the decoder.
#![allow(dead_code, unreachable_pub, unused_imports, missing_docs)] // Each test binary uses a part of it.

mod elf_file;
mod encode;
pub mod scenario;
mod seen;

use std::ops::Range;

use throughline::Status;

pub use elf_file::{RODATA, Site, elf, section};
use encode::{cobs, counted, crc32, zigzag};
pub use encode::{encode_batch, fnv1a, varint};
pub use seen::{Seen, decode};

/// A field on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum F {
    Bool(bool),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Static(u64, u64),
    Text(String, bool),
    Bytes(Vec<u8>, bool),
    Postcard(Vec<u8>, bool),
}

/// A record with whole times and ids; the encoder computes the deltas.
#[derive(Clone, Debug, PartialEq)]
pub enum Rec {
    Span {
        callsite: u64,
        id: u64,
        parent: Option<u64>,
        root: u64,
        start: u64,
        duration: u64,
        status: u8,
        busy: Option<u64>,
        fields: Vec<F>,
    },
    Event {
        callsite: u64,
        time: u64,
        span: Option<(u64, u64)>,
        fields: Vec<F>,
    },
    Fields {
        callsite: u64,
        time: u64,
        span: (u64, u64),
        fields: Vec<F>,
    },
    Attach {
        time: u64,
        id: u64,
        trace_id: [u8; 16],
        span_id: [u8; 8],
        flags: u8,
    },
    Clock(u64),
    Loss {
        reason: u8,
        count: u64,
        first: u64,
    },
    Extended {
        kind: u8,
        status: u8,
        callsite: u64,
        time: u64,
        fields: Vec<F>,
    },
    /// Bytes sent unchanged, for malformed records. They count as this many records in `ordinal`.
    Raw(Vec<u8>, u32),
}

/// A metric on the wire.
#[derive(Clone, Debug)]
pub enum M {
    Counter(u64),
    UpDown(i64),
    GaugeInt(i64),
    GaugeF32(f32),
    GaugeF64(f64),
    Histogram {
        scale: u8,
        sum: u64,
        zeros: u64,
        first: u64,
        buckets: Vec<u64>,
    },
    CounterF64(f64),
    /// A histogram of multiples of 2^-`bits`.
    Fixed {
        scale: u8,
        bits: u8,
        sum: u64,
        zeros: u64,
        first: u64,
        buckets: Vec<u64>,
    },
}

pub const HZ: u64 = 1_000_000;
pub const DEVICE: u64 = 0x1122_3344_5566_7788;
pub const BUILD_ID: [u8; 20] = [0xB1; 20];

/// Encodes frames as a device does.
#[derive(Clone, Debug)]
pub struct Device {
    pub bits: u32,
    pub epoch: u32,
    pub sequence: u32,
    pub ordinal: u32,
    pub lost: u32,
    pub build_id: Vec<u8>,
    pub unix: (u64, u64),
    pub name: &'static str,
    pub wire: Vec<u8>,
    /// The range of each frame in `wire`, including its delimiter, and its number of counted records.
    pub frames: Vec<(Range<usize>, u32)>,
}

impl Device {
    pub fn new(bits: u32) -> Device {
        Device {
            bits,
            epoch: 0,
            sequence: 0,
            ordinal: 0,
            lost: 0,
            build_id: BUILD_ID.to_vec(),
            unix: (0, 0),
            name: "pump-7",
            wire: vec![0],
            frames: Vec::new(),
        }
    }

    pub fn reset(&mut self, epoch: u32) {
        (self.epoch, self.sequence, self.ordinal, self.lost) = (epoch, 0, 0, 0);
        self.wire.push(0);
    }

    pub fn preamble(&mut self) -> &mut Device {
        let mut body = vec![0, self.bits as u8];
        varint(&mut body, HZ);
        body.extend(DEVICE.to_le_bytes());
        varint(&mut body, self.unix.0);
        varint(&mut body, self.unix.1);
        counted(&mut body, &self.build_id);
        counted(&mut body, self.name.as_bytes());
        self.frame(0, &body, 0)
    }

    pub fn batch(&mut self, base_time: u64, base_id: u64, records: &[Rec]) -> &mut Device {
        let (body, count) = encode_batch(self.bits, base_time, base_id, records);
        self.frame(1, &body, count)
    }

    pub fn metrics(
        &mut self,
        snapshot: u64,
        last: bool,
        time: u64,
        entries: &[(u64, u8, &[&str], M)],
    ) -> &mut Device {
        let mut body = Vec::new();
        varint(&mut body, snapshot);
        body.push(last.into());
        varint(&mut body, time);
        for (callsite, flags, labels, metric) in entries {
            varint(&mut body, *callsite);
            let shape = match metric {
                M::Counter(_) => 0,
                M::UpDown(_) => 1,
                M::GaugeInt(_) => 2,
                M::GaugeF32(_) => 3,
                M::GaugeF64(_) => 4,
                M::Histogram { .. } => 5,
                M::CounterF64(_) => 6,
                M::Fixed { .. } => 7,
            };
            body.push(shape | flags | if labels.is_empty() { 0 } else { 0x80 });
            if !labels.is_empty() {
                body.push(labels.len() as u8);
                labels.iter().for_each(|l| counted(&mut body, l.as_bytes()));
            }
            match metric {
                M::Counter(n) => varint(&mut body, *n),
                M::UpDown(n) | M::GaugeInt(n) => zigzag(&mut body, *n),
                M::GaugeF32(x) => body.extend(x.to_bits().to_le_bytes()),
                M::GaugeF64(x) | M::CounterF64(x) => body.extend(x.to_bits().to_le_bytes()),
                M::Histogram { scale, sum, zeros, first, buckets } => {
                    body.push(*scale);
                    [*sum, *zeros, *first, buckets.len() as u64].iter().for_each(|n| varint(&mut body, *n));
                    buckets.iter().for_each(|n| varint(&mut body, *n));
                }
                M::Fixed { scale, bits, sum, zeros, first, buckets } => {
                    body.extend([*scale, *bits]);
                    [*sum, *zeros, *first, buckets.len() as u64].iter().for_each(|n| varint(&mut body, *n));
                    buckets.iter().for_each(|n| varint(&mut body, *n));
                }
            }
        }
        self.frame(2, &body, 0)
    }

    /// Sends a frame of any type and body, with a right header.
    pub fn frame(&mut self, kind: u8, body: &[u8], records: u32) -> &mut Device {
        let mut frame = vec![0x10 | kind];
        let header = [self.sequence, self.epoch, self.ordinal, self.lost];
        header.iter().for_each(|n| varint(&mut frame, u64::from(*n)));
        frame.extend(body);
        frame.extend(crc32(&frame).to_le_bytes());
        assert!(frame.len() <= 4096, "the test makes frames that are too long");
        let start = self.wire.len();
        self.wire.extend(cobs(&frame));
        self.wire.push(0);
        self.frames.push((start..self.wire.len(), records));
        self.sequence = self.sequence.wrapping_add(1);
        self.ordinal = self.ordinal.wrapping_add(records);
        self
    }
}
