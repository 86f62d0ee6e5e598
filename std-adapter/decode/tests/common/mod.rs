//! A small model of a device: an encoder of wire format 1 and a writer of ELFs. They are written from the
//! specification and share no code with the library's encoder or the decoder.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses a part of it.

pub mod scenario;

use std::ops::Range;

use throughline::Status;
use throughline_decode::{Decoder, Item, OwnedValue, TimeOptions};

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

/// The body of a batch, and its number of counted records.
pub fn encode_batch(bits: u32, base_time: u64, base_id: u64, records: &[Rec]) -> (Vec<u8>, u32) {
    let mut b = Vec::new();
    varint(&mut b, base_time);
    varint(&mut b, base_id);
    let (mut t, mut i, mut r) = (base_time, base_id, 0u64);
    let mut count = 0;
    let delta = |a: u64, b: u64| {
        let d = a.wrapping_sub(b);
        if bits == 32 { i64::from(d as u32 as i32) } else { d as i64 }
    };
    for record in records {
        count += 1;
        match record {
            Rec::Span { callsite, id, parent, root, start, duration, status, busy, fields } => {
                let is_root = parent.is_none() && root == id;
                let root_is_r = !is_root && *root == r;
                let extended = *status != 0 || busy.is_some();
                let tag = u8::from(extended) | flag(is_root, 4) | flag(root_is_r, 5) | count_bits(fields);
                b.push(tag);
                varint(&mut b, *callsite);
                zigzag(&mut b, delta(*id, i));
                if !is_root {
                    zigzag(&mut b, delta(*id, parent.unwrap_or(0)));
                    if !root_is_r {
                        zigzag(&mut b, delta(*id, *root));
                    }
                }
                zigzag(&mut b, delta(*start, t));
                varint(&mut b, *duration);
                if extended {
                    b.push(status | flag(busy.is_some(), 2));
                    busy.iter().for_each(|n| varint(&mut b, *n));
                }
                put_fields(&mut b, fields);
                (t, i, r) = (start + duration, *id, *root);
            }
            Rec::Event { callsite, time, span, fields } => {
                let root_is_r = span.is_some_and(|(_, root)| root == r);
                b.push(2 | flag(span.is_none(), 4) | flag(root_is_r, 5) | count_bits(fields));
                varint(&mut b, *callsite);
                zigzag(&mut b, delta(*time, t));
                t = *time;
                if let Some((id, root)) = span {
                    zigzag(&mut b, delta(*id, i));
                    if !root_is_r {
                        zigzag(&mut b, delta(*id, *root));
                    }
                    (i, r) = (*id, *root);
                }
                put_fields(&mut b, fields);
            }
            Rec::Fields { callsite, time, span: (id, root), fields } => {
                let root_is_r = *root == r;
                b.push(3 | flag(root_is_r, 5) | count_bits(fields));
                varint(&mut b, *callsite);
                zigzag(&mut b, delta(*time, t));
                zigzag(&mut b, delta(*id, i));
                if !root_is_r {
                    zigzag(&mut b, delta(*id, *root));
                }
                put_fields(&mut b, fields);
                (t, i, r) = (*time, *id, *root);
            }
            Rec::Attach { time, id, trace_id, span_id, flags } => {
                b.push(4);
                zigzag(&mut b, delta(*time, t));
                zigzag(&mut b, delta(*id, i));
                b.extend(trace_id);
                b.extend(span_id);
                b.push(*flags);
                (t, i, r) = (*time, *id, *id);
            }
            Rec::Clock(ticks) => {
                b.push(5);
                varint(&mut b, *ticks);
                t = *ticks;
                count -= 1;
            }
            Rec::Loss { reason, count: n, first } => {
                b.extend([6, *reason]);
                varint(&mut b, *n);
                zigzag(&mut b, delta(*first, t));
                count -= 1;
            }
            Rec::Extended { kind, status, callsite, time, fields } => {
                b.push(7 | status << 4 | count_bits(fields));
                b.push(*kind);
                varint(&mut b, *callsite);
                zigzag(&mut b, delta(*time, t));
                t = *time;
                put_fields(&mut b, fields);
            }
            Rec::Raw(bytes, n) => {
                b.extend(bytes);
                count += n;
                count -= 1;
            }
        }
    }
    (b, count)
}

fn flag(on: bool, bit: u8) -> u8 {
    u8::from(on) << bit
}

fn count_bits(fields: &[F]) -> u8 {
    (fields.len().min(3) as u8) << 6
}

fn put_fields(b: &mut Vec<u8>, fields: &[F]) {
    if fields.len() >= 3 {
        b.push(fields.len() as u8);
    }
    let nibble = |f: &F| match f {
        F::Bool(_) => 1,
        F::U32(_) => 2,
        F::I32(_) => 3,
        F::U64(_) => 4,
        F::I64(_) => 5,
        F::F32(_) => 6,
        F::F64(_) => 7,
        F::Static(..) => 8,
        F::Text(..) => 9,
        F::Bytes(..) => 10,
        F::Postcard(..) => 11u8,
    };
    for pair in fields.chunks(2) {
        b.push(nibble(&pair[0]) | pair.get(1).map_or(0, nibble) << 4);
    }
    for field in fields {
        match field {
            F::Bool(v) => b.push((*v).into()),
            F::U32(n) => varint(b, (*n).into()),
            F::I32(n) => zigzag(b, (*n).into()),
            F::U64(n) => varint(b, *n),
            F::I64(n) => zigzag(b, *n),
            F::F32(x) => b.extend(x.to_bits().to_le_bytes()),
            F::F64(x) => b.extend(x.to_bits().to_le_bytes()),
            F::Static(address, len) => {
                varint(b, *address);
                varint(b, *len);
            }
            F::Text(text, cut) => put_text(b, text.as_bytes(), *cut),
            F::Bytes(bytes, cut) | F::Postcard(bytes, cut) => put_text(b, bytes, *cut),
        }
    }
}

fn put_text(b: &mut Vec<u8>, bytes: &[u8], cut: bool) {
    varint(b, (bytes.len() as u64) << 1 | u64::from(cut));
    b.extend(bytes);
}

pub fn varint(b: &mut Vec<u8>, mut n: u64) {
    while n > 127 {
        b.push(n as u8 | 0x80);
        n >>= 7;
    }
    b.push(n as u8);
}

fn zigzag(b: &mut Vec<u8>, n: i64) {
    varint(b, ((n << 1) ^ (n >> 63)) as u64);
}

fn counted(b: &mut Vec<u8>, bytes: &[u8]) {
    varint(b, bytes.len() as u64);
    b.extend(bytes);
}

/// CRC-32/ISO-HDLC, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    !crc
}

/// 32-bit FNV-1a.
pub fn fnv1a(bytes: &[u8]) -> u32 {
    let mut hash = 2_166_136_261u32;
    for byte in bytes {
        hash ^= u32::from(*byte);
        hash = hash.wrapping_mul(16_777_619);
    }
    hash
}

/// COBS as in Cheshire and Baker's paper, without the delimiter.
fn cobs(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    let mut code = 0;
    for byte in bytes {
        if out.len() - code == 255 {
            out[code] = 255;
            code = out.len();
            out.push(0);
        }
        if *byte == 0 {
            out[code] = (out.len() - code) as u8;
            code = out.len();
            out.push(0);
        } else {
            out.push(*byte);
        }
    }
    out[code] = (out.len() - code) as u8;
    out
}

/// A record as a reader of items sees it. Both decoded and encoded records are converted to this.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Span(u64, (u64, Option<u64>, u64), (u64, u64), Status, Option<u64>, Vec<OwnedValue>),
    Event(u64, u64, Option<(u64, u64)>, Vec<OwnedValue>),
    Fields(u64, u64, Option<(u64, u64)>, Vec<OwnedValue>),
    Attach(u64, u64, String),
    Clock(u64),
    Loss(u64, u64),
}

impl Seen {
    pub fn of(item: &Item<'_, '_>) -> Option<Seen> {
        let values = |fields: throughline_decode::Fields<'_, '_>| fields.map(|(_, v)| v.into()).collect();
        Some(match item {
            Item::Span(s) => Seen::Span(
                s.callsite.id,
                (s.id, s.parent, s.root),
                (s.start, s.duration),
                s.status,
                s.busy,
                values(s.fields),
            ),
            Item::Event(e) => Seen::Event(e.callsite.id, e.time, e.span, values(e.fields)),
            Item::Fields(e) => Seen::Fields(e.callsite.id, e.time, e.span, values(e.fields)),
            Item::Attach(a) => Seen::Attach(a.time, a.id, format!("{:?}", a.remote)),
            Item::Clock(ticks) => Seen::Clock(*ticks),
            Item::Loss(loss) => Seen::Loss(loss.count, loss.first),
            _ => return None,
        })
    }

    pub fn expected(record: &Rec) -> Seen {
        let values = |fields: &[F]| fields.iter().map(owned).collect();
        match record {
            Rec::Span { callsite, id, parent, root, start, duration, status, busy, fields } => Seen::Span(
                *callsite,
                (*id, *parent, *root),
                (*start, *duration),
                [Status::Unset, Status::Ok, Status::Error, Status::Cancelled][usize::from(*status)],
                *busy,
                values(fields),
            ),
            Rec::Event { callsite, time, span, fields } => {
                Seen::Event(*callsite, *time, *span, values(fields))
            }
            Rec::Fields { callsite, time, span, fields } => {
                Seen::Fields(*callsite, *time, Some(*span), values(fields))
            }
            Rec::Attach { time, id, trace_id, span_id, flags } => {
                let hex = |b: &[u8]| b.iter().map(|b| format!("{b:02x}")).collect::<String>();
                let (t, s) = (hex(trace_id), hex(span_id));
                let zero = *trace_id == [0; 16] || *span_id == [0; 8];
                let some = format!("Some(TraceContext {{ trace_id: {t}, span_id: {s}, flags: {flags} }})");
                Seen::Attach(*time, *id, if zero { "None".to_owned() } else { some })
            }
            Rec::Clock(ticks) => Seen::Clock(*ticks),
            Rec::Loss { count, first, .. } => Seen::Loss(*count, *first),
            Rec::Extended { .. } => unreachable!("an unknown kind is skipped"),
            Rec::Raw(..) => unreachable!("raw bytes are nothing to be seen"),
        }
    }
}

fn owned(field: &F) -> OwnedValue {
    match field.clone() {
        F::Bool(v) => OwnedValue::Bool(v),
        F::U32(n) => OwnedValue::U64(n.into()),
        F::I32(n) => OwnedValue::I64(n.into()),
        F::U64(n) => OwnedValue::U64(n),
        F::I64(n) => OwnedValue::I64(n),
        F::F32(x) => OwnedValue::F32(x),
        F::F64(x) => OwnedValue::F64(x),
        F::Static(..) => OwnedValue::Str(throughline_decode::fields::UNRESOLVED.into(), true),
        F::Text(text, cut) => OwnedValue::Str(text.into(), cut),
        F::Bytes(bytes, cut) => OwnedValue::Bytes(bytes.into(), cut),
        F::Postcard(bytes, cut) => OwnedValue::Postcard(bytes.into(), cut),
    }
}

/// Decodes a whole capture in chunks of `chunk` bytes, without an ELF.
pub fn decode(wire: &[u8], chunk: usize) -> (Vec<Seen>, Decoder<'static>) {
    let mut decoder = Decoder::new(None, TimeOptions::default());
    let mut seen = Vec::new();
    let mut sink = |_: &throughline_decode::Context, item: Item<'static, '_>| seen.extend(Seen::of(&item));
    wire.chunks(chunk.max(1)).for_each(|bytes| decoder.push(bytes, None, &mut sink));
    decoder.finish(&mut sink);
    (seen, decoder)
}

/// A callsite to put into an ELF.
#[derive(Clone, Debug, Default)]
pub struct Site {
    pub kind: u8,
    pub level: u8,
    pub span_kind: u8,
    pub param: u8,
    pub line: u32,
    pub name: &'static str,
    pub unit: &'static str,
    pub description: &'static str,
    pub fields: &'static [&'static str],
    pub labels: &'static [(&'static str, &'static str)],
}

impl Site {
    fn blob(&self) -> Vec<u8> {
        let mut b = vec![0xA1, self.kind, self.level | self.span_kind << 4, self.param, 0, 0];
        b.extend(self.line.to_le_bytes());
        b.extend([self.fields.len() as u8, self.labels.len() as u8]);
        let mut put = |s: &str| {
            b.extend((s.len() as u16).to_le_bytes());
            b.extend(s.as_bytes());
        };
        [self.name, "app::pump", "src/pump.rs", self.unit, self.description].into_iter().for_each(&mut put);
        self.fields.iter().for_each(|s| put(s));
        self.labels.iter().for_each(|(k, v)| {
            put(k);
            put(v);
        });
        let len = (b.len() as u16).to_le_bytes();
        b[4..6].copy_from_slice(&len);
        b
    }
}

/// Address of the first static string in [`elf`].
pub const RODATA: u32 = 0x0800_1000;

/// The contents of the section with these callsites.
pub fn section(sites: &[Site]) -> Vec<u8> {
    // Add padding, as a linker may do.
    sites.iter().flat_map(|site| [site.blob(), vec![0; 3]].concat()).collect()
}

/// An ELF32 for ARM with these callsites and static strings, and the ids of the callsites. `None` leaves the
/// section of callsites out.
pub fn elf(sites: Option<&[Site]>, strings: &str, build_id: &[u8]) -> (Vec<u8>, Vec<u64>) {
    let mut note = Vec::new();
    [4, build_id.len() as u32, 3].iter().for_each(|n: &u32| note.extend(n.to_le_bytes()));
    note.extend(b"GNU\0");
    note.extend(build_id);
    let blobs = section(sites.unwrap_or_default());
    let mut ids = Vec::new();
    let mut at = 0;
    for site in sites.unwrap_or_default() {
        ids.push(at);
        at += site.blob().len() as u64 + 3;
    }
    // Each section has a name, type, flags, address and contents.
    let mut sections = vec![(".rodata", 1u32, 2u32, RODATA, strings.as_bytes().to_vec())];
    if !build_id.is_empty() {
        sections.push((".note.gnu.build-id", 7, 2, 0x0800_0200, note));
    }
    if sites.is_some() {
        sections.push((".throughline", 1, 0, 0, blobs));
    }
    let mut names = vec![0];
    let mut name_at = |name: &str| {
        let at = names.len() as u32;
        names.extend(name.as_bytes());
        names.push(0);
        at
    };
    let mut heads: Vec<_> = sections
        .iter()
        .map(|(name, kind, flags, address, _)| (name_at(name), *kind, *flags, *address))
        .collect();
    heads.push((name_at(".shstrtab"), 3, 0, 0));
    let mut contents: Vec<Vec<u8>> = sections.into_iter().map(|s| s.4).collect();
    contents.push(names);
    let mut body = Vec::new();
    let mut table = vec![0; 40];
    for ((name, kind, flags, address), bytes) in heads.iter().zip(&contents) {
        while body.len() % 4 != 0 {
            body.push(0);
        }
        let offset = 52 + body.len() as u32;
        for word in [*name, *kind, *flags, *address, offset, bytes.len() as u32, 0, 0, 4, 0] {
            table.extend(word.to_le_bytes());
        }
        body.extend(bytes);
    }
    while body.len() % 4 != 0 {
        body.push(0);
    }
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let halves = |file: &mut Vec<u8>, n: &[u16]| n.iter().for_each(|n| file.extend(n.to_le_bytes()));
    halves(&mut file, &[2, 40]);
    for word in [1, 0, 0, 52 + body.len() as u32, 0x0500_0000] {
        file.extend(u32::to_le_bytes(word));
    }
    let count = (table.len() / 40) as u16;
    halves(&mut file, &[52, 0, 0, 40, count, count - 1]);
    assert_eq!(file.len(), 52);
    file.extend(body);
    file.extend(table);
    (file, ids)
}
