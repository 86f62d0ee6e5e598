//! A profile of the process, now.

use super::{Action, Match};
use crate::profiling::{ProfileError, start_profiling, stop_profiling};
use std::time::Duration;
use throughline_export::ledger::DropReason;
use throughline_export::{Deadline, ExportError};

/// Profiles the process for a time, into the folder of [`Config::profiling`](crate::Config::profiling) or of the file. While a session runs already, there
/// is nothing to do: its next profile has this time in it.
#[derive(Clone, Debug)]
pub struct Profile(Duration);

impl Profile {
    /// Profiles for this time.
    pub fn new(time: Duration) -> Profile {
        Profile(time)
    }
}

impl Action for Profile {
    fn run(&mut self, _found: &Match, deadline: &Deadline) -> Result<(), ExportError> {
        let failed = |why: String| ExportError::new(DropReason::Refused, 1, why);
        match start_profiling() {
            Ok(()) => {}
            Err(ProfileError::AlreadyRunning) => return Ok(()),
            Err(error) => return Err(failed(format!("the process is not profiled: {error}"))),
        }
        // At the end of the process the profile is shorter.
        deadline.pause(self.0);
        stop_profiling()
            .map(drop)
            .map_err(|error| failed(format!("the profile could not be written: {error}")))
    }

    fn longest(&self, patience: Duration) -> Duration {
        patience.saturating_add(self.0)
    }
}
