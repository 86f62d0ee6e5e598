//! Why nobody is told of an alert that fires: which reason holds, and how often each did.

use super::alerts::Center;
use super::engine::{Active, AlertState, Suppression, time, unix_ms};
use super::page::rfc3339;
use super::rules::Rule;
use super::{Alert, Inhibition, Labels, Silence};
use std::collections::HashMap;
use std::sync::Arc;
use throughline_export::ledger::HopCells;

/// How often nobody was told of an alert that fires, by the reason. In the ledger these are the drops of the hop `alerts.rules`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuppressionCounts {
    /// By silences.
    pub silenced: u64,
    /// By inhibition.
    pub inhibited: u64,
    /// Because a deploy was going on.
    pub deploying: u64,
    /// Because the process had just begun.
    pub restarting: u64,
    /// By a mute time interval of the rules.
    pub muted: u64,
    /// Changes of alerts that flap, after the first notice of that.
    pub flapping: u64,
    /// Notices that waited, because their receiver had as many in an hour as it may. In the ledger they are drops of the hop `alerts.NAME`.
    pub rate_limited: u64,
}

impl SuppressionCounts {
    fn of_mut(&mut self, reason: Suppression) -> &mut u64 {
        match reason {
            Suppression::Silenced => &mut self.silenced,
            Suppression::Inhibited => &mut self.inhibited,
            Suppression::Deploying => &mut self.deploying,
            Suppression::Restarting => &mut self.restarting,
            Suppression::Muted => &mut self.muted,
            Suppression::Flapping => &mut self.flapping,
        }
    }

    /// How often it was this reason.
    pub fn of(mut self, reason: Suppression) -> u64 {
        *self.of_mut(reason)
    }
}

impl Suppression {
    /// All reasons.
    pub(super) const ALL: [Suppression; 6] = [
        Suppression::Silenced,
        Suppression::Inhibited,
        Suppression::Deploying,
        Suppression::Restarting,
        Suppression::Muted,
        Suppression::Flapping,
    ];
}

/// An inhibition with the alerts that inhibit others now, by the labels that must be equal.
struct Inhibiting<'c> {
    inhibition: &'c Inhibition,
    sources: HashMap<Labels, Vec<&'c Labels>>,
}

impl<'c> Inhibiting<'c> {
    fn new(inhibition: &'c Inhibition, firing: impl Iterator<Item = &'c Active>) -> Inhibiting<'c> {
        let mut sources: HashMap<Labels, Vec<&Labels>> = HashMap::new();
        for alert in firing.filter(|alert| inhibition.source.iter().all(|it| it.matches(&alert.labels))) {
            let some = sources.entry(inhibition.equal_of(&alert.labels)).or_default();
            // Two are enough: one of them is not the alert itself.
            if some.len() < 2 {
                some.push(&alert.labels);
            }
        }
        Inhibiting { inhibition, sources }
    }

    /// The alert that inhibits one with these labels.
    fn by(&self, labels: &Labels) -> Option<&'c Labels> {
        let sources = self.sources.get(&self.inhibition.equal_of(labels))?;
        sources.iter().copied().find(|source| self.inhibition.applies(source, labels))
    }
}

impl Center {
    /// Finds out of which alerts nobody is told and why, and counts that.
    pub(super) fn suppress(&mut self, now: i64) {
        let states = &self.engine.states;
        let firing = || {
            states.iter().flat_map(|state| state.active.values()).filter(|it| it.state == AlertState::Firing)
        };
        let inhibiting: Vec<Inhibiting<'_>> =
            self.inhibitions.iter().map(|inhibition| Inhibiting::new(inhibition, firing())).collect();
        let (rules, patterns) = (&self.engine.rules, &self.patterns);
        let silences: Vec<&Silence> = self.all_silences().collect();
        let on: Vec<_> = rules.mutes.iter().filter(|mute| mute.is_on(now)).collect();
        let reason = |rule: &Rule, alert: &Active| -> Option<(Suppression, String)> {
            let labels = &alert.labels;
            if let Some(silence) = silences.iter().find(|silence| silence.takes(labels, now)) {
                let comment = if silence.comment.is_empty() { "no comment" } else { &silence.comment };
                let by = format!("silence {} until {}: {comment}", silence.id, rfc3339(silence.ends_at));
                return Some((Suppression::Silenced, by));
            }
            if let Some(by) = inhibiting.iter().find_map(|it| it.by(labels)) {
                return Some((Suppression::Inhibited, format!("{by}, which fires")));
            }
            if rule.is_urgent {
                return None;
            }
            if let Some(mute) = on.iter().find(|mute| mute.takes(labels)) {
                return Some((Suppression::Muted, format!("mute time interval {}", mute.name)));
            }
            let (why, until) = patterns.expects(alert.active_at, now)?;
            Some((why, format!("until {}", rfc3339(time(until)))))
        };
        let active = || {
            rules
                .rules
                .iter()
                .zip(states)
                .flat_map(|(rule, state)| state.active.values().map(move |it| (rule, it)))
        };
        let reasons: Vec<Option<(Suppression, Arc<str>)>> = active()
            .map(|(rule, alert)| match alert.state {
                AlertState::Pending => None,
                _ => reason(rule, alert).map(|(reason, by)| (reason, by.into())),
            })
            .collect();
        let all = self.engine.states.iter_mut().flat_map(|state| state.active.values_mut());
        for (alert, reason) in all.zip(reasons) {
            let (before, after) = (alert.suppressed.as_ref().map(|it| it.0), reason.as_ref().map(|it| it.0));
            let is_new = alert.fired_at == Some(now) && !alert.is_repeat || before != after;
            alert.suppressed = reason;
            if alert.state == AlertState::Firing && is_new {
                self.decisions.decide(after, alert.cause.is_some());
            }
        }
        let flaps: u64 = self.engine.states.iter_mut().map(|state| std::mem::take(&mut state.flaps)).sum();
        self.decisions.flapped(flaps);
    }

    /// Forgets silences that have ended.
    pub(super) fn end_silences(&mut self, now: i64) {
        self.silences.retain(|silence| unix_ms(silence.ends_at) > now);
    }
}

/// An event about an alert.
fn log(alert: &Alert) {
    let (labels, suppressed) = (alert.labels.to_string(), alert.suppressed.map_or("", Suppression::as_str));
    let root = alert.root.as_ref().map(Labels::to_string).unwrap_or_default();
    let (name, state) = (&*alert.name, alert.state.as_str());
    if alert.state == AlertState::Firing && alert.suppressed.is_none() {
        throughline::warn!(
            "alert {alert.name}: {explanation}",
            explanation = &*alert.explanation,
            alert.name = name,
            alert.state = state,
            alert.labels = &*labels,
            alert.root = &*root,
            alert.flapping = alert.is_flapping
        );
    } else {
        throughline::info!(
            "alert {alert.name}: {explanation}",
            explanation = &*alert.explanation,
            alert.name = name,
            alert.state = state,
            alert.labels = &*labels,
            alert.suppressed = suppressed,
            alert.root = &*root,
            alert.flapping = alert.is_flapping
        );
    }
}

/// What was decided about alerts that fire, as a hop of the ledger: each decision goes in; out is that someone is told, absorbed that this is in the notice
/// of its cause, and dropped that nobody is told, by the reason.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    pub(super) counts: SuppressionCounts,
    cells: Option<Arc<HopCells>>,
    /// What is logged about each alert, by its name and labels, so that only changes are.
    logged: Option<HashMap<Labels, Logged>>,
}

/// State, reason and cause: what a change of is logged.
type Logged = (AlertState, Option<Suppression>, bool, bool);

/// Most decisions that are logged at one evaluation.
const MOST_LOGGED: usize = 100;

impl Decisions {
    /// Counts there from now on.
    pub(super) fn count_in(&mut self, cells: Option<Arc<HopCells>>) {
        self.cells = cells;
        self.logged = Some(HashMap::new());
    }

    /// Logs what has changed about alerts that fire or did.
    pub(super) fn tell(&mut self, alerts: &[Alert]) {
        let Some(logged) = &mut self.logged else { return };
        let before = std::mem::take(logged);
        let mut number = 0;
        for alert in alerts.iter().filter(|alert| alert.state != AlertState::Pending) {
            let now = (alert.state, alert.suppressed, alert.is_flapping, alert.root.is_some());
            if before.get(&alert.labels) != Some(&now) {
                number += 1;
                if number <= MOST_LOGGED {
                    log(alert);
                }
            }
            logged.insert(alert.labels.clone(), now);
        }
        if number > MOST_LOGGED {
            throughline::warn!(
                "more alerts have changed, which the page of alerts shows",
                alerts = (number - MOST_LOGGED) as u64
            );
        }
    }

    fn decide(&mut self, suppressed: Option<Suppression>, has_cause: bool) {
        match (suppressed, &self.cells) {
            (Some(reason), _) => self.drop(reason, 1),
            (None, Some(cells)) => {
                cells.input(1);
                if has_cause { cells.absorbed(1) } else { cells.output(1) }
            }
            (None, None) => {}
        }
    }

    fn flapped(&mut self, number: u64) {
        if number > 0 {
            self.drop(Suppression::Flapping, number);
        }
    }

    fn drop(&mut self, reason: Suppression, number: u64) {
        *self.counts.of_mut(reason) += number;
        if let Some(cells) = &self.cells {
            cells.input(number);
            cells.dropped(reason.in_ledger(), number);
        }
    }
}
