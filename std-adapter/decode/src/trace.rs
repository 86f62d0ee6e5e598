//! A trace as it is given out: spans below their parents, late fields in their spans, events and losses at
//! their places, with W3C ids and remote parents. [`TraceBuilder`] makes traces.

use std::borrow::Cow;

use throughline::adapter::LossReason;
use throughline::{SpanId, Status, TraceContext, TraceId};

use crate::callsite::Callsite;
use crate::fields::OwnedValue;
use crate::time::Time;
pub use crate::trace_builder::TraceBuilder;

/// The output of a [`TraceBuilder`]: traces or parts of them, and records outside of traces.
#[derive(Clone, Debug)]
pub enum Assembled<'elf> {
    /// A trace, or a part of it.
    Trace(Trace<'elf>),
    /// An event outside of spans.
    Event(OwnedEvent<'elf>),
    /// A loss outside of the traces that were held.
    Loss(Loss),
}

/// The spans of one root and what happened in them, or a part of these if the trace was given out before its
/// root ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trace<'elf> {
    /// Its W3C id: derived, or the remote one if a remote parent was attached. `None` for a remote trace
    /// whose ids are not known, because the record that named them was lost or there were too many remote
    /// parents; no trace id is invented then.
    pub trace_id: Option<TraceId>,
    /// The remote parent, if there is one.
    pub remote: Option<TraceContext>,
    /// How many parts of this trace were given out before this one; usually 0.
    pub part: u32,
    /// Whether its root (for a remote root, its entry span) is in this part. Otherwise the root is still open
    /// or was lost.
    pub complete: bool,
    /// Parents before children, siblings by time. Each entry has its depth, 0 at the top.
    pub entries: Vec<(usize, Entry<'elf>)>,
}

/// One line of a trace.
#[derive(Clone, Debug)]
pub enum Entry<'elf> {
    /// A span.
    Span(OwnedSpan<'elf>),
    /// An event. Its span is the nearest entry above with a smaller depth.
    Event(OwnedEvent<'elf>),
    /// Fields of a span that was not seen, because it was lost or is still open.
    Fields(OwnedEvent<'elf>),
    /// Records lost during the trace.
    Loss(Loss),
}

/// A span with everything known about it.
#[derive(Clone, Debug)]
pub struct OwnedSpan<'elf> {
    /// Where in the program it was made.
    pub callsite: Callsite<'elf>,
    /// Id of its trace; `None` as for [`Trace::trace_id`].
    pub trace_id: Option<TraceId>,
    /// Its W3C id.
    pub span_id: SpanId,
    /// W3C id of its parent, on this device or remote; `None` for a root, and for a remote parent that is not
    /// known.
    pub parent_span_id: Option<SpanId>,
    /// Whether its parent is not on this device.
    pub parent_is_remote: bool,
    /// Whether its parent is on this device but not in this part of the trace: still open, given out before,
    /// or lost.
    pub orphan: bool,
    /// When it began.
    pub start: Time,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// How long its future was being polled, in nanoseconds.
    pub busy_ns: Option<u64>,
    /// How it ended.
    pub status: Status,
    /// Its fields, including those added later.
    pub fields: Vec<(Cow<'elf, str>, OwnedValue)>,
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
}

/// An event (or late fields) with everything known about it.
#[derive(Clone, Debug)]
pub struct OwnedEvent<'elf> {
    /// Where in the program it was made.
    pub callsite: Callsite<'elf>,
    /// W3C id of its trace; `None` outside of spans, and as for [`Trace::trace_id`].
    pub trace_id: Option<TraceId>,
    /// W3C id of its span; `None` outside of spans, and for a remote span that is not known.
    pub span_id: Option<SpanId>,
    /// Whether the spans of its trace are recorded.
    pub sampled: bool,
    /// Its time.
    pub time: Time,
    /// Its fields.
    pub fields: Vec<(Cow<'elf, str>, OwnedValue)>,
    pub(crate) span_local: Option<u64>,
}

/// Records that were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// Time of the first loss. For a loss on the link: time of the record before it, or else of the record
    /// after it.
    pub time: Time,
    /// Number of records.
    pub count: u64,
    /// Where and why they were lost.
    pub cause: LossCause,
}

/// Where records were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossCause {
    /// On the device, for this reason; `None` if this decoder does not know the reason.
    Device(Option<LossReason>),
    /// On the link, in this many frames.
    Link {
        /// Number of frames lost or damaged.
        frames: u64,
    },
}
