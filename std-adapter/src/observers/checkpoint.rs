//! The state file: what observers know, and the actions that wait, from one run to the next.

use super::Match;
use super::engine::{Engine, Seen};
use super::lane::Job;
use crate::outgoing::state_file::{self, push_line};
use std::path::Path;
use std::sync::Arc;

const FORMAT: &str = "throughline observers 1";

/// What is kept of one observer.
pub(super) struct Kept<'k> {
    pub(super) engine: &'k Engine,
    pub(super) jobs: Vec<Job>,
}

/// The lines of all observers.
pub(super) fn body(all: &[Kept<'_>]) -> String {
    let mut out = String::new();
    for Kept { engine, jobs } in all {
        let (listener, known) = (engine.listener(), &engine.known);
        push_line(&mut out, &["observer", &listener.name, &listener.fingerprint()]);
        let list = |times: &[u64]| times.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        for (key, times, seen) in known.windows.sorted() {
            push_line(&mut out, &["window", key, &seen.to_string(), &list(times)]);
        }
        for (key, steps, seen) in known.sequences.sorted() {
            let steps: Vec<String> =
                steps.iter().map(|it| format!("{} {} {}", it.time, it.number, it.step)).collect();
            push_line(&mut out, &["sequence", key, &seen.to_string(), &steps.join("\n")]);
        }
        for (key, until, seen) in known.cooldowns.sorted() {
            push_line(&mut out, &["cooldown", key, &seen.to_string(), &until.to_string()]);
        }
        for (key, (), seen) in known.holding.sorted() {
            push_line(&mut out, &["holds", key, &seen.to_string()]);
        }
        for (number, found) in jobs {
            let Some((action, _)) = listener.actions.get(*number) else { continue };
            let packed = found.packed();
            let mut fields = vec!["job", &**action];
            fields.extend(packed.iter().map(|field| &**field));
            push_line(&mut out, &fields);
        }
    }
    out
}

/// Replaces the file.
pub(super) fn save(path: &Path, body: &str, now_ms: i64) -> std::io::Result<()> {
    state_file::write(path, state_file::whole(FORMAT, body, now_ms).as_bytes())
}

/// Takes over what the file keeps for these observers, and returns the jobs, each with the number of its observer. The error says what is wrong with the file.
pub(super) fn load(path: &Path, engines: &mut [Engine]) -> Result<Vec<(usize, Job)>, String> {
    let text = match state_file::read(path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let (_, lines) = state_file::lines(FORMAT, &text)?;
    let mut jobs = Vec::new();
    // What is known to an observer that looks for something else now has no meaning; its jobs have.
    let mut at: Option<(usize, bool)> = None;
    for line in &lines {
        let fields: Vec<&str> = line.iter().map(|field| &**field).collect();
        if let ["observer", name, fingerprint] = fields[..] {
            let place = engines.iter().position(|engine| &*engine.listener().name == name);
            at = place.map(|place| (place, engines[place].listener().fingerprint() == fingerprint));
            continue;
        }
        let Some((place, is_same)) = at else { continue };
        let engine = &mut engines[place];
        if let ["job", action, ..] = fields[..] {
            let listener = engine.listener();
            let number = listener.actions.iter().position(|(name, _)| &**name == action);
            let found = Match::unpacked(&listener.name, &line[2..]);
            if let (Some(number), Some(found)) = (number, found) {
                jobs.push((place, (number, Arc::new(found))));
            }
        } else if is_same {
            let _ = restore(engine, &fields);
        }
    }
    Ok(jobs)
}

/// Takes over one line. `None` if it is of no kind that is known here.
fn restore(engine: &mut Engine, fields: &[&str]) -> Option<()> {
    let known = &mut engine.known;
    let number = |text: &str| text.parse::<u64>().ok();
    match *fields {
        ["window", key, seen, times] => {
            let times = times.split_whitespace().map(number).collect::<Option<Vec<_>>>()?;
            known.windows.put(key.into(), times, number(seen)?);
        }
        ["sequence", key, seen, steps] => {
            let step = |line: &str| {
                let mut parts = line.split(' ').map(number);
                let (time, number, step) = (parts.next()??, parts.next()??, parts.next()??);
                Some(Seen { time, number, step: usize::try_from(step).ok()? })
            };
            let steps = steps.lines().map(step).collect::<Option<Vec<_>>>()?;
            let last = steps.iter().map(|step| step.number).max();
            known.sequences.put(key.into(), steps, number(seen)?);
            engine.count_from(last.unwrap_or_default());
        }
        ["cooldown", key, seen, until] => {
            known.cooldowns.put(key.into(), number(until)?, number(seen)?);
        }
        ["holds", key, seen] => known.holding.put(key.into(), (), number(seen)?),
        _ => return None,
    }
    Some(())
}
