//! The states of alerts: what a condition found becomes pending, fires, and is resolved.

use super::baseline::Baselines;
use super::labels::Labels;
use super::language::{Memory, Outcome, evaluate};
use super::rules::{Kind, Rule, Rules, Scope};
use super::store::{Sample, Store, Value};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throughline_export::prometheus::PageOptions;
use throughline_export::view::PointView;

/// How long a resolved alert is known, so that everyone is told of it.
pub(super) const KNOWN: i64 = 15 * 60_000;

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
}

impl Suppression {
    /// The name in pages and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Suppression::Silenced => "silenced",
            Suppression::Inhibited => "inhibited",
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

/// What is kept of an alert. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Active {
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) state: AlertState,
    pub(super) active_at: i64,
    pub(super) fired_at: Option<i64>,
    pub(super) resolved_at: Option<i64>,
    /// Since when the condition does not hold, while it still fires.
    pub(super) lapsed_at: Option<i64>,
    /// For one of an earlier run: until when nothing follows from the condition not holding, as ranges are not full yet.
    pub(super) held_until: i64,
    pub(super) suppressed: Option<Suppression>,
    /// The evaluation in which the condition held last.
    seen: u64,
}

/// What is kept of a rule.
#[derive(Debug, Default)]
pub(super) struct RuleState {
    pub(super) active: HashMap<Labels, Active>,
    /// Why the last evaluation failed.
    pub(super) error: Option<Arc<str>>,
    pub(super) evaluated_at: Option<i64>,
    /// The longest range of its expression.
    range: i64,
}

/// Evaluates rules and keeps the states of their alerts. It reads no clock and has no thread: whoever calls it says what time it is.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) rules: Arc<Rules>,
    pub(super) states: Vec<RuleState>,
    store: Store,
    memory: Memory,
    with_process: bool,
    evaluations: u64,
}

impl Engine {
    /// No alert is active yet. `page` says what series are called, and whether there are metrics of the process.
    pub(super) fn new(rules: Arc<Rules>, page: PageOptions, with_process: bool) -> Engine {
        let state = |rule: &Rule| RuleState { range: rules.plan.range_of(rule.root), ..RuleState::default() };
        let (states, store) = (rules.rules.iter().map(state).collect(), Store::new(&rules.plan, page));
        Engine { rules, states, store, memory: Memory::default(), with_process, evaluations: 0 }
    }

    /// Takes a snapshot of all metrics.
    pub(super) fn update(&mut self, now: i64, points: &[PointView<'_>]) {
        self.store.update(&self.rules.plan, now, points, self.with_process);
    }

    /// Evaluates all rules that are due, over the last snapshot.
    pub(super) fn evaluate(&mut self, now: i64) {
        self.evaluations += 1;
        let outcomes = evaluate(&self.rules.plan, &self.store, now, &mut self.memory);
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            let interval = rule.interval.map_or(0, ms);
            // An evaluation may be a little early.
            let is_due = state.evaluated_at.is_none_or(|last| now - last >= interval - interval / 20);
            if rule.kind == Kind::Alert && is_due {
                state.evaluated_at = Some(now);
                state.error = state.step(rule, &outcomes[rule.root], now, self.evaluations).err();
            }
        }
    }

    /// The alerts in the order of the rules, and of labels.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        let mut out = Vec::new();
        for (rule, state) in self.rules.rules.iter().zip(&self.states) {
            let mut active: Vec<_> = state.active.values().collect();
            active.sort_by(|a, b| a.labels.cmp(&b.labels));
            out.extend(active.into_iter().map(|active| active.shown(rule)));
        }
        out
    }

    /// Number of alerts in this state.
    pub(super) fn count(&self, state: AlertState) -> usize {
        self.states
            .iter()
            .flat_map(|rule| rule.active.values())
            .filter(|active| active.state == state)
            .count()
    }

    /// How many series are kept.
    pub(super) fn series(&self) -> usize {
        self.store.len()
    }

    /// What is usual for series.
    pub(super) fn baselines(&mut self) -> &mut Baselines {
        &mut self.memory.baselines
    }

    /// Takes over what an earlier run has learnt of the series that rules still ask for. The error says what is wrong with the file.
    pub(super) fn load_baselines(&mut self, path: &Path) -> Result<(), String> {
        self.memory.baselines.load(path)?;
        self.memory.baselines.keep(|of| self.rules.plan.asks_for_season_of(of));
        Ok(())
    }

    /// Puts back an alert of an earlier run, which ended `down` milliseconds ago. Returns false if its rule is gone.
    pub(super) fn restore(
        &mut self,
        group: &str,
        rule: &str,
        mut active: Active,
        down: i64,
        now: i64,
    ) -> bool {
        let is_it =
            |known: &&Rule| &*known.group == group && &*known.name == rule && known.kind == Kind::Alert;
        let Some(at) = self.rules.rules.iter().position(|known| is_it(&known)) else { return false };
        let state = &mut self.states[at];
        if active.state == AlertState::Pending {
            // The condition was not looked at in between.
            active.active_at += down;
        }
        active.held_until = now + state.range + 60_000;
        state.active.insert(active.labels.clone(), active);
        true
    }

    /// Moves all times, after the wall clock was set.
    pub(super) fn shift(&mut self, by: i64) {
        self.store.shift(by);
        for state in &mut self.states {
            state.evaluated_at = state.evaluated_at.map(|at| at + by);
            for active in state.active.values_mut() {
                let times = [&mut active.fired_at, &mut active.resolved_at, &mut active.lapsed_at];
                times.into_iter().flatten().for_each(|at| *at += by);
                active.active_at += by;
                active.held_until += by;
            }
        }
    }
}

impl RuleState {
    /// Takes the result of the expression. The error says why nothing follows from it.
    fn step(&mut self, rule: &Rule, outcome: &Outcome, now: i64, evaluation: u64) -> Result<(), Arc<str>> {
        let samples = match outcome {
            Outcome::Series(samples) => samples,
            Outcome::Failed(why) => return Err(Arc::clone(why)),
            Outcome::Number(_) => return Err("the condition is a number".into()),
        };
        let mut found: HashMap<Labels, f64> = HashMap::with_capacity(samples.len());
        for Sample { name, labels, value } in samples.iter() {
            let Value::Float(value) = *value else {
                let name = name.as_deref().unwrap_or("the result");
                return Err(format!(
                    "{name} is a histogram; compare histogram_quantile or histogram_count of it"
                )
                .into());
            };
            let scope = Scope { labels, value };
            let of_rule = rule
                .labels
                .iter()
                .map(|(name, template)| (Arc::clone(name), Arc::from(template.fill(&scope))));
            let of_all = [(Arc::from("alertname"), Arc::clone(&rule.name))];
            let labels = labels.with(of_rule.chain(of_all));
            if found.contains_key(&labels) {
                let text = format!(
                    "several series give an alert with the labels {labels}; add them up with sum by (…)"
                );
                return Err(text.into());
            }
            found.insert(labels, value);
        }
        for (labels, value) in found {
            let new = || Active {
                labels: labels.clone(),
                value,
                state: AlertState::Pending,
                active_at: now,
                fired_at: None,
                resolved_at: None,
                lapsed_at: None,
                held_until: 0,
                suppressed: None,
                seen: 0,
            };
            let active = self.active.entry(labels.clone()).or_insert_with(new);
            if active.state == AlertState::Resolved {
                *active = new();
            }
            (active.value, active.lapsed_at, active.seen) = (value, None, evaluation);
            if active.state == AlertState::Pending && now - active.active_at >= ms(rule.hold) {
                (active.state, active.fired_at) = (AlertState::Firing, Some(now));
            }
        }
        self.active.retain(|_, active| {
            if active.seen == evaluation || active.held_until > now && active.state != AlertState::Resolved {
                return true;
            }
            match active.state {
                AlertState::Pending => false,
                AlertState::Resolved => active.resolved_at.is_some_and(|at| now - at < KNOWN),
                AlertState::Firing => {
                    let lapsed_at = *active.lapsed_at.get_or_insert(now);
                    if now - lapsed_at >= ms(rule.keep_firing) {
                        (active.state, active.resolved_at) = (AlertState::Resolved, Some(now));
                    }
                    true
                }
            }
        });
        Ok(())
    }
}

impl Active {
    /// What is kept of an alert of an earlier run.
    pub(super) fn kept(labels: Labels, value: f64, state: AlertState, active_at: i64) -> Active {
        let (fired_at, resolved_at, lapsed_at) = (None, None, None);
        Active {
            labels,
            value,
            state,
            active_at,
            fired_at,
            resolved_at,
            lapsed_at,
            held_until: 0,
            suppressed: None,
            seen: 0,
        }
    }

    /// The alert with its texts.
    pub(super) fn shown(&self, rule: &Rule) -> Alert {
        let scope = Scope { labels: &self.labels, value: self.value };
        let filled =
            rule.annotations.iter().map(|(name, template)| (Arc::clone(name), template.fill(&scope)));
        Alert {
            name: Arc::clone(&rule.name),
            labels: self.labels.clone(),
            annotations: filled.collect(),
            value: self.value,
            state: self.state,
            active_at: time(self.active_at),
            fired_at: self.fired_at.map(time),
            resolved_at: self.resolved_at.map(time),
            suppressed: self.suppressed,
        }
    }
}

/// Milliseconds of a duration.
pub(super) fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Milliseconds since 1970.
pub(super) fn unix_ms(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, ms)
}

/// The time so many milliseconds after 1970.
pub(super) fn time(unix_ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0))
}
