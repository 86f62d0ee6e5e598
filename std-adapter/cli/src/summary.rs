//! The summary of a run in one line: what was decoded, lost and damaged.

use std::fmt;

use throughline_decode::{Balance, Counts};

/// The result of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) balance: Balance,
    pub(crate) counts: Counts,
    /// Number of records that belong to a remote trace whose ids are not known.
    pub(crate) unknown_parent: u64,
    /// Whether a signal ended the decode, not the end of the stream.
    pub(crate) interrupted: bool,
}

impl Summary {
    /// Whether the capture had damage, or the link lost frames.
    pub(crate) fn damaged(&self) -> bool {
        self.counts.damage() > 0 || self.balance.frames_lost > 0 || self.balance.undecoded > 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { balance: b, counts: c, .. } = self;
        write!(f, "{} in {}: ", Count(c.frames, "frame"), Count(c.bytes, "byte"))?;
        write!(f, "{} emitted, {} decoded", Count(b.emitted, "record"), b.decoded)?;
        write!(f, ", {} lost on the device, {} on the link", b.device, b.link)?;
        if b.frames_lost > 0 {
            write!(f, " (in {})", Count(b.frames_lost, "frame"))?;
        }
        if b.undecoded > 0 {
            write!(f, ", {} not readable", b.undecoded)?;
        }
        if c.unknown_records > 0 {
            write!(
                f,
                ", {} skipped because this tool is older than the device",
                Count(c.unknown_records, "record")
            )?;
        }
        if self.unknown_parent > 0 {
            write!(f, ", {} of remote traces that are not known", self.unknown_parent)?;
        }
        if b.frames_before > 0 {
            let (records, frames) = (Count(b.before, "record"), Count(b.frames_before, "frame"));
            write!(f, "; joined late, after {records} in {frames}")?;
        }
        if b.boots > 1 {
            write!(f, "; {} boots", b.boots)?;
        }
        let kinds = [
            (c.crc, "frame with a wrong CRC"),
            (c.not_frames, "run of bytes that is not a frame"),
            (c.too_long, "run of bytes longer than a frame"),
            (c.unfinished, "frame cut short at the end"),
            (c.malformed, "malformed frame"),
            (c.unknown_frames, "frame of an unknown version or type"),
            (c.unknown_callsites, "record of an unknown callsite"),
            (c.unknown_texts, "record with an unknown static string"),
            (c.build_ids, "wrong build id"),
            (c.clocks, "clock that does not work"),
        ];
        let mut found = kinds.iter().filter(|(n, _)| *n > 0).peekable();
        if found.peek().is_none() {
            return f.write_str("; no damage");
        }
        f.write_str("; damage: ")?;
        for (i, (n, what)) in found.enumerate() {
            write!(f, "{}{n} × {what}", if i > 0 { ", " } else { "" })?;
        }
        if c.skipped_bytes > 0 {
            write!(f, " ({} skipped)", Count(c.skipped_bytes, "byte"))?;
        }
        Ok(())
    }
}

/// A number with its noun.
struct Count(u64, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}
