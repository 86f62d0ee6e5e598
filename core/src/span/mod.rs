//! Spans: a guard that ends with its work, written as one record when it ends.
//!
//! The functions here work on every target. On a server they are the exception: a thread with a ring and the processor's clock
//! takes the straight way in `local`, which is inlined into the call site.

#[cfg(straight)]
mod local;
mod suspended;

pub(crate) use suspended::Suspended;

use crate::Status;
use crate::callsite::CallsiteId;
use crate::fields::{self, Fields, min_words};
use crate::record::NO_BUSY;
use crate::recorder::{self, Recorder, UNSAMPLED};
use crate::ring::{Head, RecordKind, Word};
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// Field words that a span carries until it ends; more are written when it begins, as a record of their own.
const CARRIED: usize = if Word::BITS == 64 { 6 } else { 4 };

/// A span that is running: it began when it was made and ends when it is dropped. The current span of its thread (or, on a microcontroller, of its
/// context) meanwhile. Made by [`span!`](crate::span!).
///
/// It cannot leave its thread; a future has [`Instrument::instrument`](crate::Instrument::instrument) instead.
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
    /// `None`: not recorded. Then nothing else is written, nor copied when the guard is moved.
    running: Option<Running>,
    not_send: PhantomData<*const ()>,
}

#[cfg(straight)]
use local::Running;

/// What its guard keeps.
#[cfg(not(straight))]
#[derive(Debug)]
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
        self.state.root
    }

    #[inline(always)]
    fn start(&self) -> Word {
        self.state.start
    }

    #[inline(always)]
    fn set_status(&mut self, status: Status) {
        self.state.status = status as u8;
    }

    #[inline(always)]
    fn carry<F: Fields>(&mut self, words: [Word; CARRIED]) {
        self.state.words = words.map(MaybeUninit::new);
        self.state.types = const { fields::head_types(F::COUNT, F::TYPES) };
        self.state.carried = const { min_words::<F>() as u8 };
    }

    fn state(&self) -> State {
        self.state
    }
}

/// All that a running span knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    callsite: u32,
    id: Word,
    root: Word,
    /// Where the context was before.
    previous: Word,
    previous_root: Word,
    start: Word,
    coarse: Word,
    types: u32,
    status: u8,
    carried: u8,
    /// All initialised when `carried` is not 0, and else none, so that a span without fields does not pay for them.
    words: [MaybeUninit<Word>; CARRIED],
}

impl State {
    #[inline(always)]
    fn new(callsite: u32, id: Word, root: Word, (previous, previous_root): (Word, Word)) -> State {
        State {
            callsite,
            id,
            root,
            previous,
            previous_root,
            start: 0,
            coarse: 0,
            types: 0,
            status: 0,
            carried: 0,
            words: [MaybeUninit::uninit(); CARRIED],
        }
    }

    /// The fields' words, the first `carried` of which count.
    #[inline(always)]
    fn words(&self) -> [Word; CARRIED] {
        if self.carried == 0 {
            return [0; CARRIED];
        }
        // SAFETY: `carried` is not 0, so `Span::begin` initialised them all.
        self.words.map(|w| unsafe { w.assume_init() })
    }
}

impl Span {
    /// A span that records nothing: what a disabled callsite gives.
    #[inline(always)]
    pub const fn none() -> Span {
        Span { running: None, not_send: PhantomData }
    }

    /// Begins a span; the macros' way in.
    #[doc(hidden)]
    #[inline(always)]
    pub fn begin<F: Fields>(callsite: CallsiteId, root: bool, values: &F) -> Span {
        if F::COUNT == 0 {
            // On its own, so that the span is made in its place and not copied there.
            return Span::begin_bare(callsite, root);
        }
        let mut span = Span::begin_bare(callsite, root);
        let Some(running) = &mut span.running else { return span };
        if F::FIXED && min_words::<F>() <= CARRIED {
            let mut words = [0; CARRIED];
            fields::write(values, &mut words);
            running.carry::<F>(words);
        } else if running.id() != 0 {
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
        #[cfg(not(straight))]
        begin(callsite)
    }

    /// Whether it will be recorded: its callsite is on, its trace sampled, and there is a recorder.
    pub fn is_recorded(&self) -> bool {
        self.recorded().is_some()
    }

    /// Says how its work went.
    #[inline]
    pub fn set_status(&mut self, status: Status) {
        if let Some(running) = &mut self.running {
            running.set_status(status);
        }
    }

    /// Marks it as failed, with the error's text as its field `error.message`.
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

    /// Adds fields; the way in of [`record!`](crate::record!).
    #[doc(hidden)]
    pub fn add<F: Fields>(&self, callsite: CallsiteId, values: &F) {
        if let Some(running) = self.recorded() {
            add(running, running.recorder().ticks(), callsite, values);
        }
    }

    fn recorded(&self) -> Option<&Running> {
        self.running.as_ref().filter(|running| running.id() != 0)
    }

    /// This span as a place to enter elsewhere; see [`Context`](recorder::Context).
    pub fn context(&self) -> recorder::Context {
        recorder::Context::current()
    }
}

impl Drop for Span {
    #[inline(always)]
    fn drop(&mut self) {
        let Some(running) = &self.running else { return };
        #[cfg(straight)]
        local::end(running);
        #[cfg(not(straight))]
        end(running.recorder, &running.state);
    }
}

/// One copy serves every call site.
#[inline(never)]
fn begin(callsite: CallsiteId) -> Span {
    let Some(recorder) = enabled(callsite) else { return Span::none() };
    let (previous, mut root) = recorder.place();
    let previous_root = root;
    if root == UNSAMPLED {
        return Span::none();
    }
    let id = recorder.next_id();
    if previous == 0 {
        if !recorder::sampled(id) {
            return unsampled_root(recorder);
        }
        root = id;
        recorder.set_place(id, id);
    } else {
        recorder.set_span(id);
    }
    started(recorder, callsite, id, root, (previous, previous_root))
}

#[inline(never)]
fn begin_root(callsite: CallsiteId) -> Span {
    let Some(recorder) = enabled(callsite) else { return Span::none() };
    let place = recorder.place();
    let id = recorder.next_id();
    if !recorder::sampled(id) {
        return unsampled_root(recorder);
    }
    recorder.set_place(id, id);
    started(recorder, callsite, id, id, place)
}

#[inline(always)]
fn started(
    recorder: &'static Recorder,
    callsite: CallsiteId,
    id: Word,
    root: Word,
    previous: (Word, Word),
) -> Span {
    let mut state = State::new(callsite.id, id, root, previous);
    state.coarse = recorder.coarse();
    state.start = recorder.ticks();
    Span::of(Running::new(recorder, state))
}

#[inline(always)]
fn enabled(callsite: CallsiteId) -> Option<&'static Recorder> {
    if callsite.passes() { recorder::get() } else { None }
}

/// A root that is not sampled: all below it is off until it is dropped.
#[inline]
fn unsampled_root(recorder: &'static Recorder) -> Span {
    let previous = recorder.place();
    if previous.1 == UNSAMPLED {
        return Span::none();
    }
    recorder.set_place(0, UNSAMPLED);
    Span::of(Running::new(recorder, State::new(0, 0, UNSAMPLED, previous)))
}

#[cfg_attr(target_os = "none", inline(never))]
fn end(recorder: &Recorder, state: &State) {
    leave(recorder, state);
    if state.id != 0 {
        finish(recorder, state, None);
    }
}

/// Back to where the context was before the span.
#[inline(always)]
fn leave(recorder: &Recorder, state: &State) {
    if state.previous_root == state.root {
        recorder.set_span(state.previous);
    } else {
        recorder.set_place(state.previous, state.previous_root);
    }
}

/// Writes the record.
#[inline(always)]
fn finish(recorder: &Recorder, state: &State, busy: Option<u64>) {
    let now = recorder.ticks();
    // On a 32-bit machine the clock may have wrapped more than once; `coarse` tells, in steps of 2^16 ticks.
    let long = Word::BITS == 32 && recorder.coarse().wrapping_sub(state.coarse) >= 1 << 15;
    if busy.is_none() && !long {
        if state.types == 0 && state.status == Status::Unset as u8 {
            let head = Head::new(RecordKind::Span, state.callsite, 0, 0);
            recorder.push(head, now, || place(state, now));
        } else {
            finish_carried(recorder, state, now);
        }
    } else {
        finish_long(recorder, state, long, busy, now);
    }
}

/// What every span's record begins with. The second is the parent, or nothing if the span is a root; readers see which.
#[inline(always)]
fn place(state: &State, now: Word) -> [Word; 5] {
    [state.id, state.previous, state.root, state.start, now.wrapping_sub(state.start)]
}

#[inline(never)]
fn finish_carried(recorder: &Recorder, state: &State, now: Word) {
    let mut body = [0; 5 + CARRIED];
    body[..5].copy_from_slice(&place(state, now));
    // All of them, as copying a number known here is cheaper than copying the number there are.
    body[5..].copy_from_slice(&state.words());
    let head = Head::new(RecordKind::Span, state.callsite, state.status, state.types);
    recorder.push_long(head, &body[..5 + usize::from(state.carried).min(CARRIED)], now);
}

#[inline(never)]
fn finish_long(recorder: &Recorder, state: &State, long: bool, busy: Option<u64>, now: Word) {
    let mut body = [0; 5 + 3 + CARRIED];
    let place = place(state, now);
    body[..5].copy_from_slice(&place);
    let mut at = 5;
    let kind = if long {
        // The elapsed time is coarse's difference with its low half from the clock itself. Both marks are at most 2^31 - 2^16 ticks
        // before what they stand for and rounded down by less than 2^16, so the difference is off by less than 2^31.
        let elapsed = (recorder.coarse().wrapping_sub(state.coarse) as u64) << 16;
        let low = place[4] as u64;
        let high = elapsed.wrapping_sub(low).wrapping_add(1 << 31) >> 32;
        let busy = busy.unwrap_or(NO_BUSY);
        body[5..8].copy_from_slice(&[high as Word, busy as Word, (busy >> 32) as Word]);
        at = 8;
        RecordKind::SpanLong
    } else if let Some(busy) = busy {
        // What is not long took less than 2^32 ticks, and was busy for no more.
        body[5] = busy as Word;
        at = 6;
        RecordKind::SpanBusy
    } else {
        RecordKind::Span
    };
    let carried = usize::from(state.carried).min(CARRIED);
    // All of them; see `finish_carried`.
    body[at..at + CARRIED].copy_from_slice(&state.words());
    let head = Head::new(kind, state.callsite, state.status, state.types);
    recorder.push_long(head, &body[..at + carried], now);
}

/// Writes fields of a span as a record of their own.
#[inline(always)]
fn add<F: Fields>(running: &Running, time: Word, callsite: CallsiteId, values: &F) {
    let place = (running.id(), running.root());
    crate::event::write(running.recorder(), RecordKind::Fields, callsite.id, time, place, values);
}

/// Adds fields to the current span; the way in of [`record!`](crate::record!).
pub fn add_to_current<F: Fields>(callsite: CallsiteId, values: &F) {
    if let Some(recorder) = recorder::get() {
        let (span, root) = recorder.place();
        if span != 0 && root != UNSAMPLED {
            crate::event::write(
                recorder,
                RecordKind::Fields,
                callsite.id,
                recorder.ticks(),
                (span, root),
                values,
            );
        }
    }
}
