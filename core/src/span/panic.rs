//! A panic that goes through spans: they have failed, and its message says why.
//!
//! The standard library shows a panic's message to the panic hook alone, before anything unwinds. So an adapter's hook keeps it, and a span that ends while its
//! thread unwinds asks for it here. Nothing of this is on the way of a span that ends otherwise.

use crate::recorder::Recorder;
use crate::ring::Word;
#[cfg(feature = "std")]
pub use with_std::{PanicMessage, set_panic_message};

/// Whether the running code is leaving spans because it panicked.
#[inline(always)]
pub(super) fn is_panicking() -> bool {
    #[cfg(feature = "std")]
    return std::thread::panicking();
    #[cfg(not(feature = "std"))]
    false
}

/// Records the message of the panic that the thread is unwinding from as `error.message` of the span at `place`, if the panic came at `since`
/// or later and an adapter kept its message.
#[cfg_attr(not(feature = "std"), inline(always), expect(unused_variables, reason = "nothing unwinds here"))]
#[cfg_attr(feature = "std", cold, inline(never))]
pub(super) fn say_why(recorder: &Recorder, place: (Word, Word), since: Word) {
    #[cfg(feature = "std")]
    with_std::ask(since, &mut |message| with_std::record(recorder, place, message));
}

#[cfg(feature = "std")]
mod with_std {
    use super::{Recorder, Word};
    use crate::Level;
    use crate::callsite::{Kind, Meta};
    use crate::event;
    use crate::ring::RecordKind;
    use core::sync::atomic::{AtomicPtr, Ordering};

    /// Calls its second argument with the message of this thread's last panic, unless that came before `since` (in ticks of the recorder's clock) or
    /// its message is not known.
    pub type PanicMessage = fn(since: Word, say: &mut dyn FnMut(&str));

    static MESSAGE: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

    /// Has spans that end while their thread unwinds from a panic ask for its message; without it they only say that they failed. For adapters,
    /// which learn messages from a panic hook.
    pub fn set_panic_message(message: PanicMessage) {
        MESSAGE.store(message as *mut (), Ordering::Release);
    }

    pub(super) fn ask(since: Word, say: &mut dyn FnMut(&str)) {
        let message = MESSAGE.load(Ordering::Acquire);
        if message.is_null() {
            return;
        }
        // SAFETY: only `set_panic_message` stores here, and it stores a `PanicMessage`.
        let message = unsafe { core::mem::transmute::<*mut (), PanicMessage>(message) };
        message(since, say);
    }

    pub(super) fn record(recorder: &Recorder, place: (Word, Word), message: &str) {
        let callsite = crate::__enabled!(
            Error,
            Meta {
                kind: Kind::Fields,
                level: Level::Error as u8,
                target: module_path!(),
                file: file!(),
                line: line!(),
                fields: &["error.message"],
                ..Meta::EMPTY
            }
        );
        if let Some(callsite) = callsite {
            event::write(recorder, RecordKind::Fields, callsite.id, recorder.ticks(), place, &(message,));
        }
    }
}
