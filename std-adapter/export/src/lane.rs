//! A lane is a bounded queue and the thread that empties it, with its own counts. Each exporter has one, and
//! OTLP has one per signal, so an exporter that blocks does not delay another.
//!
//! [`Feed`] is the pump's end and never blocks; [`Lane::run`] is the thread's end.

mod feed;

pub(crate) use feed::{Feed, When};

use crate::Deadline;
use crate::cpu;
use crate::health::{self, Health, Trouble};
use crate::ledger::{DropReason, HopCells};
use crate::meter::Meter;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Number of buffers kept for reuse.
const SPARES: usize = 4;
/// How often an idle thread calls `flush` while its exporter holds records back.
const IDLE: Duration = Duration::from_millis(50);

/// A token that lanes drop when everything queued before it is done. When all clones are dropped, the
/// receiver sees that all lanes are done.
pub type Done = Sender<()>;

#[derive(Debug)]
enum Item<T> {
    Work(Work<T>),
    /// Dropped when everything before it is done.
    Marker(Done),
}

/// A piece of work.
#[derive(Debug)]
struct Work<T> {
    work: T,
    records: u64,
    bytes: u64,
}

/// A queue of work and its counts.
pub(crate) struct Lane<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    name: String,
    limit: usize,
    counts: Arc<HopCells>,
    meter: Arc<Meter>,
    health: Arc<Health>,
    deadline: Arc<Deadline>,
    /// The bit of a failed delivery; the next bit means an overload.
    trouble: Trouble,
    wake: Wake,
    /// Saves what is left when the lane is given up.
    rescue: OnceLock<Rescue<T>>,
    /// Whether there could be a spool.
    takes_spool: AtomicBool,
}

/// Takes what waits in a queue that is given up, and saves what it can. Returns what became of the records; those that no outcome mentions are lost.
pub(crate) type Rescue<T> = Box<dyn Fn(Vec<(T, u64)>) -> Vec<Outcome> + Send + Sync>;

/// Wakes the pump.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

struct State<T> {
    items: VecDeque<Item<T>>,
    /// Number of pieces of work in the queue and in the thread's hands.
    queued: usize,
    closed: bool,
    /// Whether the thread has ended.
    ended: bool,
    /// Set when the lane was given up: everything in it, and everything that still comes, is counted as
    /// dropped for this reason.
    given_up: Option<DropReason>,
    spares: Vec<T>,
    /// Whether the pump drops records and must be woken when there is room.
    starved: bool,
}

/// The outcome of some records, for the ledger. Records that it does not mention are still pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) delivered: u64,
    pub(crate) dropped: Option<(DropReason, u64)>,
    /// Records that now wait on disk, and those that no longer do.
    pub(crate) to_disk: u64,
    pub(crate) from_disk: u64,
}

/// What a lane's thread does next.
enum Next<T> {
    Work(Work<T>),
    Idle,
    End,
}

/// A lane of any kind of work, for the guard.
pub trait AnyLane: Send + Sync + fmt::Debug {
    /// Its name in the ledger.
    fn name(&self) -> &str;

    /// Whether it could have a spool and has none.
    fn lacks_spool(&self) -> bool;

    /// Drops `done` when everything queued so far has been delivered or given up.
    fn mark(&self, done: Done);

    /// Counts everything still there as dropped for `reason`, and takes nothing more. What its thread does
    /// later is not counted.
    fn give_up(&self, reason: DropReason);
}

impl<T> fmt::Debug for Lane<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<T: Send> AnyLane for Lane<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn lacks_spool(&self) -> bool {
        self.takes_spool.load(Ordering::Relaxed) && self.rescue.get().is_none()
    }

    fn mark(&self, done: Done) {
        let mut state = self.lock();
        if state.given_up.is_none() && !state.ended {
            state.items.push_back(Item::Marker(done));
            self.changed.notify_all();
        }
    }

    fn give_up(&self, reason: DropReason) {
        let mut state = self.lock();
        let items = std::mem::take(&mut state.items);
        if state.given_up.is_some() {
            return;
        }
        state.given_up = Some(reason);
        let (mut waiting, mut markers) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Work(Work { work, records, bytes }) => {
                    self.meter.unqueued(records, bytes);
                    waiting.push((work, records));
                }
                Item::Marker(done) => markers.push(done),
            }
        }
        // A thread that panicked may have left its exporter in any state, so nothing is rescued then.
        let rescue = self.rescue.get().filter(|_| reason != DropReason::ThreadDied);
        if let Some(rescue) = rescue {
            // The rescue may write to a disk, so the pump must not wait for it. Records that come meanwhile are
            // counted by `Feed::publish`.
            drop(state);
            let outcomes = rescue(waiting);
            state = self.lock();
            outcomes.into_iter().for_each(|outcome| self.put(outcome));
        }
        // This holds the lock, because `Feed::publish` counts records in two steps.
        let pending = self.counts.read().pending;
        self.counts.dropped(reason, pending);
        self.health.lost(pending);
        // Whoever waits for a marker may read the counts next, so the markers go last.
        drop(markers);
        drop(state);
        self.changed.notify_all();
    }
}

impl<T: Send> Lane<T> {
    /// A lane that queues at most `limit` pieces of work. `index` (up to 15) tells apart the lanes that share
    /// one `health`.
    pub(crate) fn new(
        name: &str,
        limit: usize,
        index: u32,
        counts: Arc<HopCells>,
        health: Arc<Health>,
        deadline: Arc<Deadline>,
        wake: Wake,
    ) -> Lane<T> {
        let state = State {
            items: VecDeque::new(),
            queued: 0,
            closed: false,
            ended: false,
            given_up: None,
            spares: Vec::new(),
            starved: false,
        };
        let trouble = 1 << (2 * index);
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let (name, rescue) = (name.into(), OnceLock::new());
        let (meter, takes_spool) = (Arc::default(), AtomicBool::new(false));
        Lane {
            state,
            changed,
            name,
            limit,
            counts,
            meter,
            health,
            deadline,
            trouble,
            wake,
            rescue,
            takes_spool,
        }
    }

    /// Has `meter` count what happens here.
    pub(crate) fn metered_by(self, meter: Arc<Meter>) -> Lane<T> {
        Lane { meter, ..self }
    }

    /// What the lane's exporter counts too.
    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Has `rescue` save what is left when the lane is given up.
    pub(crate) fn rescued_by(&self, rescue: Rescue<T>) {
        // Set once, before the lane's thread starts.
        let _ = self.rescue.set(rescue);
    }

    /// Notes that there could be a spool.
    pub(crate) fn takes_spool(&self) {
        self.takes_spool.store(true, Ordering::Relaxed);
    }

    /// Counts records that an earlier run left on disk.
    pub(crate) fn found(&self, records: u64) {
        self.counts.input(records);
        self.counts.spooled(records);
    }

    /// Counts records that now wait on disk. Not to be called once the rescue was.
    pub(crate) fn spooled(&self, records: u64) {
        self.counts.spooled(records);
    }

    /// Counts the outcome of records that waited on disk. Not to be called once the rescue was.
    pub(crate) fn unspooled(&self, records: u64, outcome: Outcome) {
        self.put(Outcome { from_disk: records, ..outcome });
    }

    /// Counts an outcome. Not to be called once the rescue was.
    pub(crate) fn settle(&self, outcome: Outcome) {
        match self.rescue.get() {
            // Until the rescue begins, records are counted here, even if the lane is given up already.
            Some(_) => self.put(outcome),
            None => self.count(outcome),
        }
    }

    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Notes that a delivery fails, before it is given up. `reason` is that of what is lost, or would be.
    pub(crate) fn failing(&self, reason: DropReason, why: &str) {
        // The end of the program is no trouble of its own: what it cuts short was not taken.
        let reason = if reason == DropReason::Shutdown { DropReason::Unreachable } else { reason };
        self.health.failing_for(self.trouble, reason, why);
    }

    /// Notes whether records are in memory that should be on the disk, and why.
    pub(crate) fn at_risk(&self, why: Option<&str>) {
        let trouble = self.trouble << health::SPOOLS;
        match why {
            Some(why) => self.health.failing_for(trouble, DropReason::SpoolError, why),
            None => self.health.working(trouble),
        }
    }

    /// Tells what is worth knowing but no failure.
    pub(crate) fn warn(&self, what: &str) {
        self.health.warn(what);
    }

    /// Notes that a delivery succeeded.
    pub(crate) fn working(&self) {
        self.health.working(self.trouble);
        self.health.tell();
    }

    /// Calls `deliver` for each piece of work until the lane is closed and empty, and `finish` at the end.
    /// `idle` is called when no work has come for a while; it returns `None` if nothing is held for later. A
    /// panic in any of them ends the lane: everything it has and everything that still comes is counted as
    /// dropped.
    pub(crate) fn run<E>(
        &self,
        exporter: &mut E,
        mut deliver: impl FnMut(&mut E, &mut T, u64) -> Outcome,
        mut idle: impl FnMut(&mut E) -> Option<Outcome>,
        finish: impl FnOnce(&mut E) -> Outcome,
    ) {
        // Something may be held from an earlier run.
        let mut wait_long = false;
        let worked = catch_unwind(AssertUnwindSafe(|| {
            loop {
                match self.next(wait_long) {
                    Next::Work(Work { mut work, records, bytes }) => {
                        let outcome = deliver(exporter, &mut work, records);
                        self.meter.unqueued(records, bytes);
                        self.done(outcome, Some(work));
                        wait_long = false;
                    }
                    Next::Idle => match idle(exporter) {
                        Some(outcome) => self.done(outcome, None),
                        None => wait_long = true,
                    },
                    Next::End => {
                        let outcome = finish(exporter);
                        self.count(outcome);
                        cpu::count_this_thread();
                        return;
                    }
                }
                self.health.tell();
                cpu::count_this_thread();
            }
        }));
        if let Err(panic) = worked {
            let why = panic_message(&*panic);
            self.health.died(&format!(
                "its thread panicked and has ended; records for it are counted as lost from now on: {why}"
            ));
            self.give_up(DropReason::ThreadDied);
            // After a panic the exporter may be in any state, so it is not called again.
        } else {
            self.health.tell();
        }
        let mut state = self.lock();
        state.ended = true;
        // Drop markers that came while the thread was ending.
        state.items.clear();
    }

    /// The next piece of work; `Idle` if none has come for a while, unless `wait_long`.
    fn next(&self, wait_long: bool) -> Next<T> {
        let mut state = self.lock();
        loop {
            let is_work = |item: &Item<T>| matches!(item, Item::Work(..));
            // Markers behind the last piece of work stay until the exporter has finished, because a shutdown
            // waits for that too.
            if state.given_up.is_some() || state.closed && !state.items.iter().any(is_work) {
                return Next::End;
            }
            match state.items.pop_front() {
                Some(Item::Work(work)) => return Next::Work(work),
                Some(Item::Marker(_)) => continue,
                None => {}
            }
            if wait_long {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                let (back, timeout) =
                    self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
                state = back;
                if timeout.timed_out() && state.items.is_empty() {
                    return Next::Idle;
                }
            }
        }
    }

    /// Counts the outcome of some work and keeps its memory for reuse.
    fn done(&self, outcome: Outcome, work: Option<T>) {
        self.count(outcome);
        let mut state = self.lock();
        if let Some(work) = work {
            state.queued -= 1;
            if state.spares.len() < SPARES {
                state.spares.push(work);
            }
            // Wake the pump when half the queue is free, because it then brings everything from the rings,
            // which may be several batches.
            if state.starved && state.queued <= self.limit / 2 {
                state.starved = false;
                drop(state);
                (self.wake)();
            }
        }
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        let state = self.lock();
        // `give_up` has counted these records already.
        if state.given_up.is_none() {
            self.put(outcome);
        }
    }

    fn put(&self, outcome: Outcome) {
        self.counts.spooled(outcome.to_disk);
        self.counts.unspooled(outcome.from_disk);
        self.counts.output(outcome.delivered);
        if let Some((reason, lost)) = outcome.dropped {
            self.counts.dropped(reason, lost);
            self.health.lost(lost);
        }
    }
}

impl<T> Lane<T> {
    /// Marks the lane as closed: no more work comes.
    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message of a panic.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
