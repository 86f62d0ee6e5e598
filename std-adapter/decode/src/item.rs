//! The items that a decoder gives out: borrowed views of records with their callsites, and what went wrong
//! between them.

use throughline::adapter::{IdKey, LossReason};
use throughline::{SpanId, Status, TraceContext, TraceId};

use crate::bytes::Malformed;
use crate::callsite::Callsite;
use crate::clock::ClockMap;
use crate::clock_watch::ClockFault;
use crate::elf::BuildIdMismatch;
use crate::fields::Fields;
use crate::ledger::{Balance, Boot, Gap};
use crate::points::Snapshot;
use crate::preamble::Preamble;
use crate::samples::Samples;
use crate::stream::SkipReason;
use crate::time::Time;

/// A decoded item. Items come in stream order. `'elf` is the lifetime of the ELF, `'f` that of the frame.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Item<'elf, 'f> {
    /// A boot or the stream begins.
    Boot(Boot),
    /// The device sent its identity.
    Preamble(&'f Preamble),
    /// A finished span.
    Span(Span<'elf, 'f>),
    /// An event.
    Event(Event<'elf, 'f>),
    /// Fields added to a span after it began.
    Fields(Event<'elf, 'f>),
    /// A remote parent was attached.
    Attach(Attach),
    /// A remote parent was detached.
    Detach(Detach),
    /// A reading of the clock, in ticks.
    Clock(u64),
    /// Where the device's program was, as a timer found it.
    Samples(Samples<'f>),
    /// The device set its wall clock. Later times use the new clock; earlier times stay.
    ClockSet {
        /// By how many nanoseconds; negative if it was set back.
        by_ns: i64,
    },
    /// Records were lost on the device.
    Loss(Loss),
    /// Frames are missing because the link lost or damaged them.
    Link(Gap),
    /// A snapshot of the metrics.
    Metrics(Snapshot<'elf>),
    /// Something that could not be read.
    Damage(Damage),
}

/// A finished span. Times are in ticks; [`Context::time`] maps them to Unix time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Span<'elf, 'f> {
    /// Where in the program it was made.
    pub callsite: Callsite<'elf>,
    /// Local id.
    pub id: u64,
    /// Local id of its parent.
    pub parent: Option<u64>,
    /// Local id of its trace's root; its own for a root.
    pub root: u64,
    /// Ticks since boot.
    pub start: u64,
    /// Length in ticks.
    pub duration: u64,
    /// How it ended.
    pub status: Status,
    /// For an async span: how many ticks its future was being polled.
    pub busy: Option<u64>,
    /// Its fields.
    pub fields: Fields<'elf, 'f>,
}

/// An event, or fields added to a span.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'elf, 'f> {
    /// Where in the program it was made.
    pub callsite: Callsite<'elf>,
    /// Ticks since boot.
    pub time: u64,
    /// Local ids of its span and of that span's root; `None` outside of spans.
    pub span: Option<(u64, u64)>,
    /// Whether the spans of its trace are recorded.
    pub sampled: bool,
    /// Its fields.
    pub fields: Fields<'elf, 'f>,
}

/// A remote parent and the local id that stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attach {
    /// Ticks since boot.
    pub time: u64,
    /// The local id that stands for the remote span.
    pub id: u64,
    /// The remote span; `None` if the device sent an id of zeros.
    pub remote: Option<TraceContext>,
}

/// The end of a remote parent's guard. Servers record it; devices do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detach {
    /// Ticks since boot.
    pub time: u64,
    /// The local id that stands for the remote span.
    pub id: u64,
    /// Whether a future or context made earlier may carry the parent elsewhere, so that later spans may
    /// belong to the remote trace.
    pub held: bool,
}

/// Records lost on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The reason, if this decoder knows it.
    pub reason: Option<LossReason>,
    /// Number of records lost.
    pub count: u64,
    /// Ticks of the first loss.
    pub first: u64,
}

/// Something that could not be read. What comes before and after it is still valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Offset of the frame or run of bytes in the stream, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageKind {
    /// Bytes that are not a frame.
    #[error("{0}")]
    Skipped(SkipReason),
    /// A frame whose CRC is right but whose body is malformed.
    #[error("malformed frame: {0}")]
    Malformed(Malformed),
    /// A frame of another version of the format.
    #[error("wire format version {0}; this decoder knows version 1, use a newer one")]
    Version(u8),
    /// A frame of an unknown type.
    #[error("unknown frame type {0}; use a newer decoder")]
    FrameType(u8),
    /// Records of an extended kind that this decoder does not know; reported once per kind. They are skipped,
    /// and everything else is still valid.
    #[error(
        "records of kind {0}, which this decoder does not know, are skipped; use a newer decoder to see them"
    )]
    RecordKind(u8),
    /// A callsite that the ELF does not have; reported once per id.
    #[error("no callsite {0:#x} of that kind in the ELF; pass the ELF of the build that runs on the device")]
    Callsite(u64),
    /// A static string that the ELF does not have; reported once per callsite id.
    #[error(
        "a static string of callsite {0:#x} is not in the ELF; pass the ELF of the build that runs on the device"
    )]
    Text(u64),
    /// The device's clock does not work, so its times and durations are wrong; reported once per boot.
    #[error("{0}")]
    Clock(ClockFault),
    /// The ELF belongs to another build. Names are withheld, because they would be wrong.
    #[error("{0}")]
    BuildId(BuildIdMismatch),
}

impl Damage {
    /// Whether it is not damage, but the start of a stream that was joined within a frame.
    pub fn is_late_join(&self) -> bool {
        self.kind == DamageKind::Skipped(SkipReason::PartialStart)
    }
}

/// What is known about the device at an item: its identity and its clock.
#[derive(Clone, Debug)]
pub struct Context {
    /// Boot epoch.
    pub epoch: u32,
    /// Number of boots in the stream before this one.
    pub boot: u32,
    /// The identity of the device, once it was sent.
    pub preamble: Option<Preamble>,
    /// Its clock.
    pub clock: ClockMap,
    /// Where the records of this boot went, up to the item's frame. With an [`Item::Boot`], this is the final
    /// balance of the boot before.
    pub balance: Balance,
    pub(crate) key: IdKey,
}

impl Context {
    /// W3C id of the span with this local id.
    pub fn span_id(&self, id: u64) -> SpanId {
        self.key.span_id(id)
    }

    /// W3C id of the trace whose root has this local id and is not a remote parent.
    pub fn trace_id(&self, root: u64) -> TraceId {
        self.key.trace_id(root)
    }

    /// The time at `ticks` since boot.
    pub fn time(&self, ticks: u64) -> Time {
        self.clock.time(ticks)
    }

    /// Converts ticks to nanoseconds.
    pub fn duration_ns(&self, ticks: u64) -> u64 {
        self.clock.duration_ns(ticks)
    }

    /// Width of ids and cells in bits: from the preamble, or 32.
    pub fn word_bits(&self) -> u8 {
        self.preamble.as_ref().map_or(32, |p| p.word_bits)
    }
}
