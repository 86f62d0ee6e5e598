//! Who is told of alerts, and how.

use super::Notice;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use throughline_export::{Deadline, ExportError};

/// Tells someone of alerts. [`AlertOptions::notify`](super::AlertOptions::notify) gives it a thread of its own.
pub trait Notifier: Send + 'static {
    /// Delivers a notice before the deadline, and tries again if that makes sense. It may block. The deadline is drawn nearer when the process ends.
    ///
    /// # Errors
    ///
    /// Why nobody was told, for the ledger and the operator. The notice is made again after the interval of its group.
    fn notify(&mut self, notice: &Notice, deadline: &Deadline) -> Result<(), ExportError>;
}

/// A function is a notifier.
impl<F> Notifier for F
where
    F: FnMut(&Notice, &Deadline) -> Result<(), ExportError> + Send + 'static,
{
    fn notify(&mut self, notice: &Notice, deadline: &Deadline) -> Result<(), ExportError> {
        self(notice, deadline)
    }
}

/// A notifier that is kept until `init` takes it.
#[derive(Clone)]
pub(super) struct Given(Arc<Mutex<Option<Box<dyn Notifier>>>>);

impl Given {
    pub(super) fn new(notifier: impl Notifier) -> Given {
        Given(Arc::new(Mutex::new(Some(Box::new(notifier)))))
    }

    pub(super) fn take(&self) -> Option<Box<dyn Notifier>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}
