//! What people see of alerts.

use super::{Exemplar, Labels};
use std::sync::Arc;
use std::time::SystemTime;
use throughline_export::ledger::DropReason;

/// The state of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AlertState {
    /// The condition holds, but not for long enough.
    Pending,
    /// The condition has held for the duration of its rule, or did a short while ago.
    Firing,
    /// The condition does not hold any more. Such an alert is known for a quarter of an hour.
    Resolved,
}

impl AlertState {
    /// The name in pages and notices.
    pub const fn as_str(self) -> &'static str {
        match self {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }

    pub(super) fn parse(text: &str) -> Option<AlertState> {
        [AlertState::Pending, AlertState::Firing, AlertState::Resolved]
            .into_iter()
            .find(|it| it.as_str() == text)
    }
}

/// Why nobody is told of an alert that fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suppression {
    /// A silence takes it.
    Silenced,
    /// Another alert that fires inhibits it.
    Inhibited,
    /// It began in a deploy that goes on.
    Deploying,
    /// It began shortly after the process did.
    Restarting,
    /// It is expected at this time of the week.
    Muted,
    /// It comes and goes too often.
    Flapping,
}

impl Suppression {
    /// The name in pages and metrics, which is that of the reason in the ledger.
    pub const fn as_str(self) -> &'static str {
        self.in_ledger().as_str()
    }

    /// The reason in the ledger.
    pub(super) const fn in_ledger(self) -> DropReason {
        match self {
            Suppression::Silenced => DropReason::Silenced,
            Suppression::Inhibited => DropReason::Inhibited,
            Suppression::Deploying => DropReason::Deploying,
            Suppression::Restarting => DropReason::Restarting,
            Suppression::Muted => DropReason::Muted,
            Suppression::Flapping => DropReason::Flapping,
        }
    }
}

/// An alert at one time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// The name of its rule, which is the label `alertname` too.
    pub name: Arc<str>,
    /// The labels of the series and of the rule.
    pub labels: Labels,
    /// Texts of the rule with values filled in, such as `description`.
    pub annotations: Vec<(Arc<str>, String)>,
    /// The value of the expression, when the condition held last.
    pub value: f64,
    /// The state.
    pub state: AlertState,
    /// When the condition began to hold.
    pub active_at: SystemTime,
    /// When it began to fire.
    pub fired_at: Option<SystemTime>,
    /// When it was resolved.
    pub resolved_at: Option<SystemTime>,
    /// Why nobody is told of it.
    pub suppressed: Option<Suppression>,
    /// What keeps it from being told: the silence, the alert that inhibits it, the interval, or until when.
    pub suppressed_by: Option<Arc<str>>,
    /// Whether it comes and goes so often that nobody is told of each change.
    pub is_flapping: bool,
    /// The alert that it is likely a consequence of, if its rule depends on that one's.
    pub cause: Option<Labels>,
    /// The alert at the beginning of these causes. Both are told together.
    pub root: Option<Labels>,
    /// Who has acknowledged it.
    pub acknowledged_by: Option<Arc<str>>,
    /// A trace of a value of its metrics, recorded shortly before it fired, if they are histograms that have exemplars.
    pub exemplar: Option<Exemplar>,
    /// What [`AlertOptions::evidence`](super::AlertOptions::evidence) found when it fired.
    pub evidence: Option<Arc<str>>,
    /// What was decided about it and why, in sentences.
    pub explanation: String,
    /// Whether no known pattern and no limit keeps it from being told.
    pub(super) is_urgent: bool,
}

impl Alert {
    /// The text of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.iter().find(|(known, _)| &**known == name).map(|(_, text)| &**text)
    }

    /// The label `severity`, or "".
    pub fn severity(&self) -> &str {
        self.labels.get("severity").unwrap_or_default()
    }
}
