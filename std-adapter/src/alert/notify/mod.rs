//! Who is told of alerts, and how.

mod alertmanager;
mod command;
#[cfg(feature = "alerts-email")]
mod email;
mod slack;
mod webhook;

pub use alertmanager::Alertmanager;
pub use command::RunCommand;
#[cfg(feature = "alerts-email")]
pub use email::{Email, EmailTls};
pub use slack::Slack;
pub use webhook::Webhook;

use super::{Alert, AlertState, Notice};
use crate::outgoing::retried;
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

/// What is sent, in messages.
const WHAT: &str = "a notice of alerts";

/// A line about a notice: `2 alerts fire: HighErrorRate, QueueGrows`.
fn title(notice: &Notice) -> String {
    let (state, verb) = match notice.state() {
        AlertState::Firing => (AlertState::Firing, ["fires", "fire"]),
        _ => (AlertState::Resolved, ["is resolved", "are resolved"]),
    };
    let mut names: Vec<&str> = notice.in_state(state).map(|alert| &*alert.name).collect();
    let number = names.len();
    names.sort_unstable();
    names.dedup();
    let names = names.join(", ");
    if state == AlertState::Firing
        && let Some(root) = &notice.root
    {
        let root_name = root.get("alertname").unwrap_or_default();
        let mut others: Vec<&str> = notice.consequences().map(|alert| &*alert.name).collect();
        others.dedup();
        let others = others.join(", ");
        return match notice.in_state(state).any(|alert| alert.labels == *root) {
            true => format!("{root_name} fires, and likely because of it {others}"),
            false => format!("{others} {}, likely because of {root_name}", verb[usize::from(number != 1)]),
        };
    }
    match number {
        1 => format!("{names} {}", verb[0]),
        n => format!("{n} alerts {}: {names}", verb[1]),
    }
}

/// More lines about an alert: what was decided, a trace, and other evidence.
fn told_lines(alert: &Alert) -> Vec<String> {
    let mut lines = vec![alert.explanation.clone()];
    lines.extend(alert.exemplar.map(|it| format!("trace {} (value {})", it.trace_id, it.value)));
    lines.extend(alert.evidence.as_ref().map(|evidence| format!("evidence: {evidence}")));
    lines.retain(|line| !line.is_empty());
    lines
}

/// The labels of an alert that people are told: not its name, its severity, and the package that has made the metric.
fn told_labels(alert: &Alert) -> impl Iterator<Item = (&str, &str)> {
    let is_told = |name: &str| !matches!(name, "alertname" | "severity") && !name.starts_with("otel_scope_");
    alert.labels.iter().filter(move |(name, _)| is_told(name))
}
