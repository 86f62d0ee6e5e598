//! A trace as it is given out: spans under their parents, late fields in their spans, events and losses in their places, W3C ids
//! derived and remote parents put in. [`TraceBuilder`] makes them.

use throughline::adapter::LossReason;
use throughline::{SpanId, Status, TraceContext, TraceId};

use crate::callsite::Callsite;
use crate::fields::OwnedValue;
use crate::time::Time;
pub use crate::trace_builder::TraceBuilder;

/// What comes out: traces or parts of them, and what belongs to none.
#[derive(Clone, Debug)]
pub enum Assembled<'elf> {
    /// A trace, or a part of it.
    Trace(Trace<'elf>),
    /// An event outside any span.
    Event(OwnedEvent<'elf>),
    /// A loss that happened within no trace held.
    Loss(Loss),
}

/// The spans of one root, and what happened in them; or a part of them, when the trace was too long to be held as a whole.
#[derive(Clone, Debug)]
pub struct Trace<'elf> {
    /// Its W3C id: derived, or the remote one when a remote parent was attached. `None` when it is a remote trace whose ids are not known,
    /// because the record that named them was lost, or was one of too many: no trace is made up then.
    pub trace_id: Option<TraceId>,
    /// The remote parent, when there is one.
    pub remote: Option<TraceContext>,
    /// Parts of this trace that were given out before this one; 0 is the usual case.
    pub part: u32,
    /// Whether its root (or of a remote parent's trace, its entry span) is in this part. Otherwise the root is still open, or was lost.
    pub complete: bool,
    /// Parents before children, siblings in order of time; with each its depth, 0 at the top.
    pub entries: Vec<(usize, Entry<'elf>)>,
}

/// One line of a trace.
#[derive(Clone, Debug)]
pub enum Entry<'elf> {
    /// A span.
    Span(OwnedSpan<'elf>),
    /// An event in the span above it with a smaller depth.
    Event(OwnedEvent<'elf>),
    /// Fields of a span that was not seen: lost, or still open.
    Fields(OwnedEvent<'elf>),
    /// Records lost while the trace went on.
    Loss(Loss),
}

/// A span with everything known of it.
#[derive(Clone, Debug)]
pub struct OwnedSpan<'elf> {
    /// Where in the program.
    pub callsite: Callsite<'elf>,
    /// Its trace; `None` as of [`Trace::trace_id`].
    pub trace_id: Option<TraceId>,
    /// Its W3C id.
    pub span_id: SpanId,
    /// Its parent's, here or remote; `None` of a root, and of a remote parent that is not known.
    pub parent_span_id: Option<SpanId>,
    /// Whether its parent is not on this device.
    pub parent_is_remote: bool,
    /// Whether its parent is on this device and not in this part of the trace: still open, given out before, or lost.
    pub orphan: bool,
    /// When it began.
    pub start: Time,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// How long its future was being polled, in nanoseconds.
    pub busy_ns: Option<u64>,
    /// How it ended.
    pub status: Status,
    /// Its fields, those added later included.
    pub fields: Vec<(&'elf str, OwnedValue)>,
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
}

/// An event (or late fields) with everything known of it.
#[derive(Clone, Debug)]
pub struct OwnedEvent<'elf> {
    /// Where in the program.
    pub callsite: Callsite<'elf>,
    /// The W3C id of its trace; `None` outside any span, and as of [`Trace::trace_id`].
    pub trace_id: Option<TraceId>,
    /// The W3C id of its span; `None` outside any span, and of a remote span that is not known.
    pub span_id: Option<SpanId>,
    /// Whether the spans of its trace are recorded.
    pub sampled: bool,
    /// When.
    pub time: Time,
    /// Its fields.
    pub fields: Vec<(&'elf str, OwnedValue)>,
    pub(crate) span_local: Option<u64>,
}

/// Records that were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// When the first was lost; of a loss on the link, when the record before it was made, or else the one after it.
    pub time: Time,
    /// How many.
    pub count: u64,
    /// Where and why.
    pub cause: LossCause,
}

/// Where records were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossCause {
    /// On the device, for a reason this decoder may not know.
    Device(Option<LossReason>),
    /// On the link, with so many frames.
    Link {
        /// Frames lost or damaged.
        frames: u64,
    },
}
