//! Calls the callbacks of observable metrics on a thread of their own, one at a time, so that one that hangs holds up
//! neither the pump nor a scrape: it is left out, and a new thread calls the others.

use super::{Answer, Observed, all};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use throughline_export::diagnostics;

/// Time that one callback has.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);
/// Time that all callbacks together have for a reader that somebody waits for.
const TOGETHER: Duration = Duration::from_secs(1);
/// Threads that may be stuck in callbacks at a time. While that many are, no callback is called.
const MOST_STUCK: usize = 4;

/// Has callbacks called, for whoever reads metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The thread that calls callbacks; `None` before the first.
    caller: Mutex<Option<Arc<Caller>>>,
    /// Threads that were replaced and have not come back.
    stuck: AtomicUsize,
    told_stuck: AtomicBool,
}

/// A thread that calls callbacks.
#[derive(Debug)]
struct Caller {
    requests: Sender<Request>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The callback that runs, and since when.
    running: Option<(Arc<Observed>, Instant)>,
    /// Whether another thread has taken over.
    is_replaced: bool,
}

struct Request {
    observers: Vec<Arc<Observed>>,
    /// Gets one answer for each of them, in this order.
    answers: Sender<Option<Answer>>,
}

/// A reading of all observers that is under way.
pub(crate) struct Asking {
    asker: Asker,
    left: VecDeque<Arc<Observed>>,
    caller: Option<Arc<Caller>>,
    receiver: Receiver<Option<Answer>>,
    answers: Vec<Answer>,
}

impl Asker {
    /// Begins to ask all observers, in the order in which they were made.
    pub(crate) fn ask(&self) -> Asking {
        let left = VecDeque::from(all().clone());
        let (_, receiver) = mpsc::channel();
        let mut asking = Asking { asker: self.clone(), left, caller: None, receiver, answers: Vec::new() };
        if !asking.left.is_empty() {
            asking.submit();
        }
        asking
    }

    /// The thread that calls; makes it if there is none. `None` if no thread can be had.
    fn caller(&self) -> Option<Arc<Caller>> {
        let mut caller = lock(&self.0.caller);
        if caller.is_none() {
            *caller = self.start();
        }
        caller.clone()
    }

    fn start(&self) -> Option<Arc<Caller>> {
        let (requests, receiver) = mpsc::channel();
        let caller = Arc::new(Caller { requests, state: Mutex::default() });
        // The thread ends when nobody can ask any more, so it must not keep the sender itself.
        let (weak, shared) = (Arc::downgrade(&caller), Arc::clone(&self.0));
        let run = move || {
            for Request { observers, answers } in receiver {
                for observed in observers {
                    let Some(caller) = weak.upgrade() else { return };
                    lock(&caller.state).running = Some((Arc::clone(&observed), Instant::now()));
                    let answer = observed.answer();
                    let mut state = lock(&caller.state);
                    state.running = None;
                    if state.is_replaced {
                        shared.stuck.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    drop(state);
                    if answers.send(answer).is_err() {
                        break;
                    }
                }
            }
        };
        crate::spawn::spawn("observe", Box::new(run)).is_ok().then_some(caller)
    }

    /// Has another thread take over from one whose callback takes too long. Returns that callback, or `None` if none
    /// does.
    fn replace(&self, caller: &Arc<Caller>) -> Option<Arc<Observed>> {
        let mut current = lock(&self.0.caller);
        let mut state = lock(&caller.state);
        let overdue = state.running.as_ref().filter(|(_, since)| since.elapsed() >= PATIENCE);
        let observed = Arc::clone(&overdue?.0);
        // Of several readers that wait, the first replaces it.
        if !state.is_replaced {
            state.is_replaced = true;
            self.0.stuck.fetch_add(1, Ordering::Relaxed);
            *current = None;
        }
        Some(observed)
    }

    fn may_start(&self) -> bool {
        let may = self.0.stuck.load(Ordering::Relaxed) < MOST_STUCK;
        if !may && !self.0.told_stuck.swap(true, Ordering::Relaxed) {
            diagnostics::tell(format_args!(
                "{MOST_STUCK} callbacks of observable metrics do not return; no callback is called until one does"
            ));
        }
        may
    }
}

impl Asking {
    /// Waits at most this long. Returns whether all answers are there that will come.
    pub(crate) fn wait(&mut self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while !self.left.is_empty() {
            match self.receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(answer) => {
                    self.left.pop_front();
                    self.answers.extend(answer);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.go_round_one_that_hangs();
                    return self.left.is_empty();
                }
                Err(RecvTimeoutError::Disconnected) => self.left.clear(),
            }
        }
        true
    }

    /// The answers so far.
    pub(crate) fn answers(self) -> Vec<Answer> {
        self.answers
    }

    /// Waits for all answers, at most a second. Callbacks that have not answered by then are left out.
    pub(crate) fn all_answers(mut self) -> Vec<Answer> {
        let most = Instant::now() + TOGETHER;
        while !self.wait(PATIENCE / 10) && Instant::now() < most {}
        self.answers
    }

    fn go_round_one_that_hangs(&mut self) {
        let Some(caller) = &self.caller else { return };
        let Some(hanging) = self.asker.replace(caller) else { return };
        hanging.overdue();
        // It may be another reader's; then it is left out when it is asked, because it is still busy.
        if self.left.front().is_some_and(|next| Arc::ptr_eq(next, &hanging)) {
            self.left.pop_front();
        }
        self.submit();
    }

    /// Asks those that are left, on the present thread.
    fn submit(&mut self) {
        self.caller = if self.asker.may_start() { self.asker.caller() } else { None };
        let (answers, receiver) = mpsc::channel();
        self.receiver = receiver;
        // Without a thread the sender is dropped, so nothing more is waited for.
        if let Some(caller) = &self.caller {
            let observers = self.left.iter().cloned().collect();
            _ = caller.requests.send(Request { observers, answers });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
