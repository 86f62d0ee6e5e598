//! Says in sentences what was decided about an alert, and why.

use super::baseline::Usual;
use super::correlate::root;
use super::engine::{Active, AlertState, Flapping, RuleState, Suppression, time};
use super::language::show_duration;
use super::page::rfc3339;
use super::rules::{Rule, Rules, short};
use std::fmt::Write;
use std::time::Duration;

/// What was decided about an alert.
pub(super) fn explain(
    rules: &Rules,
    states: &[RuleState],
    rule: &Rule,
    alert: &Active,
    flapping: Option<Flapping>,
) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let at = |at: i64| rfc3339(time(at));
    let held = alert.held.filter(|held| held.is_assumed && alert.state != AlertState::Resolved);
    let _ = match alert.state {
        state if let Some(held) = held => {
            let until = at(held.until);
            let until = match rules.plan.range_of(rule.root) {
                0 => format!("its series are there, or {until}"),
                _ => until,
            };
            let (state, restart) = (state.as_str(), at(held.since));
            write!(
                out,
                "It was {state} before the restart at {restart}; its condition cannot be judged until {until}."
            )
        }
        AlertState::Pending => write!(
            out,
            "Its condition has held since {}; it fires when that is {} long.",
            at(alert.active_at),
            show_duration(rule.hold)
        ),
        AlertState::Firing => {
            let held = if rule.hold.is_zero() {
                String::new()
            } else {
                format!(", longer than {}", show_duration(rule.hold))
            };
            match alert.lapsed_at {
                Some(lapsed) => write!(
                    out,
                    "Its condition does not hold any more since {}, and it goes on firing for {}.",
                    at(lapsed),
                    show_duration(rule.keep_firing)
                ),
                None => write!(out, "Its condition has held since {}{held}.", at(alert.active_at)),
            }
        }
        AlertState::Resolved => {
            write!(out, "It is over since {}.", at(alert.resolved_at.unwrap_or(alert.active_at)))
        }
    };
    if let Some(usual) = &alert.usual {
        let _ = write!(out, " {}", of_usual(usual));
    }
    if let Some((cause, root)) = alert.cause.as_ref().zip(root(states, alert)) {
        let (root_rule, root) = (&rules.rules[root.0], root.1);
        let after = alert.active_at - root.active_at;
        let apart = show_duration(Duration::from_millis(after.unsigned_abs()));
        let order = if after >= 0 {
            format!("began {apart} before it")
        } else {
            format!("was seen {apart} after it")
        };
        let via = match rules.rules[cause.0].name != root_rule.name {
            true => format!(" by way of {}", rules.rules[cause.0].name),
            false => String::new(),
        };
        let _ = write!(
            out,
            " It is likely a consequence of {}{}, on which it depends{via} and which {order}; it is told with that.",
            root_rule.name, root.labels
        );
    }
    if let Some((reason, by)) = &alert.suppressed {
        let what = match reason {
            Suppression::Silenced => "it is silenced by",
            Suppression::Inhibited => "it is inhibited by",
            Suppression::Deploying => "it began in a deploy, which is taken to go on",
            Suppression::Restarting => "it began after the process did, which is given time",
            Suppression::Muted => "it is expected at this time, by",
            Suppression::Flapping => "it flaps",
        };
        let _ = write!(out, " Nobody is told: {what} {by}.");
    }
    if let (true, Some(flapping)) = (alert.is_flapping, flapping) {
        let _ = write!(
            out,
            " It flaps: it began to fire {} times within {}. Nobody is told of its changes until there are fewer than {}.",
            alert.starts.len(),
            show_duration(Duration::from_millis(flapping.within.unsigned_abs())),
            flapping.calm()
        );
    }
    if let Some(by) = &alert.acknowledged_by {
        let _ = write!(out, " {by} has acknowledged it.");
    }
    out
}

/// What a score compares with.
fn of_usual(usual: &Usual) -> String {
    let period = if usual.is_weekly { "weeks" } else { "days" };
    format!(
        "At this time of the {}, {} is usual, give or take {}, as the last {} {period} tell.",
        if usual.is_weekly { "week" } else { "day" },
        short(usual.median),
        short(usual.spread),
        usual.number
    )
}
