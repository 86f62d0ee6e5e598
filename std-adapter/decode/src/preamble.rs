//! The preamble (§3): who the device is and how its ticks count.

use std::fmt;

use crate::bytes::{Cursor, Malformed, What};

/// What a device says of itself, first and again at least every 64 frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// Additions to the format that this decoder may ignore.
    pub minor: u8,
    /// Width of ids and cells: 32 or 64.
    pub word_bits: u8,
    /// Ticks per second of the device's clock; 0 is not told.
    pub tick_hz: u64,
    /// Identity of the device, and the seed of its trace ids.
    pub device_id: u64,
    /// Wall-clock time the device knows: nanoseconds since 1970, at which tick.
    pub unix: Option<(u64, u64)>,
    /// GNU build id of the program, or 4 bytes: the checksum of its callsites, least significant byte first. Empty when the device knows neither.
    pub build_id: Vec<u8>,
    /// Service name.
    pub name: String,
}

impl Preamble {
    /// Reads a preamble's body, which begins at `body` in `frame`. Bytes behind it belong to later minors and are ignored.
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

/// Bytes as lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}
