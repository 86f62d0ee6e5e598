//! Decides which traces are recorded. The decision is made once, when a trace's first span in this process
//! begins, and holds for everything below it.

use super::{get, id_key};
use crate::callsite::{Blob, CallsiteId};
use crate::ring::Word;
use crate::sync::{AtomicWord, Relaxed, Release};
use crate::{Level, SpanKind, TraceContext, TraceId};
use core::sync::atomic::{AtomicPtr, Ordering};

/// Decides which traces are recorded. Metrics are not sampled. Neither are events: they are recorded by their
/// own level, with a mark that their trace is not sampled.
///
/// The sampler is called in the thread that begins the span, so it must be fast and must not record anything.
/// A device installs a static:
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
    /// Whether to record the spans of this trace.
    fn sample(&self, trace: &NewTrace) -> Sampling;
}

/// A sampler's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sampling {
    /// The spans of the trace are recorded.
    Record,
    /// The spans of the trace are recorded, but other processes are told that it is not sampled. An adapter
    /// uses this if it decides again when the trace has ended. On a 32-bit machine this is the same as
    /// [`Sampling::Record`].
    RecordOnly,
    /// The spans of the trace are not recorded. They are counted, and cost almost nothing.
    Drop,
}

/// The information that a [`Sampler`] gets about a trace: its first span in this process.
#[derive(Debug)]
#[non_exhaustive]
pub struct NewTrace {
    /// The trace's id; that of the remote trace if there is a remote parent.
    pub trace_id: TraceId,
    /// The remote parent, whose flags say whether its process records the trace; `None` for a trace that
    /// begins here.
    pub remote: Option<TraceContext>,
    callsite: CallsiteId,
}

impl NewTrace {
    /// The name of the span that begins; `None` on a microcontroller, where names are not in memory. Cost: a
    /// walk over the callsites used so far.
    pub fn name(&self) -> Option<&'static str> {
        self.blob().map(|blob| blob.name)
    }

    /// The module path of the code that begins the span. Availability and cost are those of
    /// [`NewTrace::name`].
    pub fn target(&self) -> Option<&'static str> {
        self.blob().map(|blob| blob.target)
    }

    /// The role of the span that begins. Availability and cost are those of [`NewTrace::name`].
    pub fn kind(&self) -> Option<SpanKind> {
        self.blob().map(|blob| blob.span_kind)
    }

    /// The level of the span that begins. It is also known on a microcontroller, where it costs nothing;
    /// elsewhere the cost is that of [`NewTrace::name`].
    pub fn level(&self) -> Option<Level> {
        #[cfg(not(registered_callsites))]
        return Level::from_u8(self.callsite.level);
        #[cfg(registered_callsites)]
        self.blob().and_then(|blob| blob.level)
    }

    /// The callsite's id, as records contain it.
    pub fn callsite(&self) -> u32 {
        self.callsite.id
    }

    /// A number below 2^56 that every process derives from the trace's id in the same way (W3C Trace Context
    /// level 2). Samplers that compare it with a threshold therefore agree with each other.
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

/// Records a share of all traces, chosen by the trace's id. Processes with the same share record the same
/// traces, and a process with a larger share records all traces of one with a smaller share.
#[derive(Clone, Copy, Debug)]
pub struct TraceIdRatio {
    /// Traces whose [`NewTrace::randomness`] is below this are not recorded.
    rejected_below: u64,
}

impl TraceIdRatio {
    /// A sampler that records this share of the traces, 0.0 to 1.0.
    pub fn new(ratio: f64) -> TraceIdRatio {
        // The cast saturates, and turns NaN into 0.
        TraceIdRatio { rejected_below: ((1.0 - ratio) * RANDOM as f64) as u64 }
    }
}

impl Sampler for TraceIdRatio {
    fn sample(&self, trace: &NewTrace) -> Sampling {
        if trace.randomness() >= self.rejected_below { Sampling::Record } else { Sampling::Drop }
    }
}

/// Follows the decision of the remote parent, and asks another sampler about traces that begin here.
///
/// ```
/// use throughline::sampler::{ParentBased, Sampler, TraceIdRatio, set_sampler};
/// let a_tenth: &'static dyn Sampler = Box::leak(Box::new(ParentBased(TraceIdRatio::new(0.1))));
/// set_sampler(Box::leak(Box::new(a_tenth)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ParentBased<S>(
    /// The sampler for traces that begin here.
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

/// The number of values that [`NewTrace::randomness`] can have.
const RANDOM: u64 = 1 << 56;
/// The number of low bits that are removed from the randomness before it is compared with [`REJECTED_BELOW`].
const CUT: u32 = if Word::BITS == 64 { 0 } else { 25 };
/// In [`REJECTED_BELOW`]: ask the sampler.
const ASK: Word = Word::MAX;

/// Traces whose randomness, without its last [`CUT`] bits, is below this are not recorded. The initial 0
/// records all traces.
static REJECTED_BELOW: AtomicWord = AtomicWord::new(0);
static SAMPLER: AtomicPtr<&'static dyn Sampler> = AtomicPtr::new(core::ptr::null_mut());

/// From now on `sampler` decides which traces are recorded. It is asked about every trace that begins here
/// and about the spans directly below a remote parent. Traces that have already begun keep their decision.
///
/// Without this call all traces that begin here are recorded, and below a remote parent its *sampled* flag
/// decides. Cost: a few stores.
pub fn set_sampler(sampler: &'static &'static dyn Sampler) {
    crate::linked::SPECIAL_TRACES.set();
    crate::linked::SPECIAL_PLACES.set();
    SAMPLER.store(core::ptr::from_ref(sampler).cast_mut(), Ordering::Release);
    REJECTED_BELOW.store(ASK, Release);
    // If nothing is current, the next span must not take the short path, which does not ask the sampler.
    if let Some(recorder) = get() {
        recorder.lead_outside();
    }
}

/// Records this share of the traces that begin here, 0.0 to 1.0, as [`TraceIdRatio`] chooses them; below a
/// remote parent its *sampled* flag decides. This is the same as [`ParentBased`] over [`TraceIdRatio`], but
/// needs no call.
#[cfg(feature = "std")]
pub fn set_sample_ratio(ratio: f64) {
    REJECTED_BELOW.store((TraceIdRatio::new(ratio).rejected_below >> CUT) as Word, Relaxed);
}

/// Whether the sampler must be asked about spans directly below a remote parent.
#[inline(always)]
pub(super) fn asks_below_remote() -> bool {
    REJECTED_BELOW.load(Relaxed) == ASK
}

/// What to do with a trace. `root` is the id of its root, without marks; `remote` gives the remote parent if
/// the trace has one.
#[inline]
pub(crate) fn samples(
    callsite: CallsiteId,
    root: Word,
    remote: impl FnOnce() -> Option<TraceContext>,
) -> Sampling {
    let by = |records| if records { Sampling::Record } else { Sampling::Drop };
    let below = REJECTED_BELOW.load(Relaxed);
    if below == 0 || below == (RANDOM >> CUT) as Word {
        return by(below == 0);
    }
    let remote = remote();
    let trace_id = remote.map_or_else(|| id_key().trace_id(root as u64), |remote| remote.trace_id);
    if below != ASK {
        return by((randomness(trace_id) >> CUT) as Word >= below);
    }
    // SAFETY: only `set_sampler` stores this pointer, and it stores a `'static` reference.
    let sampler = unsafe { SAMPLER.load(Ordering::Acquire).cast_const().as_ref() };
    sampler.map_or(Sampling::Record, |it| it.sample(&NewTrace { trace_id, remote, callsite }))
}

fn randomness(id: TraceId) -> u64 {
    let [.., a, b, c, d, e, f, g] = id.to_bytes();
    u64::from_be_bytes([0, a, b, c, d, e, f, g])
}
