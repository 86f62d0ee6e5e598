//! The states of alerts: what a condition found becomes pending, fires, and is resolved.

use super::baseline::{Baselines, Usual};
use super::correlate::{self, Place};
use super::explain::explain;
use super::labels::Labels;
use super::language::{Memory, Outcome, evaluate};
use super::rules::{Kind, Rule, Rules, Scope};
pub(super) use super::shown::{Alert, AlertState, Suppression};
use super::store::{Exemplar, Sample, Store, Value};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throughline_export::prometheus::PageOptions;
use throughline_export::view::PointView;

/// How long an alert of an earlier run is held whose series are not there, because they may come later than the process.
const SERIES_COME_WITHIN: i64 = 60_000;

/// How long a resolved alert is known, so that everyone is told of it.
pub(super) const KNOWN: i64 = 15 * 60_000;

/// When an alert flaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flapping {
    /// From so many begins on.
    pub(super) starts: usize,
    /// Within so many milliseconds.
    pub(super) within: i64,
}

impl Flapping {
    /// It is calm again with fewer begins.
    pub(super) fn calm(self) -> usize {
        self.starts.div_ceil(2)
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
    /// For one of an earlier run whose condition cannot be judged yet.
    pub(super) held: Option<Held>,
    /// Why nobody is told of it, and by what.
    pub(super) suppressed: Option<(Suppression, Arc<str>)>,
    /// When it began to fire, as far as that is needed to know whether it flaps.
    pub(super) starts: Vec<i64>,
    pub(super) is_flapping: bool,
    /// Whether it flapped already when it began to fire, so that nobody was told.
    pub(super) is_repeat: bool,
    /// Until when it is known after it was resolved.
    pub(super) known_until: i64,
    pub(super) cause: Option<Place>,
    pub(super) acknowledged_by: Option<Arc<str>>,
    pub(super) exemplar: Option<Exemplar>,
    pub(super) evidence: Option<Arc<str>>,
    /// What was usual when the condition held last, if it asks for that.
    pub(super) usual: Option<Usual>,
    /// The evaluation in which the condition held last.
    seen: u64,
}

/// Nothing follows from the condition of an alert of an earlier run not holding, as ranges are not full or series not there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    /// When this run began.
    pub(super) since: i64,
    pub(super) until: i64,
    /// Whether the condition did not hold when it was looked at last.
    pub(super) is_assumed: bool,
}

/// What is kept of a rule.
#[derive(Debug, Default)]
pub(super) struct RuleState {
    pub(super) active: HashMap<Labels, Active>,
    /// Why the last evaluation failed.
    pub(super) error: Option<Arc<str>>,
    pub(super) evaluated_at: Option<i64>,
    /// Changes of alerts that flap, which nobody is told of, since they were counted.
    pub(super) flaps: u64,
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
    pub(super) flapping: Option<Flapping>,
    evaluations: u64,
}

impl Engine {
    /// No alert is active yet. `page` says what series are called, and whether there are metrics of the process.
    pub(super) fn new(
        rules: Arc<Rules>,
        page: PageOptions,
        with_process: bool,
        flapping: Option<Flapping>,
    ) -> Engine {
        let state = |rule: &Rule| RuleState { range: rules.plan.range_of(rule.root), ..RuleState::default() };
        let (states, store) = (rules.rules.iter().map(state).collect(), Store::new(&rules.plan, page));
        Engine { rules, states, store, memory: Memory::default(), with_process, flapping, evaluations: 0 }
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
                if state.range == 0 {
                    // Without a range there is nothing to wait for but the series.
                    let selectors = self.rules.plan.selectors_of(rule.root);
                    let has_series = |labels: &Labels| self.store.has_series_for(&selectors, labels);
                    let held = state.active.values_mut().filter(|active| active.held.is_some());
                    held.filter(|active| has_series(&active.labels)).for_each(|active| active.held = None);
                }
                let step = Step { now, evaluation: self.evaluations, flapping: self.flapping };
                state.error = state.step(rule, &outcomes[rule.root], step).err();
                if state.active.is_empty() {
                    continue;
                }
                let seasonal = self.rules.plan.seasonal_of(rule.root);
                for alert in state.active.values_mut() {
                    if alert.seen == self.evaluations {
                        let usual = |of: &&Arc<str>| self.memory.baselines.usual(of, &alert.labels);
                        alert.usual = seasonal.iter().find_map(usual);
                    }
                    if alert.fired_at == Some(now) {
                        let selectors = self.rules.plan.selectors_of(rule.root);
                        alert.exemplar = self.store.exemplar(&selectors, &alert.labels);
                    }
                }
            }
        }
        correlate::correlate(&self.rules, &mut self.states);
    }

    /// Calls `find` with each alert that began to fire at `now`, and keeps what it returns.
    pub(super) fn find_evidence(&mut self, now: i64, find: impl Fn(&Alert) -> Option<Arc<str>>) {
        let new: Vec<(usize, Alert)> = self
            .each()
            .filter(|(.., active)| active.fired_at == Some(now) && active.evidence.is_none())
            .map(|(at, rule, active)| (at, self.shown(rule, active)))
            .collect();
        for (at, alert) in new {
            if let Some(active) = self.states[at].active.get_mut(&alert.labels) {
                active.evidence = find(&alert);
            }
        }
    }

    /// All alerts with their rules, in the order of these.
    fn each(&self) -> impl Iterator<Item = (usize, &Rule, &Active)> {
        let states = (0..).zip(&self.rules.rules).zip(&self.states);
        states.flat_map(|((at, rule), state)| state.active.values().map(move |active| (at, rule, active)))
    }

    /// The alert with its texts.
    pub(super) fn shown(&self, rule: &Rule, active: &Active) -> Alert {
        let root = correlate::root(&self.states, active).map(|(_, root)| root.labels.clone());
        Alert {
            root,
            explanation: explain(&self.rules, &self.states, rule, active, self.flapping),
            ..active.shown(rule)
        }
    }

    /// The alerts in the order of the rules, and of labels.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        let mut out = Vec::new();
        for (rule, state) in self.rules.rules.iter().zip(&self.states) {
            let mut active: Vec<_> = state.active.values().collect();
            active.sort_by(|a, b| a.labels.cmp(&b.labels));
            out.extend(active.into_iter().map(|active| self.shown(rule, active)));
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

    /// How many series have a baseline, and how many have none because there are too many.
    pub(super) fn baselines_kept(&self) -> (usize, usize) {
        self.memory.baselines.counts()
    }

    /// Takes over what an earlier run has learnt of the series that rules still ask for. The error says what is wrong with the file.
    pub(super) fn load_baselines(&mut self, path: &Path) -> Result<(), String> {
        self.memory.baselines.load(path)?;
        self.memory.baselines.keep(|of| self.rules.plan.asks_for_season_of(of));
        Ok(())
    }

    /// Puts back an alert of an earlier run, which ended `down` milliseconds ago. Returns its place, unless its rule is gone.
    pub(super) fn restore(
        &mut self,
        group: &str,
        rule: &str,
        mut active: Active,
        down: i64,
        now: i64,
    ) -> Option<Place> {
        let is_it =
            |known: &&Rule| &*known.group == group && &*known.name == rule && known.kind == Kind::Alert;
        // Several rules may have one name and other labels.
        let rules = || (0..).zip(&self.rules.rules).filter(|(_, known)| is_it(known));
        let own = rules().find(|(_, known)| known.may_give(&active.labels));
        let (at, _) = own.or_else(|| rules().next())?;
        let state = &mut self.states[at];
        // The file may come late. What goes on by then is known better than from it, unless the alert fired earlier.
        let goes_on =
            state.active.get(&active.labels).is_some_and(|known| known.state != AlertState::Resolved);
        if goes_on && active.state != AlertState::Firing {
            return None;
        }
        if active.state == AlertState::Pending {
            // The condition was not looked at in between.
            active.active_at += down;
        }
        let range = if state.range == 0 { SERIES_COME_WITHIN } else { state.range };
        active.held = Some(Held { since: now, until: now + range, is_assumed: true });
        active.known_until = active.resolved_at.map_or(0, |at| at + KNOWN);
        let place = (at, active.labels.clone());
        state.active.insert(active.labels.clone(), active);
        Some(place)
    }

    /// Moves all times, after the wall clock was set.
    pub(super) fn shift(&mut self, by: i64) {
        self.store.shift(by);
        for state in &mut self.states {
            state.evaluated_at = state.evaluated_at.map(|at| at + by);
            for active in state.active.values_mut() {
                let times = [&mut active.fired_at, &mut active.resolved_at, &mut active.lapsed_at];
                times.into_iter().flatten().for_each(|at| *at += by);
                active.starts.iter_mut().for_each(|at| *at += by);
                active.active_at += by;
                if let Some(held) = &mut active.held {
                    (held.since, held.until) = (held.since + by, held.until + by);
                }
                active.known_until += by;
            }
        }
    }
}

/// An evaluation.
#[derive(Clone, Copy)]
struct Step {
    now: i64,
    evaluation: u64,
    flapping: Option<Flapping>,
}

impl RuleState {
    /// Takes the result of the expression. The error says why nothing follows from it.
    fn step(&mut self, rule: &Rule, outcome: &Outcome, step: Step) -> Result<(), Arc<str>> {
        let Step { now, evaluation, .. } = step;
        let samples = match outcome {
            Outcome::Series(samples) => samples,
            Outcome::Failed(why) => return Err(Arc::clone(why)),
            Outcome::Number(_) => return Err("the condition is a number".into()),
        };
        let mut found: HashMap<Labels, (f64, Labels)> = HashMap::with_capacity(samples.len());
        for Sample { name, labels: series, value } in samples.iter() {
            let Value::Float(value) = *value else {
                let name = name.as_deref().unwrap_or("the result");
                return Err(format!(
                    "{name} is a histogram; compare histogram_quantile or histogram_count of it"
                )
                .into());
            };
            let scope = Scope { labels: series, value };
            let of_rule = rule
                .labels
                .iter()
                .map(|(name, template)| (Arc::clone(name), Arc::from(template.fill(&scope))));
            let of_all = [(Arc::from("alertname"), Arc::clone(&rule.name))];
            let of_series = series.without_version();
            let labels = of_series.with(of_rule.chain(of_all));
            if let Some((_, known)) = found.get(&labels) {
                // Of two versions of a package in one program one is enough.
                if of_series == *known && of_series != *series {
                    continue;
                }
                let text = format!(
                    "several series give an alert with the labels {labels}; add them up with sum by (…)"
                );
                return Err(text.into());
            }
            found.insert(labels, (value, of_series));
        }
        for (labels, (value, _)) in found {
            let new = || Active::kept(labels.clone(), value, AlertState::Pending, now);
            let active = self.active.entry(labels.clone()).or_insert_with(new);
            if active.state == AlertState::Resolved {
                let (starts, is_flapping) = (std::mem::take(&mut active.starts), active.is_flapping);
                *active = Active { starts, is_flapping, ..new() };
            }
            (active.value, active.lapsed_at, active.seen) = (value, None, evaluation);
            active.held.iter_mut().for_each(|held| held.is_assumed = false);
            if active.state == AlertState::Pending && now - active.active_at >= ms(rule.hold) {
                (active.state, active.fired_at) = (AlertState::Firing, Some(now));
                active.starts.push(now);
                active.is_repeat = active.is_flapping;
                self.flaps += u64::from(active.is_flapping);
            }
        }
        let flaps = &mut self.flaps;
        self.active.retain(|_, active| {
            active.held = active.held.filter(|held| held.until > now && active.state != AlertState::Resolved);
            if active.seen == evaluation {
                return true;
            }
            if let Some(held) = &mut active.held {
                held.is_assumed = true;
                return true;
            }
            match active.state {
                // One that flaps goes on to be known while it is neither here nor there.
                AlertState::Pending if active.is_flapping => {
                    (active.state, active.resolved_at) = (AlertState::Resolved, Some(now));
                    true
                }
                AlertState::Pending => false,
                AlertState::Resolved => active.is_flapping || now < active.known_until,
                AlertState::Firing => {
                    let lapsed_at = *active.lapsed_at.get_or_insert(now);
                    if now - lapsed_at >= ms(rule.keep_firing) {
                        (active.state, active.resolved_at) = (AlertState::Resolved, Some(now));
                        active.known_until = now + KNOWN;
                        *flaps += u64::from(active.is_flapping);
                    }
                    true
                }
            }
        });
        if let Some(flapping) = step.flapping {
            self.active.values_mut().for_each(|active| active.flap(flapping, now));
        }
        Ok(())
    }
}

impl Active {
    /// What is kept of an alert of an earlier run.
    pub(super) fn kept(labels: Labels, value: f64, state: AlertState, active_at: i64) -> Active {
        Active {
            labels,
            value,
            state,
            active_at,
            fired_at: None,
            resolved_at: None,
            lapsed_at: None,
            held: None,
            suppressed: None,
            starts: Vec::new(),
            is_flapping: false,
            is_repeat: false,
            known_until: 0,
            cause: None,
            acknowledged_by: None,
            exemplar: None,
            evidence: None,
            usual: None,
            seen: 0,
        }
    }

    /// Finds out whether it flaps.
    fn flap(&mut self, flapping: Flapping, now: i64) {
        self.starts.retain(|start| now - start < flapping.within);
        let least = if self.is_flapping { flapping.calm() } else { flapping.starts };
        let was = std::mem::replace(&mut self.is_flapping, self.starts.len() >= least);
        if was && !self.is_flapping && self.state == AlertState::Resolved {
            // Now it is told that it is over.
            self.known_until = now + KNOWN;
        }
    }

    /// The alert with its texts.
    fn shown(&self, rule: &Rule) -> Alert {
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
            suppressed: self.suppressed.as_ref().map(|(reason, _)| *reason),
            suppressed_by: self.suppressed.as_ref().map(|(_, by)| Arc::clone(by)),
            is_flapping: self.is_flapping,
            cause: self.cause.as_ref().map(|(_, labels)| labels.clone()),
            root: None,
            acknowledged_by: self.acknowledged_by.clone(),
            exemplar: self.exemplar,
            evidence: self.evidence.clone(),
            explanation: String::new(),
            is_urgent: rule.is_urgent,
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
