//! The server: its routes, and what its thread and the threads of routes share. [`Connections`] brings the requests.

use super::connections::{Connections, LISTENER, WAKER};
use super::route::{Desk, Ticket};
use super::{AdminError, AdminOptions, Request, Response, Route};
use crate::Spawn;
use mio::net::TcpListener;
use mio::{Interest, Poll, Waker};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Serves pages until it is dropped. See the [module](crate::admin).
pub struct AdminServer {
    address: SocketAddr,
    state: Mutex<State>,
}

enum State {
    Bound { listener: std::net::TcpListener, options: AdminOptions, routes: Vec<Route> },
    Serving(Arc<Shared>),
    Ended,
}

impl AdminServer {
    /// Listens at the address of the options. Connections are answered after [`start`](AdminServer::start).
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, because another program does for example, or when the token is none.
    pub fn bind(options: &AdminOptions) -> Result<AdminServer, AdminError> {
        let (listener, address) = options.listen()?;
        let state = State::Bound { listener, options: options.clone(), routes: Vec::new() };
        Ok(AdminServer { address, state: Mutex::new(state) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a route. Does nothing after [`start`](AdminServer::start). Of two routes for one path the later one counts.
    pub fn route(&self, route: Route) {
        if let State::Bound { routes, .. } = &mut *self.state() {
            routes.push(route);
        }
    }

    /// Begins to serve, on one thread for all connections and one for each route. A second call does nothing.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started, or when the operating system has no more file descriptors.
    pub fn start(&self, spawn: &Spawn) -> io::Result<()> {
        let mut state = self.state();
        let State::Bound { listener, options, routes } = std::mem::replace(&mut *state, State::Ended) else {
            return Ok(());
        };
        listener.set_nonblocking(true)?;
        let (mut listener, poll) = (TcpListener::from_std(listener), Poll::new()?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let shared = Arc::new(Shared {
            options,
            desks: routes.into_iter().map(|route| Arc::new(Desk::new(route))).collect(),
            made: Mutex::default(),
            stopping: AtomicBool::new(false),
            waker: Waker::new(poll.registry(), WAKER)?,
        });
        // If a thread cannot be started, those before it end with `shared`.
        *state = State::Serving(Arc::clone(&shared));
        shared.desks.iter().try_for_each(|desk| desk.start(spawn))?;
        spawn("pages", Box::new(move || Connections::new(shared, poll, listener).serve()))
    }

    /// Stops listening. Answers that are being written are still written.
    pub fn stop(&self) {
        if let State::Serving(shared) = std::mem::replace(&mut *self.state(), State::Ended) {
            shared.stop();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for AdminServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the threads share.
pub(super) struct Shared {
    pub(super) options: AdminOptions,
    desks: Vec<Arc<Desk>>,
    /// The answers that were made and that the connections have not taken yet: the number of the request, and its bytes.
    made: Mutex<Vec<(u64, Vec<u8>)>>,
    stopping: AtomicBool,
    waker: Waker,
}

/// What becomes of a request.
pub(super) enum Answer {
    /// This is the answer.
    Now(Vec<u8>),
    /// The answer comes later, to [`Shared::made`].
    Later { ticket: Ticket, desk: Arc<Desk>, within: Duration },
}

impl Shared {
    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // If it cannot be woken, the thread goes on until the process ends.
        let _ = self.waker.wake();
        self.desks.iter().for_each(|desk| desk.close());
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Takes the answers that were made.
    pub(super) fn made(&self) -> Vec<(u64, Vec<u8>)> {
        std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers a request, or asks its route to do so. `number` is the request's, for [`made`](Shared::made).
    pub(super) fn answer(self: &Arc<Self>, request: Request, number: u64) -> Answer {
        let is_head = request.is_head();
        let now = |response: Response| Answer::Now(response.to_bytes(is_head));
        if !is_head && request.method() != "GET" {
            return now(Response::text(405, "only GET and HEAD are answered\n").header("Allow", "GET, HEAD"));
        }
        if !self.options.allows(&request.header("authorization")) {
            let text = "this page needs the header `Authorization: Bearer` with its token\n";
            return now(Response::text(401, text).header("WWW-Authenticate", "Bearer"));
        }
        let Some(desk) = Desk::of(&self.desks, request.path()) else {
            let paths: Vec<&str> = self.desks.iter().flat_map(|desk| desk.route.paths()).collect();
            return now(Response::text(
                404,
                format!("there is nothing here; there are {}\n", paths.join(", ")),
            ));
        };
        let shared = Arc::clone(self);
        let done = move |response: Response| {
            let mut made = shared.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push((number, response.to_bytes(is_head)));
            drop(made);
            let _ = shared.waker.wake();
        };
        match desk.ask(request, done) {
            Ok(ticket) => Answer::Later { ticket, desk: Arc::clone(desk), within: desk.deadline() },
            Err(refusal) => now(refusal),
        }
    }
}
