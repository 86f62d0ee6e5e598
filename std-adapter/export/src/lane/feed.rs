//! The pump's end of a lane.

use super::{AnyLane, Done, Item, Lane, Outcome, Work};
use crate::ledger::DropReason;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a queue must have had room before it counts as no longer overloaded.
const CALM: Duration = Duration::from_secs(1);

/// How old a batch must be if none has been queued for as long as batches may take. It gives the rest of a trace
/// time to come, and is short enough that what happens after a pause is seen at once.
const PROMPT: Duration = Duration::from_millis(10);

/// Why work is queued. It decides how much the queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// A batch is large or old enough.
    Due,
    /// A flush asks for everything: up to twice the limit.
    Flush,
    /// The last piece of work: without a limit.
    Last,
}

/// The pump's end of a lane. It counts records, and puts batches into the queue or drops them, without ever
/// blocking.
pub(crate) struct Feed<T> {
    pub(crate) lane: Arc<Lane<T>>,
    /// Records taken but not yet counted.
    new: u64,
    /// Records dropped but not yet counted.
    shed: u64,
    /// When the first record of the current batch came.
    oldest: Option<Instant>,
    /// When a batch was last queued; at first, when this was created.
    queued: Instant,
    /// Whether the queue was full when it was last checked.
    full: bool,
    /// Whether nothing is ever taken: there is nobody to deliver it, nor to count it. It counts as full then, so that nothing is prepared.
    off: bool,
    /// When records were last dropped because the queue was full.
    overloaded: Option<Instant>,
    /// Markers for records that are not queued yet because the queue is full.
    markers: Vec<Done>,
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("lane", &self.lane).field("full", &self.full).finish_non_exhaustive()
    }
}

/// Lets the lane's thread end when the pump has ended or was never started.
impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.lane.close();
    }
}

impl<T: Send> Feed<T> {
    pub(crate) fn new(lane: Arc<Lane<T>>) -> Feed<T> {
        Feed {
            lane,
            new: 0,
            shed: 0,
            oldest: None,
            queued: Instant::now(),
            full: false,
            off: false,
            overloaded: None,
            markers: Vec::new(),
        }
    }

    /// The feed of a lane without a thread, which takes nothing.
    pub(crate) fn off(lane: Arc<Lane<T>>) -> Feed<T> {
        let mut feed = Feed::new(lane);
        (feed.full, feed.off) = (true, true);
        feed
    }

    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    /// Whether to prepare a record at all. While the queue is full that would be wasted work, so the record
    /// is counted as dropped.
    #[inline(always)]
    pub(crate) fn admits(&mut self) -> bool {
        self.new += 1;
        if self.full {
            self.shed += 1;
        }
        !self.full
    }

    /// Begins a round: checks whether the queue has room again. Returns whether it was full before.
    pub(crate) fn begin_round(&mut self) -> bool {
        let was_full = self.full;
        if was_full {
            self.has_room(When::Due);
        }
        was_full
    }

    /// Whether records were dropped since the end of the last round.
    pub(crate) fn is_shedding(&self) -> bool {
        self.shed > 0 && !self.off
    }

    /// Publishes the counts. Returns whether the current batch is due: because it is at least as old as `age`, or
    /// because it is the first one for that long and the pause makes it [`PROMPT`]. Without an age it is due when
    /// nothing else is queued.
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
        // What an exporter wants at once grows while the exporter is busy. Otherwise a slow one would fill its queue
        // with many small batches.
        if age.is_zero() && self.lane.lock().queued > 0 {
            return false;
        }
        let after_a_pause = now.duration_since(self.queued) >= age;
        let age = if after_a_pause { age.min(PROMPT) } else { age };
        now.duration_since(*self.oldest.get_or_insert(now)) >= age
    }

    fn publish(&mut self) {
        let (new, shed) = (std::mem::take(&mut self.new), std::mem::take(&mut self.shed));
        if new == 0 || self.off {
            return;
        }
        let lane = &*self.lane;
        let state = lane.lock();
        lane.counts.input(new);
        let dropped = state.given_up.map_or((DropReason::QueueFull, shed), |reason| (reason, new));
        lane.counts.dropped(dropped.0, dropped.1);
        if shed > 0 && state.given_up.is_none() {
            self.overloaded = Some(Instant::now());
            let why = format!(
                "the queue of {} is full: records come faster than they are delivered; further ones are dropped and counted",
                lane.name
            );
            lane.health.note(lane.trouble << 1, DropReason::QueueFull, &why);
        }
        // This comes after the note, so that the line at the outage's end has the first loss too.
        lane.health.lost(dropped.1);
    }

    /// Whether another piece of work may be queued. If not, records are dropped from now on until there is
    /// room.
    pub(crate) fn has_room(&mut self, when: When) -> bool {
        if self.off {
            return false;
        }
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

    /// Queues work with this many records and bytes. Call [`has_room`](Feed::has_room) first.
    pub(crate) fn push(&mut self, work: T, records: u64, bytes: usize) {
        self.publish();
        (self.oldest, self.queued) = (None, Instant::now());
        let mut state = self.lane.lock();
        // `give_up` has counted these records as dropped.
        if state.given_up.is_none() {
            state.queued += 1;
            let bytes = bytes as u64;
            self.lane.meter.queued(records, bytes);
            state.items.push_back(Item::Work(Work { work, records, bytes }));
            state.items.extend(self.markers.drain(..).map(Item::Marker));
            self.lane.changed.notify_all();
        }
        self.markers.clear();
    }

    /// A finished piece of work whose memory may be reused.
    pub(crate) fn spare(&self) -> Option<T> {
        self.lane.lock().spares.pop()
    }

    /// Drops `done` when everything taken so far has been delivered or given up.
    pub(crate) fn mark(&mut self, done: Done) {
        match (self.off, self.full) {
            (true, _) => drop(done),
            (_, true) => self.markers.push(done),
            _ => self.lane.mark(done),
        }
    }

    /// Publishes the counts and closes the lane.
    pub(crate) fn close(&mut self) {
        self.publish();
        self.lane.close();
    }

    /// Passes what is queued to `each`, for use without a thread.
    pub(crate) fn drain(&self, mut each: impl FnMut(&T, u64)) {
        loop {
            let item = self.lane.lock().items.pop_front();
            match item {
                Some(Item::Work(Work { work, records, bytes })) => {
                    each(&work, records);
                    self.lane.meter.unqueued(records, bytes);
                    self.lane.done(Outcome { delivered: records, ..Outcome::default() }, Some(work));
                }
                Some(Item::Marker(_)) => {}
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Health;
    use crate::ledger::Cells;

    fn feed() -> Feed<()> {
        let (counts, health) = (Cells::default().exporter("x"), Arc::new(Health::new("x", false)));
        Feed::new(Arc::new(Lane::new("x", 8, 0, counts, health, Arc::default(), Arc::new(|| ()))))
    }

    #[test]
    fn what_is_wanted_at_once_grows_while_the_exporter_is_busy() {
        let mut feed = feed();
        assert!(feed.end_round(Instant::now(), Duration::ZERO, true));
        feed.push((), 1, 0);
        assert!(!feed.end_round(Instant::now(), Duration::ZERO, true), "one is queued");
        feed.drain(|(), _| ());
        assert!(feed.end_round(Instant::now(), Duration::ZERO, true));
    }

    #[test]
    fn the_first_batch_after_a_pause_is_due_at_once_and_others_when_they_are_old() {
        const AGE: Duration = Duration::from_secs(3600);
        let mut feed = feed();
        for _ in 0..2 {
            let sent = feed.queued;
            // Soon after the last batch, the next one waits until it is old.
            let first = sent + AGE / 2;
            assert!(!feed.end_round(first, AGE, true));
            assert!(!feed.end_round(first + PROMPT, AGE, true));
            assert!(feed.end_round(first + AGE, AGE, true));
            feed.push((), 1, 0);
            // After a pause it need not.
            let first = feed.queued + AGE;
            assert!(!feed.end_round(first, AGE, true), "the rest of the trace may come");
            assert!(feed.end_round(first + PROMPT, AGE, true));
            feed.push((), 1, 0);
        }
        assert!(!feed.end_round(feed.queued + AGE, AGE, false), "there is nothing to send");
        assert!(
            !feed.end_round(feed.queued + AGE, Duration::MAX, true),
            "without an age a batch waits for its size"
        );
    }
}
