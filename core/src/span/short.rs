//! The short path of firmware, for a span without fields in a ring that keeps the oldest records and has
//! room. All other cases start over on the general path with the same arguments, so no values must be kept in
//! registers or on the stack for them.
//!
//! If the clock is a register, this path calls no function. A clock that is a function is served by separate
//! copies of the code, because a call would make the compiler save registers for every kind of clock.

use super::{Running, Span, State, first_words};
use crate::callsite::CallsiteId;
use crate::linked;
use crate::place::REMOTE;
use crate::recorder::Recorder;
use crate::ring::{Head, RecordKind, Word};
use core::hint::cold_path;

/// Begins a span.
#[inline(never)]
pub(super) fn begin(callsite: CallsiteId) -> Span {
    let Some(recorder) = callsite.recorder() else {
        cold_path();
        return Span::none();
    };
    match recorder.clock().register_ticks() {
        Ok(start) => begin_at(start, recorder, callsite),
        Err(ticks) => {
            // Instructions for this case would otherwise be put on the other path, as conditional ones.
            cold_path();
            begin_called(callsite, ticks)
        }
    }
}

#[inline(never)]
fn begin_called(callsite: CallsiteId, ticks: fn() -> usize) -> Span {
    let start = ticks();
    let Some(recorder) = callsite.recorder() else { return Span::none() };
    begin_at(start, recorder, callsite)
}

#[inline(always)]
fn begin_at(start: Word, recorder: &'static Recorder, callsite: CallsiteId) -> Span {
    // Allocate the id while register pressure is low; an unused id is skipped, which is harmless.
    let id = recorder.next_id();
    let (previous, previous_root) = recorder.place();
    // Below a remote span, in an unsampled trace, or where a sampler must be asked, take the general path.
    // A program that makes no such place is linked without the general path.
    if previous & REMOTE != 0 && linked::SPECIAL_PLACES.get() {
        return super::begin(callsite);
    }
    if previous == 0 {
        recorder.set_root(id);
    }
    recorder.set_span(id);
    let mut state = State::new(callsite.id, id, (previous, previous_root));
    state.start = start;
    state.flags = recorder.era();
    Span::of(Running { recorder, state })
}

/// Ends a span.
#[inline(never)]
pub(super) fn end(recorder: &Recorder, state: &State) {
    match recorder.clock().register_ticks() {
        Ok(now) => end_at(now, recorder, state),
        Err(ticks) => end_called(recorder, state, ticks),
    }
}

#[inline(never)]
fn end_called(recorder: &Recorder, state: &State, ticks: fn() -> usize) {
    end_at(ticks(), recorder, state);
}

#[inline(always)]
fn end_at(now: Word, recorder: &Recorder, state: &State) {
    // The span is plain, began in this era and is the innermost one, and no ended entry is remembered.
    if state.flags == recorder.short_era() && recorder.is_current(state.id) {
        // The root word stays: the parent is in the same trace, and if there is no parent the next root sets
        // the word.
        recorder.set_span(state.previous);
        let head = || Head::new(RecordKind::Span, state.callsite, 0, 0);
        if recorder.ring().try_push::<5>(head, |i| first_words(state, now)[i]) {
            return;
        }
        return super::finish(recorder, state, None);
    }
    super::end(recorder, state);
}
