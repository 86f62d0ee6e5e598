//! Events: a message with fields at a moment, tied to the current span.

use crate::callsite::CallsiteId;
use crate::fields::{self, Fields, MAX_FIELD_WORDS, head_types, min_words};
use crate::recorder::{self, Recorder, UNSAMPLED};
#[cfg(straight)]
use crate::ring::FIRST_WORDS;
use crate::ring::{Head, RecordKind, Word};

/// Field words that fill a slot together with an event's own three.
#[cfg(straight)]
const LOCAL_WORDS: usize = FIRST_WORDS - 3;

/// Records an event; the macros' way in.
#[doc(hidden)]
#[inline(always)]
pub fn event<F: Fields>(callsite: CallsiteId, values: &F) {
    let types = const { head_types(F::COUNT, F::TYPES) };
    #[cfg(straight)]
    if F::FIXED
        && min_words::<F>() <= LOCAL_WORDS
        && let Some((recorder, (span, root))) = crate::span::local::event()
    {
        if root == UNSAMPLED {
            return;
        }
        let mut body = [0; 3 + LOCAL_WORDS];
        fields::write(values, &mut body[3..]);
        let time = crate::clock::processor_ticks();
        body[..3].copy_from_slice(&[time, span, root]);
        let head = Head::new(RecordKind::Event, callsite.id, 0, types);
        recorder.push_straight(head, &body[..const { 3 + min_words::<F>() }], time);
        return;
    }
    // On a microcontroller, one copy of the writing code per number of words serves all call sites.
    if F::FIXED && min_words::<F>() <= 2 {
        let mut words = [0; 2];
        fields::write(values, &mut words);
        match const { min_words::<F>() } {
            0 => event_0(callsite),
            1 => event_1(callsite, types, words[0]),
            _ => event_2(callsite, types, words[0], words[1]),
        }
    } else if let Some((recorder, place)) = enabled(callsite) {
        write(recorder, RecordKind::Event, callsite.id, recorder.ticks(), place, values);
    }
}

#[inline(never)]
fn event_0(callsite: CallsiteId) {
    if let Some((recorder, (span, root))) = enabled(callsite) {
        let time = recorder.ticks();
        recorder.push(Head::new(RecordKind::Event, callsite.id, 0, 0), time, || [time, span, root]);
    }
}

#[inline(never)]
fn event_1(callsite: CallsiteId, types: u32, a: Word) {
    if let Some((recorder, (span, root))) = enabled(callsite) {
        let time = recorder.ticks();
        recorder.push(Head::new(RecordKind::Event, callsite.id, 0, types), time, || [time, span, root, a]);
    }
}

#[inline(never)]
fn event_2(callsite: CallsiteId, types: u32, a: Word, b: Word) {
    if let Some((recorder, (span, root))) = enabled(callsite) {
        let time = recorder.ticks();
        recorder.push(Head::new(RecordKind::Event, callsite.id, 0, types), time, || [time, span, root, a, b]);
    }
}

/// The recorder and the current span, if an event of this callsite is to be recorded now.
#[inline(always)]
fn enabled(callsite: CallsiteId) -> Option<(&'static Recorder, (Word, Word))> {
    if !callsite.passes() {
        return None;
    }
    let recorder = recorder::get()?;
    let place = recorder.place();
    (place.1 != UNSAMPLED).then_some((recorder, place))
}

/// Writes an event, or fields of a span.
pub(crate) fn write<F: Fields>(
    recorder: &Recorder,
    kind: RecordKind,
    callsite: u32,
    time: Word,
    (span, root): (Word, Word),
    values: &F,
) {
    let mut body = [0; 3 + MAX_FIELD_WORDS];
    body[..3].copy_from_slice(&[time, span, root]);
    let len = 3 + fields::write(values, &mut body[3..]);
    let head = Head::new(kind, callsite, 0, const { head_types(F::COUNT, F::TYPES) });
    recorder.push_long(head, &body[..len], time);
}
