//! Records made after the guard has ended recording. They are not exported, but they are counted. If the
//! guard was dropped before anything was recorded, the first such record prints a message.

use crate::pump::Drain;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use throughline_export::diagnostics;
use throughline_export::ledger::{Cells, DropReason};

/// The readers of the rings, left by the pump when it ended.
static LEFT: Mutex<Option<(Drain, Arc<Cells>, DropReason)>> = Mutex::new(None);
/// How long after `init` the guard was dropped, if nothing had been recorded by then.
static UNUSED: OnceLock<Duration> = OnceLock::new();
static TOLD: AtomicBool = AtomicBool::new(false);

/// Takes the rings from a pump that ends. Whatever is recorded from then on is dropped for `reason`.
pub(crate) fn leave(drain: Drain, cells: Arc<Cells>, reason: DropReason) {
    *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some((drain, cells, reason));
}

/// Counts the records made since the pump ended, or since the last call, as dropped.
pub(crate) fn count() {
    if let Some((drain, cells, reason)) = &mut *LEFT.lock().unwrap_or_else(PoisonError::into_inner) {
        let round = drain.round(cells, |_, _| {}, |_| {});
        cells.pump.input(round.records);
        cells.pump.dropped(*reason, round.records);
    }
}

/// Notes that the guard was dropped this long after `init`, before anything was recorded. A program without
/// anything to record may do that; only a later record shows a mistake.
pub(crate) fn unused(after: Duration) {
    let _ = UNUSED.set(after);
}

/// Called when a thread makes its first record. Prints a message on standard error, once, if the guard was
/// dropped before anything was recorded.
pub(crate) fn tell() {
    if let Some(after) = UNUSED.get()
        && !TOLD.swap(true, Ordering::Relaxed)
    {
        diagnostics::tell(format_args!(
            "nothing is recorded, because the guard of `init` was dropped {after:?} after it was made; bind it to a variable \
             such as `_guard` (`let _ = …` drops it at once), for as long as `main` runs"
        ));
    }
}
