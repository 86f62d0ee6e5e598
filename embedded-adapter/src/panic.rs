//! The message of a panic or a fault, sent at once: past the ring, which may be full, and whatever was going on in the flusher and on its link.
//!
//! ```no_run
//! # use core::panic::PanicInfo;
//! # use throughline::{Clock, Recorder, Slots};
//! # use throughline_embedded::{Config, Flusher, PanicAccess, init};
//! # static SLOTS: Slots<64> = Slots::new();
//! # static RECORDER: Recorder = Recorder::new(&SLOTS, Clock::mock());
//! # type Uart = &'static mut [u8];
//! # fn steal_uart() -> Uart { &mut [] }
//! static FLUSHER: PanicAccess<Flusher> = PanicAccess::new();
//!
//! fn main() {
//!     let flusher = FLUSHER.hold(init(&RECORDER, Config::DEFAULT));
//!     // … flush with it, as ever …
//! }
//!
//! # #[cfg(target_os = "none")]
//! #[panic_handler]
//! # fn shown(_: &PanicInfo) -> ! { loop {} }
//! fn panic(info: &PanicInfo) -> ! {
//!     // First turn all interrupts off: cortex_m::interrupt::disable(), riscv::interrupt::disable().
//!     // SAFETY: nothing else runs from here on.
//!     if let Some(flusher) = unsafe { FLUSHER.take() } {
//!         let _ = flusher.panicked(info, &mut steal_uart());
//!     }
//!     loop {} // or reset
//! }
//! ```

use core::cell::UnsafeCell;
use core::fmt::{self, Display, Write as _};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use throughline::Slots;
use throughline::adapter::AtomicWord;
use throughline::adapter::recorder::event_to;
use throughline::adapter::ring::{MAX_SLOTS, Mode, Ring};

use crate::{Buffer, Flushed, Flusher, rtt};

/// Holds a flusher in a static, where the panic handler can reach it while other code still has it borrowed. Costs a word of RAM beside the flusher.
#[derive(Debug)]
pub struct PanicAccess<T> {
    state: AtomicWord,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Nothing is held yet.
const EMPTY: usize = 0;
/// A value is being put in, or was taken.
const CLOSED: usize = 1;
const HELD: usize = 2;

// SAFETY: `hold` gives the value to one context, and whoever calls `take` promises that this context runs no more.
unsafe impl<T: Send> Sync for PanicAccess<T> {}

impl<T> PanicAccess<T> {
    /// Holds nothing yet.
    #[allow(clippy::new_without_default)] // Only a static makes sense.
    pub const fn new() -> PanicAccess<T> {
        PanicAccess { state: AtomicWord::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Moves the value in and lends it out. To be called once.
    ///
    /// # Panics
    ///
    /// When it was called before.
    #[allow(clippy::mut_from_ref)] // The value is lent once.
    pub fn hold(&'static self, value: T) -> &'static mut T {
        assert!(self.state.swap(CLOSED, Relaxed) == EMPTY, "a PanicAccess holds one value");
        // SAFETY: only one caller gets past the line above, and `take` gives nothing until `HELD` is stored below.
        let place = unsafe { &mut *self.value.get() };
        let value = place.write(value);
        self.state.swap(HELD, Release);
        value
    }

    /// The value, once; `None` when there is none, or when it was taken before, as by a panic within the panic handler.
    ///
    /// # Safety
    ///
    /// Whoever was lent the value must never run again: interrupts are off, other cores are halted, and the caller does not return.
    #[allow(clippy::mut_from_ref)] // As above.
    pub unsafe fn take(&'static self) -> Option<&'static mut T> {
        if self.state.swap(CLOSED, Acquire) != HELD {
            return None;
        }
        // SAFETY: `hold` has put a value in, and the caller promises that no other reference to it is used again.
        let place = unsafe { &mut *self.value.get() };
        // SAFETY: as above, it is initialised.
        Some(unsafe { place.assume_init_mut() })
    }
}

impl<const FRAME: usize> Flusher<Buffer<FRAME>> {
    /// For a panic handler: sends the panic's message and place as an event of level error in the span that panicked, and then all that the ring
    /// holds. A frame that was being sent is sent again first. The message is cut to what fits into a frame.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn panicked<W: embedded_io::Write>(
        &mut self,
        info: &PanicInfo<'_>,
        link: &mut W,
    ) -> Result<Flushed, W::Error> {
        self.last_words(&Location(info), &info.message(), link)
    }

    /// As [`Flusher::panicked`], for what is no panic: a fault or a watchdog's warning, at a place such as the program counter.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn last_words<W: embedded_io::Write>(
        &mut self,
        location: &dyn Display,
        message: &dyn Display,
        link: &mut W,
    ) -> Result<Flushed, W::Error> {
        let slots = Slots::new();
        let ring = words(&slots, location, message);
        let mut reader = ring.reader();
        // The link may have had a part of the frame that is kept.
        self.refused(true);
        let mut flushed = Flushed { pending: self.is_kept(), ..Flushed::default() };
        while flushed.pending || self.make_aside(reader.as_mut()) {
            // A budget of 0 sends the one frame that is kept.
            flushed = self.flush(link, 0)?;
            if self.is_kept() {
                return Ok(flushed);
            }
            flushed.pending = false;
        }
        self.flush(link, usize::MAX)
    }
}

impl Flusher<rtt::Channel> {
    /// For a panic handler: makes frames of the panic's message and place, as an event of level error in the span that panicked, and then of all
    /// that the ring holds, as far as the channel has room. When it has none, this first looks `polls` times whether the host has made some; each look
    /// takes some ten instructions. The message is cut to what fits into the channel.
    pub fn panicked(&mut self, info: &PanicInfo<'_>, polls: u32) -> Flushed {
        self.last_words(&Location(info), &info.message(), polls)
    }

    /// As [`Flusher::panicked`], for what is no panic: a fault or a watchdog's warning, at a place such as the program counter.
    pub fn last_words(&mut self, location: &dyn Display, message: &dyn Display, polls: u32) -> Flushed {
        let slots = Slots::new();
        let ring = words(&slots, location, message);
        let mut reader = ring.reader();
        self.wait_for_room(polls);
        while self.make_aside(reader.as_mut()) {}
        self.flush(usize::MAX)
    }
}

/// A ring that holds one event with these words.
fn words<'s>(slots: &'s Slots<MAX_SLOTS>, location: &dyn Display, message: &dyn Display) -> Ring<'s> {
    let ring = Ring::new(slots.as_slice(), Mode::SharedOldest);
    let (location, message) = (Text::of(location), Text::of(message));
    let callsite = throughline::__enabled!(
        Error,
        throughline::__private::Meta {
            kind: throughline::__private::Kind::Event,
            level: throughline::Level::Error as u8,
            name: "panicked at {location}: {message}",
            target: module_path!(),
            file: file!(),
            line: line!(),
            fields: &["location", "message"],
            ..throughline::__private::Meta::EMPTY
        }
    );
    if let Some(callsite) = callsite {
        event_to(&ring, callsite, &(location.0.as_str(), message.0.as_str()));
    }
    ring
}

struct Location<'i>(&'i PanicInfo<'i>);

impl Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.location().map_or(Ok(()), |location| location.fmt(f))
    }
}

/// More bytes than fit a record, which marks what it cuts.
const LONGEST: usize = 256;

/// The beginning of what a value displays.
struct Text(heapless::String<LONGEST>);

impl Text {
    fn of(value: &dyn Display) -> Text {
        let mut text = Text(heapless::String::new());
        // An error is that it is full, or the value's own; either leaves what was written.
        let _ = write!(text, "{value}");
        text
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let mut kept = s.len().min(LONGEST - self.0.len());
        while !s.is_char_boundary(kept) {
            kept -= 1;
        }
        self.0.push_str(&s[..kept]).map_err(|_| fmt::Error)?;
        if kept < s.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
