//! Keeps the message of a panic for the spans that it unwinds through, because only the panic hook can read
//! it.

use crate::exit;
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use throughline::Clock;
use throughline::adapter::recorder;
use throughline::adapter::ring::Word;

/// Bytes of a message that are kept. A record has less room, so it marks a message that is cut here as
/// truncated too.
const MOST: usize = 512;

/// The last panic of a thread. It has no destructor, so that spans in the destructors of other thread-locals
/// can still read it.
struct Panicked {
    at: Word,
    /// The same time on a clock that does not wrap.
    instant: Option<Instant>,
    len: usize,
    text: [u8; MOST],
}

impl Panicked {
    /// Whether it happened at `since` or later. A 32-bit clock wraps every few seconds, so there a panic of more than
    /// a second ago counts as earlier: a span may lack its message, but has never another's.
    fn came_after(&self, since: Word) -> bool {
        if Word::BITS == 64 {
            return self.at >= since;
        }
        let (Some(instant), Some(clock)) = (self.instant, CLOCK.get()) else { return false };
        let now = clock.ticks();
        instant.elapsed() < Duration::from_secs(1) && now.wrapping_sub(since) >= now.wrapping_sub(self.at)
    }
}

thread_local! {
    static LAST: RefCell<Panicked> = const { RefCell::new(Panicked { at: 0, instant: None, len: 0, text: [0; MOST] }) };
}

static CLOCK: OnceLock<Clock> = OnceLock::new();

/// Makes spans that a panic unwinds through carry its message. Puts a hook in front of the current one, once
/// per process.
pub(crate) fn watch(clock: Clock) {
    // Changing the hook in a thread that panics would be a second panic.
    if std::thread::panicking() || CLOCK.set(clock).is_err() {
        return;
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        keep(info);
        before(info);
        // Nothing is dropped after this, so it is the last chance.
        if cfg!(panic = "abort") {
            exit::end();
        }
    }));
    recorder::set_panic_message(say);
}

/// Keeps the time and the message of a panic. If the payload is not text, the kept message is empty.
fn keep(info: &PanicHookInfo<'_>) {
    let Some(clock) = CLOCK.get() else { return };
    let at = clock.ticks();
    recorder::note_panic(at);
    let message = info.payload_as_str().unwrap_or_default();
    let kept = &message.as_bytes()[..message.floor_char_boundary(MOST)];
    LAST.with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            (last.at, last.instant) = (at, Some(Instant::now()));
            last.len = kept.len();
            last.text[..kept.len()].copy_from_slice(kept);
        }
    });
}

/// Calls `say` with the message of this thread's last panic if it happened at `since` or later.
fn say(since: Word, say: &mut dyn FnMut(&str)) {
    LAST.with(|last| {
        let Ok(last) = last.try_borrow() else { return };
        let message = str::from_utf8(&last.text[..last.len]).unwrap_or_default();
        if !message.is_empty() && last.came_after(since) {
            say(message);
        }
    });
}
