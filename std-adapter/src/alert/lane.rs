//! The way of notices to one receiver.

use super::{Alerts, Notice, Notifier};
use crate::outgoing::Lane as Queue;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use throughline_export::ledger::{DropReason, HopCells};
use throughline_export::{Deadline, ExportError, Health, Trouble, panic_message};

/// Most notices that wait.
const MOST: usize = 256;

/// Notices are not delivered.
const FAILS: Trouble = 1;
/// Groups wait because there is no room for their notices.
const CROWDED: Trouble = 2;

/// See the [module](self).
pub(super) struct Lane {
    receiver: Arc<str>,
    /// How long a notice is tried for.
    patience: Duration,
    queue: Queue<Arc<Notice>>,
}

impl Lane {
    pub(super) fn new(name: String, receiver: Arc<str>, health: Arc<Health>, patience: Duration) -> Lane {
        Lane { receiver, patience, queue: Queue::new(name, MOST, health) }
    }

    pub(super) fn name(&self) -> &str {
        self.queue.name()
    }

    pub(super) fn receiver(&self) -> &str {
        &self.receiver
    }

    pub(super) fn health(&self) -> &Arc<Health> {
        self.queue.health()
    }

    /// Counts there from now on.
    pub(super) fn count(&self, cells: Option<Arc<HopCells>>) {
        self.queue.count(cells);
    }

    /// Counts notices that wait because of the limit.
    pub(super) fn waiting(&self, number: u64) {
        let cells = self.queue.cells();
        cells.input(number);
        cells.dropped(DropReason::RateLimited, number);
    }

    /// How many more notices it takes.
    pub(super) fn room(&self) -> usize {
        self.queue.room()
    }

    /// Tells whether groups wait because there is no room for their notices.
    pub(super) fn crowded(&self, groups: usize) {
        match groups {
            0 => self.health().recovered_from(CROWDED),
            _ => self.health().failing(
                CROWDED,
                "more notices come than are taken, so that they wait; make groups larger, or look after the receiver",
            ),
        }
    }

    /// Puts a notice into the queue. At the end of the process it is dropped.
    pub(super) fn push(&self, notice: Notice, alerts: &Alerts) {
        let notice = Arc::new(notice);
        if self.queue.push(Arc::clone(&notice)).is_err() {
            alerts.delivered(&notice, false);
        }
    }

    /// The main function of the thread.
    pub(super) fn run(&self, mut notifier: Box<dyn Notifier>, alerts: &Alerts) {
        while let Some((notice, deadline)) = self.queue.next(|_| self.patience) {
            let delivered = catch_unwind(AssertUnwindSafe(|| notifier.notify(&notice, &deadline)));
            let delivered = delivered.unwrap_or_else(|panic| {
                let why = format!("the notifier panicked: {}", panic_message(&*panic));
                Err(ExportError::new(DropReason::ThreadDied, 1, why))
            });
            let is_closed = self.queue.is_closed();
            if !self.queue.done(false) {
                // It was counted as one that is left.
                continue;
            }
            let (cells, health) = (self.queue.cells(), self.health());
            match &delivered {
                Ok(()) => {
                    cells.output(1);
                    health.recovered_from(FAILS);
                }
                Err(error) => {
                    cells.dropped(if is_closed { DropReason::Shutdown } else { error.reason }, 1);
                    health.failing(FAILS, &error.message);
                    health.lost(1);
                }
            }
            alerts.delivered(&notice, delivered.is_ok());
        }
    }

    /// Takes no more notices, and delivers the others until the deadline.
    pub(super) fn close(&self, deadline: &Deadline) {
        self.queue.close(deadline);
    }

    /// Waits until all is delivered, or the deadline. What is left then is dropped, as are notices of groups that still wait for room.
    pub(super) fn wait(&self, deadline: &Deadline, without_room: usize) {
        let (left, without_room) = (self.queue.wait(deadline).len() as u64, without_room as u64);
        let cells = self.queue.cells();
        cells.input(without_room);
        cells.dropped(DropReason::Shutdown, left + without_room);
        self.health().lost(left + without_room);
    }
}
