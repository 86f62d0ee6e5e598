//! The preamble (§3): the identity of the device and the rate of its ticks.

use std::fmt;

use crate::bytes::{Cursor, Malformed, What};

/// The identity that a device sends first, and again at least every 64 frames.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preamble {
    /// Number of additions to the format, which this decoder may ignore.
    pub minor: u8,
    /// Width of ids and cells in bits: 32 or 64.
    pub word_bits: u8,
    /// Ticks per second of the device's clock; 0 if it was not sent.
    pub tick_hz: u64,
    /// Identity of the device, and the seed of its trace ids.
    pub device_id: u64,
    /// Wall-clock time that the device knows: nanoseconds since 1970, and the tick at that time.
    pub unix: Option<(u64, u64)>,
    /// GNU build id of the program, or 4 bytes: the checksum of its callsites, least significant byte first.
    /// Empty if the device knows neither.
    pub build_id: Vec<u8>,
    /// Service name.
    pub name: String,
}

impl Preamble {
    /// Parses a preamble's body, which begins at byte `body` of `frame`. Bytes after it belong to later minor
    /// versions and are ignored.
    pub fn parse(frame: &[u8], body: usize) -> Result<Preamble, Malformed> {
        let mut c = Cursor::new(frame, body);
        let minor = c.u8()?;
        let at_bits = c;
        let word_bits = c.u8()?;
        if word_bits != 32 && word_bits != 64 {
            return Err(at_bits.fail(What::WordBits(word_bits)));
        }
        let tick_hz = c.varint()?;
        let device_id = u64::from_le_bytes(c.array()?);
        let unix = (c.varint()?, c.varint()?);
        Ok(Preamble {
            minor,
            word_bits,
            tick_hz,
            device_id,
            unix: (unix != (0, 0)).then_some(unix),
            build_id: c.counted()?.to_vec(),
            name: c.string()?.into_owned(),
        })
    }
}

/// Shows bytes as lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
