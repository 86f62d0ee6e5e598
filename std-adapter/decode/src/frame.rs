//! The header of every frame (§2), and which of the three bodies follows.

use crate::bytes::{Cursor, Malformed};

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Wire format version; this decoder knows 1.
    pub version: u8,
    /// Kind of the body.
    pub kind: FrameKind,
    /// Number of frames before this one in this boot, modulo 2^32.
    pub sequence: u32,
    /// Boot epoch.
    pub epoch: u32,
    /// Number of records in earlier frames of this boot, modulo 2^32.
    pub ordinal: u32,
    /// Number of records lost on the device in this boot before they reached a frame, modulo 2^32.
    pub lost: u32,
    /// Offset of the body in bytes from the frame's start.
    pub body: usize,
}

/// The kind of a frame's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameKind {
    /// The identity of the device (§3).
    Preamble,
    /// Records (§4).
    Batch,
    /// A snapshot of metrics, or part of one (§8).
    Metrics,
    /// A type that this version does not have. The frame is skipped and counted.
    Unknown(u8),
}

impl Header {
    /// Parses the header at the start of a frame. Of a later version, only the version number is reliable.
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
            // These are defined modulo 2^32, so a device with wider counters is not an error.
            sequence: c.varint()? as u32,
            epoch: c.varint()? as u32,
            ordinal: c.varint()? as u32,
            lost: c.varint()? as u32,
            body: c.at(),
        })
    }
}
