//! Sends the message of a panic or a fault at once. It bypasses the ring, which may be full, and works
//! whatever the flusher and its link were doing.
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
//!     // … flush with it as usual …
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

/// Holds a flusher in a static, where the panic handler can reach it even while other code has it borrowed.
/// It takes a word of RAM plus the flusher.
#[derive(Debug)]
pub struct PanicAccess<T> {
    state: AtomicWord,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Holds nothing yet.
const EMPTY: usize = 0;
/// A value is being put in, or it was taken.
const CLOSED: usize = 1;
const HELD: usize = 2;

// SAFETY: `hold` gives the value to one context, and the caller of `take` promises that this context never
// runs again.
unsafe impl<T: Send> Sync for PanicAccess<T> {}

impl<T> PanicAccess<T> {
    /// Makes an access that holds nothing yet.
    #[allow(clippy::new_without_default)] // Only a static makes sense.
    pub const fn new() -> PanicAccess<T> {
        PanicAccess { state: AtomicWord::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Moves the value in and lends it out. Call it once.
    ///
    /// # Panics
    ///
    /// Panics if it was called before.
    #[allow(clippy::mut_from_ref)] // The value is lent once.
    pub fn hold(&'static self, value: T) -> &'static mut T {
        assert!(self.state.swap(CLOSED, Relaxed) == EMPTY, "a PanicAccess holds one value");
        // SAFETY: only one caller gets past the line above, and `take` gives nothing until `HELD` is stored below.
        let place = unsafe { &mut *self.value.get() };
        let value = place.write(value);
        self.state.swap(HELD, Release);
        value
    }

    /// Returns the value, once. Returns `None` if there is no value, or if it was taken before, for example
    /// because the panic handler itself panics.
    ///
    /// # Safety
    ///
    /// The code that borrowed the value must never run again: interrupts are off, other cores are halted, and
    /// the caller does not return.
    #[allow(clippy::mut_from_ref)] // As above.
    pub unsafe fn take(&'static self) -> Option<&'static mut T> {
        if self.state.swap(CLOSED, Acquire) != HELD {
            return None;
        }
        // SAFETY: `hold` has put a value in, and the caller promises that no other reference to it is used again.
        let place = unsafe { &mut *self.value.get() };
        // SAFETY: `hold` has initialised it.
        Some(unsafe { place.assume_init_mut() })
    }
}

impl<const FRAME: usize> Flusher<Buffer<FRAME>> {
    /// For a panic handler: sends the panic's message and location as an event of level error in the span
    /// that panicked, then everything in the ring. A frame that was being sent is sent again first. The
    /// message is cut to what fits into a frame.
    /// # Errors
    ///
    /// Returns the writer's error.
    pub fn panicked<W: embedded_io::Write>(
        &mut self,
        info: &PanicInfo<'_>,
        link: &mut W,
    ) -> Result<Flushed, W::Error> {
        self.last_words(&Location(info), &info.message(), link)
    }

    /// Like [`Flusher::panicked`], for a fault or a watchdog's warning instead of a panic. `location` is for
    /// example the program counter.
    ///
    /// # Errors
    ///
    /// Returns the writer's error.
    pub fn last_words<W: embedded_io::Write>(
        &mut self,
        location: &dyn Display,
        message: &dyn Display,
        link: &mut W,
    ) -> Result<Flushed, W::Error> {
        let slots = Slots::new();
        let ring = words(&slots, location, message);
        let mut reader = ring.reader();
        // The link may have taken a part of the kept frame.
        self.refused(true);
        let mut flushed = Flushed { pending: self.is_kept(), ..Flushed::default() };
        while flushed.pending || self.make_aside(reader.as_mut()) {
            // With a budget of 0, `flush` sends only the kept frame.
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
    /// For a panic handler: makes frames of the panic's message and location, as an event of level error in
    /// the span that panicked, and then of everything in the ring, as far as the channel has room. If it has
    /// too little room, this first checks up to `polls` times whether the host has made some; each check
    /// takes about ten instructions. The message is cut to what fits into the channel.
    pub fn panicked(&mut self, info: &PanicInfo<'_>, polls: u32) -> Flushed {
        self.last_words(&Location(info), &info.message(), polls)
    }

    /// Like [`Flusher::panicked`], for a fault or a watchdog's warning instead of a panic. `location` is for
    /// example the program counter.
    pub fn last_words(&mut self, location: &dyn Display, message: &dyn Display, polls: u32) -> Flushed {
        let slots = Slots::new();
        let ring = words(&slots, location, message);
        let mut reader = ring.reader();
        self.wait_for_room(polls);
        while self.make_aside(reader.as_mut()) {}
        self.flush(usize::MAX)
    }
}

/// A ring with one event that has this location and message.
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

/// More bytes than fit into a record, so that the record is marked as truncated when the text is cut here.
const LONGEST: usize = 256;

/// The beginning of a value's text, at most `LONGEST` bytes.
struct Text(heapless::String<LONGEST>);

impl Text {
    fn of(value: &dyn Display) -> Text {
        let mut text = Text(heapless::String::new());
        // An error means that the text is full, or comes from the value itself; the text written so far is
        // kept in both cases.
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
