//! What is wrong with an exporter. An outage is reported on standard error in two lines, one when it begins and one when it ends, never one per record.

use crate::text::Escaped;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between the reports of two outages, so that a collector that keeps failing and recovering does not fill the log.
const QUIET: Duration = Duration::from_secs(30);

/// Kinds of trouble, one bit each. An exporter with several lanes has several bits per lane.
pub type Trouble = u32;

/// The health of one exporter, shared by its lanes and by the guard, which reports the last error.
///
/// `note` and `working` only note; `tell` and `failing` write what is to be said on
/// standard error, which may block, so they are left to the exporter's own threads.
#[derive(Debug)]
pub struct Health {
    name: String,
    /// Whether lines are written.
    report: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    troubles: Trouble,
    since: Option<Instant>,
    /// Whether the beginning of this trouble was told.
    told: bool,
    /// When a beginning was last told.
    last_told: Option<Instant>,
    /// Records lost in troubles whose end has not been told.
    lost: u64,
    last_error: Option<String>,
    lines: Vec<String>,
}

impl Health {
    /// A healthy exporter of this name. `report` says whether outages are reported on standard error.
    pub fn new(name: &str, report: bool) -> Health {
        Health { name: name.into(), report, state: Mutex::default() }
    }

    /// What went wrong last, until everything works again.
    pub fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    /// Tells a trouble if it is the first, then lets it be known as the last error. May block as standard error may.
    pub fn failing(&self, trouble: Trouble, why: &str) {
        self.begin(trouble, why);
        self.tell();
        self.lock().last_error = Some(why.into());
    }

    /// Notes a trouble; a line is due if it is the first.
    pub(crate) fn note(&self, trouble: Trouble, why: &str) {
        self.begin(trouble, why);
        self.lock().last_error = Some(why.into());
    }

    fn begin(&self, trouble: Trouble, why: &str) {
        let mut state = self.lock();
        let first = state.troubles == 0;
        state.troubles |= trouble;
        if first {
            let now = Instant::now();
            state.since = Some(now);
            state.told = state.last_told.is_none_or(|told| now.duration_since(told) >= QUIET);
            if state.told {
                state.last_told = Some(now);
                let line = format!("throughline: {}: {}", self.name, Escaped(why));
                state.lines.push(line);
            }
        }
    }

    /// Counts records lost, for the line about the end.
    pub(crate) fn lost(&self, records: u64) {
        self.lock().lost += records;
    }

    /// Notes that a trouble is over; a line is due if it was the last and its beginning was told.
    pub(crate) fn working(&self, trouble: Trouble) {
        let mut state = self.lock();
        if state.troubles & trouble == 0 {
            return;
        }
        state.troubles &= !trouble;
        if state.troubles == 0 {
            state.last_error = None;
            self.over(&mut state, "works again");
        }
    }

    /// Notes that nothing more comes: what is still wrong stays so.
    pub(crate) fn ended(&self) {
        let mut state = self.lock();
        if state.troubles != 0 {
            self.over(&mut state, "still failing at the end,");
        }
    }

    fn over(&self, state: &mut State, how: &str) {
        let Some(since) = state.since.take() else { return };
        if state.told {
            let lost = std::mem::take(&mut state.lost);
            let seconds = since.elapsed().as_secs_f64();
            let s = if lost == 1 { "" } else { "s" };
            let line =
                format!("throughline: {}: {how} after {seconds:.1} s; {lost} record{s} lost", self.name);
            state.lines.push(line);
        }
    }

    /// Writes the lines that are due. May block as standard error may.
    pub(crate) fn tell(&self) {
        let lines = std::mem::take(&mut self.lock().lines);
        if self.report {
            // If standard error cannot be written to, there is no other place to report it.
            lines.iter().for_each(|line| _ = writeln!(std::io::stderr(), "{line}"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(health: &Health) -> Vec<String> {
        std::mem::take(&mut health.lock().lines)
    }

    #[test]
    fn one_line_when_it_begins_and_one_when_it_ends() {
        let health = Health::new("otlp", false);
        health.working(1);
        assert_eq!(lines(&health), [""; 0]);
        health.note(1, "no route");
        health.note(2, "no route either");
        health.note(1, "no route still");
        assert_eq!(lines(&health), ["throughline: otlp: no route"]);
        assert_eq!(health.last_error().as_deref(), Some("no route still"));
        health.lost(7);
        health.working(1);
        assert_eq!(lines(&health), [""; 0], "the other trouble is not over");
        health.working(2);
        let end = lines(&health).concat();
        assert!(end.starts_with("throughline: otlp: works again after 0.0 s; 7 records lost"), "{end}");
        assert_eq!(health.last_error(), None);
    }

    #[test]
    fn troubles_by_turns_are_told_once_in_a_while() {
        let health = Health::new("otlp", false);
        for _ in 0..100 {
            health.note(1, "refused");
            health.lost(1);
            health.working(1);
        }
        assert_eq!(lines(&health).len(), 2);
        // Long after, what was not told is made up for.
        health.lock().last_told = Instant::now().checked_sub(QUIET);
        health.note(1, "refused");
        health.ended();
        assert!(lines(&health)[1].contains("still failing at the end, after 0.0 s; 99 records lost"));
    }
}
