//! Encodes attributes as `KeyValue` messages. Their keys may have been encoded beforehand.

use super::limits::{AttributeLimits, Counts};
use super::out::Out;
use super::proto::{bytes_field, varint, varint_bytes, varint_len, varint_word};
use super::site::SiteKey;
use crate::message::ValueText;
use throughline::Value;
use throughline::adapter::record::{ExtendedValue, Values, Visitor};

/// The key for a value without a name.
pub(super) const NAMELESS: &str = "?";
/// The suffix of the key that marks a value as cut.
pub(super) const TRUNCATED: &str = ".truncated";

/// The tags of the fields of an `AnyValue`.
const STRING: u8 = 0x0a;
const BOOL: u8 = 0x10;
const INT: u8 = 0x18;
const DOUBLE: u8 = 0x21;
const ARRAY: u8 = 0x2a;
const BYTES: u8 = 0x3a;

/// The key of a `KeyValue`: plain, or encoded beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'a> {
    Plain(&'a str),
    Encoded(&'a EncodedKey),
}

/// Upper limit of the length of a prepared key, including tags and length. It is a power of two.
const PREPARED: usize = 32;

/// A key with its tag, its length and the tag of the value after it. The array has a fixed size, because
/// copying all 32 bytes takes two moves, while copying only the used part would be a call to `memcpy`.
#[derive(Clone, Copy, Debug)]
pub(super) struct EncodedKey {
    bytes: [u8; PREPARED],
    len: u8,
}

impl EncodedKey {
    /// `None` for a key that is too long.
    pub(super) fn new(key: &str) -> Option<EncodedKey> {
        let mut encoded = Out::default();
        write_plain(&mut encoded, key);
        let encoded = encoded.as_slice();
        let mut bytes = [0; PREPARED];
        bytes[..PREPARED - 1].get_mut(..encoded.len())?.copy_from_slice(encoded);
        Some(EncodedKey { bytes, len: encoded.len() as u8 })
    }

    #[inline]
    fn len(&self) -> usize {
        // The mask lets the compiler drop bounds checks.
        usize::from(self.len) & (PREPARED - 1)
    }
}

/// Writes `KeyValue.key` and the tag of `KeyValue.value`.
fn write_plain(out: &mut Out, key: &str) {
    bytes_field(out, 0x0a, key.as_bytes());
    out.push(0x12);
}

/// Number of bytes that [`write_plain`] writes.
fn plain_len(key: &str) -> usize {
    2 + varint_len(key.len()) + key.len()
}

/// Appends an attribute for each value of a record, directly from its words. The names are those of `keys`,
/// which must be unique. If the record has more values than keys, the next value gets the name "?" and is the
/// last one. Counts values that are cut.
#[inline(always)]
pub(super) fn all_of_record(
    out: &mut Out,
    tag: u8,
    keys: &[SiteKey<'_>],
    mut values: Values<'_>,
    limits: &AttributeLimits,
    counts: &mut Counts,
) {
    for SiteKey { name, encoded } in keys {
        if let Some(key) = encoded {
            let mut append = Append { out, tag, key, name, limits, counts };
            if values.visit_next(&mut append).is_none() {
                return;
            }
        } else {
            let Some(value) = values.next_apart() else { return };
            apart(out, tag, Key::Plain(name), name, value, limits, counts);
        }
    }
    if values.types() != 0
        && let Some(value) = values.next_apart()
    {
        apart(out, tag, Key::Plain(NAMELESS), NAMELESS, value, limits, counts);
    }
}

/// Appends a value as the attribute of a prepared key.
struct Append<'k> {
    out: &'k mut Out,
    tag: u8,
    key: &'k EncodedKey,
    name: &'k str,
    limits: &'k AttributeLimits,
    counts: &'k mut Counts,
}

impl<'a> Visitor<'a> for Append<'_> {
    #[inline(always)]
    fn value(&mut self, value: Value<'a>) {
        limited(self.out, self.tag, Key::Encoded(self.key), self.name, value, self.limits, self.counts);
    }

    #[inline(always)]
    fn rare(&mut self, value: Value<'a>) {
        apart(self.out, self.tag, Key::Encoded(self.key), self.name, value, self.limits, self.counts);
    }
}

/// Like [`limited`], but not inlined.
#[inline(never)]
fn apart(
    out: &mut Out,
    tag: u8,
    key: Key<'_>,
    name: &str,
    value: Value<'_>,
    limits: &AttributeLimits,
    counts: &mut Counts,
) {
    limited(out, tag, key, name, value, limits, counts);
}

/// Appends an attribute within the limits. It checks the limit in the same match as the value's type, so that
/// the type is tested only once.
#[inline(always)]
pub(super) fn limited(
    out: &mut Out,
    tag: u8,
    key: Key<'_>,
    name: &str,
    value: Value<'_>,
    limits: &AttributeLimits,
    counts: &mut Counts,
) {
    // Pass the parts of a text to the function that is not inlined, because a reference to `value` would
    // force it into memory.
    match value {
        Value::Bool(b) => scalar(out, tag, key, BOOL, b.into(), 1),
        Value::I64(n) => int(out, tag, key, n as u64),
        Value::U64(n) if n <= i64::MAX as u64 => int(out, tag, key, n),
        Value::U64(n) => huge(out, tag, key, n),
        Value::F32(x) => double(out, tag, key, x.into()),
        Value::F64(x) => double(out, tag, key, x),
        Value::Str { text, truncated: false } if text.len() <= limits.value_length => {
            long(out, tag, key, STRING, text.as_bytes());
        }
        Value::Str { text, truncated } => {
            perhaps_cut_text(out, tag, key, name, text, truncated, limits, counts)
        }
        other => perhaps_cut(out, tag, key, name, other, limits, counts),
    }
}

/// Like [`perhaps_cut`], for a text.
#[cold]
#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "in registers, most of them")]
fn perhaps_cut_text(
    out: &mut Out,
    tag: u8,
    key: Key<'_>,
    name: &str,
    text: &str,
    truncated: bool,
    limits: &AttributeLimits,
    counts: &mut Counts,
) {
    perhaps_cut(out, tag, key, name, Value::Str { text, truncated }, limits, counts);
}

/// Appends an attribute whose value the recorder has cut or the limit may cut. If it is cut,
/// `<name>.truncated = true` follows.
#[inline(never)]
fn perhaps_cut(
    out: &mut Out,
    tag: u8,
    key: Key<'_>,
    name: &str,
    value: Value<'_>,
    limits: &AttributeLimits,
    counts: &mut Counts,
) {
    if !limits.cuts(&value) {
        return attribute(out, tag, key, &value);
    }
    attribute(out, tag, key, &limits.cut(value));
    attribute(out, tag, Key::Plain(&truncated_name(name)), &Value::Bool(true));
    counts.cut_values += 1;
}

/// The key that marks a value as cut.
pub(super) fn truncated_name(name: &str) -> String {
    format!("{name}{TRUNCATED}")
}

/// Appends the attribute `key = value` as a `KeyValue` tagged `tag`.
///
/// OTLP has no unsigned integers, so those above `i64::MAX` become decimal text, which keeps all digits.
/// Limits are not applied.
#[inline(always)]
pub(super) fn attribute(out: &mut Out, tag: u8, key: Key<'_>, value: &Value<'_>) {
    match *value {
        Value::Bool(b) => scalar(out, tag, key, BOOL, b.into(), 1),
        Value::I64(n) => int(out, tag, key, n as u64),
        Value::U64(n) if n <= i64::MAX as u64 => int(out, tag, key, n),
        Value::U64(n) => huge(out, tag, key, n),
        Value::F32(x) => double(out, tag, key, x.into()),
        Value::F64(x) => double(out, tag, key, x),
        Value::Str { text, .. } => long(out, tag, key, STRING, text.as_bytes()),
        Value::Bytes { bytes, .. } | Value::Postcard { bytes, .. } => long(out, tag, key, BYTES, bytes),
        Value::Shown { text, .. } => long(out, tag, key, STRING, text.as_bytes()),
        Value::Absent => {}
        ref other => rare(out, tag, key, other),
    }
}

/// Appends a value of a rare type, which is not worth inlining. OTLP has no type for most of these values, so
/// they become text. A `Duration` becomes seconds, a small 128-bit integer an integer, a list an array, and
/// an unknown value bytes.
#[inline(never)]
fn rare(out: &mut Out, tag: u8, key: Key<'_>, value: &Value<'_>) {
    let Value::Extended(extended) = value else {
        return long(out, tag, key, STRING, ValueText(value).to_string().as_bytes());
    };
    match extended.get() {
        ExtendedValue::Duration(duration) => double(out, tag, key, duration.as_secs_f64()),
        ExtendedValue::U128(n) if n <= i64::MAX as u128 => int(out, tag, key, n as u64),
        ExtendedValue::I128(n) if i64::try_from(n).is_ok() => int(out, tag, key, n as u64),
        ExtendedValue::List(list) => {
            let mut elements = Out::default();
            list.iter().for_each(|element| element_of_array(&mut elements, &element));
            long(out, tag, key, ARRAY, elements.as_slice());
        }
        ExtendedValue::Unknown(bytes) => long(out, tag, key, BYTES, bytes),
        _ => long(out, tag, key, STRING, ValueText(value).to_string().as_bytes()),
    }
}

/// Appends one of `ArrayValue.values`: the `AnyValue` of a scalar.
fn element_of_array(out: &mut Out, element: &Value<'_>) {
    let mut any = Out::default();
    let mut int = |n: u64| {
        any.push(INT);
        varint(&mut any, n);
    };
    match *element {
        Value::Bool(b) => {
            any.push(BOOL);
            any.push(b.into());
        }
        Value::I64(n) => int(n as u64),
        Value::U64(n) if n <= i64::MAX as u64 => int(n),
        Value::F32(x) => {
            any.push(DOUBLE);
            any.extend_from_slice(&f64::from(x).to_le_bytes());
        }
        Value::F64(x) => {
            any.push(DOUBLE);
            any.extend_from_slice(&x.to_le_bytes());
        }
        other => bytes_field(&mut any, STRING, ValueText(&other).to_string().as_bytes()),
    }
    bytes_field(out, 0x0a, any.as_slice());
}

/// Appends the text attribute `key = text`.
pub(in crate::otlp) fn text_attribute(out: &mut Out, tag: u8, key: &str, text: &str) {
    long(out, tag, Key::Plain(key), STRING, text.as_bytes());
}

#[inline(always)]
fn int(out: &mut Out, tag: u8, key: Key<'_>, n: u64) {
    if n < 1 << 56 {
        let (word, len) = varint_word(n);
        scalar(out, tag, key, INT, word, len);
    } else {
        wide_int(out, tag, key, n);
    }
}

#[inline(always)]
fn double(out: &mut Out, tag: u8, key: Key<'_>, x: f64) {
    scalar(out, tag, key, DOUBLE, x.to_bits(), 8);
}

/// Room for a prepared attribute whose value is at most one word: two bytes, the key, two bytes, the value.
const ROOM: usize = 2 + PREPARED + 2 + 8;

/// Appends a `KeyValue` whose `AnyValue` is `any_tag` and the low `len` bytes of `word`, at most 8.
///
/// A prepared key is written in place with overlapping stores of fixed size.
#[inline(always)]
fn scalar(out: &mut Out, tag: u8, key: Key<'_>, any_tag: u8, word: u64, len: usize) {
    match key {
        Key::Encoded(key) => {
            let at = 2 + key.len();
            let room = out.room::<ROOM>();
            room[..2].copy_from_slice(&[tag, (at + len) as u8]);
            room[2..2 + PREPARED].copy_from_slice(&key.bytes);
            room[at..at + 2].copy_from_slice(&[1 + len as u8, any_tag]);
            room[at + 2..at + 10].copy_from_slice(&word.to_le_bytes());
            out.advance(at + 2 + len);
        }
        Key::Plain(key) => plain_scalar(out, tag, key, any_tag, &word.to_le_bytes()[..len]),
    }
}

#[inline(never)]
fn plain_scalar(out: &mut Out, tag: u8, key: &str, any_tag: u8, value: &[u8]) {
    out.push(tag);
    varint(out, (plain_len(key) + 2 + value.len()) as u64);
    write_plain(out, key);
    out.extend_from_slice(&[1 + value.len() as u8, any_tag]);
    out.extend_from_slice(value);
}

/// Appends an integer whose varint may be longer than a word, such as a negative one.
#[inline(never)]
fn wide_int(out: &mut Out, tag: u8, key: Key<'_>, n: u64) {
    let (bytes, len) = varint_bytes(n);
    match key {
        Key::Encoded(key) => {
            let at = 2 + key.len();
            out.extend_from_slice(&[tag, (at + len) as u8]);
            out.extend_from_slice(&key.bytes[..key.len()]);
            out.extend_from_slice(&[1 + len as u8, INT]);
            out.extend_from_slice(&bytes[..len]);
        }
        Key::Plain(key) => plain_scalar(out, tag, key, INT, &bytes[..len]),
    }
}

/// Appends an integer above `i64::MAX`, as text.
#[cold]
fn huge(out: &mut Out, tag: u8, key: Key<'_>, n: u64) {
    long(out, tag, key, STRING, n.to_string().as_bytes());
}

/// Appends a `KeyValue` whose `AnyValue` is length-delimited: text, bytes or an array.
#[inline(always)]
fn long(out: &mut Out, tag: u8, key: Key<'_>, any_tag: u8, bytes: &[u8]) {
    match key {
        // With at most 90 bytes, all lengths fit into one byte: 2 + 32 + 3 + 90 - 2 < 128.
        Key::Encoded(key) if bytes.len() <= 90 => {
            let at = 2 + key.len();
            let room = out.room::<ROOM>();
            room[..2].copy_from_slice(&[tag, (at + 1 + bytes.len()) as u8]);
            room[2..2 + PREPARED].copy_from_slice(&key.bytes);
            let lengths = [2 + bytes.len() as u8, any_tag, bytes.len() as u8];
            room[at..at + 3].copy_from_slice(&lengths);
            out.advance(at + 3);
            out.extend_from_slice(bytes);
        }
        key => any_long(out, tag, key, any_tag, bytes),
    }
}

#[inline(never)]
fn any_long(out: &mut Out, tag: u8, key: Key<'_>, any_tag: u8, bytes: &[u8]) {
    let key_len = match key {
        Key::Plain(key) => plain_len(key),
        Key::Encoded(key) => key.len(),
    };
    let any_len = 1 + varint_len(bytes.len()) + bytes.len();
    out.push(tag);
    varint(out, (key_len + varint_len(any_len) + any_len) as u64);
    match key {
        Key::Plain(key) => write_plain(out, key),
        Key::Encoded(key) => out.extend_from_slice(&key.bytes[..key.len()]),
    }
    varint(out, any_len as u64);
    bytes_field(out, any_tag, bytes);
}
