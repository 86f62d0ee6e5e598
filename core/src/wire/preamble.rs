//! The preamble (§3): who sends, and what its ticks and ids mean.

use super::frame::{Frame, FrameKind, Header};
use crate::ring::Word;

/// Most bytes of a build id.
pub const MAX_BUILD_ID: usize = 32;
/// Most bytes of a name; a longer one is cut.
pub const MAX_NAME: usize = 63;
const MINOR: u8 = 0;

/// Who sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preamble<'a> {
    /// Ticks per second.
    pub tick_hz: u64,
    /// Identity of the device; the seed of its trace ids.
    pub device_id: u64,
    /// Wall-clock time, ns since 1970, at tick `unix_ticks`; 0 when unknown.
    pub unix_ns: u64,
    /// The tick `unix_ns` is of.
    pub unix_ticks: u64,
    /// GNU build id of the ELF; empty when unknown.
    pub build_id: &'a [u8],
    /// Service name.
    pub name: &'a str,
}

impl Preamble<'_> {
    /// Writes the frame to the front of `buf` and says how long it is; 0 when it does not fit. At most 164 bytes, for the longest
    /// name and build id.
    pub fn encode(&self, buf: &mut [u8], header: &Header) -> usize {
        let Some(mut frame) = Frame::new(buf, FrameKind::Preamble, header) else { return 0 };
        frame.u8(MINOR);
        frame.u8(Word::BITS as u8);
        frame.varint(self.tick_hz);
        frame.bytes(&self.device_id.to_le_bytes());
        frame.varint(self.unix_ns);
        frame.varint(self.unix_ticks);
        frame.string(&self.build_id[..self.build_id.len().min(MAX_BUILD_ID)]);
        let mut name = self.name.len().min(MAX_NAME);
        while !self.name.is_char_boundary(name) {
            name -= 1;
        }
        frame.string(&self.name.as_bytes()[..name]);
        if frame.fits() { frame.finish() } else { 0 }
    }
}
