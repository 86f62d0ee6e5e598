//! The way of news to whoever is told of them: a bounded queue, and a thread that takes out one after the other. The ledger counts what becomes of each.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use throughline_export::ledger::{DropReason, HopCells};
use throughline_export::{Deadline, Health};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Lane<T> {
    /// In the ledger.
    name: String,
    most: usize,
    health: Arc<Health>,
    cells: OnceLock<Arc<HopCells>>,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    /// Was taken out, and is not done.
    current: Option<T>,
    /// Could not be done before the end of the process, and may be by the next run.
    put_off: Vec<T>,
    /// Of what was taken out; from the end on, of all that is left.
    deadline: Option<Arc<Deadline>>,
    is_closed: bool,
    has_ended: bool,
    /// Grows with each change of what waits.
    changes: u64,
}

impl<T: Clone> Lane<T> {
    /// At most so many wait.
    pub(crate) fn new(name: String, most: usize, health: Arc<Health>) -> Lane<T> {
        let state = State {
            queue: VecDeque::new(),
            current: None,
            put_off: Vec::new(),
            deadline: None,
            is_closed: false,
            has_ended: false,
            changes: 0,
        };
        let (cells, state, changed) = (OnceLock::new(), Mutex::new(state), Condvar::new());
        Lane { name, most, health, cells, state, changed }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Counts there from now on.
    pub(crate) fn count(&self, cells: Option<Arc<HopCells>>) {
        let _ = self.cells.set(cells.unwrap_or_default());
    }

    pub(crate) fn cells(&self) -> &HopCells {
        self.cells.get_or_init(Arc::default)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item into the queue. The error says why it was dropped instead.
    pub(crate) fn push(&self, item: T) -> Result<(), DropReason> {
        self.cells().input(1);
        let mut state = self.lock();
        let reason = match state.is_closed {
            true => DropReason::Shutdown,
            false if state.queue.len() >= self.most => DropReason::QueueFull,
            false => {
                state.queue.push_back(item);
                state.changes += 1;
                self.changed.notify_all();
                return Ok(());
            }
        };
        drop(state);
        self.cells().dropped(reason, 1);
        Err(reason)
    }

    /// What waits or was taken out, and the number of changes so far.
    #[cfg(any(feature = "observers", test))]
    pub(crate) fn waiting(&self) -> (Vec<T>, u64) {
        let state = self.lock();
        (state.current.iter().chain(&state.queue).cloned().collect(), state.changes)
    }

    #[cfg(feature = "observers")]
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// How many more items it takes.
    #[cfg(feature = "alerts")]
    pub(crate) fn room(&self) -> usize {
        self.most.saturating_sub(self.lock().queue.len())
    }

    /// Whether none waits to be taken out.
    #[cfg(feature = "observers")]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// Whether the process ends.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits for an item and takes it out, with its deadline, until which it is tried for so long. `None` at the end, or when there is no time left
    /// then.
    pub(crate) fn next(&self, within: impl Fn(&T) -> Duration) -> Option<(T, Arc<Deadline>)> {
        let mut state = self.lock();
        loop {
            let is_late = state.deadline.as_ref().is_some_and(|it| it.left_of(Duration::MAX).is_none());
            if state.is_closed && (is_late || state.queue.is_empty()) {
                state.has_ended = true;
                self.changed.notify_all();
                return None;
            }
            if let Some(item) = state.queue.pop_front() {
                state.current = Some(item.clone());
                // After the end was asked for, all that are left share one deadline.
                let deadline = match &state.deadline {
                    Some(last) => Arc::clone(last),
                    None => Arc::new(Deadline::within(within(&item))),
                };
                state.deadline = Some(Arc::clone(&deadline));
                return Some((item, deadline));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What was taken out is done, or is put off to the next run. Returns false if [`wait`](Lane::wait) has given it back before.
    pub(crate) fn done(&self, is_put_off: bool) -> bool {
        let mut state = self.lock();
        state.changes += 1;
        if !state.is_closed {
            // The next one has a deadline of its own.
            state.deadline = None;
        }
        let item = state.current.take();
        let is_ours = item.is_some();
        state.put_off.extend(item.filter(|_| is_put_off));
        is_ours
    }

    /// Takes no more items. The others have time until the deadline.
    pub(crate) fn close(&self, deadline: &Deadline) {
        let mut state = self.lock();
        state.is_closed = true;
        let current = state.deadline.get_or_insert_with(|| Arc::new(Deadline::never()));
        if let Some(at) = deadline.at() {
            current.draw_to(at);
        }
        self.changed.notify_all();
    }

    /// Waits until all is done, or the deadline. Returns what is left.
    pub(crate) fn wait(&self, deadline: &Deadline) -> Vec<T> {
        let mut state = self.lock();
        while !state.has_ended {
            let Some(left) = deadline.left_of(Duration::from_secs(3600)) else { break };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut left = std::mem::take(&mut state.put_off);
        left.extend(state.current.take());
        left.extend(state.queue.drain(..));
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn lane() -> Lane<u32> {
        Lane::new("news".into(), 2, Arc::new(Health::new("news", false)))
    }

    #[test]
    fn an_item_that_comes_just_before_the_end_has_the_time_that_is_left() {
        let lane = lane();
        lane.push(1).unwrap();
        let (_, deadline) = lane.next(|_| Duration::ZERO).unwrap();
        assert_eq!(deadline.left_of(LONG), None);
        assert!(lane.done(false));
        // The deadline of the first one has passed long ago.
        lane.push(2).unwrap();
        let end = Deadline::within(LONG);
        lane.close(&end);
        assert_eq!(lane.push(3), Err(DropReason::Shutdown));
        let (item, deadline) = lane.next(|_| Duration::ZERO).unwrap();
        assert_eq!((item, deadline.at()), (2, end.at()));
        assert!(lane.done(false));
        assert!(lane.next(|_| LONG).is_none());
        assert!(lane.wait(&end).is_empty());
    }

    #[test]
    fn what_is_left_is_given_back_once() {
        let lane = lane();
        for item in [1, 2] {
            lane.push(item).unwrap();
        }
        assert_eq!(lane.push(3), Err(DropReason::QueueFull));
        assert_eq!(lane.next(|_| LONG).unwrap().0, 1);
        lane.push(3).unwrap();
        assert_eq!(lane.waiting(), (vec![1, 2, 3], 3));
        let end = Deadline::within(Duration::ZERO);
        lane.close(&end);
        assert_eq!(lane.wait(&end), [1, 2, 3]);
        assert!(!lane.done(true), "it was given back");
        assert!(lane.next(|_| LONG).is_none());
        assert!(lane.wait(&end).is_empty());
    }

    #[test]
    fn what_is_put_off_is_left() {
        let lane = lane();
        lane.push(1).unwrap();
        assert_eq!(lane.next(|_| LONG).unwrap().0, 1);
        lane.close(&Deadline::within(LONG));
        assert!(lane.is_closed() && lane.done(true));
        assert!(lane.next(|_| LONG).is_none());
        assert_eq!(lane.wait(&Deadline::within(LONG)), [1]);
    }
}
