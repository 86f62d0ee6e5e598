//! The header every frame has (§2), and which of the three bodies follows it.

use crate::bytes::{Cursor, Malformed};

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Wire format version; this decoder knows 1.
    pub version: u8,
    /// What the body is.
    pub kind: FrameKind,
    /// Frames made before this one in this boot, modulo 2^32.
    pub sequence: u32,
    /// Boot epoch.
    pub epoch: u32,
    /// Records put into frames before this one in this boot, modulo 2^32.
    pub ordinal: u32,
    /// Records lost on the device before they reached a frame, in this boot, modulo 2^32.
    pub lost: u32,
    /// Where the body begins, in bytes from the frame's start.
    pub body: usize,
}

/// What the body of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The device says who it is (§3).
    Preamble,
    /// Records (§4).
    Batch,
    /// A snapshot of metrics, or part of one (§8).
    Metrics,
    /// A type this version does not have; the frame is skipped and counted.
    Unknown(u8),
}

impl Header {
    /// Reads the header at the start of a frame. A later version's first byte is read too, but nothing is promised of the rest.
    pub fn parse(frame: &[u8]) -> Result<Header, Malformed> {
        let mut c = Cursor::new(frame, 0);
        let version_type = c.u8()?;
        let kind = match version_type & 15 {
            0 => FrameKind::Preamble,
            1 => FrameKind::Batch,
            2 => FrameKind::Metrics,
            n => FrameKind::Unknown(n),
        };
        Ok(Header {
            version: version_type >> 4,
            kind,
            // Modulo 2^32 by their definition, so that a device with wider counters is no error.
            sequence: c.varint()? as u32,
            epoch: c.varint()? as u32,
            ordinal: c.varint()? as u32,
            lost: c.varint()? as u32,
            body: c.at(),
        })
    }
}
