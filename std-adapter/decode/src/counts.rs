//! The counters of a decoder.

use crate::item::{Damage, DamageKind};
use crate::stream::SkipReason;

/// Counts of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Bytes read.
    pub bytes: u64,
    /// Frames whose CRC was right.
    pub frames: u64,
    /// Bytes of the frame in which the stream was joined; these are not damage.
    pub joined_bytes: u64,
    /// Bytes that are not part of a frame.
    pub skipped_bytes: u64,
    /// Runs of bytes that are not a frame because they are not COBS or are too short.
    pub not_frames: u64,
    /// Frames whose CRC did not match.
    pub crc: u64,
    /// Runs without a delimiter that are longer than a frame may be.
    pub too_long: u64,
    /// Whether the stream ended within a frame: 0 or 1.
    pub unfinished: u64,
    /// Frames whose CRC is right but whose body is malformed.
    pub malformed: u64,
    /// Frames of another version or an unknown type.
    pub unknown_frames: u64,
    /// Records and series whose callsite the ELF does not have.
    pub unknown_callsites: u64,
    /// Records with a static string the ELF does not have.
    pub unknown_texts: u64,
    /// Preambles whose build id, or checksum of the callsites, is not the ELF's.
    pub build_ids: u64,
    /// Boots whose clock stood still, plus boots whose clock wrapped early.
    pub clocks: u64,
    /// Records of extended kinds that this decoder does not know. It skips them; they are not damage.
    pub unknown_records: u64,
}

impl Counts {
    /// Everything that counts as damage: runs of bytes (not bytes), frames and names.
    pub fn damage(&self) -> u64 {
        let stream = self.not_frames + self.crc + self.too_long + self.unfinished;
        stream
            + self.malformed
            + self.unknown_frames
            + self.unknown_callsites
            + self.unknown_texts
            + self.build_ids
            + self.clocks
    }

    /// Counts something that could not be read.
    pub(crate) fn count(&mut self, damage: &Damage) {
        match &damage.kind {
            DamageKind::Skipped(why) => {
                let late = *why == SkipReason::PartialStart;
                *(if late { &mut self.joined_bytes } else { &mut self.skipped_bytes }) += damage.len;
                match why {
                    SkipReason::PartialStart => {}
                    SkipReason::Cobs | SkipReason::TooShort => self.not_frames += 1,
                    SkipReason::Crc => self.crc += 1,
                    SkipReason::TooLong => self.too_long += 1,
                    SkipReason::Unfinished => self.unfinished += 1,
                }
            }
            DamageKind::Malformed(_) => self.malformed += 1,
            DamageKind::Version(_) | DamageKind::FrameType(_) => self.unknown_frames += 1,
            DamageKind::BuildId(_) => self.build_ids += 1,
            DamageKind::Clock(_) => self.clocks += 1,
            // These are counted for each record, but reported only once each.
            DamageKind::Callsite(_) | DamageKind::Text(_) | DamageKind::RecordKind(_) => {}
        }
    }
}
