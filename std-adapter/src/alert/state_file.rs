//! The [state file](crate::outgoing::state_file) that keeps alerts, silences and what was told from one run to the next. [Baselines](super::baseline) have one
//! of their own beside it.

use super::alerts::Center;
use super::baseline::beside;
use super::engine::{Active, AlertState, time, unix_ms};
use super::patterns::Span;
use super::routing::Group;
use super::{Labels, Matcher, Silence};
use crate::outgoing::state_file::{self, escaped, push_line, read, unescaped, write};
use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use throughline_export::diagnostics;

const FORMAT: &str = "throughline alerts 2";

/// What is lost without the file.
const FORGETS: &str = "a restart forgets what fires and what is silenced";

/// The file, unless there is none or another process has it, which is told once. What else keeps it from being locked keeps it from being written, or it is
/// on a file system without locks.
fn path(center: &mut Center) -> Option<PathBuf> {
    let path = center.state_file.clone()?;
    if center.lock.is_none() {
        match state_file::lock(&path) {
            Ok(lock) => center.lock = Some(lock),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut center.is_others, true) {
                    problem(center, &path, &format!("{}; {FORGETS}", state_file::TAKEN));
                }
                return None;
            }
            Err(TryLockError::Error(_)) => {}
        }
    }
    Some(path)
}

/// Takes over what the file keeps, and returns the version of the service that wrote it. A file that is not there is no problem, and any other is one that
/// is told and counted.
pub(super) fn load(center: &mut Center, now: i64) -> Option<String> {
    let path = path(center)?;
    take_over(center, &path, now)
}

/// As [`load`], from the file at this path.
fn take_over(center: &mut Center, path: &Path, now: i64) -> Option<String> {
    let baselines = beside(path);
    if let Err(why) = center.engine.load_baselines(&baselines) {
        problem(center, &baselines, &format!("{why}; what is usual is learnt anew"));
    }
    let text = match read(path) {
        Ok(Some(text)) => text,
        Ok(None) => return None,
        Err(error) => {
            problem(center, path, &format!("cannot be read: {error}; alerts begin anew"));
            return None;
        }
    };
    restore(center, &text, now).unwrap_or_else(|why| {
        problem(center, path, &format!("{why}; alerts begin anew, and it is written over"));
        None
    })
}

fn of_file(path: &Path, text: &str) -> String {
    format!("the state of alerts, {}, {text}", path.display())
}

fn problem(center: &mut Center, path: &Path, text: &str) {
    let text = of_file(path, text);
    // An outage is told once, not at each evaluation.
    if center.state_problems.1.as_deref() != Some(&*text) {
        diagnostics::tell(throughline_export::text::Escaped(&text));
    }
    center.state_problems = (center.state_problems.0 + 1, Some(text));
}

/// Writes the file if something has changed, after taking over what another process has left that had it until now. While an alert is pending the time of the
/// file changes too, because its duration goes on from there.
pub(super) fn save(center: &mut Center, now: i64) {
    let Some(path) = &path(center) else { return };
    if std::mem::take(&mut center.is_others) {
        diagnostics::tell(throughline_export::text::Escaped(&of_file(path, state_file::FREE)));
        center.state_problems.1 = None;
        take_over(center, path, now);
    }
    save_state(center, path, now);
    let baselines = beside(path);
    if let Err(error) = center.engine.baselines().save(&baselines) {
        problem(center, &baselines, &format!("cannot be written: {error}; a restart forgets what is usual"));
    }
}

fn save_state(center: &mut Center, path: &Path, now: i64) {
    let body = body(center);
    let is_pending = center.engine.count(AlertState::Pending) > 0;
    if center.saved.as_deref() == Some(&*body) && !is_pending {
        return;
    }
    match write(path, state_file::whole(FORMAT, &body, now).as_bytes()) {
        Ok(()) => {
            center.saved = Some(body);
            center.state_problems.1 = None;
        }
        Err(error) => {
            problem(center, path, &format!("cannot be written: {error}; {FORGETS}"));
        }
    }
}

/// The lines between the first and the last.
fn body(center: &Center) -> String {
    let mut out = String::new();
    let mut line = |fields: &[&str]| push_line(&mut out, fields);
    let at = |time: Option<i64>| time.map(|time| time.to_string()).unwrap_or_default();
    if let Some(version) = &center.patterns.version {
        line(&["version", version]);
    }
    if let Some(deploy) = center.patterns.deploy {
        line(&["deploy", &deploy.from.to_string(), &deploy.until.to_string()]);
    }
    for (rule, state) in center.rules().rules.iter().zip(&center.engine.states) {
        let mut active: Vec<&Active> = state.active.values().collect();
        active.sort_by(|a, b| a.labels.cmp(&b.labels));
        for it in active {
            let value = if it.state == AlertState::Resolved { it.value } else { 0.0 };
            line(&[
                "alert",
                &rule.group,
                &rule.name,
                &packed(&it.labels),
                it.state.as_str(),
                // The value of an alert that goes on is found anew.
                &value.to_string(),
                &it.active_at.to_string(),
                &at(it.fired_at),
                &at(it.resolved_at),
                &at(it.lapsed_at),
            ]);
            let starts: Vec<String> = it.starts.iter().map(ToString::to_string).collect();
            line(&[
                "of_alert",
                it.acknowledged_by.as_deref().unwrap_or_default(),
                if it.is_flapping { "flapping" } else { "" },
                &starts.join(" "),
                &it.known_until.to_string(),
            ]);
        }
    }
    for it in &center.silences {
        let matchers: Vec<String> = it.matchers.iter().map(ToString::to_string).collect();
        let (from, to) = (unix_ms(it.starts_at).to_string(), unix_ms(it.ends_at).to_string());
        line(&["silence", &it.id, &from, &to, &it.created_by, &it.comment, &matchers.join("\n")]);
    }
    for router in &center.routers {
        let mut groups: Vec<_> = router.groups.iter().collect();
        groups.sort_by(|a, b| a.0.cmp(b.0));
        for (key, group) in groups {
            let (notified_at, told) = router.kept(group);
            line(&["group", &router.name, &packed(key), &group.next.to_string(), &at(notified_at)]);
            let mut told: Vec<&Labels> = told.iter().collect();
            told.sort();
            told.into_iter().for_each(|labels| line(&["told", &packed(labels)]));
        }
    }
    out
}

/// Takes over the text of a file. The error says what is wrong with it; nothing has changed then.
fn restore(center: &mut Center, text: &str, now: i64) -> Result<Option<String>, String> {
    let (saved, lines) = state_file::lines(FORMAT, text)?;
    let saved = saved.unwrap_or(now);
    let down = (now - saved).max(0);
    let mut group: Option<(usize, Labels)> = None;
    let mut version = None;
    let mut last: Option<(usize, Labels)> = None;
    for fields in &lines {
        let fields: Vec<&str> = fields.iter().map(|field| &**field).collect();
        let at = |text: &str| text.parse::<i64>().ok();
        match fields[..] {
            ["alert", of, rule, labels, state, value, active_at, fired_at, resolved_at, lapsed_at] => {
                let (Some(state), Some(active_at)) = (AlertState::parse(state), at(active_at)) else {
                    continue;
                };
                let mut active =
                    Active::kept(unpacked(labels), value.parse().unwrap_or_default(), state, active_at);
                (active.fired_at, active.resolved_at, active.lapsed_at) =
                    (at(fired_at), at(resolved_at), at(lapsed_at));
                // The alerts of a rule that is gone are gone too.
                last = center.engine.restore(of, rule, active, down, now);
            }
            ["of_alert", acknowledged_by, flapping, starts, known_until] => {
                if let Some((rule, labels)) = last.take()
                    && let Some(active) = center.engine.states[rule].active.get_mut(&labels)
                {
                    active.acknowledged_by = Some(acknowledged_by).filter(|by| !by.is_empty()).map(Arc::from);
                    active.is_flapping = flapping == "flapping";
                    active.starts = starts.split(' ').filter_map(at).collect();
                    active.known_until = at(known_until).unwrap_or(active.known_until);
                }
            }
            ["version", before] => version = Some(before.to_owned()),
            ["deploy", from, until] => {
                if let (Some(from), Some(until)) = (at(from), at(until)) {
                    center.patterns.deploy = Some(Span { from, until });
                }
            }
            ["silence", id, from, to, created_by, comment, matchers] => {
                let matchers: Result<Vec<_>, _> = matchers.lines().map(Matcher::parse).collect();
                if let (Some(from), Some(to), Ok(matchers)) = (at(from), at(to), matchers) {
                    center.silences.push(Silence {
                        id: Arc::from(id),
                        matchers,
                        starts_at: time(from),
                        ends_at: time(to),
                        created_by: created_by.into(),
                        comment: comment.into(),
                    });
                }
            }
            ["group", receiver, labels, next, notified_at] => {
                group = None;
                if let Some(router) = center.routers.iter().position(|router| &*router.name == receiver) {
                    let labels = unpacked(labels);
                    let new = || Group { next: at(next).unwrap_or(now), ..Group::default() };
                    let known = center.routers[router].groups.entry(labels.clone()).or_insert_with(new);
                    known.notified_at = known.notified_at.max(at(notified_at));
                    group = Some((router, labels));
                }
            }
            ["told", labels] => {
                if let Some((router, key)) = &group
                    && let Some(group) = center.routers[*router].groups.get_mut(key)
                {
                    group.told.insert(unpacked(labels));
                }
            }
            _ => {}
        }
    }
    Ok(version)
}

/// Labels as one text.
fn packed(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    pairs.join("\n")
}

fn unpacked(text: &str) -> Labels {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Labels::new(pairs.map(|(name, value)| (name, unescaped(value)))).without_version()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_were() {
        let labels = Labels::new([("a", "x\ny\t\\"), ("b", "=")]);
        assert_eq!(unpacked(&packed(&labels)), labels);
    }
}
