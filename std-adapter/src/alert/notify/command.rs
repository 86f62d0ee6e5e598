//! A command that is run for each notice.

use super::{Notifier, webhook};
use crate::alert::Notice;
use crate::outgoing::command;
use throughline_export::{Deadline, ExportError};

/// Runs a command for each notice, without a shell. It gets the notice on its standard input, as JSON in the format of a [`Webhook`](super::Webhook), and
/// `ALERT_STATUS` (`firing` or `resolved`), `ALERT_NAMES` and `ALERT_COUNT` in its environment. What it writes to its standard output is dropped. It fails
/// with a status that is not 0; with 75 it is run again until the deadline. A command that has not ended by then is killed, with what it has started.
#[derive(Clone, Debug)]
pub struct RunCommand {
    program: String,
    arguments: Vec<String>,
    service: String,
}

impl RunCommand {
    /// Runs this program with these arguments.
    pub fn new(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
        service: impl Into<String>,
    ) -> RunCommand {
        let arguments = arguments.into_iter().map(Into::into).collect();
        RunCommand { program: program.into(), arguments, service: service.into() }
    }
}

impl Notifier for RunCommand {
    fn notify(&mut self, notice: &Notice, deadline: &Deadline) -> Result<(), ExportError> {
        let mut names: Vec<&str> = notice.alerts.iter().map(|alert| &*alert.name).collect();
        names.dedup();
        let variables = [
            ("ALERT_STATUS", notice.state().as_str().to_owned()),
            ("ALERT_NAMES", names.join(" ")),
            ("ALERT_COUNT", notice.alerts.len().to_string()),
        ];
        let body = webhook::body(notice, &self.service, usize::MAX);
        command::run(&self.program, &self.arguments, &variables, &body, deadline)
    }
}
