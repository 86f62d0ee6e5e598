//! The loss ledger of a stream: how many records each boot emitted, and where they went (§2).

use throughline::adapter::LossReason;

/// Follows sequence, ordinal and epoch from frame to frame.
#[derive(Clone, Debug, Default)]
pub struct FrameLedger {
    closed: Balance,
    /// The counts when the present boot began.
    before_boot: Balance,
    boot: Option<Open>,
}

/// Where records went, counted in records unless stated otherwise. Always `emitted = decoded + device + link
/// + undecoded + before`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balance {
    /// Records that the device made, as far as the newest frame tells.
    pub emitted: u64,
    /// Records decoded.
    pub decoded: u64,
    /// Records lost on the device before they reached a frame, for whatever reason.
    pub device: u64,
    /// Of `device`, those that found the ring full, as far as loss records tell.
    pub ring_full: u64,
    /// Of `device`, those that newer records overwrote, as far as loss records tell.
    pub overwritten: u64,
    /// Of `device`, those too large for a frame, as far as loss records tell.
    pub too_large: u64,
    /// Records in frames that the link lost or damaged.
    pub link: u64,
    /// Records in frames that arrived whole but could not be read (malformed, or of an unknown type).
    pub undecoded: u64,
    /// Records sent before this stream was joined.
    pub before: u64,
    /// Frames that the link lost or damaged.
    pub frames_lost: u64,
    /// Frames sent before this stream was joined.
    pub frames_before: u64,
    /// Frames seen twice and skipped.
    pub duplicates: u64,
    /// Boots seen.
    pub boots: u64,
}

/// What a frame's header implies about the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Set if the frame is the first of a boot.
    pub boot: Option<Boot>,
    /// Set if frames are missing before it.
    pub gap: Option<Gap>,
    /// Whether the frame is a repetition of the one before and must be skipped.
    pub duplicate: bool,
}

/// A boot begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Boot {
    /// Its epoch.
    pub epoch: u32,
    /// How the boot was recognised.
    pub cause: BootCause,
    /// Frames sent before this stream was joined.
    pub missed: Option<Gap>,
}

/// How a frame was recognised as the first of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootCause {
    /// It is the first of the stream.
    Joined,
    /// Its epoch differs from the last one.
    Epoch,
    /// Its sequence number is less than the last one: the device was reset without a new epoch. Ids may
    /// repeat.
    Sequence,
}

/// Frames missing from a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Number of frames.
    pub frames: u64,
    /// Number of records in them.
    pub records: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    epoch: u32,
    sequence: u32,
    ordinal: u32,
    /// Ordinal and loss count of this boot, extended to 64 bits.
    ordinal64: u64,
    lost: u32,
    lost64: u64,
    /// Whether the frame before was not read to its end. A jump in `ordinal` is then the number of its unread
    /// records.
    unread: bool,
}

impl FrameLedger {
    /// Takes the header of the next whole frame.
    pub fn frame(&mut self, header: &crate::frame::Header) -> Step {
        let Some(open) = &self.boot else {
            return self.begin(header, BootCause::Joined);
        };
        if open.epoch != header.epoch {
            return self.begin(header, BootCause::Epoch);
        }
        let jump = header.sequence.wrapping_sub(open.sequence);
        // Frame 0 twice in a row is a reset before anything else was sent, not a duplicate.
        if jump == u32::MAX && header.sequence != 0 {
            self.closed.duplicates += 1;
            return Step { duplicate: true, ..Step::default() };
        }
        if jump > i32::MAX as u32 {
            return self.begin(header, BootCause::Sequence);
        }
        let gap = self.advance(header, u64::from(jump));
        Step { gap, ..Step::default() }
    }

    /// Takes the number of counted records in the last frame, and whether it was read to its end.
    pub fn read(&mut self, records: u64, whole: bool) {
        let Some(open) = &mut self.boot else { return };
        self.closed.decoded += records;
        open.ordinal = open.ordinal.wrapping_add(records as u32);
        open.ordinal64 += records;
        open.unread = !whole;
    }

    /// Takes a loss record, which tells why records were lost that the headers count.
    pub fn lost(&mut self, reason: Option<LossReason>, count: u64) {
        match reason {
            Some(LossReason::RingFull) => self.closed.ring_full += count,
            Some(LossReason::Overwritten) => self.closed.overwritten += count,
            Some(LossReason::TooLarge) => self.closed.too_large += count,
            _ => {}
        }
    }

    /// The balance so far.
    pub fn balance(&self) -> Balance {
        let mut balance = self.closed;
        if let Some(open) = &self.boot {
            balance.emitted += open.ordinal64 + open.lost64;
            balance.device += open.lost64;
        }
        balance
    }

    /// The balance of the present boot so far.
    pub fn of_boot(&self) -> Balance {
        let (all, before) = (self.balance(), self.before_boot);
        Balance {
            emitted: all.emitted - before.emitted,
            decoded: all.decoded - before.decoded,
            device: all.device - before.device,
            ring_full: all.ring_full - before.ring_full,
            overwritten: all.overwritten - before.overwritten,
            too_large: all.too_large - before.too_large,
            link: all.link - before.link,
            undecoded: all.undecoded - before.undecoded,
            before: all.before - before.before,
            frames_lost: all.frames_lost - before.frames_lost,
            frames_before: all.frames_before - before.frames_before,
            duplicates: all.duplicates - before.duplicates,
            boots: all.boots - before.boots,
        }
    }

    fn begin(&mut self, header: &crate::frame::Header, cause: BootCause) -> Step {
        self.closed = self.balance();
        self.before_boot = self.closed;
        self.closed.boots += 1;
        let missed = Gap { frames: u64::from(header.sequence), records: u64::from(header.ordinal) };
        let missed = (missed.frames > 0).then_some(missed);
        self.boot = Some(Open {
            epoch: header.epoch,
            sequence: header.sequence.wrapping_add(1),
            ordinal: header.ordinal,
            ordinal64: u64::from(header.ordinal),
            lost: header.lost,
            lost64: u64::from(header.lost),
            unread: false,
        });
        let boot = |missed| Some(Boot { epoch: header.epoch, cause, missed });
        let (frames, records) = missed.map_or((0, u64::from(header.ordinal)), |m| (m.frames, m.records));
        if cause == BootCause::Joined {
            self.closed.before += records;
            self.closed.frames_before += frames;
            return Step { boot: boot(missed), ..Step::default() };
        }
        self.closed.link += records;
        self.closed.frames_lost += frames;
        Step { boot: boot(None), gap: missed, duplicate: false }
    }

    fn advance(&mut self, header: &crate::frame::Header, frames: u64) -> Option<Gap> {
        let open = self.boot.as_mut()?;
        let records = header.ordinal.wrapping_sub(open.ordinal);
        // A device that reports fewer records than its frames held contradicts itself. Add nothing then, so
        // that no number is invented; the balance shows the contradiction.
        let records = if records > i32::MAX as u32 { 0 } else { u64::from(records) };
        let lost = header.lost.wrapping_sub(open.lost);
        open.lost64 += if lost > i32::MAX as u32 { 0 } else { u64::from(lost) };
        open.lost = header.lost;
        open.ordinal = header.ordinal;
        open.ordinal64 += records;
        open.sequence = header.sequence.wrapping_add(1);
        let unread = std::mem::take(&mut open.unread);
        if frames > 0 {
            self.closed.frames_lost += frames;
            self.closed.link += records;
            return Some(Gap { frames, records });
        }
        if unread || records > 0 {
            self.closed.undecoded += records;
        }
        None
    }
}

impl Balance {
    /// Records lost on the device of which no loss record has told the reason: it is still to come, was lost itself,
    /// or gives a reason that this decoder does not know.
    pub fn unexplained(&self) -> u64 {
        self.device.saturating_sub(self.ring_full + self.overwritten + self.too_large)
    }

    /// Whether every record is accounted for.
    pub fn balances(&self) -> bool {
        self.emitted == self.decoded + self.device + self.link + self.undecoded + self.before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FrameKind, Header};

    fn header(epoch: u32, sequence: u32, ordinal: u32, lost: u32) -> Header {
        Header { version: 1, kind: FrameKind::Batch, sequence, epoch, ordinal, lost, body: 0 }
    }

    #[test]
    fn counts_every_record_over_a_wrap_a_gap_and_a_reboot() {
        let mut ledger = FrameLedger::default();
        let near = u32::MAX - 2;
        let step = ledger.frame(&header(1, near, near, 7));
        let missed = Gap { frames: near.into(), records: near.into() };
        assert_eq!(step.boot, Some(Boot { epoch: 1, cause: BootCause::Joined, missed: Some(missed) }));
        ledger.read(5, true);
        // Two frames with four records are missing; the counters wrapped in between; three more were lost on the device.
        let step = ledger.frame(&header(1, near.wrapping_add(3), near.wrapping_add(9), 10));
        assert_eq!(step.gap, Some(Gap { frames: 2, records: 4 }));
        ledger.read(1, true);
        let step = ledger.frame(&header(2, 1, 6, 0));
        assert_eq!(step.boot, Some(Boot { epoch: 2, cause: BootCause::Epoch, missed: None }));
        assert_eq!(step.gap, Some(Gap { frames: 1, records: 6 }));
        ledger.read(2, false);
        assert_eq!(ledger.frame(&header(2, 2, 11, 0)).gap, None);
        let b = ledger.balance();
        assert_eq!((b.decoded, b.device, b.link, b.undecoded, b.before), (8, 10, 10, 3, near.into()));
        assert_eq!((b.emitted, b.boots, b.frames_lost), (u64::from(near) + 10 + 10 + 11, 2, 3));
        assert!(b.balances());
    }

    #[test]
    fn a_reset_without_a_new_epoch_is_seen() {
        let mut ledger = FrameLedger::default();
        ledger.frame(&header(0, 0, 0, 0));
        ledger.read(0, true);
        ledger.frame(&header(0, 1, 0, 0));
        ledger.read(9, true);
        let step = ledger.frame(&header(0, 0, 0, 0));
        assert_eq!(step.boot.map(|b| b.cause), Some(BootCause::Sequence));
        assert_eq!(ledger.balance().boots, 2);
        assert!(ledger.balance().balances());
    }

    #[test]
    fn a_device_that_contradicts_itself_does_not_balance() {
        let mut ledger = FrameLedger::default();
        ledger.frame(&header(0, 0, 0, 0));
        ledger.read(9, true);
        ledger.frame(&header(0, 1, 3, 0));
        assert!(ledger.balance().balances(), "what was decoded was emitted");
        assert_eq!(ledger.balance().emitted, 9);
    }
}
