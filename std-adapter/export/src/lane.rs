//! A lane: a bounded queue and the thread that empties it, with counts of its own. Each exporter has one, OTLP has one for each signal; so one that
//! blocks holds up nobody else.
//!
//! [`Feed`] is the pump's end and never waits, [`Lane::run`] the thread's.

use crate::Deadline;
use crate::health::{Health, Trouble};
use crate::ledger::{DropReason, HopCells};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Buffers kept for further use.
const SPARES: usize = 4;
/// How often an idle thread calls `flush` while its exporter holds records back.
const IDLE: Duration = Duration::from_millis(50);
/// How long a queue must have had room before it counts as no longer overloaded.
const CALM: Duration = Duration::from_secs(1);

/// A token that lanes drop when everything queued before it is done. The receiver sees that all lanes are done when all clones have been dropped.
pub type Done = Sender<()>;

#[derive(Debug)]
enum Item<T> {
    Work(T, u64),
    /// Dropped when all before it is done.
    Marker(#[expect(dead_code, reason = "it tells by being dropped")] Done),
}

/// A queue of work, and what became of it.
pub(crate) struct Lane<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    name: String,
    limit: usize,
    counts: Arc<HopCells>,
    health: Arc<Health>,
    deadline: Arc<Deadline>,
    /// The bit of a failed delivery; that of an overload is the next.
    trouble: Trouble,
    wake: Wake,
}

/// Wakes the pump.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

struct State<T> {
    items: VecDeque<Item<T>>,
    /// Work in the queue and in the thread's hands.
    queued: usize,
    closed: bool,
    /// Whether the thread is done.
    ended: bool,
    /// Set when the lane was given up: everything in it has been counted as dropped for this reason, and so is everything that still comes.
    given_up: Option<DropReason>,
    spares: Vec<T>,
    /// Whether the pump drops records until there is room, and is to be woken then.
    starved: bool,
}

/// What became of some records, for the ledger. Records that it does not mention are still pending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) delivered: u64,
    pub(crate) dropped: Option<(DropReason, u64)>,
}

/// What a lane's thread is to do next.
enum Next<T> {
    Work(T, u64),
    Idle,
    End,
}

/// A lane as the guard sees it, whatever kind of work it carries.
pub trait AnyLane: Send + Sync + fmt::Debug {
    /// Drops `done` when all that is queued by now has been delivered or given up.
    fn mark(&self, done: Done);

    /// Counts what is still there as dropped at the shutdown, and has the lane take nothing more. What its thread does later counts no more.
    fn give_up(&self, reason: DropReason);
}

impl<T> fmt::Debug for Lane<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<T: Send> AnyLane for Lane<T> {
    fn mark(&self, done: Done) {
        let mut state = self.lock();
        if state.given_up.is_none() && !state.ended {
            state.items.push_back(Item::Marker(done));
            self.changed.notify_all();
        }
    }

    fn give_up(&self, reason: DropReason) {
        let mut state = self.lock();
        if state.given_up.is_none() {
            state.given_up = Some(reason);
            let pending = self.counts.read().pending;
            self.counts.dropped(reason, pending);
            self.health.lost(pending);
        }
        // This drops the markers too, so nobody waits for this lane any more.
        state.items.clear();
        self.changed.notify_all();
    }
}

impl<T: Send> Lane<T> {
    /// A lane that queues at most `limit` pieces of work. `index` tells the lanes of one `health` apart, up to 16.
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
        Lane { state, changed, name: name.into(), limit, counts, health, deadline, trouble, wake }
    }

    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Notes that a delivery fails, before it is given up.
    pub(crate) fn failing(&self, why: &str) {
        self.health.failing(self.trouble, why);
    }

    /// Notes that a delivery succeeded.
    pub(crate) fn working(&self) {
        self.health.working(self.trouble);
        self.health.tell();
    }

    /// Has `work` done by `deliver`, piece by piece, until the lane is closed and empty; `finish` comes last. `held` is whether something waits for a
    /// later `idle`. A panic in any of them ends the lane: what it has and what still comes is counted as dropped.
    pub(crate) fn run<E>(
        &self,
        exporter: &mut E,
        mut deliver: impl FnMut(&mut E, &mut T, u64) -> Outcome,
        mut idle: impl FnMut(&mut E) -> Option<Outcome>,
        finish: impl FnOnce(&mut E) -> Outcome,
    ) {
        let mut wait_long = true;
        let worked = catch_unwind(AssertUnwindSafe(|| {
            loop {
                match self.next(wait_long) {
                    Next::Work(mut work, records) => {
                        let outcome = deliver(exporter, &mut work, records);
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
                        return;
                    }
                }
                self.health.tell();
            }
        }));
        if let Err(panic) = worked {
            let why = panic_message(&*panic);
            self.health.failing(
                self.trouble,
                &format!("its thread panicked and is gone, what comes is counted as lost: {why}"),
            );
            self.give_up(DropReason::ThreadDied);
            // After a panic the exporter may be in any state, so it is not called again.
        } else {
            self.health.ended();
            self.health.tell();
        }
        let mut state = self.lock();
        state.ended = true;
        // Markers that came with the end.
        state.items.clear();
    }

    /// The next piece of work; `Idle` when none has come for a while, unless `wait_long`.
    fn next(&self, wait_long: bool) -> Next<T> {
        let mut state = self.lock();
        loop {
            let is_work = |item: &Item<T>| matches!(item, Item::Work(..));
            // Markers behind the last piece of work stay until the exporter has finished: a shutdown waits for that too.
            if state.given_up.is_some() || state.closed && !state.items.iter().any(is_work) {
                return Next::End;
            }
            match state.items.pop_front() {
                Some(Item::Work(work, records)) => return Next::Work(work, records),
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

    /// Counts what became of some work; its memory may be used again.
    fn done(&self, outcome: Outcome, work: Option<T>) {
        self.count(outcome);
        let mut state = self.lock();
        if let Some(work) = work {
            state.queued -= 1;
            if state.spares.len() < SPARES {
                state.spares.push(work);
            }
            // The pump is woken when half the queue is free: it then brings all that the rings hold, which may be several batches.
            if state.starved && state.queued <= self.limit / 2 {
                state.starved = false;
                drop(state);
                (self.wake)();
            }
        }
    }

    fn count(&self, outcome: Outcome) {
        let state = self.lock();
        // `give_up` has counted these records already.
        if state.given_up.is_some() {
            return;
        }
        self.counts.output(outcome.delivered);
        if let Some((reason, lost)) = outcome.dropped {
            self.counts.dropped(reason, lost);
            self.health.lost(lost);
        }
    }
}

impl<T> Lane<T> {
    /// Nothing more will come.
    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a panic was about.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}

/// Why work is queued, which says how much the queue may hold then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// A batch is large or old enough.
    Due,
    /// Somebody asks for all there is: up to twice the limit.
    Flush,
    /// Nothing follows: without a limit, as it is one piece.
    Last,
}

/// The pump's end of a lane: counts what comes, and puts finished work into the queue or drops it, without ever waiting.
pub(crate) struct Feed<T> {
    pub(crate) lane: Arc<Lane<T>>,
    /// Records taken but not yet counted.
    new: u64,
    /// Records dropped but not yet counted.
    shed: u64,
    /// When the first of the records not handed over came.
    oldest: Option<Instant>,
    /// Whether the queue had no room when last looked at.
    full: bool,
    /// When records were last dropped for want of room.
    overloaded: Option<Instant>,
    /// Markers for records that are not queued yet, as there was no room.
    markers: Vec<Done>,
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("lane", &self.lane).field("full", &self.full).finish_non_exhaustive()
    }
}

/// Lets the lane's thread end when the pump has ended, or was never started.
impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.lane.close();
    }
}

impl<T: Send> Feed<T> {
    pub(crate) fn new(lane: Arc<Lane<T>>) -> Feed<T> {
        Feed { lane, new: 0, shed: 0, oldest: None, full: false, overloaded: None, markers: Vec::new() }
    }

    /// Whether a record is to be prepared at all: while the queue is full it would be work for nothing.
    #[inline(always)]
    pub(crate) fn admits(&mut self) -> bool {
        self.new += 1;
        if self.full {
            self.shed += 1;
        }
        !self.full
    }

    /// Begins a round: looks whether there is room again. Whether there was none before.
    pub(crate) fn begin_round(&mut self) -> bool {
        let was_full = self.full;
        if was_full {
            self.has_room(When::Due);
        }
        was_full
    }

    /// Whether records were dropped since the end of the round before.
    pub(crate) fn is_shedding(&self) -> bool {
        self.shed > 0
    }

    /// Counts what came since. Whether something is not handed over and is as old as `age`.
    pub(crate) fn end_round(&mut self, now: Instant, age: Duration, unsent: bool) -> bool {
        self.publish();
        if !self.full && self.overloaded.is_some_and(|last| now.duration_since(last) >= CALM) {
            self.overloaded = None;
            self.lane.health.working(self.lane.trouble << 1);
        }
        if !unsent {
            self.oldest = None;
            return false;
        }
        now.duration_since(*self.oldest.get_or_insert(now)) >= age
    }

    fn publish(&mut self) {
        let (new, shed) = (std::mem::take(&mut self.new), std::mem::take(&mut self.shed));
        if new == 0 {
            return;
        }
        let lane = &*self.lane;
        let state = lane.lock();
        lane.counts.input(new);
        let dropped = state.given_up.map_or((DropReason::QueueFull, shed), |reason| (reason, new));
        lane.counts.dropped(dropped.0, dropped.1);
        lane.health.lost(dropped.1);
        if shed > 0 && state.given_up.is_none() {
            self.overloaded = Some(Instant::now());
            let why = format!(
                "the queue of {} is full: records come faster than they are delivered, further ones are dropped and counted",
                lane.name
            );
            lane.health.note(lane.trouble << 1, &why);
        }
    }

    /// Whether another piece of work may be queued. If not, records that come from now on are dropped until there is room.
    pub(crate) fn has_room(&mut self, when: When) -> bool {
        let limit = match when {
            When::Due => self.lane.limit,
            When::Flush => 2 * self.lane.limit,
            When::Last => usize::MAX,
        };
        let mut state = self.lane.lock();
        self.full = state.given_up.is_none() && state.queued >= limit;
        state.starved = self.full && when == When::Due;
        !self.full
    }

    /// Queues work with this many records in it; after [`has_room`](Feed::has_room).
    pub(crate) fn push(&mut self, work: T, records: u64) {
        self.publish();
        self.oldest = None;
        let mut state = self.lane.lock();
        // `give_up` has counted these records as dropped.
        if state.given_up.is_none() {
            state.queued += 1;
            state.items.push_back(Item::Work(work, records));
            state.items.extend(self.markers.drain(..).map(Item::Marker));
            self.lane.changed.notify_all();
        }
        self.markers.clear();
    }

    /// Work done before, whose memory may be used again.
    pub(crate) fn spare(&self) -> Option<T> {
        self.lane.lock().spares.pop()
    }

    /// Drops `done` when everything taken by now has been delivered or given up.
    pub(crate) fn mark(&mut self, done: Done) {
        if self.full { self.markers.push(done) } else { self.lane.mark(done) }
    }

    /// Nothing more will come.
    pub(crate) fn close(&mut self) {
        self.publish();
        self.lane.close();
    }

    /// Hands what is queued to `each` instead of to a thread.
    pub(crate) fn drain(&self, mut each: impl FnMut(&T, u64)) {
        loop {
            let item = self.lane.lock().items.pop_front();
            match item {
                Some(Item::Work(work, records)) => {
                    each(&work, records);
                    self.lane.done(Outcome { delivered: records, dropped: None }, Some(work));
                }
                Some(Item::Marker(_)) => {}
                None => return,
            }
        }
    }
}
