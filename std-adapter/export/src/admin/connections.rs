//! The connections of the server: one thread waits for all of them at once, so a client that is slow or
//! silent delays nobody else. Their number is bounded. When another client comes and there is no room, the
//! connection closes that has done nothing for the longest, those that have not sent a request first.

use super::http::{Bad, DRAIN, MOST_BYTES, Request, Response};
use super::route::{Desk, Ticket};
use super::server::{Answer, Shared};
use super::stream::Stream;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pause after a connection could not be accepted, for example because file descriptors are exhausted.
const PAUSE: Duration = Duration::from_millis(100);
pub(super) const LISTENER: Token = Token(usize::MAX - 1);
/// The token of the server's waker.
pub(super) const WAKER: Token = Token(usize::MAX);

/// The listener and all connections.
pub(super) struct Connections {
    server: Arc<Shared>,
    poll: Poll,
    /// `None` when the server is ending.
    listener: Option<TcpListener>,
    /// When connections are to be accepted again after an error.
    accept_at: Option<Instant>,
    open: Vec<Option<Connection>>,
    /// How many requests there were.
    requests: u64,
}

struct Connection {
    stream: Stream,
    state: State,
    until: Instant,
    /// When its client last sent or took anything.
    moved: Instant,
}

enum State {
    /// The bytes of a request so far.
    Reading(Vec<u8>),
    /// The number of a request that its route is to answer.
    Waiting { number: u64, ticket: Ticket, desk: Arc<Desk> },
    /// An answer, how much of it is written, and whether the rest of the request is still to be read.
    Writing { answer: Vec<u8>, written: usize, refused: bool },
    /// How many bytes of a refused request were read and forgotten. Closing a connection with unread bytes
    /// resets it, and the client would not get the refusal.
    Draining(usize),
}

/// What becomes of a connection after a step.
enum Next {
    /// The client has to do something first.
    Wait,
    /// This state, which begins now and ends after this time.
    Enter(State, Duration),
    Close,
}

impl Connections {
    /// `listener` is registered with `poll` as [`LISTENER`].
    pub(super) fn new(server: Arc<Shared>, poll: Poll, listener: TcpListener) -> Connections {
        let open = std::iter::repeat_with(|| None).take(server.options.connections).collect();
        Connections { server, poll, listener: Some(listener), accept_at: None, open, requests: 0 }
    }

    /// Serves until the server is told to stop, and then until the last answer has been written.
    pub(super) fn serve(mut self) {
        let mut events = Events::with_capacity(64);
        while self.listener.is_some() || self.open.iter().any(Option::is_some) {
            let ends = self.open.iter().flatten().map(|open| open.until).chain(self.accept_at).min();
            let pause = ends.map(|end| end.saturating_duration_since(Instant::now()));
            if let Err(error) = self.poll.poll(&mut events, pause)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return;
            }
            for event in &events {
                self.on(event);
            }
            let now = Instant::now();
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept();
            }
            for at in 0..self.open.len() {
                if self.open[at].as_ref().is_some_and(|open| open.until <= now) {
                    self.expire(at);
                }
            }
        }
    }

    fn on(&mut self, event: &Event) {
        match event.token() {
            LISTENER => self.accept(),
            WAKER => {
                self.take_made();
                if self.server.is_stopping() {
                    self.listener = None;
                    self.accept_at = None;
                    for open in &mut self.open {
                        open.take_if(|open| !matches!(open.state, State::Writing { .. }));
                    }
                }
            }
            Token(at) => self.go_on(at),
        }
    }

    /// Begins to write the answers that routes have made.
    fn take_made(&mut self) {
        for (number, answer) in self.server.made() {
            let waits = |open: &Option<Connection>| match open.as_ref().map(|open| &open.state) {
                Some(State::Waiting { number: waiting, .. }) => *waiting == number,
                _ => false,
            };
            // Nobody waits for it if it is too late.
            if let Some(at) = self.open.iter().position(waits) {
                self.write(at, State::Writing { answer, written: 0, refused: false });
            }
        }
    }

    /// Begins to write an answer.
    fn write(&mut self, at: usize, state: State) {
        let Some(connection) = self.open.get_mut(at).and_then(Option::as_mut) else { return };
        connection.state = state;
        connection.until = Instant::now() + self.server.options.response_timeout;
        connection.moved = Instant::now();
        self.go_on(at);
    }

    fn accept(&mut self) {
        self.accept_at = None;
        while let Some(listener) = &self.listener {
            match listener.accept() {
                Ok((stream, _)) => self.add(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.accept_at = Some(Instant::now() + PAUSE);
                    return;
                }
            }
        }
    }

    fn add(&mut self, mut stream: TcpStream) {
        let at = self.open.iter().position(Option::is_none).unwrap_or_else(|| self.idlest());
        // What is there now closes.
        self.open[at] = None;
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(&mut stream, Token(at), interest).is_err() {
            return;
        }
        let now = Instant::now();
        let until = now + self.server.options.request_timeout;
        let Ok(stream) = Stream::new(stream, self.server.options.identity.as_ref()) else { return };
        self.open[at] = Some(Connection { stream, state: State::Reading(Vec::new()), until, moved: now });
        self.go_on(at);
    }

    /// The connection that has done nothing for the longest, one without a request if there is any.
    fn idlest(&self) -> usize {
        let rank = |open: &Connection| (!matches!(open.state, State::Reading(_)), open.moved);
        let ranks = self.open.iter().enumerate().filter_map(|(at, open)| Some((rank(open.as_ref()?), at)));
        ranks.min().map_or(0, |(_, at)| at)
    }

    /// Lets a connection do what it can without waiting.
    fn go_on(&mut self, at: usize) {
        let Some(open) = self.open.get_mut(at) else { return };
        while let Some(connection) = open {
            match connection.step(&self.server, &mut self.requests) {
                Next::Wait => return,
                Next::Enter(state, within) => {
                    connection.state = state;
                    connection.until = Instant::now() + within;
                }
                Next::Close => *open = None,
            }
        }
    }

    /// Ends a connection whose time is over. A client that sent no request in time, or got no answer in time, is told.
    fn expire(&mut self, at: usize) {
        let state = match self.open[at].as_ref().map(|open| &open.state) {
            Some(State::Reading(_)) => refusal(Bad::TOO_LATE),
            Some(State::Waiting { desk, ticket, .. }) => {
                let answer = desk.too_late(ticket.is_begun()).to_bytes(false);
                State::Writing { answer, written: 0, refused: false }
            }
            _ => {
                self.open[at] = None;
                return;
            }
        };
        self.write(at, state);
    }
}

fn refusal(bad: Bad) -> State {
    let answer = Response::text(bad.status, bad.why).to_bytes(false);
    State::Writing { answer, written: 0, refused: true }
}

impl Connection {
    fn step(&mut self, server: &Arc<Shared>, requests: &mut u64) -> Next {
        let stepped = match &mut self.state {
            State::Reading(bytes) => read(&mut self.stream, bytes, server, requests),
            State::Waiting { .. } => return Next::Wait,
            State::Writing { answer, written, refused } => {
                write(&mut self.stream, answer, written).map(|()| match refused {
                    true if self.stream.end().is_ok() => Next::Enter(State::Draining(0), DRAIN.1),
                    // What cannot be told is that the connection ends.
                    _ => {
                        let _ = self.stream.end();
                        Next::Close
                    }
                })
            }
            State::Draining(read) => drain(&mut self.stream, read),
        };
        match stepped {
            Ok(next) => {
                self.moved = Instant::now();
                next
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Next::Wait,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.step(server, requests),
            // A client that is gone asks again.
            Err(_) => Next::Close,
        }
    }
}

/// Reads on, and answers the request if it is complete.
fn read(
    stream: &mut Stream,
    bytes: &mut Vec<u8>,
    server: &Arc<Shared>,
    requests: &mut u64,
) -> io::Result<Next> {
    loop {
        let had = bytes.len();
        bytes.resize(MOST_BYTES, 0);
        let n = stream.read(&mut bytes[had..]);
        bytes.truncate(had + n.as_ref().map_or(0, |n| *n));
        if n? == 0 {
            return Ok(Next::Close);
        }
        let state = match Request::parse(bytes) {
            Ok(None) if bytes.len() < MOST_BYTES => continue,
            Ok(None) => refusal(Bad::TOO_LARGE),
            Err(bad) => refusal(bad),
            Ok(Some(request)) => {
                *requests += 1;
                match server.answer(request, *requests) {
                    // The client may still send a body.
                    Answer::Now(answer) => State::Writing { answer, written: 0, refused: true },
                    Answer::Later { ticket, desk, within } => {
                        let waiting = State::Waiting { number: *requests, ticket, desk };
                        return Ok(Next::Enter(waiting, within));
                    }
                }
            }
        };
        return Ok(Next::Enter(state, server.options.response_timeout));
    }
}

fn write(stream: &mut Stream, answer: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < answer.len() {
        match stream.write(&answer[*written..])? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => *written += n,
        }
    }
    stream.flush()
}

/// Reads and forgets what a client still sends, after it was refused.
fn drain(stream: &mut Stream, read: &mut usize) -> io::Result<Next> {
    let mut bytes = [0; 4096];
    while *read < DRAIN.0 {
        match stream.read(&mut bytes)? {
            0 => break,
            n => *read += n,
        }
    }
    Ok(Next::Close)
}
