//! The span of a future between polls.

use super::{Span, State, finish, has_panicked, is_panicking, panic};
use crate::Status;
use crate::recorder::{self, Context, Resting};

/// A future's span between polls. It is not current anywhere and may move to another thread.
#[derive(Debug)]
pub struct Suspended {
    state: State,
    place: Resting,
    /// 64 bits, because a task may be polled in total for longer than a 32-bit clock counts, although not in
    /// one poll.
    busy: u64,
    recorded: bool,
}

impl Suspended {
    /// Detaches a span that has just begun from its thread.
    pub(crate) fn new(span: Span) -> Suspended {
        let own = span.context();
        let span = core::mem::ManuallyDrop::new(span);
        let Some(running) = &span.running else {
            return Suspended::at(own);
        };
        let state = running.state();
        running.recorder().leave(state.word(), (state.previous, state.previous_root));
        Suspended { recorded: state.is_recorded(), state, place: Resting::new(own), busy: 0 }
    }

    /// A place that is no span of the future's own: nothing ends with the future.
    pub(crate) fn at(place: Context) -> Suspended {
        Suspended { state: State::new(0, 0, (0, 0)), place: Resting::new(place), busy: 0, recorded: false }
    }

    /// Runs `f` at the place where the future's code was, with the span current, and counts the time as busy.
    /// If `f` panics, the span's status becomes error.
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

    /// The future was dropped before it completed: it was cancelled or a panic unwound through it.
    pub(crate) fn abandon(&mut self) {
        if !has_panicked(self.state.start) {
            self.set_status(Status::Cancelled);
        } else if self.state.status() == Status::Unset as u8 {
            self.state.set_status(Status::Error as u8);
            if let Some(recorder) = recorder::get().filter(|_| self.recorded) {
                panic::say_why(recorder, (self.state.id, self.state.root()), self.state.start);
            }
        }
        self.end();
    }

    /// Ends the span. Only the first call has an effect.
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
    /// `None` when the span is not recorded; its busy time is then not needed and the clock is not read.
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
            let now = recorder.ticks();
            *self.busy = self.busy.wrapping_add(now.wrapping_sub(begun) as u64);
            recorder.record_poll(self.state.id, begun, now);
        }
        if is_panicking() && !self.was_panicking && self.state.status() == Status::Unset as u8 {
            self.state.set_status(Status::Error as u8);
            // Of all panics in this thread, only one that began during the poll counts.
            if let Some((recorder, begun)) = self.begun {
                panic::say_why(recorder, (self.state.id, self.state.root()), begun);
            }
        }
    }
}
