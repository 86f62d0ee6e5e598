//! Ends a thread that works at an interval.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Shared by the thread and by whoever ends it.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    is_ending: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(crate) fn stop(&self) {
        *self.is_ending.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until then. Returns false if the end came first.
    pub(crate) fn wait(&self, until: Instant) -> bool {
        let is_ending = self.is_ending.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(is_ending, left, |is_ending| !*is_ending);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
