//! Which traces are recorded: asked once, when a trace's first span here begins, and kept for all below it.

use super::{get, id_key};
use crate::callsite::{Blob, CallsiteId};
use crate::ring::Word;
use crate::sync::{AtomicWord, Relaxed, Release};
use crate::{Level, SpanKind, TraceContext, TraceId};
use core::sync::atomic::{AtomicPtr, Ordering};

/// Decides which traces are recorded. Counters and histograms count everything all the same, and so do events: they are recorded by their own
/// level, and say that their trace is not.
///
/// It is asked in the thread that begins the span, so it must be quick, and must not record. A device installs a static:
///
/// ```
/// use throughline::sampler::{NewTrace, Sampler, Sampling, set_sampler};
///
/// struct Errands;
/// impl Sampler for Errands {
///     fn sample(&self, trace: &NewTrace) -> Sampling {
///         if trace.name() == Some("heartbeat") { Sampling::Drop } else { Sampling::Record }
///     }
/// }
/// static ERRANDS: &dyn Sampler = &Errands;
/// set_sampler(&ERRANDS);
/// ```
pub trait Sampler: Sync {
    /// Whether the spans of this trace are recorded.
    fn sample(&self, trace: &NewTrace) -> Sampling;
}

/// A sampler's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sampling {
    /// The spans of the trace are recorded.
    Record,
    /// They are not: they are counted, and cost next to nothing.
    Drop,
}

/// What a [`Sampler`] is told of a trace: its first span in this process.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewTrace {
    /// The trace's id: of a remote parent's trace when there is one.
    pub trace_id: TraceId,
    /// The remote parent, with the flag that says whether its process records the trace; `None` of a trace that begins here.
    pub remote: Option<TraceContext>,
    callsite: CallsiteId,
}

impl NewTrace {
    /// The name of the span that begins; `None` on a microcontroller, where names are not in memory. Cost: a walk over the
    /// callsites seen so far.
    pub fn name(&self) -> Option<&'static str> {
        self.blob().map(|blob| blob.name)
    }

    /// Module path of the code that begins the span; as for [`NewTrace::name`].
    pub fn target(&self) -> Option<&'static str> {
        self.blob().map(|blob| blob.target)
    }

    /// The role of the span that begins; as for [`NewTrace::name`].
    pub fn kind(&self) -> Option<SpanKind> {
        self.blob().map(|blob| blob.span_kind)
    }

    /// The level of the span that begins; as for [`NewTrace::name`], but known on a microcontroller too.
    pub fn level(&self) -> Option<Level> {
        #[cfg(not(registered_callsites))]
        return Level::from_u8(self.callsite.level);
        #[cfg(registered_callsites)]
        self.blob().and_then(|blob| blob.level)
    }

    /// The callsite's id, as records have it.
    pub fn callsite(&self) -> u32 {
        self.callsite.id
    }

    /// A number from 0 to below 2^56 that every process makes of the trace's id in the same way (W3C Trace Context level 2): samplers that compare it with
    /// a threshold agree with each other.
    pub fn randomness(&self) -> u64 {
        randomness(self.trace_id)
    }

    fn blob(&self) -> Option<Blob<'static>> {
        #[cfg(registered_callsites)]
        {
            let mut found = None;
            crate::callsite::registry::for_each(|site| {
                if site.id() == self.callsite.id {
                    found = Some(site.blob());
                }
            });
            found
        }
        #[cfg(not(registered_callsites))]
        None
    }
}

/// Records every trace.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysOn;

impl Sampler for AlwaysOn {
    fn sample(&self, _: &NewTrace) -> Sampling {
        Sampling::Record
    }
}

/// Records no trace.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysOff;

impl Sampler for AlwaysOff {
    fn sample(&self, _: &NewTrace) -> Sampling {
        Sampling::Drop
    }
}

/// Records a share of all traces, decided by the trace's id: processes with the same share record the same traces, and one with a larger share records
/// those of the smaller and more.
#[derive(Clone, Copy, Debug)]
pub struct TraceIdRatio {
    /// Traces whose [`NewTrace::randomness`] is below are not recorded.
    rejected_below: u64,
}

impl TraceIdRatio {
    /// The share of traces to record, 0.0 to 1.0.
    pub fn new(ratio: f64) -> TraceIdRatio {
        // The cast saturates, and makes 0 of what is no number.
        TraceIdRatio { rejected_below: ((1.0 - ratio) * RANDOM as f64) as u64 }
    }
}

impl Sampler for TraceIdRatio {
    fn sample(&self, trace: &NewTrace) -> Sampling {
        if trace.randomness() >= self.rejected_below { Sampling::Record } else { Sampling::Drop }
    }
}

/// Follows the decision of the remote parent; asks another sampler about traces that begin here.
#[derive(Clone, Copy, Debug)]
pub struct ParentBased<S>(
    /// Who is asked about traces that begin here.
    pub S,
);

impl<S: Sampler> Sampler for ParentBased<S> {
    fn sample(&self, trace: &NewTrace) -> Sampling {
        match trace.remote {
            Some(remote) if remote.sampled() => Sampling::Record,
            Some(_) => Sampling::Drop,
            None => self.0.sample(trace),
        }
    }
}

/// How many values [`NewTrace::randomness`] has.
const RANDOM: u64 = 1 << 56;
/// Bits by which randomness is cut to compare it with [`REJECTED_BELOW`].
const CUT: u32 = if Word::BITS == 64 { 0 } else { 25 };
/// In [`REJECTED_BELOW`]: the sampler is asked.
const ASK: Word = Word::MAX;

/// Traces whose randomness, less its last [`CUT`] bits, is below this are not recorded. 0, as it is at first, records all.
static REJECTED_BELOW: AtomicWord = AtomicWord::new(0);
static SAMPLER: AtomicPtr<&'static dyn Sampler> = AtomicPtr::new(core::ptr::null_mut());

/// Records from now on the traces that `sampler` chooses. It is asked about every trace that begins here, and about the spans directly below a remote
/// parent. Traces that have begun keep the decision that was made for them.
///
/// Before, all traces that begin here are recorded, and below a remote parent what its flag says. Cost: a few stores.
pub fn set_sampler(sampler: &'static &'static dyn Sampler) {
    crate::linked::SPECIAL_TRACES.set();
    SAMPLER.store(core::ptr::from_ref(sampler).cast_mut(), Ordering::Release);
    REJECTED_BELOW.store(ASK, Release);
    // Where it goes the short way when nothing is current, it must be led off it.
    if let Some(recorder) = get() {
        recorder.lead_outside();
    }
}

/// Records this share of the traces that begin here, 0.0 to 1.0, as [`TraceIdRatio`] chooses, and below a remote parent what its flag says: the same as
/// [`ParentBased`] over [`TraceIdRatio`] as a sampler, but without a call.
#[cfg(feature = "std")]
pub fn set_sample_ratio(ratio: f64) {
    REJECTED_BELOW.store((TraceIdRatio::new(ratio).rejected_below >> CUT) as Word, Relaxed);
}

/// Whether the spans directly below a remote parent are asked about.
#[inline(always)]
pub(super) fn asks_below_remote() -> bool {
    REJECTED_BELOW.load(Relaxed) == ASK
}

/// Whether the trace is recorded whose root has this id, without marks, or which goes on from a remote parent.
#[inline]
pub(crate) fn samples(
    callsite: CallsiteId,
    root: Word,
    remote: impl FnOnce() -> Option<TraceContext>,
) -> bool {
    let below = REJECTED_BELOW.load(Relaxed);
    if below == 0 || below == (RANDOM >> CUT) as Word {
        return below == 0;
    }
    let remote = remote();
    let trace_id = remote.map_or_else(|| id_key().trace_id(root as u64), |remote| remote.trace_id);
    if below != ASK {
        return (randomness(trace_id) >> CUT) as Word >= below;
    }
    // SAFETY: only `set_sampler` stores here, and it stores a reference that lives for ever.
    let sampler = unsafe { SAMPLER.load(Ordering::Acquire).cast_const().as_ref() };
    sampler.is_none_or(|it| it.sample(&NewTrace { trace_id, remote, callsite }) == Sampling::Record)
}

fn randomness(id: TraceId) -> u64 {
    let [.., a, b, c, d, e, f, g] = id.to_bytes();
    u64::from_be_bytes([0, a, b, c, d, e, f, g])
}
