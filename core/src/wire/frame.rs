//! A frame being written (§2): CRC and COBS go along byte by byte, so it needs no room beside its own; and the primitives (§1).

use super::{VERSION, crc};
use crate::ring::{Word, Words};

/// Most bytes of a frame on the wire that this encoder makes; the format has room for a few more.
pub const MAX_FRAME: usize = 4096;
/// Bytes at the end: the CRC, the code that a full block of COBS may add to it, and the delimiter.
const TAIL: isize = 4 + 1 + 1;

/// Where a frame goes: a buffer, or a part of one that is used as a ring.
#[derive(Debug)]
pub struct Window<'b> {
    /// The memory. Past its end, writing goes on at its start.
    pub buf: &'b mut [u8],
    /// Index of the first byte to write.
    pub at: usize,
    /// Most bytes to write; what lies beyond is left alone. At most the length of `buf`.
    pub room: usize,
}

/// What every frame begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Frames made before this one in this boot.
    pub sequence: u32,
    /// Boot epoch.
    pub epoch: u32,
    /// Records put into frames before this one in this boot.
    pub ordinal: u32,
    /// Records lost before they reached a frame, in this boot.
    pub lost: u32,
}

/// What a frame holds; the numbers are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FrameKind {
    Preamble = 0,
    Batch = 1,
    Metrics = 2,
}

/// A frame to be written. Writing beyond its end writes nothing but is remembered, so that a caller asks once per record,
/// not once per byte, and goes back to where it was.
#[derive(Debug)]
pub struct Frame<'b> {
    buf: &'b mut [u8],
    room: isize,
    /// Of a batch: what times are extended from, at least.
    pub(super) not_before: u64,
    /// Of the record that is put in: its fields' type nibbles, the first in the low one.
    pub(super) types: u64,
    /// Of the record that is put in: most bytes kept of a text; what is longer is cut and marked.
    pub(super) most: usize,
    pub(super) at: Cursor,
}

/// How far a frame is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// Index of the next byte.
    at: usize,
    /// Bytes left; below 0 when something did not fit.
    left: isize,
    crc: u32,
    /// Index of the code of COBS that is open, and bytes since.
    code: usize,
    run: u8,
    /// What a batch takes deltas against.
    pub(super) root: Word,
    pub(super) id: Word,
    pub(super) time: u64,
}

// One copy of each of these serves all that is encoded.
impl<'b> Frame<'b> {
    /// Nothing yet; for [`Preamble`](super::Preamble), [`Batch`](super::Batch) or [`Metrics`](super::Metrics) to begin.
    #[inline]
    pub fn new(window: Window<'b>) -> Frame<'b> {
        let Window { buf, at, room } = window;
        let room = room.min(MAX_FRAME) as isize;
        let place =
            Cursor { at, left: room - TAIL, crc: crc::BEGIN, code: 0, run: 0, root: 0, id: 0, time: 0 };
        // Types are set before they are read. Not to 0: so many zeros in a row the compiler would leave to a `memset`, longer than all of this.
        Frame { buf, room, not_before: 0, types: u64::MAX, most: usize::MAX, at: place }
    }

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn begin(&mut self, kind: FrameKind, header: &Header) {
        if kind == FrameKind::Preamble {
            // What came before, if anything did, ends here.
            self.raw(super::DELIMITER);
        }
        self.at.code = self.at.at;
        self.raw(0);
        self.u8(VERSION << 4 | kind as u8);
        self.varint(header.sequence.into());
        self.varint(header.epoch.into());
        self.varint(header.ordinal.into());
        self.varint(header.lost.into());
    }

    /// Whether all that was written is there.
    pub(super) fn fits(&self) -> bool {
        self.at.left >= 0
    }

    /// Goes back to where it was.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn go_back(&mut self, place: &Cursor) {
        self.at = *place;
    }

    /// Whether no frame in this buffer could be longer.
    pub(super) fn is_longest(&self) -> bool {
        self.room >= MAX_FRAME.min(self.buf.len().saturating_sub(1)) as isize
    }

    /// Bytes left, but for what closes it.
    pub(super) fn left(&self) -> isize {
        self.at.left
    }

    /// Closes it, and says how many bytes it has on the wire, delimiter included; 0 when something did not fit.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn finish(&mut self) -> usize {
        if !self.fits() {
            return 0;
        }
        self.at.left += TAIL;
        let mut crc = !self.at.crc;
        for _ in 0..4 {
            self.u8(crc as u8);
            crc >>= 8;
        }
        // The code that would come next is the delimiter.
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
        // A zero becomes the place of the next code; so does the place after 254 bytes without one.
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

    /// Takes the words that `len` bytes fill, or as many as there are, and puts in the first `most` of these bytes.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn bytes_of(&mut self, words: &mut Words<'_>, len: usize, most: usize) {
        let len = len.min(words.left() * size_of::<Word>());
        let mut word = 0;
        for i in 0..len {
            if i % size_of::<Word>() == 0 {
                // In memory the bytes are in this order, whatever the machine's byte order.
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

    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn zigzag(&mut self, n: i64) {
        self.varint((n << 1 ^ n >> 63) as u64);
    }

    /// `string` of §1.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn string(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
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
    /// Version and type, then the header's numbers.
    const BEFORE: [u8; 6] = [0x12, 1, 0, 0xac, 2, 0];

    /// What a frame on the wire holds, less header and CRC.
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

    /// Encodes `data` at `at` of a ring of `size` bytes, having begun and taken back something else; gives what is on the wire.
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
        for len in [0_usize, 1, 246, 247, 248, 253, 254, 255, 500, 501, 507, 508, 509, 762] {
            for zero in [None, Some(0), Some(len / 2), Some(len.saturating_sub(1))] {
                let mut data = vec![7; len];
                if let Some(byte) = zero.and_then(|at| data.get_mut(at)) {
                    *byte = 0;
                }
                for at in if cfg!(miri) { &[0, 1023][..] } else { &[0, 1, 500, 1023] } {
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
            // One byte is kept free for a code of COBS that may come.
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
