//! A future's span between polls.

use super::{Span, State, finish, is_panicking, panic};
use crate::Status;
use crate::recorder::{self, Resting};

/// A span that is not current anywhere: a future's, between polls. It may move to another thread.
#[derive(Debug)]
pub(crate) struct Suspended {
    state: State,
    place: Resting,
    /// All its bits, as a task may be polled for longer in all than a 32-bit clock counts, though not in one poll.
    busy: u64,
    recorded: bool,
}

impl Suspended {
    /// Takes a span that has just begun off its thread.
    pub(crate) fn new(span: Span) -> Suspended {
        let own = span.context();
        let span = core::mem::ManuallyDrop::new(span);
        let Some(running) = &span.running else {
            let state = State::new(0, 0, (0, 0));
            return Suspended { state, place: Resting::new(own), busy: 0, recorded: false };
        };
        let state = running.state();
        running.recorder().leave(state.word(), (state.previous, state.previous_root));
        Suspended { recorded: state.is_recorded(), state, place: Resting::new(own), busy: 0 }
    }

    /// Runs `f` where the future's code was, with the span current, and counts its time as busy, also when it panics; then the span has failed.
    pub(crate) fn run<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let timing = Timing::of(self.recorded, &mut self.state, &mut self.busy);
        let poll = self.place.poll();
        let result = f();
        drop(poll);
        drop(timing);
        result
    }

    pub(crate) fn set_status(&mut self, status: Status) {
        if self.state.status() == Status::Unset as u8 {
            self.state.set_status(status as u8);
        }
    }

    /// The future is gone before it was done: cancelled, or taken down by a panic.
    pub(crate) fn abandon(&mut self) {
        if !is_panicking() {
            self.set_status(Status::Cancelled);
        } else if self.state.status() == Status::Unset as u8 {
            self.state.set_status(Status::Error as u8);
            if let Some(recorder) = recorder::get().filter(|_| self.recorded) {
                panic::say_why(recorder, (self.state.id, self.state.root()), self.state.start);
            }
        }
        self.end();
    }

    /// Ends the span. Once.
    pub(crate) fn end(&mut self) {
        if core::mem::take(&mut self.recorded)
            && let Some(recorder) = recorder::get()
        {
            crate::linked::FUTURES.set();
            finish(recorder, &self.state, Some(self.busy));
        }
    }
}

/// Counts the time until it is dropped.
struct Timing<'a> {
    state: &'a mut State,
    busy: &'a mut u64,
    /// `None` when the span is not recorded: then nobody asks for its time, and the clock is not read.
    begun: Option<(&'static crate::Recorder, crate::ring::Word)>,
    was_panicking: bool,
}

impl<'a> Timing<'a> {
    fn of(recorded: bool, state: &'a mut State, busy: &'a mut u64) -> Timing<'a> {
        let recorder = if recorded { recorder::get() } else { None };
        let begun = recorder.map(|recorder| (recorder, recorder.ticks()));
        Timing { state, busy, begun, was_panicking: is_panicking() }
    }
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        if let Some((recorder, begun)) = self.begun {
            *self.busy = self.busy.wrapping_add(recorder.ticks().wrapping_sub(begun) as u64);
        }
        if is_panicking() && !self.was_panicking && self.state.status() == Status::Unset as u8 {
            self.state.set_status(Status::Error as u8);
            // Of the panics that this thread has had, this one came within the poll.
            if let Some((recorder, begun)) = self.begun {
                panic::say_why(recorder, (self.state.id, self.state.root()), begun);
            }
        }
    }
}
