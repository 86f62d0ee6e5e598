//! The fields of a record (§5). They are checked once, when the record is read; an iterator then reads them
//! without copying.

use std::borrow::Cow;

use throughline::Value;
use throughline::adapter::callsite::MAX_FIELDS;
use throughline::adapter::record::{Extended, KEY_FIELD, LINK_FIELD};

use crate::bytes::{Cursor, Malformed, What};
use crate::callsite::UNNAMED;
use crate::elf::Elf;

/// The fields of a record as they are sent: types and values without names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawFields<'f> {
    count: u8,
    types: &'f [u8],
    values: &'f [u8],
}

/// A field's value, in which a static string is still an address.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RawValue<'f> {
    /// A value that is complete in the record.
    Inline(Value<'f>),
    /// Text in the ELF.
    Static {
        /// Its address.
        address: u64,
        /// Its length in bytes.
        len: u64,
    },
}

impl<'f> RawFields<'f> {
    /// Parses the fields of a record with the field flags `flags` (0 to 3), and leaves the cursor behind
    /// them.
    pub(crate) fn parse(c: &mut Cursor<'f>, flags: u8) -> Result<RawFields<'f>, Malformed> {
        let count = if flags < 3 {
            flags
        } else {
            let at_count = *c;
            let count = c.u8()?;
            if usize::from(count) > MAX_FIELDS {
                return Err(at_count.fail(What::FieldCount(count)));
            }
            count
        };
        let types = c.take(usize::from(count).div_ceil(2))?;
        let start = c.at();
        for index in 0..count {
            value(c, nibble(types, index))?;
        }
        Ok(RawFields { count, types, values: c.since(start) })
    }

    /// Number of fields, at most 15.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values in order.
    pub fn values(&self) -> impl Iterator<Item = RawValue<'f>> + Clone + use<'f> {
        let RawFields { count, types, values } = *self;
        let mut c = Cursor::new(values, 0);
        (0..count).map_while(move |index| value(&mut c, nibble(types, index)).ok())
    }
}

fn nibble(types: &[u8], index: u8) -> u8 {
    let byte = types.get(usize::from(index / 2)).copied().unwrap_or(0);
    if index.is_multiple_of(2) { byte & 15 } else { byte >> 4 }
}

fn value<'f>(c: &mut Cursor<'f>, nibble: u8) -> Result<RawValue<'f>, Malformed> {
    Ok(RawValue::Inline(match nibble {
        1 => Value::Bool(c.u8()? != 0),
        2 | 4 => Value::U64(c.varint()?),
        3 | 5 => Value::I64(c.zigzag()?),
        6 => Value::F32(f32::from_le_bytes(c.array()?)),
        7 => Value::F64(f64::from_le_bytes(c.array()?)),
        8 => return Ok(RawValue::Static { address: c.varint()?, len: c.varint()? }),
        9 => c.text().map(|(bytes, truncated)| text(bytes, truncated))?,
        10 => c.text().map(|(bytes, truncated)| Value::Bytes { bytes, truncated })?,
        11 => c.text().map(|(bytes, truncated)| Value::Postcard { bytes, truncated })?,
        12 => return option(c),
        13 => c.text().map(|(bytes, truncated)| match text(bytes, truncated) {
            Value::Str { text, truncated } => Value::Shown { text, truncated },
            other => other,
        })?,
        14 => c.text().map(|(bytes, truncated)| Value::Extended(Extended::new(bytes, truncated)))?,
        other => return Err(c.fail(What::FieldType(other))),
    }))
}

/// Parses an optional value: the type nibble of the value, or 0 for none. Each nested `Option` adds a nibble.
fn option<'f>(c: &mut Cursor<'f>) -> Result<RawValue<'f>, Malformed> {
    for _ in 0..MAX_DEPTH {
        match c.u8()? {
            0 => return Ok(RawValue::Inline(Value::Absent)),
            12 => {}
            nibble => return value(c, nibble),
        }
    }
    Err(c.fail(What::FieldType(12)))
}

/// Most levels of nested options.
const MAX_DEPTH: usize = 16;

/// Text that was cut may end within a character; that character is dropped. Text that is not UTF-8 for
/// another reason is returned as bytes, so that nothing is lost.
fn text(bytes: &[u8], truncated: bool) -> Value<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::Str { text, truncated },
        Err(e) if truncated && e.error_len().is_none() => {
            let kept = bytes.get(..e.valid_up_to()).and_then(|b| std::str::from_utf8(b).ok());
            Value::Str { text: kept.unwrap_or_default(), truncated }
        }
        Err(_) => Value::Bytes { bytes, truncated },
    }
}

/// The named fields of a record: an iterator over (name, value). Cloning it is cheap.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'elf, 'f> {
    raw: RawFields<'f>,
    names: &'f [&'elf str],
    elf: Option<Loaded<'elf>>,
    index: u8,
    at: usize,
}

/// An ELF, and how far above its addresses the program was loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded<'elf> {
    pub(crate) elf: &'elf Elf,
    pub(crate) bias: u64,
}

/// Shown for a static string that is not in the ELF or not UTF-8 there.
pub const UNRESOLVED: &str = "<static string not in the ELF>";

impl<'elf, 'f> Fields<'elf, 'f> {
    pub(crate) fn new(
        raw: RawFields<'f>,
        names: &'f [&'elf str],
        elf: Option<Loaded<'elf>>,
    ) -> Fields<'elf, 'f> {
        Fields { raw, names, elf, index: 0, at: 0 }
    }

    /// Whether any static string is not in the ELF.
    pub(crate) fn unresolved(&self) -> bool {
        let missing =
            |v| matches!(v, RawValue::Static { address, len } if self.resolve(address, len).is_none());
        self.raw.values().any(missing)
    }

    fn resolve(&self, address: u64, len: u64) -> Option<&'elf str> {
        let Loaded { elf, bias } = self.elf?;
        elf.text(address.wrapping_sub(bias), len)
    }
}

impl<'elf: 'f, 'f> Fields<'elf, 'f> {
    /// The fields with unique names: of a name that is set twice the last value holds, in the first's place, so that a placeholder of a
    /// message still finds its field by position. Names that are in the record itself take their places.
    pub(crate) fn into_owned(mut self) -> Vec<(Cow<'elf, str>, OwnedValue)> {
        let mut owned: Vec<(Cow<'elf, str>, OwnedValue)> = Vec::with_capacity(self.len());
        while let Some((name, value)) = self.next() {
            let (name, value) = match value {
                Value::Str { text, .. } if name == KEY_FIELD => match self.next() {
                    Some((_, value)) => (Cow::Owned(text.to_owned()), value),
                    None => break,
                },
                value => (Cow::Borrowed(name), value),
            };
            let is_same = |known: &str| known == name && !name.is_empty() && name != LINK_FIELD;
            match owned.iter_mut().find(|(known, _)| is_same(known)) {
                Some((_, old)) => *old = value.into(),
                None => owned.push((name, value.into())),
            }
        }
        owned
    }
}

impl<'elf: 'f, 'f> Iterator for Fields<'elf, 'f> {
    type Item = (&'elf str, Value<'f>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.raw.count {
            return None;
        }
        let mut c = Cursor::new(self.raw.values, self.at);
        let raw = value(&mut c, nibble(self.raw.types, self.index)).ok()?;
        let index = usize::from(self.index);
        let name = self.names.get(index).or(UNNAMED.get(index)).copied().unwrap_or("field");
        self.at = c.at();
        self.index += 1;
        let value = match raw {
            RawValue::Inline(value) => value,
            RawValue::Static { address, len } => match self.resolve(address, len) {
                Some(text) => Value::Str { text, truncated: false },
                None => Value::Str { text: UNRESOLVED, truncated: true },
            },
        };
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.raw.count - self.index);
        (left, Some(left))
    }
}

impl<'elf: 'f, 'f> ExactSizeIterator for Fields<'elf, 'f> {}

/// A value that outlives its frame.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum OwnedValue {
    /// A truth value.
    Bool(bool),
    /// An unsigned integer.
    U64(u64),
    /// A signed integer.
    I64(i64),
    /// A float recorded as `f32`.
    F32(f32),
    /// A float recorded as `f64`.
    F64(f64),
    /// Text, and whether the device cut it.
    Str(Box<str>, bool),
    /// Bytes, and whether the device cut them.
    Bytes(Box<[u8]>, bool),
    /// A value in postcard encoding, and whether the device cut it.
    Postcard(Box<[u8]>, bool),
    /// Text that already has the form in which the message shows it, and whether the device cut it.
    Shown(Box<str>, bool),
    /// A value of a rarer type in its extended encoding, and whether the device cut it.
    Extended(Box<[u8]>, bool),
    /// No value.
    Absent,
}

impl OwnedValue {
    /// The same value, borrowed.
    pub fn as_value(&self) -> Value<'_> {
        match *self {
            OwnedValue::Bool(v) => Value::Bool(v),
            OwnedValue::U64(v) => Value::U64(v),
            OwnedValue::I64(v) => Value::I64(v),
            OwnedValue::F32(v) => Value::F32(v),
            OwnedValue::F64(v) => Value::F64(v),
            OwnedValue::Str(ref text, truncated) => Value::Str { text, truncated },
            OwnedValue::Bytes(ref bytes, truncated) => Value::Bytes { bytes, truncated },
            OwnedValue::Postcard(ref bytes, truncated) => Value::Postcard { bytes, truncated },
            OwnedValue::Shown(ref text, truncated) => Value::Shown { text, truncated },
            OwnedValue::Extended(ref bytes, truncated) => Value::Extended(Extended::new(bytes, truncated)),
            OwnedValue::Absent => Value::Absent,
        }
    }
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> OwnedValue {
        match value {
            Value::Bool(v) => OwnedValue::Bool(v),
            Value::U64(v) => OwnedValue::U64(v),
            Value::I64(v) => OwnedValue::I64(v),
            Value::F32(v) => OwnedValue::F32(v),
            Value::F64(v) => OwnedValue::F64(v),
            Value::Str { text, truncated } => OwnedValue::Str(text.into(), truncated),
            Value::Bytes { bytes, truncated } => OwnedValue::Bytes(bytes.into(), truncated),
            Value::Postcard { bytes, truncated } => OwnedValue::Postcard(bytes.into(), truncated),
            Value::Shown { text, truncated } => OwnedValue::Shown(text.into(), truncated),
            Value::Extended(v) => OwnedValue::Extended(v.encoding().into(), value.is_truncated()),
            Value::Absent => OwnedValue::Absent,
            // `Value` may get new kinds; show them rather than drop them.
            other => OwnedValue::Str(format!("{other:?}").into(), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_cut_within_a_character_loses_only_that() {
        let euro = "5 €".as_bytes();
        let cut = &euro[..euro.len() - 1];
        assert_eq!(text(cut, true), Value::Str { text: "5 ", truncated: true });
        assert_eq!(text(cut, false), Value::Bytes { bytes: cut, truncated: false }, "not cut: not text");
        let broken = b"5 \xff and more";
        assert_eq!(text(broken, true), Value::Bytes { bytes: broken, truncated: true });
        assert_eq!(text(euro, true), Value::Str { text: "5 €", truncated: true });
    }
}
