//! Spans: a guard begins a span, and its drop ends the span and writes one record.
//!
//! The functions in this file are the general path, which works on every target. Two faster paths handle the
//! usual cases. `local` is inlined into the callsite; it serves a server thread that has its own ring and
//! reads the processor's clock. `short` serves spans without fields on a microcontroller.

/// A callsite of fields that this library itself adds to spans; `None` while no recorder wants it.
#[cfg(feature = "std")]
macro_rules! callsite_of_fields {
    ($($name:expr),*) => {
        crate::__enabled!(
            Error,
            crate::callsite::Meta {
                kind: crate::callsite::Kind::Fields,
                level: crate::Level::Error as u8,
                target: module_path!(),
                file: file!(),
                line: line!(),
                fields: &[$($name),*],
                ..crate::callsite::Meta::EMPTY
            }
        )
    };
}

mod current;
#[cfg(feature = "std")]
mod detached;
#[cfg(straight)]
mod local;
mod panic;
mod parent;
mod relations;
mod scope;
#[cfg(short)]
mod short;
mod state;
mod suspended;

#[cfg(feature = "std")]
pub use detached::{BusySince, DetachedSpan, EnteredSpan, event, event_ago};
pub(crate) use panic::has_panicked;
use panic::is_panicking;
#[cfg(feature = "std")]
pub use panic::{PanicMessage, note_panic, set_panic_message};
pub use parent::{below, outside};
pub use relations::{KEY_FIELD, LINK_FIELD, NAME_FIELD};
pub(crate) use state::State;
use state::{APART, ASKED, NOT_RECORDED, UNFLAGGED};
pub(crate) use suspended::Suspended;

use crate::Status;
use crate::callsite::CallsiteId;
use crate::fields::{self, Fields, min_words};
use crate::place::{REMOTE, is_outside, is_sampled, root_id};
use crate::record::NO_BUSY;
use crate::recorder::sampler::{self, Sampling};
use crate::recorder::{self, ERA, Recorder};
use crate::ring::{Head, RecordKind, Word};
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// How many field words a span's guard keeps until the span ends. If there are more, all fields are written
/// at the beginning as a separate record.
const CARRIED: usize = if Word::BITS == 64 { 6 } else { 4 };

/// A running span. It begins when it is made, is current in its thread (on a microcontroller, in its context)
/// while it lives, and ends when it is dropped. [`span!`](crate::span!) makes it.
///
/// A span cannot leave its thread; futures use [`Instrument::instrument`](crate::Instrument::instrument).
///
/// ```
/// use throughline::{Status, record, span};
/// let mut span = span!("read_sensor", channel = 3);
/// let rows = 42;
/// record!(span, rows);                 // not declared before
/// if rows == 0 {
///     span.set_status(Status::Error);
/// }
/// // ends here
/// ```
#[derive(Debug)]
#[must_use = "a span ends when it is dropped; bind it to a variable such as `_span`"]
pub struct Span {
    /// `None` when the span is not recorded; creating and moving the guard then touches no other memory.
    running: Option<Running>,
    not_send: PhantomData<*const ()>,
}

#[cfg(straight)]
use local::Running;

/// The guard of a recorded span.
#[cfg(not(straight))]
#[derive(Debug)]
#[repr(C)]
struct Running {
    recorder: &'static Recorder,
    state: State,
}

#[cfg(not(straight))]
impl Running {
    #[inline(always)]
    fn new(recorder: &'static Recorder, state: State) -> Running {
        Running { recorder, state }
    }

    #[inline(always)]
    fn recorder(&self) -> &'static Recorder {
        self.recorder
    }

    #[inline(always)]
    fn id(&self) -> Word {
        self.state.id
    }

    #[inline(always)]
    fn root(&self) -> Word {
        self.state.root()
    }

    fn word(&self) -> Word {
        self.state.word()
    }

    #[inline(always)]
    fn is_recorded(&self) -> bool {
        self.state.is_recorded()
    }

    #[inline(always)]
    fn start(&self) -> Word {
        self.state.start
    }

    #[inline(always)]
    fn set_status(&mut self, status: Status) {
        self.state.set_status(status as u8);
    }

    #[inline(always)]
    fn carry<F: Fields>(&mut self, words: [Word; CARRIED]) {
        let words = words.map(MaybeUninit::new);
        self.state.carry(const { fields::head_types(F::COUNT, F::TYPES) }, const { min_words::<F>() }, words);
    }

    fn state(&self) -> State {
        self.state
    }
}

impl Span {
    /// A span that records nothing, as a disabled callsite returns.
    #[inline(always)]
    pub const fn none() -> Span {
        Span { running: None, not_send: PhantomData }
    }

    /// Begins a span. The macros call this.
    #[doc(hidden)]
    #[inline(always)]
    pub fn begin<F: Fields>(callsite: CallsiteId, root: bool, values: &F) -> Span {
        if F::COUNT == 0 {
            // Return separately, so that the span is built in the caller's memory and not copied there.
            return Span::begin_bare(callsite, root);
        }
        let mut span = Span::begin_bare(callsite, root);
        let Some(running) = &mut span.running else { return span };
        if F::FIXED && min_words::<F>() <= CARRIED {
            let mut words = [0; CARRIED];
            fields::write(values, &mut words);
            running.carry::<F>(words);
        } else if running.is_recorded() {
            add(running, running.start(), callsite, values);
        }
        span
    }

    #[inline(always)]
    const fn of(running: Running) -> Span {
        Span { running: Some(running), not_send: PhantomData }
    }

    #[inline(always)]
    fn begin_bare(callsite: CallsiteId, root: bool) -> Span {
        if root {
            return begin_root(callsite);
        }
        #[cfg(straight)]
        return local::begin(callsite);
        #[cfg(short)]
        return short::begin(callsite);
        #[cfg(not(any(straight, short)))]
        begin(callsite)
    }

    /// Whether the span will be recorded: its callsite is enabled, its trace is sampled, and there is a
    /// recorder.
    pub fn is_recorded(&self) -> bool {
        self.recorded().is_some()
    }

    /// Sets the status that is recorded when the span ends.
    #[inline]
    pub fn set_status(&mut self, status: Status) {
        if let Some(running) = &mut self.running {
            running.set_status(status);
        }
    }

    /// Sets the status to error and records the error's text as the field `error.message`.
    ///
    /// ```
    /// let mut span = throughline::span!("parse");
    /// if let Err(error) = "x".parse::<u32>() {
    ///     span.fail(&error);
    /// }
    /// ```
    pub fn fail(&mut self, error: &(impl core::fmt::Display + ?Sized)) {
        self.set_status(Status::Error);
        crate::record!(self, "error.message" = %error);
    }

    /// Adds fields. [`record!`](crate::record!) calls this.
    #[doc(hidden)]
    pub fn add<F: Fields>(&self, callsite: CallsiteId, values: &F) {
        if let Some(running) = self.recorded() {
            #[cfg(feature = "std")]
            if !running.recorder().is_here() {
                recorder::refuse();
                return;
            }
            add(running, running.recorder().ticks(), callsite, values);
        }
    }

    fn recorded(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| running.is_recorded())
    }

    /// The place of this span, which can be entered elsewhere; see [`Context`](recorder::Context). For a span
    /// that is not recorded, because its callsite is disabled or its trace is not sampled, it is the place of
    /// the running code.
    pub fn context(&self) -> recorder::Context {
        match &self.running {
            Some(running) => running.recorder().context_of(running.word(), running.root()),
            None => recorder::Context::current(),
        }
    }
}

impl Drop for Span {
    #[inline(always)]
    fn drop(&mut self) {
        let Some(running) = &self.running else { return };
        #[cfg(straight)]
        local::end(running);
        #[cfg(short)]
        short::end(running.recorder, &running.state);
        #[cfg(not(any(straight, short)))]
        end(running.recorder, &running.state);
    }
}

/// Begins a span on the general path. Not inlined, so that one copy serves every callsite.
#[inline(never)]
fn begin(callsite: CallsiteId) -> Span {
    begin_in(callsite, 0)
}

#[inline(never)]
fn begin_root(callsite: CallsiteId) -> Span {
    begin_in(callsite, APART)
}

/// Begins a span; `apart` is [`APART`] if its trace is its own, whatever is current, else 0.
fn begin_in(callsite: CallsiteId, apart: Word) -> Span {
    let Some(recorder) = callsite.recorder() else { return Span::none() };
    let (previous, root) = recorder.place();
    // The first span of a trace, or the first one below a remote parent about which the sampler has not been
    // asked.
    let is_first = apart != 0 || is_outside(previous) || root == 0;
    if !is_first && !is_sampled(root) {
        recorder.count_sampled_out();
        return Span::none();
    }
    let id = recorder.next_id();
    let mut state = State::new(callsite.id, id, (previous, root));
    if is_first {
        state.flags = apart;
        ask_sampler(callsite, recorder, &mut state);
        recorder.set_place(state.word(), state.root());
    } else {
        recorder.set_span(id);
    }
    state.start = recorder.ticks();
    state.flags |= recorder.era();
    Span::of(Running::new(recorder, state))
}

/// Begins a trace, or what is below a remote parent, with its first span: forgets a panic that was caught before, and
/// asks the sampler.
#[inline(always)]
fn ask_sampler(callsite: CallsiteId, recorder: &Recorder, state: &mut State) {
    panic::forget_caught();
    let is_root = state.is_root();
    if !is_root {
        state.flags |= ASKED;
    }
    // Look up the remote parent only for a sampler: firmware without one is then linked without the lookup
    // and the key of ids.
    let remote = || if is_root { None } else { recorder.trace_context() };
    match sampler::samples(callsite, root_id(state.id), remote) {
        Sampling::Record => {}
        Sampling::RecordOnly => state.flags |= UNFLAGGED,
        Sampling::Drop => {
            recorder.count_sampled_out();
            state.flags |= NOT_RECORDED;
        }
    }
}

#[inline(never)]
fn end(recorder: &Recorder, state: &State) {
    #[cfg(feature = "std")]
    if !recorder.is_here() {
        if state.is_recorded() {
            recorder::refuse();
        }
        return;
    }
    recorder.leave(state.word(), (state.previous, state.previous_root));
    if state.is_recorded() {
        finish(recorder, state, None);
    }
}

/// Writes the span's record.
#[inline(never)]
fn finish(recorder: &Recorder, state: &State, busy: Option<u64>) {
    finish_at(recorder, state, busy, recorder.ticks());
}

/// Writes the record of a span that ends at `now`.
#[inline(always)]
fn finish_at(recorder: &Recorder, state: &State, busy: Option<u64>, now: Word) {
    let high = high_half(state, recorder.era(), now);
    // Leave it uninitialised: the compiler would zero so many words with a call of `memset`.
    let mut body = [MaybeUninit::<Word>::uninit(); 5 + 3 + CARRIED];
    body[..5].copy_from_slice(&first_words(state, now).map(MaybeUninit::new));
    // Readers see from the parent's word that a span is a root, unless it is one whatever was current.
    if state.flags & APART != 0 {
        body[1] = MaybeUninit::new(0);
    }
    // Readers find here whether other processes were told that the trace is sampled.
    if UNFLAGGED != 0 && (state.is_root() || state.flags & UNFLAGGED != 0) {
        body[2] = MaybeUninit::new(state.root());
    }
    let status = match state.status() {
        0 if busy.is_none() && has_panicked(state.start) => {
            panic::say_why(recorder, (state.id, state.root()), state.start);
            Status::Error as u8
        }
        status => status,
    };
    let mut at = 5;
    let mut kind = RecordKind::Span;
    if high != 0 {
        let busy = busy.unwrap_or(NO_BUSY);
        let long = [high, busy as Word, (busy >> 32) as Word];
        body[5..8].copy_from_slice(&long.map(MaybeUninit::new));
        at = 8;
        kind = RecordKind::SpanLong;
    } else if let Some(busy) = busy {
        // A span that is not long took less than 2^32 ticks, so its busy time fits in one word.
        body[5] = MaybeUninit::new(busy as Word);
        at = 6;
        kind = RecordKind::SpanBusy;
    }
    // Copy all field words: copying a fixed number is cheaper than copying the number in use.
    body[at..at + CARRIED].copy_from_slice(&state.words);
    let head = Head::new(kind, state.callsite, status, state.types());
    // SAFETY: the first `at` words and as many of the field words as are in use are initialised.
    let body = unsafe { initialised(&body[..at + state.carried()]) };
    recorder.push(head, body, now);
}

/// Words that are known to be initialised.
///
/// # Safety
///
/// All words must be initialised.
#[inline(always)]
unsafe fn initialised(words: &[MaybeUninit<Word>]) -> &[Word] {
    // SAFETY: the caller guarantees that all words are initialised, and the types have the same layout.
    unsafe { &*(core::ptr::from_ref(words) as *const [Word]) }
}

/// The first five words of a span's record. For a span without a parent the id in the root word is meaningless;
/// the span is its own root.
#[inline(always)]
fn first_words(state: &State, now: Word) -> [Word; 5] {
    [state.id, state.previous, state.previous_root, state.start, now]
}

/// The upper half of a span's duration in ticks, for 32-bit machines, whose clock may wrap several times.
///
/// An era is half a wrap of the clock. Every moment is less than half a wrap after the mark that set its era,
/// so it is in the same half or in the next one. The upper bit of its ticks tells which: it is the lowest bit
/// of the number of its half.
fn high_half(state: &State, era: Word, now: Word) -> Word {
    if Word::BITS == 64 {
        return 0;
    }
    // The number of whole wraps before a moment: half the number of its half, rounded down.
    let wraps = |era: Word, ticks: Word| ((era >> ERA) + 1 - (ticks >> (Word::BITS - 1))) >> 1;
    let borrow = Word::from(now < state.start);
    let elapsed = wraps(era, now).wrapping_sub(wraps(state.flags, state.start)).wrapping_sub(borrow);
    // Eras are counted modulo 2^24, so the upper 9 bits of the difference are meaningless.
    elapsed << 9 >> 9
}

/// Writes fields of a span as a separate record.
#[inline(always)]
fn add<F: Fields>(running: &Running, time: Word, callsite: CallsiteId, values: &F) {
    let place = (running.id(), running.root());
    crate::event::write(running.recorder(), RecordKind::Fields, callsite.id, time, place, values);
}

/// Adds fields to the current span if this process recorded it. [`record!`](crate::record!) calls this.
pub fn add_to_current<F: Fields>(callsite: CallsiteId, values: &F) {
    if let Some(recorder) = recorder::get() {
        let (span, root) = recorder.current();
        if !is_outside(span) && span & REMOTE == 0 && is_sampled(root) {
            let time = recorder.ticks();
            crate::event::write(recorder, RecordKind::Fields, callsite.id, time, (span, root), values);
        }
    }
}
