//! The straight way of a server's thread: its own ring that keeps what is oldest, the processor's clock. Inlined into every call site, so that
//! what is known there (no fields, no status) costs nothing; all else goes the general way, out of line.

use super::{Span, State};
use crate::callsite::CallsiteId;
use crate::clock::processor_ticks;
use crate::recorder::{Recorder, UNSAMPLED, straight};
use crate::ring::{FIRST_WORDS, Head, RecordKind, Word};
use core::marker::PhantomData;

/// Field words that end with the span on this way: with the span's own five they fill a slot.
const CARRIED: usize = FIRST_WORDS - 5;
const _: () = assert!(CARRIED == 2);

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
    let state = State {
        callsite: callsite.id,
        id,
        root,
        previous,
        previous_root: root,
        start: processor_ticks(),
        ..State::NONE
    };
    Some(Span { recorder: Some(recorder), state, not_send: PhantomData })
}

/// Ends a span that began below another on this way; false sends it the general way.
///
/// What is inlined here is a choice and a call with everything in registers, so that the guard needs no memory of its own.
#[inline(always)]
pub(super) fn end(recorder: &'static Recorder, state: &State) -> bool {
    if state.root != state.previous_root || usize::from(state.carried) > CARRIED || !recorder.is_straight() {
        return false;
    }
    let head = Head::new(RecordKind::Span, state.callsite, state.status, state.types);
    let [id, previous, root, start] = [state.id, state.previous, state.root, state.start];
    if state.carried == 0 {
        end_0(recorder, head, id, previous, root, start);
    } else {
        end_2(recorder, head, id, previous, root, start, state.words[0], state.words[1]);
    }
    true
}

#[inline(never)]
fn end_0(recorder: &'static Recorder, head: Head, id: Word, previous: Word, root: Word, start: Word) {
    recorder.set_span(previous);
    let now = processor_ticks();
    recorder.push_straight(head, &[id, previous, root, start, now.wrapping_sub(start)], now);
}

#[inline(never)]
#[allow(clippy::too_many_arguments)]
fn end_2(
    recorder: &'static Recorder,
    head: Head,
    id: Word,
    previous: Word,
    root: Word,
    start: Word,
    a: Word,
    b: Word,
) {
    recorder.set_span(previous);
    let now = processor_ticks();
    // Always a whole slot: storing a word that does not count is cheaper than asking.
    recorder.push_straight(head, &[id, previous, root, start, now.wrapping_sub(start), a, b], now);
}

/// The recorder and the current span, for an event of this thread; `None` sends it the general way.
#[inline(always)]
pub(crate) fn event() -> Option<(&'static Recorder, (Word, Word))> {
    let recorder = straight()?;
    Some((recorder, recorder.place()))
}
