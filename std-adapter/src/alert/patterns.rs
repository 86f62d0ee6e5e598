//! Times at which alerts are expected: after a deploy, and after a restart.

use super::engine::{Suppression, ms};
use std::sync::Arc;
use std::time::Duration;

/// From when to when alerts that begin are expected, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Span {
    fn takes(self, active_at: i64, now: i64) -> bool {
        (self.from..self.until).contains(&now) && active_at >= self.from
    }
}

/// What is going on with the process.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    pub(super) deploy: Option<Span>,
    restart: Option<Span>,
    /// A deploy that was told since the last evaluation.
    asked: Option<Duration>,
    /// The version of the service.
    pub(super) version: Option<Arc<str>>,
}

impl Patterns {
    pub(super) fn new(version: Option<Arc<str>>) -> Patterns {
        Patterns { version, ..Patterns::default() }
    }

    /// The process began at `now`. `before` is the version of the run before.
    pub(super) fn begin(
        &mut self,
        now: i64,
        before: Option<&str>,
        restart_grace: Duration,
        deploy_grace: Duration,
    ) {
        self.restart = (!restart_grace.is_zero()).then(|| Span { from: now, until: now + ms(restart_grace) });
        let is_other = before.zip(self.version.as_deref()).is_some_and(|(before, version)| before != version);
        if is_other && !deploy_grace.is_zero() {
            self.deploying(deploy_grace);
        }
    }

    /// A deploy begins, and takes this long. It counts from the next evaluation on.
    pub(super) fn deploying(&mut self, duration: Duration) {
        self.asked = Some(duration);
    }

    /// Call before each evaluation.
    pub(super) fn step(&mut self, now: i64) {
        if let Some(duration) = self.asked.take() {
            let from = self.deploy.filter(|deploy| now < deploy.until).map_or(now, |deploy| deploy.from);
            self.deploy = Some(Span { from, until: now + ms(duration) });
        }
        let is_on = |span: &Span| now < span.until;
        (self.deploy, self.restart) = (self.deploy.filter(is_on), self.restart.filter(is_on));
    }

    /// Whether an alert whose condition began to hold at `active_at` is expected, and until when. Alerts that were there before are not.
    pub(super) fn expects(&self, active_at: i64, now: i64) -> Option<(Suppression, i64)> {
        let spans = [(Suppression::Deploying, self.deploy), (Suppression::Restarting, self.restart)];
        spans.into_iter().find_map(|(why, span)| {
            let span = span.filter(|span| span.takes(active_at, now))?;
            Some((why, span.until))
        })
    }

    pub(super) fn shift(&mut self, by: i64) {
        for span in [&mut self.deploy, &mut self.restart].into_iter().flatten() {
            (span.from, span.until) = (span.from + by, span.until + by);
        }
    }
}
