//! Protobuf primitives: varints, key-value attributes, and lengths that are known only afterwards.

use throughline::Value;

/// What an `AnyValue` is tagged with inside its message.
const STRING: u8 = 0x0a;
const BOOL: u8 = 0x10;
const INT: u8 = 0x18;
const DOUBLE: u8 = 0x21;
const BYTES: u8 = 0x3a;

/// Appends `v` as a varint.
#[inline]
pub(crate) fn varint(out: &mut Vec<u8>, v: u64) {
    if v < 0x80 {
        out.push(v as u8);
    } else {
        let (bytes, n) = varint_bytes(v);
        out.extend_from_slice(&bytes[..n]);
    }
}

/// `v` as a varint, and how many bytes of the array it takes.
#[inline]
fn varint_bytes(mut v: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut n = 0;
    while v >= 0x80 {
        bytes[n] = v as u8 | 0x80;
        v >>= 7;
        n += 1;
    }
    bytes[n] = v as u8;
    (bytes, n + 1)
}

/// Bytes that `v` takes as a varint.
#[inline]
pub(crate) const fn varint_len(v: usize) -> usize {
    let bits = usize::BITS - (v | 1).leading_zeros();
    (bits as usize * 9 + 64) / 64
}

/// Appends a length-delimited field whose tag fits a byte.
#[inline]
pub(crate) fn bytes_field(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A key as it stands in a `KeyValue`: plain, or prepared.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    Plain(&'a str),
    Encoded(&'a EncodedKey),
}

/// Longest prepared key, tags and length included.
const PREPARED: usize = 32;

/// A key with its tag, its length and the tag of the value around it, in an array of fixed size: copying all of it is two moves, where
/// copying just as much as there is would be a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodedKey {
    bytes: [u8; PREPARED],
    len: u8,
}

impl EncodedKey {
    /// `None` for a key that is too long.
    pub(crate) fn new(key: &str) -> Option<EncodedKey> {
        let mut encoded = Vec::with_capacity(key.len() + 4);
        Key::Plain(key).write(&mut encoded);
        let mut bytes = [0; PREPARED];
        bytes.get_mut(..encoded.len())?.copy_from_slice(&encoded);
        Some(EncodedKey { bytes, len: encoded.len() as u8 })
    }

    #[inline]
    fn len(&self) -> usize {
        // Lets the compiler leave out checks.
        usize::from(self.len).min(PREPARED)
    }
}

impl Key<'_> {
    /// Its bytes with tag, length and the value's tag.
    #[inline]
    fn len(self) -> usize {
        match self {
            Key::Plain(key) => 2 + varint_len(key.len()) + key.len(),
            Key::Encoded(key) => key.len(),
        }
    }

    #[inline]
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        match self {
            Key::Plain(key) => {
                bytes_field(out, 0x0a, key.as_bytes());
                out.push(0x12);
            }
            Key::Encoded(key) => {
                let end = out.len() + key.len();
                out.extend_from_slice(&key.bytes);
                out.truncate(end);
            }
        }
    }
}

/// Appends the attribute `key = value` as a `KeyValue` tagged `tag`.
///
/// OTLP has no unsigned integers: those above `i64::MAX` become decimal text, so that no digit is lost.
#[inline(always)]
pub(crate) fn attribute(out: &mut Vec<u8>, tag: u8, key: Key<'_>, value: &Value<'_>) {
    match *value {
        Value::Bool(b) => small(out, tag, key, u128::from(BOOL) | u128::from(b) << 8, 2),
        Value::I64(n) => int(out, tag, key, n as u64),
        Value::U64(n) if n <= i64::MAX as u64 => int(out, tag, key, n),
        Value::U64(n) => long(out, tag, key, STRING, n.to_string().as_bytes()),
        Value::F32(x) => double(out, tag, key, f64::from(x)),
        Value::F64(x) => double(out, tag, key, x),
        Value::Str { text, .. } => long(out, tag, key, STRING, text.as_bytes()),
        Value::Bytes { bytes, .. } | Value::Postcard { bytes, .. } => long(out, tag, key, BYTES, bytes),
        _ => long(out, tag, key, STRING, b"(a value of a later version)"),
    }
}

/// Whether the recorder cut the value short.
#[inline]
pub(crate) fn truncated(value: &Value<'_>) -> bool {
    matches!(
        value,
        Value::Str { truncated: true, .. }
            | Value::Bytes { truncated: true, .. }
            | Value::Postcard { truncated: true, .. }
    )
}

/// Appends the attribute `<key>.truncated = true`.
#[cold]
pub(crate) fn truncated_attribute(out: &mut Vec<u8>, tag: u8, key: &str) {
    attribute(out, tag, Key::Plain(&format!("{key}.truncated")), &Value::Bool(true));
}

/// Appends the text attribute `key = text`.
pub(crate) fn text_attribute(out: &mut Vec<u8>, tag: u8, key: &str, text: &str) {
    long(out, tag, Key::Plain(key), STRING, text.as_bytes());
}

/// Appends the integer attribute `key = n`.
pub(crate) fn int_attribute(out: &mut Vec<u8>, tag: u8, key: &str, n: i64) {
    int(out, tag, Key::Plain(key), n as u64);
}

#[inline]
fn int(out: &mut Vec<u8>, tag: u8, key: Key<'_>, n: u64) {
    let (mut any, mut rest, mut len) = (u128::from(INT), n, 1);
    while rest >= 0x80 {
        any |= u128::from(rest as u8 | 0x80) << (8 * len);
        rest >>= 7;
        len += 1;
    }
    any |= u128::from(rest) << (8 * len);
    small(out, tag, key, any, len as usize + 1);
}

#[inline]
fn double(out: &mut Vec<u8>, tag: u8, key: Key<'_>, x: f64) {
    small(out, tag, key, u128::from(DOUBLE) | u128::from(x.to_bits()) << 8, 9);
}

/// Room for a prepared attribute of fixed size: two bytes, the key, and the value in a `u128`.
const ROOM: usize = 2 + PREPARED + 16;

/// A `KeyValue` whose `AnyValue` is the low `len` bytes of `any`, at most 11.
///
/// A prepared key is written in place, with stores of fixed size that overlap: that takes a third of the time that appending piece by piece does,
/// with its check for room at each.
#[inline(always)]
fn small(out: &mut Vec<u8>, tag: u8, key: Key<'_>, any: u128, len: usize) {
    let tail = any << 8 | len as u128;
    match key {
        Key::Encoded(key) => {
            let start = out.len();
            out.extend_from_slice(&[0; ROOM]);
            let at = 2 + key.len();
            let end = at + 1 + len;
            if let Some(room) = out[start..].first_chunk_mut::<ROOM>() {
                (room[0], room[1]) = (tag, (end - 2) as u8);
                room[2..2 + PREPARED].copy_from_slice(&key.bytes);
                room[at..at + 16].copy_from_slice(&tail.to_le_bytes());
            }
            out.truncate(start + end);
        }
        Key::Plain(_) => small_plain(out, tag, key, tail, len),
    }
}

#[inline(never)]
fn small_plain(out: &mut Vec<u8>, tag: u8, key: Key<'_>, tail: u128, len: usize) {
    out.push(tag);
    varint(out, (key.len() + 1 + len) as u64);
    key.write(out);
    let end = out.len() + 1 + len;
    out.extend_from_slice(&tail.to_le_bytes());
    out.truncate(end);
}

/// A `KeyValue` whose `AnyValue` is length-delimited: text or bytes.
#[inline(always)]
fn long(out: &mut Vec<u8>, tag: u8, key: Key<'_>, any_tag: u8, bytes: &[u8]) {
    match key {
        // All lengths then fit a byte: 2 + 32 + 3 + 90 - 2 < 128.
        Key::Encoded(key) if bytes.len() <= 90 => {
            let start = out.len();
            out.extend_from_slice(&[0; ROOM]);
            let at = 2 + key.len();
            let end = at + 3;
            if let Some(room) = out[start..].first_chunk_mut::<ROOM>() {
                (room[0], room[1]) = (tag, (end - 2 + bytes.len()) as u8);
                room[2..2 + PREPARED].copy_from_slice(&key.bytes);
                let lengths = [bytes.len() as u8 + 2, any_tag, bytes.len() as u8];
                room[at..end].copy_from_slice(&lengths);
            }
            out.truncate(start + end);
            out.extend_from_slice(bytes);
        }
        key => long_plain(out, tag, key, any_tag, bytes),
    }
}

#[inline(never)]
fn long_plain(out: &mut Vec<u8>, tag: u8, key: Key<'_>, any_tag: u8, bytes: &[u8]) {
    let any_len = 1 + varint_len(bytes.len()) + bytes.len();
    out.push(tag);
    varint(out, (key.len() + varint_len(any_len) + any_len) as u64);
    key.write(out);
    varint(out, any_len as u64);
    bytes_field(out, any_tag, bytes);
}

/// Appends `tag` and room for a length of `WIDTH` bytes; [`close`] fills it in.
#[inline]
pub(crate) fn open<const WIDTH: usize>(out: &mut Vec<u8>, tag: u8) -> usize {
    out.push(tag);
    out.extend_from_slice(&[0; WIDTH]);
    out.len()
}

/// Fills in the length of the message that [`open`] began and whose first byte is at `start`. The varint is padded to `WIDTH` bytes, which
/// every protobuf reader takes; a message too long for that (2^(7·WIDTH) bytes) is moved up to make room.
#[inline]
pub(crate) fn close<const WIDTH: usize>(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    if (len as u64) < 1 << (7 * WIDTH) {
        let mut at = start - WIDTH;
        let mut rest = len;
        while at + 1 < start {
            out[at] = rest as u8 | 0x80;
            rest >>= 7;
            at += 1;
        }
        out[at] = rest as u8;
    } else {
        widen(out, start - WIDTH, start);
    }
}

/// Replaces the bytes `at..start` by the length of what follows them.
#[cold]
fn widen(out: &mut Vec<u8>, at: usize, start: usize) {
    let (bytes, n) = varint_bytes((out.len() - start) as u64);
    out.splice(at..start, bytes[..n].iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varint_lengths_are_those_written() {
        for shift in 0..64 {
            for v in [1u64 << shift, (1u64 << shift) - 1, (1u64 << shift) | 1] {
                let mut out = Vec::new();
                varint(&mut out, v);
                assert_eq!(out.len(), varint_len(v as usize), "{v}");
            }
        }
    }

    #[test]
    fn a_long_message_pushes_its_length_wider() {
        for len in [0usize, 1, 127, 128, 16_383, 16_384, if cfg!(miri) { 20_000 } else { 3_000_000 }] {
            let mut out = Vec::new();
            let start = open::<2>(&mut out, 0x12);
            out.resize(start + len, 7);
            close::<2>(&mut out, start);
            assert_eq!(out[0], 0x12);
            let mut read = 0usize;
            let mut at = 1;
            loop {
                read |= usize::from(out[at] & 0x7f) << (7 * (at - 1));
                at += 1;
                if out[at - 1] < 0x80 {
                    break;
                }
            }
            assert_eq!((read, out.len() - at), (len, len));
        }
    }
}
