//! Spans that a panic unwinds through: their status becomes error, and the panic's message is recorded. A
//! span that begins while its thread already unwinds, in the destructor of a value, is no such span.
//!
//! The standard library passes a panic's message only to the panic hook, before unwinding begins. An
//! adapter's hook therefore keeps the message and notes the time, and a span that ends while its thread
//! unwinds asks for both here. Spans that end normally run none of this code.

use crate::recorder::Recorder;
use crate::ring::Word;
#[cfg(feature = "std")]
pub use with_std::{PanicMessage, note_panic, set_panic_message};

/// Whether a panic that began after the time `since` is unwinding the running code. If no hook noted the
/// panic, it counts as one that did.
#[inline(always)]
pub(crate) fn has_panicked(since: Word) -> bool {
    #[cfg(feature = "std")]
    return is_panicking() && !with_std::was_before(since);
    #[cfg(not(feature = "std"))]
    {
        _ = since;
        false
    }
}

/// Called when a trace begins. Forgets a panic that was caught, so that it is not taken for a later one that
/// no hook noted.
#[inline(always)]
pub(super) fn forget_caught() {
    #[cfg(feature = "std")]
    with_std::forget_caught();
}

/// Whether the running code is unwinding from a panic.
#[inline(always)]
pub(super) fn is_panicking() -> bool {
    #[cfg(feature = "std")]
    return std::thread::panicking();
    #[cfg(not(feature = "std"))]
    false
}

/// Records the message of the panic that the thread is unwinding from as the field `error.message` of the
/// span at `place`. Does nothing if the panic came before `since` or no adapter kept its message.
#[cfg_attr(not(feature = "std"), inline(always), expect(unused_variables, reason = "nothing unwinds here"))]
#[cfg_attr(feature = "std", cold, inline(never))]
pub(super) fn say_why(recorder: &Recorder, place: (Word, Word), since: Word) {
    #[cfg(feature = "std")]
    with_std::ask(since, &mut |message| with_std::record(recorder, place, message));
}

#[cfg(feature = "std")]
mod with_std {
    use super::{Recorder, Word};
    use crate::event;
    use crate::ring::RecordKind;
    use core::cell::Cell;
    use core::sync::atomic::{AtomicPtr, Ordering};

    std::thread_local! {
        /// Ticks at the last panic of this thread, at least 1; 0 if there was none or it was caught.
        static PANICKED: Cell<Word> = const { Cell::new(0) };
    }

    /// Notes that a panic begins in the running thread at the time `at`, in ticks of its recorder's clock. For
    /// the panic hooks of adapters. Spans that begin from now on, until the panic is caught, do not fail by it.
    pub fn note_panic(at: Word) {
        PANICKED.set(at.max(1));
    }

    /// Whether the last panic that was noted began at `since` or earlier.
    pub(super) fn was_before(since: Word) -> bool {
        let at = PANICKED.get();
        at != 0 && since.wrapping_sub(at) as isize >= 0
    }

    pub(super) fn forget_caught() {
        if PANICKED.get() != 0 && !std::thread::panicking() {
            PANICKED.set(0);
        }
    }

    /// Calls its second argument with the message of this thread's last panic, unless the panic came before
    /// `since` (in ticks of the recorder's clock) or its message is unknown.
    pub type PanicMessage = fn(since: Word, say: &mut dyn FnMut(&str));

    static MESSAGE: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

    /// Sets the function that spans ask for a panic's message if they end while their thread unwinds. Without
    /// it such spans only get the status error. For adapters, which learn the messages from a panic hook.
    pub fn set_panic_message(message: PanicMessage) {
        MESSAGE.store(message as *mut (), Ordering::Release);
    }

    pub(super) fn ask(since: Word, say: &mut dyn FnMut(&str)) {
        let message = MESSAGE.load(Ordering::Acquire);
        if message.is_null() {
            return;
        }
        // SAFETY: only `set_panic_message` stores this pointer, and it stores a `PanicMessage`.
        let message = unsafe { core::mem::transmute::<*mut (), PanicMessage>(message) };
        message(since, say);
    }

    pub(super) fn record(recorder: &Recorder, place: (Word, Word), message: &str) {
        let callsite = callsite_of_fields!("error.message");
        if let Some(callsite) = callsite {
            event::write(recorder, RecordKind::Fields, callsite.id, recorder.ticks(), place, &(message,));
        }
    }
}
