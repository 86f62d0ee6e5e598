//! The message of a panic, kept for the spans that it goes through: only the panic hook sees it.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use throughline::Clock;
use throughline::adapter::recorder;
use throughline::adapter::ring::Word;

/// Most bytes of a message that are kept. More than a record has room for, so that the record marks a message that was cut here too.
const MOST: usize = 512;

/// The last panic of a thread. It has no destructor, so spans in other thread-locals' destructors may still ask.
struct Panicked {
    at: Word,
    len: usize,
    text: [u8; MOST],
}

thread_local! {
    static LAST: RefCell<Panicked> = const { RefCell::new(Panicked { at: 0, len: 0, text: [0; MOST] }) };
}

static CLOCK: OnceLock<Clock> = OnceLock::new();

/// From now on spans that a panic goes through have its message. Puts a hook before the one that is there, once per process.
pub(crate) fn watch(clock: Clock) {
    // A thread that panics may not change the hook: that would be a second panic.
    if std::thread::panicking() || CLOCK.set(clock).is_err() {
        return;
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        keep(info);
        before(info);
    }));
    recorder::set_panic_message(say);
}

/// Keeps the message of a panic; of a payload that is no text, that there is none.
fn keep(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or_default();
    let kept = &message.as_bytes()[..message.floor_char_boundary(MOST)];
    LAST.with(|last| {
        if let (Ok(mut last), Some(clock)) = (last.try_borrow_mut(), CLOCK.get()) {
            last.at = clock.ticks();
            last.len = kept.len();
            last.text[..kept.len()].copy_from_slice(kept);
        }
    });
}

/// Calls `say` with the message of this thread's last panic, if that came at `since` or later.
fn say(since: Word, say: &mut dyn FnMut(&str)) {
    LAST.with(|last| {
        let Ok(last) = last.try_borrow() else { return };
        // A clock of 32 bits wraps too often to tell.
        let is_before = Word::BITS == 64 && last.at < since;
        let message = str::from_utf8(&last.text[..last.len]).unwrap_or_default();
        if !is_before && !message.is_empty() {
            say(message);
        }
    });
}
