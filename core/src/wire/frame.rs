//! A frame under construction (§2): header, body, then CRC and COBS in place; and the primitives (§1) a body is made of.

use super::{DELIMITER, VERSION, cobs, crc};

/// Most bytes of a frame before COBS.
pub const MAX_FRAME: usize = 4096;
const CRC: usize = 4;

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
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum FrameKind {
    Preamble = 0,
    Batch = 1,
    Metrics = 2,
}

/// A frame being written. Writing beyond its end writes nothing but is remembered, so that a caller asks once per record,
/// not once per byte.
#[derive(Debug)]
pub(super) struct Frame<'b> {
    buf: &'b mut [u8],
    start: usize,
    pub(super) at: usize,
    end: usize,
}

impl<'b> Frame<'b> {
    /// `None` when the header does not fit `buf`.
    pub(super) fn new(buf: &'b mut [u8], kind: FrameKind, header: &Header) -> Option<Frame<'b>> {
        let start = cobs::headroom(buf.len().min(MAX_FRAME));
        let end = buf.len().checked_sub(CRC + 1)?.min(start + MAX_FRAME - CRC);
        let mut frame = Frame { buf, start, at: start, end };
        frame.u8(VERSION << 4 | kind as u8);
        for n in [header.sequence, header.epoch, header.ordinal, header.lost] {
            frame.varint(n.into());
        }
        frame.fits().then_some(frame)
    }

    /// Whether all that was written is there.
    pub(super) fn fits(&self) -> bool {
        self.at <= self.end
    }

    /// Closes it: `buf[..len]` is the frame on the wire, delimiter included. Whatever did not fit must have been rolled back.
    pub(super) fn finish(self) -> usize {
        let Frame { buf, start, at, end } = self;
        let at = at.min(end);
        let crc = crc::crc32(&buf[start..at]).to_le_bytes();
        buf[at..at + CRC].copy_from_slice(&crc);
        let len = cobs::encode(buf, start, at + CRC);
        buf[len] = DELIMITER;
        len + 1
    }

    pub(super) fn u8(&mut self, byte: u8) {
        if self.at < self.end {
            self.buf[self.at] = byte;
        }
        self.at += 1;
    }

    /// Changes a byte that was written before.
    pub(super) fn set(&mut self, at: usize, byte: u8) {
        if let Some(to) = self.buf[..self.end].get_mut(at) {
            *to = byte;
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.u8(*byte);
        }
    }

    pub(super) fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.u8(n as u8 | 0x80);
            n >>= 7;
        }
        self.u8(n as u8);
    }

    pub(super) fn zigzag(&mut self, n: i64) {
        self.varint((n << 1 ^ n >> 63) as u64);
    }

    /// `string` of §1.
    pub(super) fn string(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes(bytes);
    }
}
