//! The way of an observer's actions.

use super::Match;
use super::action::Action;
use super::metrics::{OfAction, OfObserver};
use crate::outgoing::Lane as Queue;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use throughline_export::ledger::DropReason;
use throughline_export::{Deadline, ExportError, Health, Trouble, panic_message};

/// Pause before an action is tried again; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// More is found than the actions can take.
const CROWDED: Trouble = 2;

/// An action, and what is known of it alone: that another one works says nothing about it.
pub(super) struct Acting {
    pub(super) action: Box<dyn Action>,
    pub(super) metrics: OfAction,
    pub(super) health: Arc<Health>,
}

/// What is to be done: the number of the action, and for what.
pub(super) type Job = (usize, Arc<Match>);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Lane {
    patience: Duration,
    pub(super) metrics: Arc<OfObserver>,
    pub(super) queue: Queue<Job>,
}

impl Lane {
    pub(super) fn new(
        name: String,
        most: usize,
        patience: Duration,
        health: Arc<Health>,
        metrics: Arc<OfObserver>,
    ) -> Lane {
        Lane { patience, metrics, queue: Queue::new(name, most, health) }
    }

    /// Puts a job into the queue; without room it is dropped.
    pub(super) fn push(&self, job: Job) {
        let Err(reason) = self.queue.push(job) else { return };
        self.metrics.error(reason.as_str(), 1);
        self.queue.health().failing(
            CROWDED,
            "more is found than its actions can take; give it a cooldown, or look after its receiver",
        );
        self.queue.health().lost(1);
    }

    /// The main function of the thread.
    pub(super) fn run(&self, mut actions: Vec<Acting>) {
        // Jobs have the numbers of actions of this observer, those of the state file too.
        while let Some(((number, found), deadline)) =
            self.queue.next(|&(number, _)| actions[number].action.longest(self.patience))
        {
            let Acting { action, metrics, health } = &mut actions[number];
            let begun = Instant::now();
            let done = attempt(&mut **action, &found, &deadline);
            metrics.duration.add(begun.elapsed().as_secs_f64() * 1e3);
            // The next run may have more luck, if there is a state file.
            let is_away = |error: &ExportError| error.reason == DropReason::Unreachable;
            let is_put_off = done.as_ref().is_err_and(is_away) && self.queue.is_closed();
            if !self.queue.done(is_put_off) {
                // It was counted as one that is left.
                continue;
            }
            if self.queue.is_empty() {
                self.queue.health().recovered_from(CROWDED);
            }
            let cells = self.queue.cells();
            match &done {
                Ok(()) => {
                    metrics.done.add(1.0);
                    cells.output(1);
                    health.recovered();
                }
                Err(error) if is_put_off => health.failing(1, &error.message),
                Err(error) => {
                    metrics.failed.add(1.0);
                    self.metrics.error("action", 1);
                    cells.dropped(error.reason, 1);
                    health.failing(1, &error.message);
                    health.lost(1);
                }
            }
        }
    }

    /// Counts jobs that were not run before the end: they wait on the disk, or are dropped.
    pub(super) fn left(&self, jobs: u64, is_kept: bool) {
        match is_kept {
            true => self.queue.cells().spooled(jobs),
            false => {
                self.queue.cells().dropped(DropReason::Shutdown, jobs);
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
