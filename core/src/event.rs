//! Events: a message with fields at a point in time, attached to the current span.

use crate::callsite::CallsiteId;
use crate::fields::{self, Fields, MAX_FIELD_WORDS, head_types, min_words};
use crate::recorder::Recorder;
#[cfg(straight)]
use crate::recorder::straight;
use crate::ring::{Head, RecordKind, Word};

/// Records an event. The macros call it.
#[doc(hidden)]
#[inline(always)]
pub fn event<F: Fields>(callsite: CallsiteId, values: &F) {
    let types = const { head_types(F::COUNT, F::TYPES) };
    #[cfg(straight)]
    if F::FIXED
        && min_words::<F>() <= local::WORDS
        && let Some(recorder) = straight()
    {
        let mut words = [0; local::WORDS];
        fields::write(values, &mut words);
        local::event::<F>(recorder, Head::new(RecordKind::Event, callsite.id, 0, types), words);
        return;
    }
    // All callsites with at most two words of values share one copy of the writing code.
    if F::FIXED && min_words::<F>() <= SHORT {
        let mut words = [0; SHORT];
        fields::write(values, &mut words);
        let [a, b] = words;
        match const { min_words::<F>() } {
            0 => short::<0>(callsite, types, a, b),
            1 => short::<1>(callsite, types, a, b),
            _ => short::<2>(callsite, types, a, b),
        }
    } else if let Some((recorder, place)) = enabled(callsite) {
        write(recorder, RecordKind::Event, callsite.id, recorder.ticks(), place, values);
    }
}

/// The largest number of value words that the shared copies serve.
const SHORT: usize = 2;

/// Records an event with `N` words of values.
#[inline(never)]
fn short<const N: usize>(callsite: CallsiteId, types: u32, a: Word, b: Word) {
    #[cfg(short)]
    if is_done::<N>(callsite, types, a, b) {
        return;
    }
    again::<N>(callsite, types, a, b);
}

/// The short path of firmware. Returns false when the ring has no room on this path; the caller then starts
/// over, so that no values must be kept in registers or on the stack for that case.
#[cfg(short)]
#[inline(always)]
fn is_done<const N: usize>(callsite: CallsiteId, types: u32, a: Word, b: Word) -> bool {
    let Some(recorder) = callsite.recorder() else { return true };
    let time = recorder.ticks();
    let (span, root) = recorder.place();
    let head = || Head::new(RecordKind::Event, callsite.id, 0, types);
    let word = |i| [time, span, root, a, b][i];
    match N {
        0 => recorder.ring().try_push::<3>(head, word),
        1 => recorder.ring().try_push::<4>(head, word),
        _ => recorder.ring().try_push::<5>(head, word),
    }
}

#[cfg_attr(short, cold)]
#[cfg_attr(short, inline(never))]
fn again<const N: usize>(callsite: CallsiteId, types: u32, a: Word, b: Word) {
    let Some((recorder, (span, root))) = enabled(callsite) else { return };
    let time = recorder.ticks();
    let head = Head::new(RecordKind::Event, callsite.id, 0, types);
    recorder.push(head, &[time, span, root, a, b][..3 + N], time);
}

/// The recorder and the current span, when an event of this callsite is to be recorded now.
#[inline(always)]
fn enabled(callsite: CallsiteId) -> Option<(&'static Recorder, (Word, Word))> {
    let recorder = callsite.recorder()?;
    Some((recorder, recorder.place()))
}

/// Writes an event, or fields that are added to a span.
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
    recorder.push(head, &body[..len], time);
}

/// The straight path of a server thread, inlined into the callsite as it is for spans.
#[cfg(straight)]
mod local {
    use super::{Fields, Head, Recorder, Word, min_words};
    use crate::clock::processor_ticks;
    use crate::ring::FIRST_WORDS;

    /// The number of field words that fill a slot together with an event's own three words.
    pub(super) const WORDS: usize = FIRST_WORDS - 3;

    #[inline(always)]
    pub(super) fn event<F: Fields>(recorder: &'static Recorder, head: Head, words: [Word; WORDS]) {
        let (span, root) = recorder.place();
        let [a, b, c, d] = words;
        let Some(slot) = recorder.ring().fill() else {
            return full(recorder, head.to_word() | const { min_words::<F>() } << 32, a, b, c, d);
        };
        slot.head(head.to_word());
        slot.body(0, [processor_ticks(), span, root]);
        match const { min_words::<F>() } {
            0 => {}
            1 => slot.body(3, [a]),
            2 => slot.body(3, [a, b]),
            3 => slot.body(3, [a, b, c]),
            _ => slot.body(3, [a, b, c, d]),
        }
        slot.publish();
    }

    /// Records the event when the writer sees no room in the ring. All arguments fit in registers, so the
    /// caller needs no stack memory for the call.
    #[cold]
    #[inline(never)]
    fn full(recorder: &'static Recorder, head: Word, a: Word, b: Word, c: Word, d: Word) {
        let ((span, root), time) = (recorder.place(), processor_ticks());
        let body = [time, span, root, a, b, c, d];
        recorder.ring().push(Head::from_word(head), &body[..3 + (head >> 32).min(WORDS)], time);
    }
}
