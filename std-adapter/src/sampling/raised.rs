//! Shares of traces that are raised for a time, by observers.

use super::{CHANGES, Plan, Settings, publish};
use crate::config::SharedSampler;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most rules that count at the same time.
#[cfg_attr(not(feature = "observers"), allow(dead_code))]
const MOST: usize = 16;
/// Most sets of rules. A plan is never freed, because a thread may be reading it, so each set has one plan for good.
const MOST_PLANS: usize = 256;

/// Whether a rule counts now.
static ARE_RAISED: AtomicBool = AtomicBool::new(false);
static STATE: Mutex<State> = Mutex::new(State { base: None, raised: Vec::new(), plans: Vec::new() });

struct State {
    /// The settings of the configuration.
    base: Option<(Settings, Option<SharedSampler>)>,
    raised: Vec<Raised>,
    /// The plans so far of these settings, by the rules that were added to them.
    plans: Vec<(Vec<Rule>, &'static Plan)>,
}

type Rule = (String, f64);

struct Raised {
    rule: Rule,
    until: Instant,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The settings of the configuration are these from now on. Rules that count now go on.
pub(super) fn install(settings: &Settings, custom: Option<SharedSampler>) {
    let mut state = state();
    state.base = Some((settings.clone(), custom));
    // Settings change with the file; what was made of others is not needed again.
    state.plans.clear();
    state.apply();
}

/// Keeps this share of the traces that fit the pattern, for this time. A rule for the same pattern is replaced. The error says why not.
#[cfg_attr(not(feature = "observers"), allow(dead_code))]
pub(crate) fn raise(pattern: &str, share: f64, time: Duration) -> Result<(), String> {
    let mut state = state();
    let now = Instant::now();
    state.raised.retain(|raised| raised.until > now && raised.rule.0 != pattern);
    if state.raised.len() >= MOST {
        return Err(format!(
            "{MOST} shares of traces are raised already; {pattern} has to wait until one is over"
        ));
    }
    let until = now.checked_add(time).ok_or("the time is too long")?;
    state.raised.push(Raised { rule: (pattern.to_owned(), share), until });
    if state.apply() {
        return Ok(());
    }
    state.raised.pop();
    let _ = state.apply();
    Err(format!("the shares of traces were raised in {MOST_PLANS} different ways; no more can be remembered"))
}

/// Ends what is over. Cost: a load while nothing is raised.
pub(crate) fn lower(now: Instant) {
    if !ARE_RAISED.load(Ordering::Relaxed) {
        return;
    }
    let mut state = state();
    let before = state.raised.len();
    state.raised.retain(|raised| raised.until > now);
    if state.raised.len() < before && !state.apply() {
        // A plan without rules is always there.
        state.raised.clear();
        let _ = state.apply();
    }
}

impl State {
    /// Makes the settings count with the rules that are raised. Returns false if there were too many plans.
    fn apply(&mut self) -> bool {
        let Some((base, custom)) = &self.base else { return false };
        let mut rules: Vec<Rule> = self.raised.iter().map(|raised| raised.rule.clone()).collect();
        rules.sort_by(|a, b| a.0.cmp(&b.0));
        let known = self.plans.iter().find(|(known, _)| *known == rules).map(|(_, plan)| *plan);
        let plan = match known {
            Some(plan) => plan,
            None if self.plans.len() >= MOST_PLANS => return false,
            None => {
                let mut settings = base.clone();
                settings.rules.splice(..0, rules.iter().cloned());
                let plan: &'static Plan = Box::leak(Box::new(Plan::new(settings, *custom)));
                self.plans.push((rules, plan));
                plan
            }
        };
        ARE_RAISED.store(!self.raised.is_empty(), Ordering::Relaxed);
        publish(plan, *custom);
        CHANGES.fetch_add(1, Ordering::Release);
        true
    }
}
