//! Decides which traces are kept: at their beginning, where [`Head`] is asked by the recorder, and at their end, by the
//! stage [`sample`](crate::pump) of the pump. Both follow the same [`Plan`].

mod adaptive;
mod ceiling;
mod plan;
mod raised;
mod rate;

pub(crate) use adaptive::{Controller, STEPS_PER_SECOND};
pub(crate) use ceiling::Ceiling;
pub(crate) use plan::{Buffer, Names, Plan, Settings};
pub(crate) use raised::lower;
#[cfg(feature = "observers")]
pub(crate) use raised::raise;

use crate::config::SharedSampler;
use crate::published::Published;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use throughline::TraceId;
use throughline::adapter::recorder;
use throughline::sampler::{NewTrace, Sampler, Sampling, set_sampler};

/// The share of the traces that begin here and that no rule is about, as the bits of an `f64`.
static SHARE: AtomicU64 = AtomicU64::new(1f64.to_bits());
/// Whether the recorder asks [`Head`], and does not compare ids with the share itself.
static IS_ASKED: AtomicBool = AtomicBool::new(false);
static PLAN: Published<Plan> = Published::new();
/// How often the plan has changed.
static CHANGES: AtomicUsize = AtomicUsize::new(0);

/// Whether records say what other processes were told about their trace. A 32-bit machine has no room for it, so there
/// the id decides again, by the share.
pub(crate) const IS_RECORDED: bool = cfg!(target_pointer_width = "64");

/// Asked by the recorder about each trace, unless the share alone decides.
struct Head;

static HEAD: &dyn Sampler = &Head;

impl Sampler for Head {
    fn sample(&self, trace: &NewTrace) -> Sampling {
        match PLAN.get() {
            Some(plan) => plan.at_beginning(trace, share()),
            None => Sampling::Record,
        }
    }
}

/// Makes these settings count for traces that begin from now on. `share` is the share of the traces that no rule is
/// about.
pub(crate) fn install(settings: &Settings, share: f64, custom: Option<SharedSampler>) {
    SHARE.store(share.to_bits(), Ordering::Relaxed);
    raised::install(settings, custom);
}

/// Makes this plan count.
fn publish(plan: &'static Plan, custom: Option<SharedSampler>) {
    let is_asked = plan.is_asked();
    IS_ASKED.store(is_asked, Ordering::Relaxed);
    PLAN.set_static(plan);
    set_share(share());
    match custom {
        Some(sampler) if !is_asked => set_sampler(sampler.0),
        _ if is_asked => set_sampler(&HEAD),
        _ => {}
    }
}

/// The plan, and how often it has changed.
pub(crate) fn plan() -> (Option<&'static Plan>, usize) {
    let changes = CHANGES.load(Ordering::Acquire);
    (PLAN.get(), changes)
}

/// Keeps this share of the traces that begin from now on.
pub(crate) fn set_share(share: f64) {
    SHARE.store(share.to_bits(), Ordering::Relaxed);
    if !IS_ASKED.load(Ordering::Relaxed) {
        recorder::set_sample_ratio(share);
    }
}

/// The share of the traces that begin here and that no rule is about.
pub(crate) fn share() -> f64 {
    f64::from_bits(SHARE.load(Ordering::Relaxed))
}

/// The probability to tell other processes with a trace that began here and is sampled. `None` if it is 1, or not the
/// same for all traces.
pub(crate) fn told_probability() -> Option<f64> {
    let is_one_for_all = PLAN.get().is_none_or(Plan::has_one_share);
    Some(share()).filter(|share| *share < 1.0 && is_one_for_all)
}

/// Whether other processes are told that a trace is sampled that began here and is recorded.
pub(crate) fn is_told(trace: TraceId) -> bool {
    IS_RECORDED || !PLAN.get().is_some_and(|plan| plan.waits() && plan.has_one_share()) || is_in_share(trace)
}

/// Whether a trace is in the share of the traces that begin here.
pub(crate) fn is_in_share(trace: TraceId) -> bool {
    is_in(trace, share())
}

/// Whether a trace is in this share. Every process decides in the same way, by the random part of the trace's id (W3C
/// Trace Context level 2).
pub(crate) fn is_in(trace: TraceId, share: f64) -> bool {
    is_random_in(u128::from_be_bytes(trace.to_bytes()) as u64 % RANDOM, share)
}

/// Whether a trace with this random number is in this share.
pub(crate) fn is_random_in(random: u64, share: f64) -> bool {
    // The cast saturates, and turns NaN into 0.
    random >= ((1.0 - share) * RANDOM as f64) as u64
}

/// The number of values that the random part of an id can have.
const RANDOM: u64 = 1 << 56;
