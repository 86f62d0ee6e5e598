//! A future's span between polls.

use super::{Span, State, finish, leave};
use crate::Status;
use crate::recorder;

/// A span that is not current anywhere: a future's, between polls. It may move to another thread.
#[derive(Debug)]
pub(crate) struct Suspended {
    state: State,
    outer: recorder::Context,
    /// All its bits, as a task may be polled for longer in all than a 32-bit clock counts, though not in one poll.
    busy: u64,
    recorded: bool,
}

impl Suspended {
    /// Takes a span that has just begun off its thread.
    pub(crate) fn new(span: Span) -> Suspended {
        let span = core::mem::ManuallyDrop::new(span);
        let inner = recorder::Context::current();
        let Some(running) = &span.running else {
            return Suspended { state: State::new(0, 0, (0, 0)), outer: inner, busy: 0, recorded: false };
        };
        let state = running.state();
        leave(running.recorder(), &state);
        Suspended { state, outer: inner, busy: 0, recorded: state.id != 0 }
    }

    /// Runs `f` with the span current, and counts its time as busy.
    pub(crate) fn run<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let entered = self.outer.enter();
        let begun = recorder::get().map(|r| (r, r.ticks()));
        let result = f();
        if let Some((recorder, begun)) = begun {
            self.busy = self.busy.wrapping_add(recorder.ticks().wrapping_sub(begun) as u64);
        }
        drop(entered);
        result
    }

    pub(crate) fn set_status(&mut self, status: Status) {
        if self.state.status() == Status::Unset as u8 {
            self.state.set_status(status as u8);
        }
    }

    /// Ends the span. Once.
    pub(crate) fn end(&mut self) {
        if core::mem::take(&mut self.recorded)
            && let Some(recorder) = recorder::get()
        {
            finish(recorder, &self.state, Some(self.busy));
        }
    }
}
