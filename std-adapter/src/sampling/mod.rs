//! Decides which traces are kept.

use std::sync::atomic::{AtomicU64, Ordering};
use throughline::TraceId;
use throughline::adapter::recorder;

/// The share of the traces that begin here, as the bits of an `f64`.
static SHARE: AtomicU64 = AtomicU64::new(1f64.to_bits());

/// Records this share of the traces that begin here.
pub(crate) fn set_share(share: f64) {
    SHARE.store(share.to_bits(), Ordering::Relaxed);
    recorder::set_sample_ratio(share);
}

fn share() -> f64 {
    f64::from_bits(SHARE.load(Ordering::Relaxed))
}

/// The probability to tell other processes with a trace that began here and is sampled. `None` if it is 1 or not
/// known.
pub(crate) fn told_probability() -> Option<f64> {
    Some(share()).filter(|share| *share < 1.0)
}

/// Whether a trace is in the share of the traces that begin here.
pub(crate) fn is_in_share(trace: TraceId) -> bool {
    is_in(trace, share())
}

/// Whether a trace is in this share. Every process decides in the same way, by the trace's id alone (W3C Trace Context
/// level 2).
fn is_in(trace: TraceId, share: f64) -> bool {
    /// The number of values that the random part of an id can have.
    const RANDOM: u64 = 1 << 56;
    let random = u128::from_be_bytes(trace.to_bytes()) as u64 % RANDOM;
    // The cast saturates, and turns NaN into 0.
    random >= ((1.0 - share) * RANDOM as f64) as u64
}
