//! Routes: each has a thread that makes its answers one after the other.

use super::{Request, Response};
use crate::Spawn;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

type Handler = dyn Fn(&Request) -> Response + Send + Sync;

/// What is answered on one or more paths. Its requests are handled one after the other on a thread of its own.
#[derive(Clone)]
pub struct Route {
    paths: Vec<String>,
    deadline: Duration,
    handler: Arc<Handler>,
}

impl Route {
    /// Answers requests for this path by `handler`, which may block. A path that ends with a slash stands for all paths
    /// below it, as far as they have no route of their own. A panic of the handler is answered with status 500.
    pub fn new(
        path: impl Into<String>,
        handler: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Route {
        Route { paths: vec![path.into()], deadline: Duration::from_secs(10), handler: Arc::new(handler) }
    }

    /// Answers requests for this path too.
    #[must_use]
    pub fn also(mut self, path: impl Into<String>) -> Route {
        self.paths.push(path.into());
        self
    }

    /// How long a request may wait for its answer; then it gets status 503. The default is 10 s. A handler that works for
    /// some time by intention, such as one that samples for 30 s, needs more.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Route {
        Route { deadline: deadline.max(Duration::from_millis(1)), ..self }
    }

    /// Whether this can be the path of a route.
    #[must_use]
    pub fn is_path(path: &str) -> bool {
        crate::text::is_page_path(path)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// The length of the path that fits `path` best.
    fn fits(&self, path: &str) -> Option<usize> {
        let fits = |own: &&str| *own == path || own.ends_with('/') && path.starts_with(own);
        self.paths().filter(fits).map(str::len).max()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("paths", &self.paths).field("deadline", &self.deadline).finish()
    }
}

/// A route, and the requests that wait for its thread. There are never more than connections.
pub(super) struct Desk {
    pub(super) route: Route,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// When the handler was called that has not returned yet.
    since: Option<Instant>,
    closed: bool,
}

struct Job {
    request: Request,
    done: Box<dyn FnOnce(Response) + Send>,
    progress: Arc<Progress>,
}

/// What the route's thread and the connection tell each other of a request.
#[derive(Default)]
struct Progress {
    begun: AtomicBool,
    given_up: AtomicBool,
}

/// A request that waits for its answer. When it is dropped, nobody wants the answer any more.
pub(super) struct Ticket(Arc<Progress>);

impl Ticket {
    /// Whether the handler was called for this request.
    pub(super) fn is_begun(&self) -> bool {
        self.0.begun.load(Ordering::Acquire)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::Release);
    }
}

impl Desk {
    pub(super) fn new(route: Route) -> Desk {
        Desk { route, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Starts the route's thread.
    pub(super) fn start(self: &Arc<Self>, spawn: &Spawn) -> io::Result<()> {
        let desk = Arc::clone(self);
        spawn("page", Box::new(move || desk.run()))
    }

    /// The desk for this path, which is the one with the longest path that fits.
    pub(super) fn of<'d>(desks: &'d [Arc<Desk>], path: &str) -> Option<&'d Arc<Desk>> {
        let fits = desks.iter().filter_map(|desk| Some((desk.route.fits(path)?, desk)));
        fits.max_by_key(|(length, _)| *length).map(|(_, desk)| desk)
    }

    /// How long a request may wait.
    pub(super) fn deadline(&self) -> Duration {
        self.route.deadline
    }

    /// Puts a request into the queue; `done` gets the answer on the route's thread. Refused if the handler is stuck.
    pub(super) fn ask(
        &self,
        request: Request,
        done: impl FnOnce(Response) + Send + 'static,
    ) -> Result<Ticket, Response> {
        let mut state = self.lock();
        if state.since.is_some_and(|since| since.elapsed() > self.deadline()) {
            return Err(self.too_late(false));
        }
        let progress = Arc::<Progress>::default();
        state.waiting.push_back(Job { request, done: Box::new(done), progress: Arc::clone(&progress) });
        drop(state);
        self.changed.notify_all();
        Ok(Ticket(progress))
    }

    /// The answer in place of one that was not made in time. `begun` says whether the handler was called for it.
    pub(super) fn too_late(&self, begun: bool) -> Response {
        let why = match begun {
            true => "its handler still works",
            false => "an earlier request is still being worked on",
        };
        let text = format!("there is no answer within {:?}: {why}\n", self.deadline());
        Response::text(503, text)
    }

    /// Ends the thread when its handler returns.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            state.since = None;
            match state.waiting.pop_front() {
                Some(job) if job.progress.given_up.load(Ordering::Acquire) => {}
                Some(job) => {
                    job.progress.begun.store(true, Ordering::Release);
                    state.since = Some(Instant::now());
                    drop(state);
                    self.handle(job);
                    state = self.lock();
                }
                None if state.closed => return,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn handle(&self, job: Job) {
        let answer = catch_unwind(AssertUnwindSafe(|| (self.route.handler)(&job.request)));
        let panicked = |_| Response::text(500, "the page could not be made: a panic, see standard error\n");
        (job.done)(answer.unwrap_or_else(panicked));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
