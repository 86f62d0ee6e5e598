//! Encodes batches of records, and the primitives of the wire format.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses a part of it.

use super::{F, Rec};

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

pub fn zigzag(b: &mut Vec<u8>, n: i64) {
    varint(b, ((n << 1) ^ (n >> 63)) as u64);
}

pub fn counted(b: &mut Vec<u8>, bytes: &[u8]) {
    varint(b, bytes.len() as u64);
    b.extend(bytes);
}

/// CRC-32/ISO-HDLC, bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
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
pub fn cobs(bytes: &[u8]) -> Vec<u8> {
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
