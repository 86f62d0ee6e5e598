//! The checks, their threads, and what they have found.

use super::check::Work;
use super::future::wait_until;
use super::{Check, Finding, HealthError, HealthOptions, Status};
use crate::observe::{self, Observer};
use crate::spawn::spawn_recording;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use throughline::{counter_family, histogram_family, span};
use throughline_export::panic_message;

/// How long the end waits for checks that are being made.
const ENDING: Duration = Duration::from_millis(50);

/// All checks, and what they have found last.
pub(crate) struct Board {
    entries: Vec<Entry>,
    state: Mutex<State>,
    changed: Condvar,
}

struct Entry {
    check: Check,
    timeout: Duration,
    interval: Duration,
    /// The checks that it depends on.
    after: Vec<usize>,
}

struct State {
    /// Of each check.
    last: Vec<Kept>,
    /// Whether all checks that are not optional have been well once.
    has_started: bool,
    is_ending: bool,
    observers: Vec<Observer>,
}

#[derive(Clone, Default)]
struct Kept {
    outcome: Option<Outcome>,
    /// When the run began that has not ended.
    since: Option<Instant>,
}

#[derive(Clone)]
struct Outcome {
    finding: Finding,
    at: SystemTime,
    took: Duration,
}

/// What a page says about a check.
pub(super) struct Line<'b> {
    pub(super) check: &'b Check,
    pub(super) finding: Finding,
    /// When its last run ended, and how long that took.
    pub(super) last: Option<(SystemTime, Duration)>,
}

/// What is known at one time.
pub(super) struct Report<'b> {
    pub(super) lines: Vec<Line<'b>>,
    pub(super) has_started: bool,
    pub(super) is_ending: bool,
}

impl Board {
    /// The checks of these options. None runs yet.
    pub(crate) fn new(options: &HealthOptions, more: Option<Check>) -> Result<Board, HealthError> {
        let checks: Vec<Check> = options.checks.iter().cloned().chain(more).collect();
        let place = |name: &str| checks.iter().position(|check| check.name == name);
        let mut entries = Vec::new();
        for (at, check) in checks.iter().enumerate() {
            let name = || check.name.clone();
            if place(&check.name) != Some(at) {
                return Err(HealthError::Twice { name: name() });
            }
            let after = check.after.iter().map(|after| {
                place(after).ok_or_else(|| HealthError::Unknown { name: name(), after: after.clone() })
            });
            let timeout = check.timeout.unwrap_or(options.timeout).max(Duration::from_millis(1));
            let interval = check.interval.unwrap_or(options.interval).max(Duration::from_millis(1));
            let after = after.collect::<Result<_, _>>()?;
            entries.push(Entry { check: check.clone(), timeout, interval, after });
        }
        if let Some(at) = cyclic(&entries) {
            return Err(HealthError::Cycle { name: checks[at].name.clone() });
        }
        let last = vec![Kept::default(); entries.len()];
        let state = State { last, has_started: false, is_ending: false, observers: Vec::new() };
        Ok(Board { entries, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Starts a thread for each check.
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<()> {
        let mut observers = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let weak = Arc::downgrade(self);
            let read = move || Some(weak.upgrade()?.report().lines.get(at)?.finding.status.as_number());
            let metric = observe::gauge("health.check.status")
                .description("1 for a healthy check, 0.5 for a degraded one, 0 for an unhealthy one")
                .label("check", entry.check.name.clone());
            observers.push(metric.with(read));
            let board = Arc::clone(self);
            spawn_recording(&format!("check-{at}"), Box::new(move || board.run(at)))?;
        }
        let weak = Arc::downgrade(self);
        let metric =
            observe::gauge("health.status").description("1 for healthy, 0.5 for degraded, 0 for unhealthy");
        observers.push(metric.with(move || Some(weak.upgrade()?.report().status().as_number())));
        self.lock().observers = observers;
        Ok(())
    }

    /// Ends the threads that are not in a check, and those that are when they come back. Waits [`ENDING`] for these at most, so that their
    /// spans are recorded as a whole.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.is_ending = true;
        state.observers.clear();
        self.changed.notify_all();
        let works = |state: &mut State| state.last.iter().any(|kept| kept.since.is_some());
        drop(self.changed.wait_timeout_while(state, ENDING, works));
    }

    /// What is known now.
    pub(super) fn report(&self) -> Report<'_> {
        let state = self.lock();
        let lines = self.entries.iter().zip(&state.last).map(|(entry, kept)| entry.line(kept));
        Report { lines: lines.collect(), has_started: state.has_started, is_ending: state.is_ending }
    }

    /// The thread of a check.
    fn run(&self, at: usize) {
        let entry = &self.entries[at];
        while let Some(ill) = self.wait_for(&entry.after) {
            let (begun, at_time) = (Instant::now(), SystemTime::now());
            let finding = match ill {
                Some(other) => entry.not_made(&self.entries[other].check.name),
                None => {
                    self.lock().last[at].since = Some(begun);
                    entry.made(begun)
                }
            };
            let took = begun.elapsed();
            self.put(at, Outcome { finding, at: at_time + took, took });
            let state = self.lock();
            let ends = begun + took + entry.interval;
            let waits = |state: &mut State| !state.is_ending;
            let pause = ends.saturating_duration_since(Instant::now());
            drop(self.changed.wait_timeout_while(state, pause, waits));
        }
    }

    /// Waits until all checks of `after` have been made or are late. Returns the first that is unhealthy, and `None` at all if the threads
    /// are to end.
    fn wait_for(&self, after: &[usize]) -> Option<Option<usize>> {
        let mut state = self.lock();
        loop {
            if state.is_ending {
                return None;
            }
            let is_known = |at: &usize| {
                let kept = &state.last[*at];
                kept.outcome.is_some() || self.entries[*at].is_late(kept)
            };
            if after.iter().all(is_known) {
                let is_ill = |at: &&usize| {
                    self.entries[**at].line(&state.last[**at]).finding.status == Status::Unhealthy
                };
                return Some(after.iter().find(is_ill).copied());
            }
            let waited = self.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn put(&self, at: usize, outcome: Outcome) {
        let mut state = self.lock();
        state.last[at] = Kept { outcome: Some(outcome), since: None };
        let is_well = |(entry, kept): (&Entry, &Kept)| {
            entry.check.is_optional || entry.line(kept).finding.status != Status::Unhealthy
        };
        state.has_started |= self.entries.iter().zip(&state.last).all(is_well);
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("checks", &self.entries.len()).finish_non_exhaustive()
    }
}

impl Entry {
    /// Makes the check.
    fn made(&self, begun: Instant) -> Finding {
        let name = &*self.check.name;
        let mut span = span!("health.check", check = name);
        let made = catch_unwind(AssertUnwindSafe(|| {
            let mut work = self.check.work.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *work {
                Work::Call(call) => Some(call(self.timeout)),
                Work::Future(make) => wait_until(make(), begun + self.timeout),
            }
        }));
        let took = begun.elapsed();
        let finding = match made {
            Ok(Some(finding)) if took <= self.timeout => finding,
            Ok(Some(_)) => Finding::unhealthy(format!("it took {took:.1?}, longer than {:?}", self.timeout)),
            Ok(None) => Finding::unhealthy(format!("it had not ended within {:?}", self.timeout)),
            Err(panic) => Finding::unhealthy(format!("the check panicked: {}", panic_message(&*panic))),
        };
        if finding.status == Status::Unhealthy {
            span.fail(&finding.message);
        }
        let status = finding.status.as_str();
        counter_family!(
            "health.check.runs",
            labels = ["check", "status"],
            capacity = 192,
            unit = "{run}",
            description = "Runs of checks"
        )
        .add([name, status], 1);
        histogram_family!(
            "health.check.duration",
            labels = ["check"],
            capacity = 64,
            unit = "us",
            description = "How long checks took"
        )
        .record([name], u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        finding
    }

    fn not_made(&self, other: &str) -> Finding {
        Finding::unhealthy(format!("it is not checked, because `{other}` is unhealthy"))
    }

    /// Whether a run has begun that takes longer than it may.
    fn is_late(&self, kept: &Kept) -> bool {
        kept.since.is_some_and(|since| since.elapsed() > self.timeout)
    }

    fn line(&self, kept: &Kept) -> Line<'_> {
        let last = kept.outcome.as_ref().map(|outcome| (outcome.at, outcome.took));
        let finding = match (&kept.outcome, kept.since) {
            (_, Some(since)) if self.is_late(kept) => Finding::unhealthy(format!(
                "it has not come back for {:.1?}, longer than {:?}; it is not made again until it does",
                since.elapsed(),
                self.timeout
            )),
            (Some(outcome), _) => outcome.finding.clone(),
            (None, _) => Finding::unhealthy("it has not been checked yet"),
        };
        Line { check: &self.check, finding, last }
    }
}

impl Report<'_> {
    /// The status of the service: optional checks make it degraded at most.
    pub(super) fn status(&self) -> Status {
        let of = |line: &Line<'_>| match line.finding.status {
            Status::Unhealthy if line.check.is_optional => Status::Degraded,
            status => status,
        };
        self.lines.iter().map(of).max().unwrap_or(Status::Healthy)
    }

    /// The status of the service, and whether it is well.
    pub(super) fn health(&self) -> (Status, bool) {
        let status = self.status();
        (status, status != Status::Unhealthy)
    }

    /// The same, but that a service which is ending is not ready.
    pub(super) fn readiness(&self) -> (Status, bool) {
        if self.is_ending { (Status::Unhealthy, false) } else { self.health() }
    }

    /// The status of the checks that say whether the service has to be started again.
    pub(super) fn liveness(&self) -> (Status, bool) {
        let lines = self.lines.iter().filter(|line| line.check.is_liveness);
        let status = lines.map(|line| line.finding.status).max().unwrap_or(Status::Healthy);
        (status, status != Status::Unhealthy)
    }

    /// The status of the service, and whether it has been well once.
    pub(super) fn startup(&self) -> (Status, bool) {
        (self.status(), self.has_started || self.lines.is_empty())
    }
}

/// A check that depends on itself.
fn cyclic(entries: &[Entry]) -> Option<usize> {
    let mut rest: Vec<usize> = (0..entries.len()).collect();
    loop {
        let before = rest.len();
        let left = rest.clone();
        rest.retain(|at| entries[*at].after.iter().any(|after| left.contains(after)));
        if rest.len() == before {
            return rest.first().copied();
        }
    }
}
