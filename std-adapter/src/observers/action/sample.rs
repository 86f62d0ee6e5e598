//! More traces of a route, for a time.

use super::{Action, Match};
use crate::sampling;
use std::time::Duration;
use throughline_export::ledger::DropReason;
use throughline_export::{Deadline, ExportError};

/// Keeps more traces of the route that was found, or of another pattern, for a time.
///
/// The rule goes before those of the configuration, and works as [`Config::sampling_rule`](crate::Config::sampling_rule). At most 16 such rules count at
/// the same time; one more is refused, and so is a 257th different set of them in a process.
#[derive(Clone, Debug)]
pub struct Sample {
    pattern: String,
    share: f64,
    time: Duration,
}

impl Sample {
    /// Keeps this share of the traces, 0 to 1, for this time.
    pub fn new(share: f64, time: Duration) -> Sample {
        Sample { pattern: String::new(), share: share.clamp(0.0, 1.0), time }
    }

    /// The pattern of the traces, whose placeholders are filled in as by [`Match::render`]. The default is the attribute `http.route`, or the name of the
    /// span if it has none.
    #[must_use]
    pub fn pattern(self, pattern: impl Into<String>) -> Sample {
        Sample { pattern: pattern.into(), ..self }
    }
}

impl Action for Sample {
    fn run(&mut self, found: &Match, _deadline: &Deadline) -> Result<(), ExportError> {
        let pattern = match self.pattern.is_empty() {
            true => found.get("http.route").unwrap_or(&found.name).to_owned(),
            false => found.render(&self.pattern),
        };
        sampling::raise(&pattern, self.share, self.time)
            .map_err(|why| ExportError::new(DropReason::Refused, 1, why))
    }
}
