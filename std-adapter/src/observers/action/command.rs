//! A command for each match.

use super::{Action, Match};
use crate::outgoing::command;
use throughline_export::{Deadline, ExportError};

/// Runs a command for each match, without a shell. It gets the match on its standard input, as JSON ([`Match::json`]), and `OBSERVER_NAME`,
/// `OBSERVER_TRACE_ID` and `OBSERVER_COUNT` in its environment. It fails with a status that is not 0; with 75 it is run again until the deadline. A command
/// that has not ended by then is killed, with what it has started.
#[derive(Clone, Debug)]
pub struct RunCommand {
    program: String,
    arguments: Vec<String>,
}

impl RunCommand {
    /// Runs this program with these arguments.
    pub fn new(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> RunCommand {
        RunCommand { program: program.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }
}

impl Action for RunCommand {
    fn run(&mut self, found: &Match, deadline: &Deadline) -> Result<(), ExportError> {
        let variables = [
            ("OBSERVER_NAME", found.observer.to_string()),
            ("OBSERVER_TRACE_ID", found.trace_id.clone()),
            ("OBSERVER_COUNT", found.count.to_string()),
        ];
        command::run(&self.program, &self.arguments, &variables, &found.json(), deadline)
    }
}
