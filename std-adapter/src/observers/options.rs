//! All observers, and what they share.

use super::Listener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::PushUrlError;

/// Observers, and what they share.
#[derive(Clone, Debug)]
pub struct Observers {
    pub(super) listeners: Vec<Listener>,
    pub(super) state_file: Option<PathBuf>,
    pub(super) save_every: Duration,
}

impl Default for Observers {
    fn default() -> Observers {
        Observers { listeners: Vec::new(), state_file: None, save_every: Duration::from_secs(1) }
    }
}

impl Observers {
    /// No observer yet.
    pub fn new() -> Observers {
        Observers::default()
    }

    /// Adds an observer.
    #[must_use]
    pub fn listen(mut self, listener: Listener) -> Observers {
        self.listeners.push(listener);
        self
    }

    /// The file that keeps sequences, windows, cooldowns and the actions that wait, so that a restart resumes them. The default is none. Its folder is
    /// created if it does not exist. A file is for one process: a second one says that another program uses it, goes on without, and takes it over
    /// when that has ended. An action that was running when the process was killed is run again.
    #[must_use]
    pub fn state_file(self, path: impl Into<PathBuf>) -> Observers {
        Observers { state_file: Some(path.into()), ..self }
    }

    /// How often the state file is written at most, while something changes. The default is 1 s. What a killed process has found since then is found
    /// neither again nor any more.
    #[must_use]
    pub fn save_every(self, interval: Duration) -> Observers {
        Observers { save_every: interval, ..self }
    }

    /// Whether there is no observer.
    pub(crate) fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Whether an observer has this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.listeners.iter().any(|listener| &*listener.name == name)
    }

    /// Finds what is wrong with them.
    pub(crate) fn check(&self) -> Result<(), ObserverError> {
        let mut names: Vec<&Arc<str>> = self.listeners.iter().map(|listener| &listener.name).collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ObserverError::Twice { name: pair[0].to_string() });
        }
        self.listeners.iter().try_for_each(|listener| listener.prepared().map(drop))
    }
}

/// Observers cannot work like this.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ObserverError {
    /// What an observer looks for is wrong.
    #[error("the observer `{observer}`: {why}")]
    Condition {
        /// Its name.
        observer: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// Two observers have one name.
    #[error("there are two observers `{name}`; give each its own name")]
    Twice {
        /// The name.
        name: String,
    },
    /// An action's URL is wrong.
    #[error(transparent)]
    Url(#[from] PushUrlError),
}

throughline_export::__debug_as_display!(ObserverError);
