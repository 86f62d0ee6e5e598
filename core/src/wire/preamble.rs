//! The preamble (§3): who sends, and what its ticks and ids mean.

use super::frame::{Frame, FrameKind, Header};
use crate::ring::Word;

/// Most bytes of a build id.
pub const MAX_BUILD_ID: usize = 32;
/// Most bytes of a name.
pub const MAX_NAME: usize = 63;
const MINOR: u8 = 0;

/// Who sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preamble<'a> {
    /// Identity of the device, little-endian; the seed of its trace ids.
    pub device_id: [u8; 8],
    /// Wall-clock time, ns since 1970, at tick `unix_ticks`; 0 when unknown.
    pub unix_ns: u64,
    /// The tick `unix_ns` is of.
    pub unix_ticks: u64,
    /// GNU build id of the ELF, at most [`MAX_BUILD_ID`] bytes; empty when unknown.
    pub build_id: &'a [u8],
    /// Service name, at most [`MAX_NAME`] bytes.
    pub name: &'a str,
}

impl Preamble<'_> {
    /// Writes a delimiter, so that what came before ends, and the frame, of a clock with `tick_hz` ticks per second. Says how many bytes that takes; 0 when it does not fit. At most
    /// 165, for the longest name and build id.
    pub fn encode(&self, frame: &mut Frame<'_>, header: &Header, tick_hz: u64) -> usize {
        frame.begin(FrameKind::Preamble, header);
        frame.u8(MINOR);
        frame.u8(Word::BITS as u8);
        frame.varint(tick_hz);
        frame.bytes(&self.device_id);
        frame.varint(self.unix_ns);
        frame.varint(self.unix_ticks);
        frame.string(self.build_id);
        frame.string(self.name.as_bytes());
        frame.finish()
    }
}
