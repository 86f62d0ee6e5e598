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
    use crate::ring::{ExtendedKind, FIRST_TEXT, HEAD_TYPES, TYPES_IN_BODY};

    #[test]
    fn a_head_tells_whether_there_may_be_texts() {
        let event = |types| Head::new(RecordKind::Event, 1, 0, types).may_have_texts();
        for type_ in 0..FIRST_TEXT {
            assert!(!event(type_) && !event(type_ << 4), "{type_}");
        }
        for type_ in FIRST_TEXT..TYPES_IN_BODY {
            assert!(event(type_) && event(type_ << (4 * (HEAD_TYPES - 1))), "{type_}");
        }
        assert!(event(TYPES_IN_BODY));
        assert!(Head::extended(ExtendedKind(0), 0, 0).may_have_texts());
    }
}
