//! Writes a frame (§2) and the primitives (§1). CRC and COBS are computed byte by byte as the frame is
//! written, so no second buffer is needed.

use super::{VERSION, crc};
use crate::ring::{Word, Words};

/// The longest frame on the wire that this encoder makes, in bytes. The format allows slightly longer ones.
pub const MAX_FRAME: usize = 4096;
/// Bytes at the end of a frame: the CRC, the code byte that COBS inserts if the CRC fills a block, and the
/// delimiter.
const TAIL: isize = 4 + 1 + 1;

/// The memory for a frame: a buffer, or a part of a buffer that is used as a ring.
#[derive(Debug)]
pub struct Window<'b> {
    /// The buffer. Writing continues at its start after its end.
    pub buf: &'b mut [u8],
    /// Index of the first byte to write.
    pub at: usize,
    /// The most bytes to write, at most the length of `buf`. The bytes beyond are left alone.
    pub room: usize,
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Number of frames made before this one in this boot.
    pub sequence: u32,
    /// Boot epoch.
    pub epoch: u32,
    /// Number of records put into frames before this one in this boot.
    pub ordinal: u32,
    /// Number of records lost before they reached a frame, in this boot.
    pub lost: u32,
}

/// What a frame holds. The numbers are those of the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FrameKind {
    Preamble = 0,
    Batch = 1,
    Metrics = 2,
}

/// A frame that is being written. A write beyond its end writes nothing but is remembered, so that the caller
/// checks once per record instead of once per byte, and then goes back to where the record began.
#[derive(Debug)]
pub struct Frame<'b> {
    buf: &'b mut [u8],
    room: isize,
    /// For a batch: a lower bound of the time from which times are extended.
    pub(super) not_before: u64,
    /// The type nibbles of the current record's fields, the first field's in the lowest one.
    pub(super) types: u64,
    /// The most bytes kept of each text of the current record. Longer texts are cut and marked.
    pub(super) most: usize,
    pub(super) at: Cursor,
}

/// The state of the encoder between two bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Index of the next byte to write.
    at: usize,
    /// Bytes left for the body; below 0 when something did not fit.
    left: isize,
    crc: u32,
    /// Index of the COBS code of the open block, and the number of bytes since.
    code: usize,
    run: u8,
    /// The registers that a batch's deltas are taken against.
    pub(super) root: Word,
    pub(super) id: Word,
    pub(super) time: u64,
}

// On bare metal one copy of each function serves all encoders, to save flash.
impl<'b> Frame<'b> {
    /// An empty frame. A [`Preamble`](super::Preamble), [`Batch`](super::Batch) or
    /// [`Metrics`](super::Metrics) begins it.
    #[inline]
    pub fn new(window: Window<'b>) -> Frame<'b> {
        let Window { buf, at, room } = window;
        let room = room.min(MAX_FRAME) as isize;
        let cursor =
            Cursor { at, left: room - TAIL, crc: crc::BEGIN, code: 0, run: 0, root: 0, id: 0, time: 0 };
        // `types` is set before it is read, so its initial value does not matter. With 0 the compiler would
        // zero all fields with a call of `memset`, which takes more code.
        Frame { buf, room, not_before: 0, types: u64::MAX, most: usize::MAX, at: cursor }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn begin(&mut self, kind: FrameKind, header: &Header) {
        if kind == FrameKind::Preamble {
            // The delimiter ends an incomplete frame that may have been sent before.
            self.raw(super::DELIMITER);
        }
        self.at.code = self.at.at;
        self.raw(0);
        self.u8(VERSION << 4 | kind as u8);
        self.number(header.sequence as Word);
        self.number(header.epoch as Word);
        self.number(header.ordinal as Word);
        self.number(header.lost as Word);
    }

    /// Whether everything written so far has fitted.
    pub(super) fn fits(&self) -> bool {
        self.at.left >= 0
    }

    /// Returns to an earlier state.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn go_back(&mut self, cursor: &Cursor) {
        self.at = *cursor;
    }

    /// Whether no frame in this buffer could be longer.
    pub(super) fn is_longest(&self) -> bool {
        let room = self.room as usize;
        room >= MAX_FRAME || room + 1 >= self.buf.len()
    }

    /// Bytes left, not counting those that close the frame.
    pub(super) fn left(&self) -> isize {
        self.at.left
    }

    /// Closes the frame and returns its length on the wire in bytes, delimiter included; 0 when something did
    /// not fit.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn finish(&mut self) -> usize {
        if !self.fits() {
            return 0;
        }
        self.at.left += TAIL;
        self.low_bytes((!self.at.crc).into(), 4);
        // `end_block` writes a 0 where the next code would go. This 0 is the delimiter.
        self.end_block();
        (self.room - self.at.left) as usize
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn u8(&mut self, byte: u8) {
        self.at.crc = crc::step(self.at.crc, byte);
        if byte != 0 {
            self.raw(byte);
            self.at.run += 1;
        }
        // COBS replaces a zero by the next code, and inserts a code after 254 bytes without a zero.
        if byte == 0 || self.at.run == 254 {
            self.end_block();
        }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn end_block(&mut self) {
        let code = core::mem::replace(&mut self.at.code, self.at.at);
        self.raw(0);
        if let Some(code) = self.buf.get_mut(code) {
            *code = self.at.run + 1;
        }
        self.at.run = 0;
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn raw(&mut self, byte: u8) {
        self.at.left -= 1;
        if self.at.left < 0 {
            return;
        }
        if let Some(to) = self.buf.get_mut(self.at.at) {
            *to = byte;
        }
        self.at.at += 1;
        if self.at.at == self.buf.len() {
            self.at.at = 0;
        }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.u8(*byte);
        }
    }

    /// Writes the `len` lowest bytes of a number, the lowest first. `len` is at least 1.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn low_bytes(&mut self, mut n: u64, mut len: usize) {
        loop {
            self.u8(n as u8);
            n >>= 8;
            len -= 1;
            if len == 0 {
                return;
            }
        }
    }

    /// Takes the words that hold `len` bytes, or as many as there are, and writes the first `most` of these
    /// bytes.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn bytes_of(&mut self, words: &mut Words<'_>, len: usize, most: usize) {
        let len = len.min(words.left() * size_of::<Word>());
        let mut word = 0;
        for i in 0..len {
            if i % size_of::<Word>() == 0 {
                // The bytes lie in the word in memory order, whatever the machine's byte order.
                word = words.next().to_le();
            }
            if i < most {
                self.u8(word as u8);
            }
            word >>= 8;
        }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.u8(n as u8 | 0x80);
            n >>= 7;
        }
        self.u8(n as u8);
    }

    /// Writes a word as a varint.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn number(&mut self, n: Word) {
        self.varint(n as u64);
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn zigzag(&mut self, n: i64) {
        self.varint((n << 1 ^ n >> 63) as u64);
    }

    /// Writes a `string` of §1.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn string(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const HEADER: Header = Header { sequence: 1, epoch: 0, ordinal: 300, lost: 0 };
    /// The version and type, then the numbers of `HEADER`.
    const BEFORE: [u8; 6] = [0x12, 1, 0, 0xac, 2, 0];

    /// Decodes a frame from the wire and returns it without header and CRC.
    fn decode(wire: &[u8]) -> Vec<u8> {
        let (delimiter, mut rest) = wire.split_last().unwrap();
        assert!(*delimiter == 0 && !rest.contains(&0), "{wire:?}");
        let mut out = Vec::new();
        while let Some((code, after)) = rest.split_first() {
            let (data, after) = after.split_at(usize::from(*code) - 1);
            out.extend(data);
            rest = after;
            if *code != 255 && !rest.is_empty() {
                out.push(0);
            }
        }
        let crc = out.split_off(out.len() - 4);
        assert_eq!(crc, (!out.iter().fold(crc::BEGIN, |crc, byte| crc::step(crc, *byte))).to_le_bytes());
        assert_eq!(out[..BEFORE.len()], BEFORE);
        out.split_off(BEFORE.len())
    }

    /// Encodes `data` at index `at` of a ring of `size` bytes, rolling back some other bytes midway. Returns
    /// the bytes on the wire.
    fn encode(data: &[u8], at: usize, size: usize, room: usize) -> Vec<u8> {
        let mut ring = vec![0xAA; size];
        let mut frame = Frame::new(Window { buf: &mut ring, at, room });
        frame.begin(FrameKind::Metrics, &HEADER);
        let half = data.len() / 2;
        frame.bytes(&data[..half]);
        let before = frame.at;
        frame.bytes(&[5; 300]);
        frame.bytes(&[0; 3]);
        frame.at = before;
        frame.bytes(&data[half..]);
        let len = frame.finish();
        (0..len).map(|i| ring[(at + i) % size]).collect()
    }

    #[test]
    fn long_runs_around_the_block_length_come_back_wherever_they_begin() {
        // Miri takes seconds for a few thousand bytes: there, only lengths around one and two blocks.
        let lengths: &[usize] = if cfg!(miri) {
            &[0, 253, 254, 255, 509]
        } else {
            &[0, 1, 246, 247, 248, 253, 254, 255, 500, 501, 507, 508, 509, 762]
        };
        for &len in lengths {
            let zeros = [None, Some(len / 2), Some(0), Some(len.saturating_sub(1))];
            for zero in zeros.into_iter().take(if cfg!(miri) { 2 } else { 4 }) {
                let mut data = vec![7; len];
                if let Some(byte) = zero.and_then(|at| data.get_mut(at)) {
                    *byte = 0;
                }
                for at in if cfg!(miri) { &[1023][..] } else { &[0, 1, 500, 1023] } {
                    assert_eq!(decode(&encode(&data, *at, 1024, 1023)), data, "{len} {zero:?} {at}");
                }
            }
        }
    }

    #[test]
    fn a_frame_takes_no_more_than_its_room_and_is_there_if_it_fits() {
        let whole = encode(&[3; 300], 0, 1024, 1023).len();
        for room in (0..whole + 3).step_by(if cfg!(miri) { 31 } else { 1 }) {
            let wire = encode(&[3; 300], 7, 512, room);
            assert!(wire.len() <= room);
            // The encoder keeps one byte free for a COBS code that may be inserted.
            assert_eq!(wire.len(), if room > whole { whole } else { wire.len() }, "{room}");
            if !wire.is_empty() {
                assert_eq!(decode(&wire), [3; 300]);
            }
        }
    }

    #[test]
    fn what_lies_beyond_its_room_is_left_alone() {
        let mut ring = [0xAA; 64];
        let mut frame = Frame::new(Window { buf: &mut ring, at: 60, room: 20 });
        frame.begin(FrameKind::Metrics, &HEADER);
        frame.bytes(&[9; 40]);
        assert!(!frame.fits());
        assert_eq!(frame.finish(), 0);
        assert_eq!(ring[16..60], [0xAA; 44]);
    }
}
