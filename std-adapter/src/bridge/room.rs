//! How many series bridges may make, together.

use std::sync::atomic::{AtomicUsize, Ordering};
use throughline::adapter::bridge::MOST_METRICS;

/// The most names that have an overflow series of their own.
pub(super) const MOST_NAMES: usize = 512;
/// The most series, overflow series not counted. The rest of the core's room is for those.
const MOST_SERIES: usize = MOST_METRICS - MOST_NAMES;

static MADE: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Takes the room of a series, if there is any left.
pub(super) fn take() -> bool {
    MADE.load(Ordering::Relaxed) < MOST_SERIES && MADE.fetch_add(1, Ordering::Relaxed) < MOST_SERIES
}

/// Counts a label set that has to share its name's overflow series, or a metric that is not counted at all.
pub(super) fn refuse() {
    REFUSED.fetch_add(1, Ordering::Relaxed);
}

/// How often that happened.
pub(super) fn refused() -> usize {
    REFUSED.load(Ordering::Relaxed)
}
