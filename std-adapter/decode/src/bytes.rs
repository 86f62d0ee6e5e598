//! The primitives of the wire format (§1): a cursor over a frame that never reads beyond its end and never
//! panics.

use std::borrow::Cow;

/// Where a frame is malformed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (byte {at} of the decoded frame)")]
pub struct Malformed {
    /// Offset in bytes from the start of the frame after COBS decoding.
    pub at: usize,
    /// What is wrong there.
    pub what: What,
}

/// What is wrong in a frame whose CRC is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum What {
    /// The frame ended within a value.
    #[error("a value is cut short by the end of the frame")]
    CutShort,
    /// A varint has more than 10 bytes, or bits above the 64th.
    #[error("a varint is longer than 64 bits")]
    Varint,
    /// A record kind that wire format 1 does not have.
    #[error("unknown record kind {0}")]
    RecordKind(u8),
    /// A field type that wire format 1 does not have.
    #[error("unknown field type {0}")]
    FieldType(u8),
    /// More than 15 fields in one record.
    #[error("a record with {0} fields, more than the 15 there may be")]
    FieldCount(u8),
    /// A metric shape that wire format 1 does not have.
    #[error("unknown metric shape {0}")]
    Shape(u8),
    /// A histogram bucket outside of the range of its scale.
    #[error("a histogram bucket beyond the largest 64-bit value")]
    Bucket,
    /// More than 15 labels on one series.
    #[error("a series with {0} labels, more than the 15 there may be")]
    LabelCount(u8),
    /// A word width other than 32 or 64.
    #[error("a word width of {0} bits; only 32 and 64 exist")]
    WordBits(u8),
}

/// A position in a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts to read `bytes` at offset `at`. Offsets in errors count from the start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The bytes between an earlier position and this one.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    pub(crate) fn fail(&self, what: What) -> Malformed {
        Malformed { at: self.at, what }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let taken = self.at.checked_add(len).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or(self.fail(What::CutShort))?;
        self.at += len;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let start = *self;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(start.fail(What::Varint));
            }
            value |= low << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(start.fail(What::Varint))
    }

    pub(crate) fn zigzag(&mut self) -> Result<i64, Malformed> {
        let n = self.varint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// Reads a varint length and that many bytes.
    pub(crate) fn counted(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.varint()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Reads a `string`. Invalid sequences become U+FFFD.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        Ok(String::from_utf8_lossy(self.counted()?))
    }

    /// Reads a `text`: the bytes, and whether the device cut them.
    pub(crate) fn text(&mut self) -> Result<(&'a [u8], bool), Malformed> {
        let head = self.varint()?;
        let len = usize::try_from(head >> 1).unwrap_or(usize::MAX);
        Ok((self.take(len)?, head & 1 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_end_at_64_bits() {
        let max = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Cursor::new(&max, 0).varint(), Ok(u64::MAX));
        assert_eq!(Cursor::new(&max, 0).zigzag(), Ok(i64::MIN));
        let mut over = max;
        over[9] = 0x02;
        assert_eq!(Cursor::new(&over, 0).varint(), Err(Malformed { at: 0, what: What::Varint }));
        assert_eq!(Cursor::new(&[0x80; 11], 0).varint(), Err(Malformed { at: 0, what: What::Varint }));
        assert_eq!(Cursor::new(&[0x80; 3], 0).varint(), Err(Malformed { at: 3, what: What::CutShort }));
    }

    #[test]
    fn lengths_beyond_memory_are_refused() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0];
        assert!(Cursor::new(&huge, 0).counted().is_err());
        assert!(Cursor::new(&huge, 0).text().is_err());
    }
}
