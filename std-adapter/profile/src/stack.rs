//! The parts of a profile: stacks of addresses, where they end, and what tells samples of one stack apart.

use std::ops::Range;
use throughline::{SpanId, TraceId};

/// An executable or a library that is or was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// The file; empty for the code that the kernel provides (`[vdso]`).
    pub(crate) path: String,
    /// What the file is called in reports.
    pub(crate) name: String,
    /// Addresses of its code in memory.
    pub(crate) code: Range<u64>,
    /// An address in memory is one in the file plus this.
    pub(crate) bias: u64,
    /// The GNU build id.
    pub(crate) build_id: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Frame {
    /// The module whose code this is, in `Profile::modules`.
    pub(crate) module: Option<u32>,
    /// The address in the module's file; in memory if there is no module.
    pub(crate) address: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stack {
    /// The innermost first.
    pub(crate) frames: Box<[Frame]>,
    pub(crate) end: End,
}

/// What distinguishes samples of the same stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Labels {
    /// The thread, in `Profile::threads`.
    pub(crate) thread: Option<u32>,
    pub(crate) place: Option<(TraceId, SpanId)>,
    /// Further ones, in `Profile::label_sets`.
    pub(crate) set: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) stack: u32,
    pub(crate) labels: Labels,
    /// In the order of `Profile::measures`.
    pub(crate) values: [u64; 4],
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    /// At the outermost function of the thread.
    Complete,
    /// After the most frames that are walked.
    TooDeep,
    /// At code of no known module: made at run time, or of a library that was loaded a moment ago.
    UnknownCode,
    /// At a frame whose caller could not be found.
    Failed,
}

impl End {
    pub(crate) const ALL: [End; 4] = [End::Complete, End::TooDeep, End::UnknownCode, End::Failed];

    /// The frame that stands for the missing ones in reports.
    pub(crate) fn marker(self) -> Option<&'static str> {
        match self {
            End::Complete => None,
            End::TooDeep => Some("[cut: too deep]"),
            End::UnknownCode => Some("[cut: unknown code]"),
            End::Failed => Some("[cut: no caller found]"),
        }
    }
}
