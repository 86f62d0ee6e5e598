//! Records that adapters write themselves. On a microcontroller the flusher leaves out the code for what the
//! program never records, as [`linked`] says, so such a record must say what it holds. The
//! library's own records take another way there, and set their flags where they are made.

use super::{Head, RecordKind};
use crate::linked;

/// Has the code linked that sends a record of this head. With a constant head that is at most two stores.
#[inline(always)]
pub(super) fn link(head: Head) {
    match head.kind() {
        RecordKind::Attach => linked::SPECIAL_TRACES.set(),
        RecordKind::SpanBusy | RecordKind::SpanLong => linked::FUTURES.set(),
        RecordKind::Extended => linked::EXTENDED.set(),
        _ => {}
    }
    if head.may_have_texts() {
        linked::TEXTS.set();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::types;
    use crate::ring::{ExtendedKind, HEAD_TYPES, TYPES_IN_BODY};

    #[test]
    fn a_head_tells_whether_there_may_be_texts() {
        let event = |types| Head::new(RecordKind::Event, 1, 0, types).may_have_texts();
        assert!(!event(0) && !event(u32::from(types::STATIC)) && !event(u32::from(types::F64) << 4));
        for text in [types::STR, types::BYTES, types::POSTCARD, types::OPTION, types::SHOWN, types::EXTENDED]
        {
            assert!(event(u32::from(text)) && event(u32::from(text) << (4 * (HEAD_TYPES - 1))), "{text}");
        }
        assert!(event(TYPES_IN_BODY));
        assert!(Head::extended(ExtendedKind(0), 0, 0).may_have_texts());
    }
}
