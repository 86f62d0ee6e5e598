//! Splits bytes, in chunks of any size, into frames whose CRC is right. It finds the next frame after damage,
//! in bounded memory (§2).

use std::fmt;

/// Most bytes of a frame before COBS, including the CRC.
pub const MAX_FRAME: usize = 4096;
/// Most bytes of a frame on the wire: COBS adds at most 18 (17 code bytes and a final empty group), then one delimiter.
pub const MAX_ENCODED: usize = MAX_FRAME + 18 + 1;

/// Splits a byte stream into frames. It needs one buffer of [`MAX_ENCODED`] bytes, whatever arrives.
///
/// ```
/// use throughline_decode::stream::{FrameReader, StreamError};
///
/// let mut reader = FrameReader::new();
/// let mut input: &[u8] = b"\0noise\0\x02";
/// let Err(StreamError::Malformed(damage)) = reader.next(&mut input) else { panic!() };
/// assert_eq!((damage.offset, damage.len), (1, 6));
/// assert_eq!(reader.next(&mut input), Err(StreamError::NeedMore));
/// ```
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// Offset in the stream of the next byte.
    offset: u64,
    /// Length in bytes of the present run, including bytes beyond the buffer.
    run: u64,
    delimited: bool,
}

/// A frame whose CRC is right: header and body, without the CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawFrame<'a> {
    /// Offset in the stream of its first byte.
    pub offset: u64,
    /// Its length on the wire in bytes, including the delimiter.
    pub encoded_len: u64,
    /// Header and body.
    pub payload: &'a [u8],
}

/// Why there is no frame, and thus what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// All input is consumed, and the frame at its end is incomplete: read more bytes.
    #[error("needs more bytes")]
    NeedMore,
    /// A run of bytes was skipped. The reader is already at the next delimiter: call it again.
    #[error(transparent)]
    Malformed(#[from] Skipped),
}

/// A run of bytes that is not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes skipped at offset {offset}: {why}")]
#[non_exhaustive]
pub struct Skipped {
    /// Offset in the stream of the first skipped byte.
    pub offset: u64,
    /// Number of bytes skipped, including the delimiter if there was one.
    pub len: u64,
    /// Why they were skipped.
    pub why: SkipReason,
}

/// Why a run of bytes is not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// The stream began within a frame. This is not damage, because a reader that joins late sees it.
    PartialStart,
    /// Not a COBS code: bytes were lost or added, or the bytes are noise.
    Cobs,
    /// Too few bytes for a frame.
    TooShort,
    /// The CRC does not match.
    Crc,
    /// No delimiter within [`MAX_ENCODED`] bytes.
    TooLong,
    /// The stream ended before the frame did.
    Unfinished,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::PartialStart => "the capture begins in the middle of a frame",
            SkipReason::Cobs => "not a COBS frame",
            SkipReason::TooShort => "too short for a frame",
            SkipReason::Crc => "CRC does not match",
            SkipReason::TooLong => "longer than a frame may be",
            SkipReason::Unfinished => "the capture ends in the middle of a frame",
        })
    }
}

impl Default for FrameReader {
    fn default() -> Self {
        FrameReader::new()
    }
}

impl FrameReader {
    /// A reader at the start of a stream.
    pub fn new() -> FrameReader {
        FrameReader { buffer: Vec::with_capacity(MAX_ENCODED), offset: 0, run: 0, delimited: false }
    }

    /// Number of bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Capacity of the buffer in bytes; never more than [`MAX_ENCODED`].
    pub fn memory(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next frame. Moves `input` behind the bytes it consumed; call it until it returns
    /// [`StreamError::NeedMore`]. Costs one copy and one CRC over the frame.
    pub fn next<'a>(&'a mut self, input: &mut &[u8]) -> Result<RawFrame<'a>, StreamError> {
        loop {
            let Some(end) = input.iter().position(|b| *b == 0) else {
                self.keep(input);
                *input = &[];
                return Err(StreamError::NeedMore);
            };
            let (run, rest) = input.split_at(end);
            self.keep(run);
            *input = &rest[1..];
            self.offset += 1;
            let len = std::mem::take(&mut self.run);
            let late = !std::mem::replace(&mut self.delimited, true);
            if len == 0 {
                self.buffer.clear();
                continue;
            }
            let whole = Run { offset: self.offset - 1 - len, len: len + 1 };
            return match check(&mut self.buffer, whole) {
                Ok(payload) => Ok(RawFrame {
                    offset: whole.offset,
                    encoded_len: whole.len,
                    payload: self.buffer.get(..payload).unwrap_or_default(),
                }),
                Err(why) => Err(whole.skipped(if late { SkipReason::PartialStart } else { why }).into()),
            };
        }
    }

    /// Ends the stream and returns the unfinished frame, if there is one. The reader can then be used for
    /// another stream.
    pub fn finish(&mut self) -> Result<(), Skipped> {
        let (offset, len) = (self.offset - self.run, self.run);
        *self = FrameReader { buffer: std::mem::take(&mut self.buffer), offset: 0, run: 0, delimited: false };
        self.buffer.clear();
        if len == 0 { Ok(()) } else { Err(Skipped { offset, len, why: SkipReason::Unfinished }) }
    }

    /// Call this when the link was lost or when reading stops here. It drops an unfinished frame, and the
    /// next bytes may begin within one. Returns the number of dropped bytes; offsets continue.
    pub fn rejoin(&mut self) -> u64 {
        self.buffer.clear();
        self.delimited = false;
        std::mem::take(&mut self.run)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.run == 0 {
            self.buffer.clear();
        }
        let room = (MAX_ENCODED - 1).saturating_sub(self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.run += bytes.len() as u64;
        self.offset += bytes.len() as u64;
    }
}

#[derive(Clone, Copy)]
struct Run {
    offset: u64,
    len: u64,
}

impl Run {
    fn skipped(self, why: SkipReason) -> Skipped {
        Skipped { offset: self.offset, len: self.len, why }
    }
}

/// Decodes the run in place and checks its CRC. Returns the length of the payload without the CRC.
fn check(buffer: &mut Vec<u8>, run: Run) -> Result<usize, SkipReason> {
    if run.len > MAX_ENCODED as u64 {
        return Err(SkipReason::TooLong);
    }
    // The decoder of `cobs` completes a message only at its delimiter.
    buffer.push(0);
    let len = cobs::decode_in_place(buffer).map_err(|_| SkipReason::Cobs)?;
    if len > MAX_FRAME {
        return Err(SkipReason::TooLong);
    }
    let (payload, crc) =
        buffer.get(..len).and_then(|frame| frame.split_last_chunk::<4>()).ok_or(SkipReason::TooShort)?;
    if crc32fast::hash(payload) == u32::from_le_bytes(*crc) {
        Ok(payload.len())
    } else {
        Err(SkipReason::Crc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_bounded_without_a_delimiter() {
        let mut reader = FrameReader::new();
        for _ in 0..100 {
            assert_eq!(reader.next(&mut &[0xAA; 1000][..]), Err(StreamError::NeedMore));
        }
        assert!(reader.memory() <= MAX_ENCODED, "{}", reader.memory());
        let mut end: &[u8] = &[0];
        let Err(StreamError::Malformed(skipped)) = reader.next(&mut end) else { panic!("no damage") };
        assert_eq!((skipped.offset, skipped.len, skipped.why), (0, 100_001, SkipReason::PartialStart));
        let mut again: &[u8] = &[&[0xAA; MAX_ENCODED][..], &[0]].concat();
        let Err(StreamError::Malformed(skipped)) = reader.next(&mut again) else { panic!("no damage") };
        assert_eq!(skipped.why, SkipReason::TooLong);
        assert!(reader.memory() <= MAX_ENCODED, "{}", reader.memory());
    }

    #[test]
    fn the_longest_frame_passes_and_one_more_byte_does_not() {
        for (len, good) in [(MAX_FRAME, true), (MAX_FRAME + 1, false)] {
            let mut frame = vec![0x11; len - 4];
            frame.extend(crc32fast::hash(&frame).to_le_bytes());
            let mut wire = vec![0];
            wire.extend(cobs::encode_vec(&frame));
            wire.push(0);
            let mut reader = FrameReader::new();
            assert_eq!(reader.next(&mut &wire[..]).is_ok(), good, "{len} bytes");
        }
    }

    #[test]
    fn a_stream_that_begins_mid_frame_is_told_from_damage() {
        let why = |bytes: &[u8]| match FrameReader::new().next(&mut &bytes[..]) {
            Err(StreamError::Malformed(skipped)) => skipped.why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(b"abc\0"), SkipReason::PartialStart);
        assert_eq!(why(b"\0abc\0"), SkipReason::Cobs);
        assert_eq!(why(b"\0\x02a\0"), SkipReason::TooShort);
        assert_eq!(why(b"\0\x06abcde\0"), SkipReason::Crc);
        let mut reader = FrameReader::new();
        assert_eq!(reader.next(&mut &b"\0abc"[..]), Err(StreamError::NeedMore));
        let end = reader.finish().unwrap_err();
        assert_eq!((end.offset, end.len, end.why), (1, 3, SkipReason::Unfinished));
    }
}
