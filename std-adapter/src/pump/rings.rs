//! The readers of the rings, which the pump shares with whoever ends recording. If the pump does not come back in
//! time, for example because the program's own clock hangs, its records are counted without it.

use super::Drain;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use throughline_export::ledger::{Cells, DropReason};

/// The readers; `None` when somebody has taken them for good.
#[derive(Debug)]
pub(crate) struct Rings(Mutex<Option<Drain>>);

impl Default for Rings {
    fn default() -> Rings {
        Rings(Mutex::new(Some(Drain::default())))
    }
}

impl Rings {
    /// The readers, for the length of a round.
    pub(super) fn hold(&self) -> MutexGuard<'_, Option<Drain>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the readers from a pump that ends, unless they were taken from it.
    pub(super) fn leave(&self, cells: Arc<Cells>, reason: DropReason) {
        if let Some(drain) = self.hold().take() {
            crate::ended::leave(drain, cells, reason);
        }
    }

    /// Takes the readers from a pump that does not come back, and counts as dropped what is in the rings and what the
    /// pump holds. The pump does nothing more. Returns false if nobody knows what is there: the pump has been in one
    /// round for as long as `within`.
    pub(crate) fn seize(&self, cells: &Arc<Cells>, within: Duration) -> bool {
        let begun = Instant::now();
        let mut drain = loop {
            match self.0.try_lock() {
                Ok(drain) => break drain,
                Err(TryLockError::Poisoned(drain)) => break drain.into_inner(),
                Err(TryLockError::WouldBlock) if begun.elapsed() >= within => return false,
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        if let Some(mut drain) = drain.take() {
            let round = drain.round(cells, |_, _| {}, |_| {});
            cells.pump.input(round.records);
            for hop in [&cells.pump, &cells.tail_sampler] {
                hop.dropped(DropReason::Shutdown, hop.read().pending);
            }
            crate::ended::leave(drain, Arc::clone(cells), DropReason::Ended);
        }
        true
    }
}
