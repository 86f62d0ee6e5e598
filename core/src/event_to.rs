//! Events written to another ring than the recorder's. A panic or fault handler needs this: the recorder's
//! ring may be full, or may hold a record that its interrupted writer will never finish.

use crate::callsite::CallsiteId;
use crate::fields::{self, Fields, MAX_FIELD_WORDS, head_types};
use crate::recorder;
use crate::ring::{Head, RecordKind, Ring};

/// Writes an event of the current span to `ring`, a ring other than the recorder's. The run-time level is
/// ignored. Returns false when the ring has no room; the ring then counts the event as lost.
pub fn event_to<F: Fields>(ring: &Ring<'_>, callsite: CallsiteId, values: &F) -> bool {
    let recorder = recorder::get();
    let time = recorder.map_or(0, |recorder| recorder.ticks());
    let (span, root) = recorder.map_or((0, 0), |recorder| recorder.place());
    let mut body = [0; 3 + MAX_FIELD_WORDS];
    body[..3].copy_from_slice(&[time, span, root]);
    let len = 3 + fields::write(values, &mut body[3..]);
    let head = Head::new(RecordKind::Event, callsite.id, 0, const { head_types(F::COUNT, F::TYPES) });
    ring.push(head, &body[..len], time)
}
