//! What is done about what an observer has found.

mod command;
mod count;
mod dump;
#[cfg(feature = "events-kafka")]
mod kafka;
mod log_line;
#[cfg(profiled)]
mod profile;
mod sample;
mod webhook;

pub use command::RunCommand;
pub use count::Count;
pub use dump::Dump;
#[cfg(feature = "events-kafka")]
pub use kafka::KafkaRecord;
pub use log_line::LogLine;
#[cfg(profiled)]
pub use profile::Profile;
pub use sample::Sample;
pub use webhook::Webhook;

use super::Match;
use super::recent::Recent;
use crate::pump::Control;
use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use throughline_export::{Deadline, ExportError, Resource};

/// Does something about what was found. [`Listener::action`](super::Listener::action) gives it a thread.
pub trait Action: Send + 'static {
    /// Does it before the deadline. It may block. The deadline is drawn nearer when the process ends.
    ///
    /// # Errors
    ///
    /// Why it was not done, for the ledger and the operator. If the reason is [`DropReason::Unreachable`](crate::DropReason::Unreachable), it is tried
    /// again until the deadline.
    fn run(&mut self, found: &Match, deadline: &Deadline) -> Result<(), ExportError>;

    /// How long it may take where an observer's actions have this [patience](super::Listener::patience).
    fn longest(&self, patience: Duration) -> Duration {
        patience
    }

    /// Called once, before it runs, with what the process offers to this library's own actions.
    #[doc(hidden)]
    fn begin(&mut self, place: &Place) {
        let _ = place;
    }

    /// Whether it wants the records of the last moments to be kept, and how many bytes of them.
    #[doc(hidden)]
    fn keeps(&self) -> usize {
        0
    }
}

/// A function is an action.
impl<F> Action for F
where
    F: FnMut(&Match, &Deadline) -> Result<(), ExportError> + Send + 'static,
{
    fn run(&mut self, found: &Match, deadline: &Deadline) -> Result<(), ExportError> {
        self(found, deadline)
    }
}

/// What the process offers to actions.
#[doc(hidden)]
#[derive(Clone)]
pub struct Place {
    pub(in crate::observers) resource: Resource,
    pub(in crate::observers) recent: Arc<Recent>,
    pub(in crate::observers) pump: Sender<Control>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// An action that is kept until `init` takes it.
#[derive(Clone)]
pub(super) struct Given(Arc<Mutex<Option<Box<dyn Action>>>>);

impl Given {
    pub(super) fn new(action: impl Action) -> Given {
        Given(Arc::new(Mutex::new(Some(Box::new(action)))))
    }

    pub(super) fn take(&self) -> Option<Box<dyn Action>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}
