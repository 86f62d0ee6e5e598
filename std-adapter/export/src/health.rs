//! The health of an exporter. An outage is reported on standard error in a line for each reason for which records are lost, one when it
//! ends, and never one per record.

use crate::diagnostics;
use crate::ledger::DropReason;
use crate::text::Escaped;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between the reports of two outages, so that a collector that keeps failing and recovering does not fill the log.
const QUIET: Duration = Duration::from_secs(30);

/// A set of failures, one bit each. An exporter with several lanes uses two bits per lane: the lower one for failures of
/// delivery, and the upper one while records come faster than they are delivered. The bits of failures shifted by 32 are those of spools that cannot
/// be written.
pub type Trouble = u64;

/// The bits of lanes that are only slow.
const SLOW: Trouble = 0xaaaa_aaaa;
/// See [`Trouble`].
pub(crate) const SPOOLS: u32 = 32;

/// The health of one exporter, shared by its lanes and by the guard, which reports the last error.
///
/// `note` and `working` only update the state. `tell` and `failing` also write the lines that are due to
/// standard error.
#[derive(Debug)]
pub struct Health {
    name: String,
    /// Whether lines are written to standard error.
    report: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    troubles: Trouble,
    /// All of this outage, those that are over too.
    seen: Trouble,
    since: Option<Instant>,
    /// Whether a failure of this outage was reported.
    told: bool,
    /// A bit for each reason of which a failure was reported, since the first report of the last outage that was not too soon after another.
    told_reasons: u64,
    /// When a failure was last reported.
    last_told: Option<Instant>,
    /// When a warning was last reported.
    last_warned: Option<Instant>,
    /// Records lost in this outage, and in earlier ones that were not reported.
    lost: u64,
    last_error: Option<String>,
    /// Why a thread of the exporter has ended for good.
    died: Option<String>,
    lines: Vec<String>,
}

impl Health {
    /// A healthy exporter of this name. `report` says whether outages are reported on standard error.
    pub fn new(name: &str, report: bool) -> Health {
        Health { name: name.into(), report, state: Mutex::default() }
    }

    /// The last error; `None` after everything works again.
    pub fn last_error(&self) -> Option<String> {
        let state = self.lock();
        state.last_error.clone().or_else(|| state.died.clone())
    }

    /// Reports that a thread of the exporter has ended for good. This is no outage, because it has no end.
    pub fn died(&self, why: &str) {
        let mut state = self.lock();
        state.died = Some(why.into());
        state.lines.push(format!("{}: {}", self.name, Escaped(why)));
        drop(state);
        self.tell();
    }

    /// Reports the beginning of an outage if this is its first failure, then makes it the last error.
    pub fn failing(&self, trouble: Trouble, why: &str) {
        self.begin(trouble, None, why);
        self.tell();
        self.lock().last_error = Some(why.into());
    }

    /// As [`failing`](Health::failing), where records only come faster than they are taken.
    pub fn too_slow(&self, why: &str) {
        self.failing_for(SLOW, DropReason::RingFull, why);
    }

    /// Reports a failure if it is the first of an outage, or the first in it for this reason, then makes it the last error.
    pub(crate) fn failing_for(&self, trouble: Trouble, reason: DropReason, why: &str) {
        self.begin(trouble, Some(reason), why);
        self.tell();
        self.lock().last_error = Some(why.into());
    }

    /// Notes a failure. A line is due if it is the first of an outage, or the first in it for this reason.
    pub(crate) fn note(&self, trouble: Trouble, reason: DropReason, why: &str) {
        self.begin(trouble, Some(reason), why);
        self.lock().last_error = Some(why.into());
    }

    fn begin(&self, trouble: Trouble, reason: Option<DropReason>, why: &str) {
        let mut state = self.lock();
        let (first, now) = (state.troubles == 0, Instant::now());
        state.troubles |= trouble;
        state.seen |= trouble;
        let mut is_due = false;
        if first {
            state.seen = trouble;
            state.since = Some(now);
            is_due = state.last_told.is_none_or(|told| now.duration_since(told) >= QUIET);
            state.told = is_due;
            if is_due {
                state.told_reasons = 0;
            }
        }
        let reason = reason.map_or(0, |reason| 1 << reason as u32);
        if is_due || reason & !state.told_reasons != 0 {
            state.told_reasons |= reason;
            state.told = true;
            state.last_told = Some(now);
            let line = format!("{}: {}", self.name, Escaped(why));
            state.lines.push(line);
        }
    }

    /// Reports what is worth knowing but no trouble, unless there was such a line a short while ago.
    pub fn warn(&self, what: &str) {
        self.doubt(what);
        self.tell();
    }

    /// As [`warn`](Health::warn), but the line is due later.
    fn doubt(&self, what: &str) {
        let mut state = self.lock();
        let now = Instant::now();
        if state.last_warned.is_none_or(|warned| now.duration_since(warned) >= QUIET) {
            state.last_warned = Some(now);
            let line = format!("{}: {}", self.name, Escaped(what));
            state.lines.push(line);
        }
    }

    /// Counts lost records for the line at the end of the outage, if there is one.
    pub fn lost(&self, records: u64) {
        let mut state = self.lock();
        if state.troubles != 0 {
            state.lost += records;
        }
    }

    /// Reports the end of the outage, if there is one.
    pub fn recovered(&self) {
        self.recovered_from(Trouble::MAX);
    }

    /// Reports that these failures are over, and the end of the outage if there are no others.
    pub fn recovered_from(&self, trouble: Trouble) {
        self.working(trouble);
        self.tell();
    }

    /// Notes that a failure is over. A line is due if it was the last one and the beginning was reported.
    pub(crate) fn working(&self, trouble: Trouble) {
        let mut state = self.lock();
        if state.troubles & trouble == 0 {
            return;
        }
        state.troubles &= !trouble;
        if state.troubles == 0 {
            state.last_error = None;
            let how = match state.seen {
                seen if seen & !SLOW == 0 => "keeps up again",
                seen if seen.trailing_zeros() >= SPOOLS => {
                    "keeps nothing in memory any more that its spool should have"
                }
                _ => "works again",
            };
            self.over(&mut state, how);
        }
    }

    /// Reports the end of an exporter all of whose records are counted: what fails now stays so.
    pub fn ended(&self) {
        self.end();
        self.tell();
    }

    fn end(&self) {
        let mut state = self.lock();
        if state.troubles != 0 {
            let is_slow = state.troubles & !SLOW == 0;
            self.over(
                &mut state,
                if is_slow { "still too slow at the end," } else { "still failing at the end," },
            );
        }
    }

    fn over(&self, state: &mut State, how: &str) {
        let Some(since) = state.since.take() else { return };
        if state.told {
            let lost = std::mem::take(&mut state.lost);
            let seconds = since.elapsed().as_secs_f64();
            let s = if lost == 1 { "" } else { "s" };
            let line = format!("{}: {how} after {seconds:.1} s; {lost} record{s} lost", self.name);
            state.lines.push(line);
        }
    }

    /// Writes the lines that are due.
    pub(crate) fn tell(&self) {
        let lines = std::mem::take(&mut self.lock().lines);
        if self.report {
            lines.iter().for_each(diagnostics::tell);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DropReason::{QueueFull, Refused, SpoolError, Unreachable};

    /// Takes the lines that are due, before they are written.
    fn lines(health: &Health) -> Vec<String> {
        std::mem::take(&mut health.lock().lines)
    }

    #[test]
    fn one_line_when_it_begins_and_one_when_it_ends() {
        let health = Health::new("otlp", false);
        health.working(1);
        assert_eq!(lines(&health), [""; 0]);
        health.note(1, Unreachable, "no route");
        health.note(2, Unreachable, "no route either");
        health.note(1, Unreachable, "no route still");
        assert_eq!(lines(&health), ["otlp: no route"]);
        assert_eq!(health.last_error().as_deref(), Some("no route still"));
        health.lost(7);
        health.working(1);
        assert_eq!(lines(&health), [""; 0], "the other trouble is not over");
        health.working(2);
        let end = lines(&health).concat();
        assert!(end.starts_with("otlp: works again after 0.0 s; 7 records lost"), "{end}");
        assert_eq!(health.last_error(), None);
    }

    #[test]
    fn each_reason_is_told_once_in_an_outage() {
        let health = Health::new("events", false);
        for _ in 0..3 {
            health.note(1, Refused, "status 400");
            health.note(1, SpoolError, "the disk is full");
        }
        assert_eq!(lines(&health), ["events: status 400", "events: the disk is full"]);
        health.working(1);
        assert!(lines(&health)[0].contains("works again"));
        // Soon after, what was told is not told again, and what is new is.
        health.note(1, Refused, "status 400");
        assert_eq!(lines(&health), [""; 0]);
        health.note(1, Unreachable, "no route");
        assert_eq!(lines(&health), ["events: no route"]);
        health.working(1);
        assert!(lines(&health)[0].contains("works again"));
    }

    #[test]
    fn one_that_is_only_slow_does_not_fail() {
        let health = Health::new("terminal", false);
        health.note(2, QueueFull, "the queue is full");
        health.working(2);
        assert!(lines(&health)[1].starts_with("terminal: keeps up again after 0.0 s; 0 records lost"));
        for (troubles, told) in [(2, "still too slow at the end"), (3, "still failing at the end")] {
            let health = Health::new("terminal", false);
            health.note(troubles, QueueFull, "?");
            health.end();
            assert!(lines(&health)[1].contains(told), "{told}");
        }
    }

    #[test]
    fn warnings_are_told_once_in_a_while_and_are_no_trouble() {
        let health = Health::new("otlp", false);
        (0..100).for_each(|_| health.doubt("use\nless"));
        assert_eq!(lines(&health), [r"otlp: use\nless"]);
        assert_eq!(health.last_error(), None);
    }

    #[test]
    fn troubles_by_turns_are_told_once_in_a_while() {
        let health = Health::new("otlp", false);
        for _ in 0..100 {
            health.note(1, Refused, "refused");
            health.lost(1);
            health.working(1);
        }
        assert_eq!(lines(&health).len(), 2);
        // A later outage also reports the records lost in outages that were not reported.
        health.lock().last_told = Instant::now().checked_sub(QUIET);
        health.note(1, Refused, "refused");
        health.lost(1);
        health.working(1);
        assert!(lines(&health)[1].contains("works again after 0.0 s; 100 records lost"));
    }

    #[test]
    fn a_loss_outside_an_outage_is_not_of_the_next_one() {
        let health = Health::new("otlp", false);
        health.lost(5);
        health.note(1, Refused, "refused");
        health.lost(2);
        health.working(1);
        let end = lines(&health).pop().unwrap();
        assert!(end.ends_with("; 2 records lost"), "{end}");
    }

    #[test]
    fn a_thread_that_died_stays_the_last_error_after_an_outage_of_another() {
        let health = Health::new("otlp", false);
        health.died("panicked");
        health.note(1, Refused, "refused");
        assert_eq!(health.last_error().as_deref(), Some("refused"));
        health.working(1);
        assert_eq!(health.last_error().as_deref(), Some("panicked"));
    }
}
