//! The file that keeps alerts, silences and what was told from one run to the next. [Baselines](super::baseline) have one of their own beside it.
//!
//! It is text: a line for each thing, fields separated by tabs. The first line names the format, the last one has the number of lines and their hash, so
//! that a file that was cut off or written by someone else is noticed. It is written beside its place and then renamed, so that it is always whole.

use super::alerts::Center;
use super::baseline::beside;
use super::engine::{Active, AlertState, time, unix_ms};
use super::routing::Group;
use super::{Labels, Matcher, Silence};
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use throughline_export::diagnostics;

const FORMAT: &str = "throughline alerts 1";
/// Longest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// Takes over what the file keeps. A file that is not there is no problem, and any other is one that is told and counted.
pub(super) fn load(center: &mut Center, path: &Path, now: i64) {
    let baselines = beside(path);
    if let Err(why) = center.engine.load_baselines(&baselines) {
        problem(center, &baselines, &format!("{why}; what is usual is learnt anew"));
    }
    let text = match read(path) {
        Ok(Some(text)) => text,
        Ok(None) => return,
        Err(error) => return problem(center, path, &format!("cannot be read: {error}; alerts begin anew")),
    };
    if let Err(why) = restore(center, &text, now) {
        problem(center, path, &format!("{why}; alerts begin anew, and it is written over"));
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(Some(text))
}

fn problem(center: &mut Center, path: &Path, text: &str) {
    let text = format!("the state of alerts, {}, {text}", path.display());
    // An outage is told once, not at each evaluation.
    if center.state_problems.1.as_deref() != Some(&*text) {
        diagnostics::tell(throughline_export::text::Escaped(&text));
    }
    center.state_problems = (center.state_problems.0 + 1, Some(text));
}

/// Writes the file if something has changed. While an alert is pending the time of the file changes too, because its duration goes on from there.
pub(super) fn save(center: &mut Center, path: &Path, now: i64) {
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
    match write(path, whole(&body, now).as_bytes()) {
        Ok(()) => {
            center.saved = Some(body);
            center.state_problems.1 = None;
        }
        Err(error) => {
            problem(
                center,
                path,
                &format!("cannot be written: {error}; a restart forgets what fires and what is silenced"),
            );
        }
    }
}

/// Writes a file beside its place, and puts it there when it is whole.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(beside, path)
}

/// The lines between the first and the last.
fn body(center: &Center) -> String {
    let mut out = String::new();
    let mut line = |fields: &[&str]| {
        let fields: Vec<String> = fields.iter().map(|field| escaped(field)).collect();
        // Writing into a string cannot fail.
        let _ = writeln!(out, "{}", fields.join("\t"));
    };
    let at = |time: Option<i64>| time.map(|time| time.to_string()).unwrap_or_default();
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

fn whole(body: &str, now: i64) -> String {
    let head = format!("{FORMAT}\nsaved\t{now}\n{body}");
    let (lines, hash) = (head.lines().count(), hash(head.as_bytes()));
    format!("{head}end\t{lines}\t{hash:016x}\n")
}

/// By which a file is checked.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Takes over the text of a file. The error says what is wrong with it; nothing has changed then.
fn restore(center: &mut Center, text: &str, now: i64) -> Result<(), String> {
    let Some(rest) = text.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix('\n')) else {
        return Err("is not a state file of this version".into());
    };
    let (head, end) = text.rsplit_once("end\t").ok_or("has no end: it was cut off")?;
    if end != format!("{}\t{:016x}\n", head.lines().count(), hash(head.as_bytes())) {
        return Err("is damaged: its contents do not fit its last line".into());
    }
    let lines: Vec<Vec<String>> = rest[..head.len() - FORMAT.len() - 1]
        .lines()
        .map(|line| line.split('\t').map(unescaped).collect())
        .collect();
    let saved = lines.first().and_then(|line| line.get(1)?.parse().ok()).unwrap_or(now);
    let down = (now - saved).max(0);
    let mut group: Option<(usize, Labels)> = None;
    for fields in lines.iter().skip(1) {
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
                let _ = center.engine.restore(of, rule, active, down, now);
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
                    let known = Group {
                        next: at(next).unwrap_or(now),
                        notified_at: at(notified_at),
                        ..Group::default()
                    };
                    center.routers[router].groups.insert(labels.clone(), known);
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
    Ok(())
}

/// Labels as one text.
fn packed(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    pairs.join("\n")
}

fn unpacked(text: &str) -> Labels {
    Labels::new(
        text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name, unescaped(value))),
    )
}

/// The text without tabs and line breaks.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
        out
    })
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(c)) => out.push(c),
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        for text in ["", "a\tb\nc\\n\r", "\\", "ä=\"x\""] {
            assert_eq!(unescaped(&escaped(text)), text);
            assert!(!escaped(text).contains(['\t', '\n', '\r']));
        }
        let labels = Labels::new([("a", "x\ny\t\\"), ("b", "=")]);
        assert_eq!(unpacked(&packed(&labels)), labels);
    }
}
