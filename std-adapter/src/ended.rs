//! What is recorded after the guard has ended recording: nobody exports it, but it is counted, and told when the guard went before anything
//! was recorded at all.

use crate::pump::Drain;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use throughline_export::ledger::{Cells, DropReason};

/// The readers of the rings, from the pump that is no more.
static LEFT: Mutex<Option<(Drain, Arc<Cells>, DropReason)>> = Mutex::new(None);
/// How long after `init` the guard was dropped, if nothing had been recorded by then.
static UNUSED: OnceLock<Duration> = OnceLock::new();
static TOLD: AtomicBool = AtomicBool::new(false);

/// The pump ends and leaves its rings. What is recorded from then on is dropped for `reason`.
pub(crate) fn leave(drain: Drain, cells: Arc<Cells>, reason: DropReason) {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some((drain, cells, reason));
}

/// Counts what was recorded since the pump ended as dropped.
pub(crate) fn count() {
    if let Some((drain, cells, reason)) = &mut *LEFT.lock().unwrap_or_else(PoisonError::into_inner) {
        let round = drain.round(cells, |_| {}, |_| {});
        cells.pump.input(round.records);
        cells.pump.dropped(*reason, round.records);
    }
}

/// The guard was dropped this long after `init`, before anything was recorded. That is no mistake of a program that had nothing to record; what tells
/// is the next record.
pub(crate) fn unused(after: Duration) {
    let _ = UNUSED.set(after);
}

/// A thread makes its first record: says on standard error, once, when the guard was dropped before anybody had recorded.
pub(crate) fn tell() {
    if let Some(after) = UNUSED.get()
        && !TOLD.swap(true, Ordering::Relaxed)
    {
        let _ = writeln!(
            std::io::stderr(),
            "throughline: nothing is recorded, because the guard of `init` was dropped {after:?} after it was made; bind it to a variable \
             such as `_guard` (`let _ = …` drops it at once), for as long as `main` runs"
        );
    }
}
