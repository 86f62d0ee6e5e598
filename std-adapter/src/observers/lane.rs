//! The way of an observer's actions: a queue, and a thread that runs one after the other.

use super::Match;
use super::action::Action;
use super::metrics::{OfAction, OfObserver};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use throughline_export::ledger::{DropReason, HopCells};
use throughline_export::{Deadline, ExportError, Health, panic_message};

/// Pause before an action is tried again; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is to be done: the number of the action, and for what.
pub(super) type Job = (usize, Arc<Match>);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Lane {
    /// In the ledger.
    name: String,
    most: usize,
    patience: Duration,
    health: Arc<Health>,
    pub(super) metrics: Arc<OfObserver>,
    cells: OnceLock<Arc<HopCells>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Job>,
    current: Option<Job>,
    /// Could not be done before the end of the process, and may be by the next run.
    unfinished: Vec<Job>,
    /// The deadline of the action that runs.
    deadline: Option<Arc<Deadline>>,
    is_closed: bool,
    has_ended: bool,
    /// Grows with each change of what waits.
    changes: u64,
}

impl Lane {
    pub(super) fn new(
        name: String,
        most: usize,
        patience: Duration,
        health: Arc<Health>,
        metrics: Arc<OfObserver>,
    ) -> Lane {
        let (cells, state, changed) = (OnceLock::new(), Mutex::default(), Condvar::new());
        Lane { name, most, patience, health, metrics, cells, state, changed }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Counts there from now on.
    pub(super) fn count(&self, cells: Option<Arc<HopCells>>) {
        let _ = self.cells.set(cells.unwrap_or_default());
    }

    fn cells(&self) -> &HopCells {
        self.cells.get_or_init(Arc::default)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job into the queue; without room it is dropped.
    pub(super) fn push(&self, job: Job) {
        self.cells().input(1);
        let mut state = self.lock();
        if state.queue.len() < self.most && !state.is_closed {
            state.queue.push_back(job);
            state.changes += 1;
            self.changed.notify_all();
            return;
        }
        let is_closed = state.is_closed;
        drop(state);
        let (reason, kind) = match is_closed {
            true => (DropReason::Shutdown, "shutdown"),
            false => (DropReason::QueueFull, "queue_full"),
        };
        self.cells().dropped(reason, 1);
        self.metrics.error(kind, 1);
        self.health.failing(
            1,
            "more is found than its actions can take; give it a cooldown, or look after its receiver",
        );
    }

    /// What waits or runs, and the number of changes so far.
    pub(super) fn waiting(&self) -> (Vec<Job>, u64) {
        let state = self.lock();
        (state.current.iter().chain(&state.queue).cloned().collect(), state.changes)
    }

    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// The main function of the thread.
    pub(super) fn run(&self, mut actions: Vec<(Box<dyn Action>, OfAction)>) {
        while let Some(((number, found), deadline)) = self.next(&actions) {
            let Some((action, metrics)) = actions.get_mut(number) else {
                self.done();
                continue;
            };
            let begun = Instant::now();
            let done = attempt(&mut **action, &found, &deadline);
            metrics.duration.add(begun.elapsed().as_secs_f64() * 1e3);
            match &done {
                Ok(()) => {
                    metrics.done.add(1.0);
                    self.cells().output(1);
                    self.health.recovered();
                }
                // The next run may have more luck, if there is a state file.
                Err(error) if error.reason == DropReason::Unreachable && self.is_ending() => {
                    self.health.failing(1, &error.message);
                    let mut state = self.lock();
                    let job = state.current.take();
                    state.unfinished.extend(job);
                }
                Err(error) => {
                    metrics.failed.add(1.0);
                    self.metrics.error("action", 1);
                    self.cells().dropped(error.reason, 1);
                    self.health.failing(1, &error.message);
                    self.health.lost(1);
                }
            }
            self.done();
        }
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    fn done(&self) {
        let mut state = self.lock();
        state.current = None;
        state.changes += 1;
    }

    fn is_ending(&self) -> bool {
        self.lock().is_closed
    }

    /// The next job, with its deadline; `None` at the end.
    fn next(&self, actions: &[(Box<dyn Action>, OfAction)]) -> Option<(Job, Arc<Deadline>)> {
        let mut state = self.lock();
        loop {
            let is_late = || state.deadline.as_ref().is_some_and(|it| it.left_of(Duration::MAX).is_none());
            if state.is_closed && is_late() {
                return None;
            }
            if let Some(job) = state.queue.pop_front() {
                state.current = Some(job.clone());
                // After the end was asked for, all that are left share one deadline.
                let deadline = match (&state.deadline, state.is_closed) {
                    (Some(last), true) => Arc::clone(last),
                    _ => {
                        let action = actions.get(job.0);
                        let within = action.map_or(self.patience, |(it, _)| it.longest(self.patience));
                        Arc::new(Deadline::within(within))
                    }
                };
                state.deadline = Some(Arc::clone(&deadline));
                return Some((job, deadline));
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes no more jobs, and runs the others until the deadline.
    pub(super) fn close(&self, deadline: &Deadline) {
        let mut state = self.lock();
        state.is_closed = true;
        let current = state.deadline.get_or_insert_with(|| Arc::new(Deadline::never()));
        if let Some(at) = deadline.at() {
            current.draw_to(at);
        }
        self.changed.notify_all();
    }

    /// Waits until all is done, or the deadline. Returns what is left.
    pub(super) fn wait(&self, deadline: &Deadline) -> Vec<Job> {
        let mut state = self.lock();
        while !state.has_ended {
            let Some(left) = deadline.left_of(Duration::from_secs(3600)) else { break };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut left = std::mem::take(&mut state.unfinished);
        left.extend(state.current.take());
        left.extend(state.queue.drain(..));
        left
    }

    /// Counts jobs that were not run before the end: they wait on the disk, or are dropped.
    pub(super) fn left(&self, jobs: u64, is_kept: bool) {
        match is_kept {
            true => self.cells().spooled(jobs),
            false => {
                self.cells().dropped(DropReason::Shutdown, jobs);
                self.metrics.error("shutdown", jobs);
            }
        }
    }
}

/// Runs an action, again and again while its receiver cannot be reached.
fn attempt(action: &mut dyn Action, found: &Match, deadline: &Deadline) -> Result<(), ExportError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let done = catch_unwind(AssertUnwindSafe(|| action.run(found, deadline)));
        let done = done.unwrap_or_else(|panic| {
            let why = format!("the action panicked: {}", panic_message(&*panic));
            Err(ExportError::new(DropReason::ThreadDied, 1, why))
        });
        match done {
            Err(error) if error.reason == DropReason::Unreachable && deadline.pause(pause) => {
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
}
