//! The way of notices to one receiver: a queue, and a thread that delivers them one after the other.

use super::{Alerts, Notice, Notifier};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use throughline_export::ledger::{DropReason, HopCells};
use throughline_export::{Deadline, ExportError, Health, panic_message};

/// Most notices that wait.
const MOST: usize = 256;

/// See the [module](self).
pub(super) struct Lane {
    /// In the ledger.
    name: String,
    receiver: Arc<str>,
    health: Arc<Health>,
    /// How long a notice is tried for.
    patience: Duration,
    cells: OnceLock<Arc<HopCells>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Notice>,
    /// The deadline of the notice that is being delivered.
    current: Option<Arc<Deadline>>,
    is_closed: bool,
    has_ended: bool,
}

impl Lane {
    pub(super) fn new(name: String, receiver: Arc<str>, health: Arc<Health>, patience: Duration) -> Lane {
        let (cells, state, changed) = (OnceLock::new(), Mutex::default(), Condvar::new());
        Lane { name, receiver, health, patience, cells, state, changed }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn receiver(&self) -> &str {
        &self.receiver
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

    /// Counts notices that wait because of the limit.
    pub(super) fn waiting(&self, number: u64) {
        self.cells().input(number);
        self.cells().dropped(DropReason::RateLimited, number);
    }

    /// Puts a notice into the queue; without room it is dropped, and made again later.
    pub(super) fn push(&self, notice: Notice, alerts: &Alerts) {
        self.cells().input(1);
        let mut state = self.lock();
        if state.queue.len() < MOST && !state.is_closed {
            state.queue.push_back(notice);
            self.changed.notify_all();
            return;
        }
        let reason = if state.is_closed { DropReason::Shutdown } else { DropReason::QueueFull };
        drop(state);
        self.cells().dropped(reason, 1);
        self.health
            .failing(1, "more notices come than are taken; make groups larger, or look after the receiver");
        alerts.delivered(&notice, false);
    }

    /// The main function of the thread.
    pub(super) fn run(&self, mut notifier: Box<dyn Notifier>, alerts: &Alerts) {
        while let Some((notice, deadline)) = self.next() {
            let delivered = catch_unwind(AssertUnwindSafe(|| notifier.notify(&notice, &deadline)));
            let delivered = delivered.unwrap_or_else(|panic| {
                let why = format!("the notifier panicked: {}", panic_message(&*panic));
                Err(ExportError::new(DropReason::ThreadDied, 1, why))
            });
            match &delivered {
                Ok(()) => {
                    self.cells().output(1);
                    self.health.recovered();
                }
                Err(error) => {
                    let reason = if self.lock().is_closed { DropReason::Shutdown } else { error.reason };
                    self.cells().dropped(reason, 1);
                    self.health.failing(1, &error.message);
                    self.health.lost(1);
                }
            }
            alerts.delivered(&notice, delivered.is_ok());
        }
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// The next notice, with its deadline; `None` at the end.
    fn next(&self) -> Option<(Notice, Arc<Deadline>)> {
        let mut state = self.lock();
        loop {
            if let Some(notice) = state.queue.pop_front() {
                // After the end was asked for, all that are left share one deadline.
                let deadline = match (&state.current, state.is_closed) {
                    (Some(last), true) => Arc::clone(last),
                    _ => Arc::new(Deadline::within(self.patience)),
                };
                state.current = Some(Arc::clone(&deadline));
                return Some((notice, deadline));
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes no more notices, and delivers the others until the deadline.
    pub(super) fn close(&self, deadline: &Deadline) {
        let mut state = self.lock();
        state.is_closed = true;
        let current = state.current.get_or_insert_with(|| Arc::new(Deadline::never()));
        if let Some(at) = deadline.at() {
            current.draw_to(at);
        }
        self.changed.notify_all();
    }

    /// Waits until all is delivered, or the deadline. What is left then is dropped.
    pub(super) fn wait(&self, deadline: &Deadline) {
        let mut state = self.lock();
        while !state.has_ended {
            let Some(left) = deadline.left_of(Duration::from_secs(3600)) else { break };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let left = state.queue.drain(..).count() as u64;
        self.cells().dropped(DropReason::Shutdown, left);
    }
}
