//! The preamble (§3): the identity of the sender and the meaning of its ticks and ids.

use super::frame::{Frame, FrameKind, Header};
use crate::ring::Word;

/// The most bytes of a build id.
pub const MAX_BUILD_ID: usize = 32;
/// The most bytes of a service name.
pub const MAX_NAME: usize = 63;
const MINOR: u8 = 0;

/// Identifies the build, so that the host can tell its ELF from those of other builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check<'a> {
    /// The GNU build id, at most [`MAX_BUILD_ID`] bytes; empty when it is unknown.
    BuildId(&'a [u8]),
    /// The [`checksum`] of the callsites, on devices that have them in memory.
    Callsites(u32),
}

impl Default for Check<'_> {
    fn default() -> Self {
        Check::BuildId(&[])
    }
}

/// The identity of the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preamble<'a> {
    /// Identity of the device, little-endian; the seed of its trace ids.
    pub device_id: [u8; 8],
    /// Wall-clock time, ns since 1970, at tick `unix_ticks`; 0 when unknown.
    pub unix_ns: u64,
    /// The tick at which `unix_ns` was the time.
    pub unix_ticks: u64,
    /// Identifies the build.
    pub check: Check<'a>,
    /// Service name, at most [`MAX_NAME`] bytes.
    pub name: &'a str,
}

/// The 32-bit FNV-1a hash, used as the checksum of a section of callsites. Cost: about five instructions per
/// byte.
pub fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl Preamble<'_> {
    /// Writes a delimiter, which ends an incomplete frame before it, and then the preamble's frame. `tick_hz`
    /// is the clock's ticks per second. Returns the number of bytes written, at most 165 with the longest
    /// name and build id; 0 when the preamble does not fit.
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
