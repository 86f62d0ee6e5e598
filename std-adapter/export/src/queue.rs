//! The exporter: a bounded queue of finished bodies, and the thread that delivers them. Apart from the pump, so that a slow collector
//! does not keep rings from being emptied.

use crate::Deadline;
use crate::ledger::{Cells, DropReason};
use crate::otlp::{Client, SendError, Signal};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a waiting pump looks whether the shutdown's deadline has passed.
const LOOK: Duration = Duration::from_millis(20);
/// Buffers kept for further use.
const SPARES: usize = 4;

/// The body of a request.
#[derive(Debug)]
pub struct Body {
    /// Where it goes.
    pub signal: Signal,
    /// The encoded request.
    pub bytes: Vec<u8>,
    /// Spans or log records in it; metric points are not counted.
    pub records: u64,
}

#[derive(Debug)]
enum Item {
    Body(Body),
    /// Tells a flush that all before it is done.
    Marker(SyncSender<()>),
}

/// Finished bodies on their way to the exporter; at most `limit` of them.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
    deadline: Arc<Deadline>,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bodies: usize,
    closed: bool,
    spares: Vec<Vec<u8>>,
    last_error: Option<String>,
}

impl Queue {
    /// An empty queue of at most `limit` bodies, whose pushes wait no longer than `deadline`.
    pub fn new(limit: usize, deadline: Arc<Deadline>) -> Queue {
        Queue { state: Mutex::default(), changed: Condvar::new(), limit, deadline }
    }

    /// Queues a body if there is room.
    pub fn try_push(&self, body: Body) -> Result<(), (Body, DropReason)> {
        let mut state = self.lock();
        if state.bodies >= self.limit {
            return Err((body, DropReason::QueueFull));
        }
        state.add(body);
        self.changed.notify_all();
        Ok(())
    }

    /// Queues a body, waiting for room until the shutdown's deadline.
    pub fn push(&self, body: Body) -> Result<(), (Body, DropReason)> {
        let mut state = self.lock();
        while state.bodies >= self.limit {
            if self.deadline.at().is_some_and(|at| at <= Instant::now()) {
                return Err((body, DropReason::Shutdown));
            }
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.add(body);
        self.changed.notify_all();
        Ok(())
    }

    /// Has `done` told when all that is queued by now has been delivered or given up.
    pub fn mark(&self, done: SyncSender<()>) {
        self.lock().items.push_back(Item::Marker(done));
        self.changed.notify_all();
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// A buffer that was used before, or an empty one.
    pub fn spare(&self) -> Vec<u8> {
        self.lock().spares.pop().unwrap_or_default()
    }

    /// What went wrong last, until something goes right again.
    pub fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    /// The next item; `None` at the end.
    fn pop(&self) -> Option<Item> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hands the bodies that are queued to `each` instead of to a client.
    pub fn drain(&self, mut each: impl FnMut(&Body)) {
        loop {
            let item = self.lock().items.pop_front();
            match item {
                Some(Item::Body(body)) => {
                    each(&body);
                    self.done(body.bytes);
                }
                Some(Item::Marker(_)) => {}
                None => return,
            }
        }
    }

    /// A body is done with: there is room for another now.
    fn done(&self, bytes: Vec<u8>) {
        let mut state = self.lock();
        state.bodies -= 1;
        if state.spares.len() < SPARES {
            state.spares.push(bytes);
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, body: Body) {
        self.bodies += 1;
        self.items.push_back(Item::Body(body));
    }
}

/// Delivers bodies until the queue is closed and empty. `report` says whether an outage is told on standard error, once.
pub fn run(queue: &Queue, mut client: Client, cells: &Cells, report: bool) {
    while let Some(item) = queue.pop() {
        let body = match item {
            Item::Marker(done) => {
                // Nobody may be waiting any more.
                let _ = done.try_send(());
                continue;
            }
            Item::Body(body) => body,
        };
        match client.send_until(body.signal, &body.bytes, &queue.deadline) {
            Ok(delivered) => {
                let rejected = delivered.rejected.min(body.records);
                cells.otlp.output(body.records - rejected);
                cells.otlp.dropped(DropReason::Rejected, rejected);
                queue.lock().last_error = None;
            }
            Err(error) => {
                let reason = match error {
                    SendError::Deadline { .. }
                        if queue.deadline.at().is_some_and(|at| at <= Instant::now()) =>
                    {
                        DropReason::Shutdown
                    }
                    SendError::Deadline { .. } => DropReason::Unreachable,
                    _ => DropReason::Refused,
                };
                cells.otlp.dropped(reason, body.records);
                let first = queue.lock().last_error.replace(error.to_string()).is_none();
                if first && report {
                    let _ = writeln!(std::io::stderr(), "throughline: {error}");
                }
            }
        }
        queue.done(body.bytes);
    }
}
