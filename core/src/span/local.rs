//! The straight way of a server's thread: its own ring that keeps what is oldest, the processor's clock. Inlined into every call site, so that
//! what is known there (no fields, no status) costs nothing; all else goes the general way, out of line.

use super::{CARRIED, Running, Span, State};
use crate::callsite::CallsiteId;
use crate::clock::processor_ticks;
use crate::recorder::{Recorder, UNSAMPLED, straight};
use crate::ring::{Head, RecordKind, Word};
use core::marker::PhantomData;

/// Begins a span below another; `None` sends it the general way.
#[inline(always)]
pub(super) fn begin(callsite: CallsiteId) -> Option<Span> {
    let recorder = straight()?;
    let (previous, root) = recorder.place();
    if previous == 0 {
        return if root == UNSAMPLED { Some(Span::none()) } else { None };
    }
    if root == UNSAMPLED {
        return Some(Span::none());
    }
    let id = recorder.next_local_id();
    recorder.set_span(id);
    let mut state = State::new(callsite.id, id, root, (previous, root));
    state.start = processor_ticks();
    Some(Span { running: Some(Running { recorder, state }), not_send: PhantomData })
}

/// Ends a span that began below another on this way; false sends it the general way.
///
/// What is inlined here is a choice and a call with everything in registers, so that a guard without fields needs no memory of its own. Words are
/// named one by one: taken as an array, they would be copied whenever the guard is moved.
#[inline(always)]
pub(super) fn end(recorder: &'static Recorder, state: &State) -> bool {
    if state.root != state.previous_root || !recorder.is_straight() {
        return false;
    }
    let head = Head::new(RecordKind::Span, state.callsite, state.status, state.types);
    let [id, previous, root, start] = [state.id, state.previous, state.root, state.start];
    if state.carried == 0 {
        end_bare(recorder, head, id, previous, root, start);
    } else {
        let [a, b, c, d, e, f] = state.words();
        end_carrying(recorder, head, state.carried, &[id, previous, root, start, 0, a, b, c, d, e, f]);
    }
    true
}

#[inline(never)]
fn end_bare(recorder: &'static Recorder, head: Head, id: Word, previous: Word, root: Word, start: Word) {
    recorder.set_span(previous);
    let now = processor_ticks();
    recorder.push_straight(head, &[id, previous, root, start, now.wrapping_sub(start)], now);
}

#[inline(never)]
fn end_carrying(recorder: &'static Recorder, head: Head, carried: u8, body: &[Word; 5 + CARRIED]) {
    let [id, previous, root, start, _, a, b, ..] = *body;
    recorder.set_span(previous);
    let now = processor_ticks();
    let duration = now.wrapping_sub(start);
    if carried <= 2 {
        // A whole slot: storing a word that does not count is cheaper than asking.
        recorder.push_straight(head, &[id, previous, root, start, duration, a, b], now);
    } else {
        let mut body = *body;
        body[4] = duration;
        recorder.push_straight(head, &body[..5 + usize::from(carried).min(CARRIED)], now);
    }
}

/// The recorder and the current span, for an event of this thread; `None` sends it the general way.
#[inline(always)]
pub(crate) fn event() -> Option<(&'static Recorder, (Word, Word))> {
    let recorder = straight()?;
    Some((recorder, recorder.place()))
}
