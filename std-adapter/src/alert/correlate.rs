//! Finds alerts of one cause: those of rules that depend on each other, in the order in which they began.

use super::Labels;
use super::engine::{Active, AlertState, RuleState};
use super::rules::Rules;
use std::collections::HashMap;

/// So much later than its consequence a cause may begin, in milliseconds, because rules wait differently long and look at ranges.
pub(super) const LATER: i64 = 300_000;
/// Longest chain of causes that is followed.
const LONGEST: usize = 16;

/// The place of an alert: its rule, and its labels.
pub(super) type Place = (usize, Labels);

/// Finds for each alert the one that it is likely a consequence of, among those that its rule depends on: the one that began first, and not more than
/// [`LATER`] after it. Once found, it stays the cause as long as it is known.
pub(super) fn correlate(rules: &Rules, states: &mut [RuleState]) {
    let mut causes: Vec<(Place, Option<Place>)> = Vec::new();
    for (at, rule) in rules.rules.iter().enumerate() {
        if rule.depends_on.is_empty() || states[at].active.is_empty() {
            continue;
        }
        // The first alert of each dependency, by the labels that must be equal.
        let firsts: Vec<HashMap<Labels, (i64, Place)>> = rule
            .depends_on
            .iter()
            .map(|dependency| {
                let mut firsts: HashMap<Labels, (i64, Place)> = HashMap::new();
                for &of in &dependency.rules {
                    for cause in states[of].active.values().filter(|it| it.state != AlertState::Resolved) {
                        let this = (cause.active_at, (of, cause.labels.clone()));
                        let first =
                            firsts.entry(dependency.equal_of(&cause.labels)).or_insert_with(|| this.clone());
                        if this < *first {
                            *first = this;
                        }
                    }
                }
                firsts
            })
            .collect();
        for alert in states[at].active.values() {
            let known = |(of, labels): &Place| states[*of].active.contains_key(labels);
            let found = || {
                let of =
                    |(dependency, firsts): (&super::rules::Dependency, &HashMap<Labels, (i64, Place)>)| {
                        firsts.get(&dependency.equal_of(&alert.labels)).cloned()
                    };
                let all = rule.depends_on.iter().zip(&firsts).filter_map(of);
                all.filter(|(began, _)| *began <= alert.active_at + LATER).min()
            };
            let cause = match alert.state {
                // What is over has no new cause.
                AlertState::Resolved => alert.cause.clone().filter(known),
                _ => alert.cause.clone().filter(known).or_else(|| found().map(|(_, place)| place)),
            };
            causes.push(((at, alert.labels.clone()), cause));
        }
    }
    for ((at, labels), cause) in causes {
        if let Some(alert) = states[at].active.get_mut(&labels) {
            alert.cause = cause;
        }
    }
}

/// The alert at the beginning of the causes of this one; `None` if it has no cause.
pub(super) fn root<'s>(states: &'s [RuleState], alert: &'s Active) -> Option<(usize, &'s Active)> {
    let mut root = None;
    let mut cause = alert.cause.as_ref();
    for _ in 0..LONGEST {
        let Some((at, labels)) = cause else { break };
        let Some(next) = states[*at].active.get(labels) else { break };
        root = Some((*at, next));
        cause = next.cause.as_ref();
    }
    root
}
