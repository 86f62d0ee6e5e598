//! Prometheus's Alertmanager, which groups, silences and tells by itself.

use super::{Notifier, WHAT, retried};
use crate::alert::page::{labels, rfc3339};
use crate::alert::{Alert, AlertState, Labels, Notice, Routing};
use std::sync::Arc;
use std::time::Duration;
use throughline_export::text::json;
use throughline_export::{Deadline, ExportError, Post, PushUrlError};

/// How long an Alertmanager takes an alert for firing of which it hears no more: some of the intervals at which it is told.
const LASTS: Duration = Duration::from_secs(240);

/// Pushes alerts to an Alertmanager, by its API v2. Its [routing](Alertmanager::routing) is to be used with it, because an Alertmanager wants to hear of
/// each alert all the time.
#[derive(Clone, Debug)]
pub struct Alertmanager {
    post: Post,
    labels: Vec<(Arc<str>, Arc<str>)>,
}

impl Alertmanager {
    /// Pushes to the Alertmanager at this address, such as `http://localhost:9093`. If it is behind a path, that is given too.
    ///
    /// # Errors
    ///
    /// It is no URL.
    pub fn new(url: &str) -> Result<Alertmanager, PushUrlError> {
        Ok(Alertmanager {
            post: Post::new(WHAT, url, "http://localhost:9093")?.retry(retried),
            labels: Vec::new(),
        })
    }

    /// Adds a header, such as `authorization`.
    #[must_use]
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Alertmanager {
        Alertmanager { post: self.post.header(name, value), ..self }
    }

    /// Adds a label to all alerts that do not have it, such as `job` or `instance`, so that those of several processes are told apart.
    #[must_use]
    pub fn label(mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Alertmanager {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// How it wants to be told: of everything at once, and again every minute.
    pub fn routing() -> Routing {
        Routing::all_at_once()
    }

    fn alert(&self, alert: &Alert, notice: &Notice) -> String {
        let own = alert.labels.iter().map(|(name, value)| (Arc::from(name), Arc::from(value)));
        // The alert's own labels win.
        let all = Labels::new(self.labels.iter().cloned().chain(own));
        let trace = alert.exemplar.map(|it| it.trace_id.to_string());
        let ours = [
            ("explanation", Some(&*alert.explanation)),
            ("trace_id", trace.as_deref()),
            ("evidence", alert.evidence.as_deref()),
        ];
        let ours = ours.into_iter().filter_map(|(name, text)| Some((name, text?)));
        // The rule's own annotations win.
        let annotations =
            Labels::new(ours.chain(alert.annotations.iter().map(|(name, text)| (&**name, &**text))));
        let ends_at = match (alert.state, alert.resolved_at) {
            (AlertState::Resolved, Some(at)) => at,
            _ => notice.time + LASTS,
        };
        format!(
            "{{\"labels\":{},\"annotations\":{},\"startsAt\":{},\"endsAt\":{}}}",
            labels(&all),
            labels(&annotations),
            json(&rfc3339(alert.fired_at.unwrap_or(alert.active_at))),
            json(&rfc3339(ends_at))
        )
    }
}

impl Notifier for Alertmanager {
    fn notify(&mut self, notice: &Notice, deadline: &Deadline) -> Result<(), ExportError> {
        let alerts: Vec<String> = notice.alerts.iter().map(|alert| self.alert(alert, notice)).collect();
        let body = format!("[{}]", alerts.join(","));
        self.post.send("/api/v2/alerts", "application/json", &[], body.as_bytes(), deadline).map(drop)
    }
}
