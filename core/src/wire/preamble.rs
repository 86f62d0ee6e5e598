//! The preamble (§3): who sends, and what its ticks and ids mean.

use super::frame::{Frame, FrameKind, Header};
use crate::ring::Word;

/// Most bytes of a build id.
pub const MAX_BUILD_ID: usize = 32;
/// Most bytes of a name.
pub const MAX_NAME: usize = 63;
const MINOR: u8 = 0;

/// What tells the ELF of a program from those of other builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check<'a> {
    /// GNU build id, at most [`MAX_BUILD_ID`] bytes; empty when nothing is known.
    BuildId(&'a [u8]),
    /// The [`checksum`] of the callsites, where they lie in memory.
    Callsites(u32),
}

impl Default for Check<'_> {
    fn default() -> Self {
        Check::BuildId(&[])
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preamble<'a> {
    /// Identity of the device, little-endian; the seed of its trace ids.
    pub device_id: [u8; 8],
    /// Wall-clock time, ns since 1970, at tick `unix_ticks`; 0 when unknown.
    pub unix_ns: u64,
    /// The tick `unix_ns` is of.
    pub unix_ticks: u64,
    /// What tells its ELF from those of other builds.
    pub check: Check<'a>,
    /// Service name, at most [`MAX_NAME`] bytes.
    pub name: &'a str,
}

/// What stands for a section of callsites: the 32-bit FNV-1a hash. Cost: some five instructions a byte.
pub fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl Preamble<'_> {
    /// Writes a delimiter, so that what came before ends, and the frame, of a clock with `tick_hz` ticks per second. Gives the number of bytes that
    /// takes, 0 when it does not fit: at most 165, for the longest name and build id.
    pub fn encode(&self, frame: &mut Frame<'_>, header: &Header, tick_hz: u64) -> usize {
        frame.begin(FrameKind::Preamble, header);
        let bytes;
        let build_id = match self.check {
            Check::BuildId(id) => id,
            Check::Callsites(sum) => {
                bytes = sum.to_le_bytes();
                &bytes
            }
        };
        frame.u8(MINOR);
        frame.u8(Word::BITS as u8);
        frame.varint(tick_hz);
        frame.bytes(&self.device_id);
        frame.varint(self.unix_ns);
        frame.varint(self.unix_ticks);
        frame.string(build_id);
        frame.string(self.name.as_bytes());
        frame.finish()
    }
}
