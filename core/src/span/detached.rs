//! Spans that are not bound to a thread.

// A cell has 32 or 64 bits, depending on the target. On targets with 64-bit cells a conversion changes nothing.
#![allow(clippy::unnecessary_cast)]

use super::{CARRIED, NOT_RECORDED, Span, State, ask_sampler, finish_at, has_panicked, is_panicking, panic};
use crate::callsite::CallsiteId;
use crate::fields::{Field, FieldList, Fields};
use crate::place::{is_outside, is_sampled};
use crate::record::NO_BUSY;
use crate::recorder::{self, Context, ContextGuard, Recorder};
use crate::ring::{Head, RecordKind, Word};
use crate::span::parent::Parent;
use crate::sync::{Cell, Count, Relaxed};
use crate::{Status, TraceContext};
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU8;

/// A running span that is not bound to a thread: it can be moved and shared, entered on several threads, also
/// at the same time, and it ends when it is dropped, on whatever thread. [`Span::detach`] makes it.
///
/// It is current nowhere until it is [entered](DetachedSpan::enter). Its record has the sum of the times
/// during which it was entered as busy time. For a future use [`Instrument`](crate::Instrument), which enters
/// the span in every poll.
///
/// ```
/// use std::sync::Arc;
/// use throughline::{info, span};
/// let job = Arc::new(span!("job", id = 7).detach());
/// let workers: Vec<_> = (0..2)
///     .map(|part| {
///         let job = Arc::clone(&job);
///         std::thread::spawn(move || job.in_scope(|| info!("part {part}", part)))
///     })
///     .collect();
/// for worker in workers {
///     worker.join().unwrap();
/// }
/// job.record("parts", 2);
/// // ends here, with the last reference
/// ```
#[derive(Debug)]
#[must_use = "a detached span ends when it is dropped; keep it for as long as its work takes"]
pub struct DetachedSpan {
    state: State,
    place: Context,
    /// Ticks during which the span was entered, summed over all threads.
    busy: Cell,
    status: AtomicU8,
}

/// Adds fields to a detached span, as [`record!`](crate::record!) adds them to a span.
macro_rules! add {
    ($span:expr, [$($names:expr),*], $values:expr) => {
        let callsite = callsite_of_fields!($($names),*);
        if let Some(callsite) = callsite {
            $span.add(callsite, &$values);
        }
    };
}

impl Span {
    /// Takes the span off its thread: it is no longer current here, and may be entered and ended anywhere.
    ///
    /// ```
    /// use throughline::{info, span};
    /// let transfer = span!("transfer", bytes = 4096).detach();
    /// std::thread::spawn(move || transfer.in_scope(|| info!("half of it is there"))).join().unwrap();
    /// ```
    pub fn detach(self) -> DetachedSpan {
        let place = self.context();
        let span = core::mem::ManuallyDrop::new(self);
        let Some(running) = &span.running else { return DetachedSpan::at(place) };
        let state = running.state();
        running.recorder().leave(state.word(), (state.previous, state.previous_root));
        DetachedSpan::of(state, place)
    }
}

impl DetachedSpan {
    /// Begins a span below `parent`, without making it current. For bridges; see
    /// [`adapter::bridge`](crate::adapter::bridge).
    #[doc(hidden)]
    pub fn begin(callsite: CallsiteId, parent: Context, fields: &mut FieldList) -> DetachedSpan {
        let Some(recorder) = callsite.recorder() else { return DetachedSpan::at(parent) };
        // The ids of a remote parent may have to be recorded again, which entering does.
        let _below = parent.is_below_remote().then(|| parent.enter());
        let (previous, root) = (parent.span, parent.root);
        let is_first = is_outside(previous) || root == 0;
        if !is_first && !is_sampled(root) {
            recorder.count_sampled_out();
            return DetachedSpan::at(parent);
        }
        let mut state = State::new(callsite.id, recorder.next_id(), (previous, root));
        if is_first {
            ask_sampler(callsite, recorder, &mut state);
        }
        state.start = recorder.ticks();
        state.flags |= recorder.era();
        let span = DetachedSpan::of(state, parent.with_words(state.word(), state.root()));
        span.with_first(recorder, fields)
    }

    /// A span that is not recorded. Entering it enters `place`.
    pub fn at(place: Context) -> DetachedSpan {
        let mut state = State::new(0, 0, (0, 0));
        state.flags = NOT_RECORDED;
        DetachedSpan::of(state, place)
    }

    fn of(state: State, place: Context) -> DetachedSpan {
        DetachedSpan { state, place, busy: Cell::new(0), status: AtomicU8::new(state.status()) }
    }

    /// Keeps fields until the span ends, or records them now if they are too many for that.
    fn with_first(mut self, recorder: &Recorder, fields: &mut FieldList) -> DetachedSpan {
        if fields.is_empty() || !self.is_recorded() {
            return self;
        }
        let (types, words) = fields.encoded();
        if words.len() <= CARRIED {
            let mut carried = [MaybeUninit::new(0); CARRIED];
            for (to, word) in carried.iter_mut().zip(words) {
                *to = MaybeUninit::new(*word);
            }
            self.state.carry(types, words.len(), carried);
        } else {
            self.write_fields(recorder, self.state.callsite, self.state.start, (types, words));
        }
        self
    }

    /// Has the span begin so many nanoseconds before it was made; a negative number is in the future. For
    /// bridges. On a 32-bit machine, whose clock wraps within seconds, it changes nothing.
    #[doc(hidden)]
    pub fn begin_ago(&mut self, nanos: i64) {
        if let Some(recorder) = self.recorder() {
            self.state.start = ago(recorder, self.state.start, nanos);
        }
    }

    /// Leaves the busy time out of the span's record, for a bridge that does not know when it is entered.
    #[doc(hidden)]
    pub fn leave_out_busy(&self) {
        self.busy.store(Count::MAX, Relaxed);
    }

    /// Ends the span as it would have ended so many nanoseconds ago, but not before it began. It is not recorded
    /// any more, and keeps its place. For bridges; see [`DetachedSpan::begin_ago`].
    #[doc(hidden)]
    pub fn end_ago(&mut self, nanos: i64) {
        self.end(nanos);
        self.state.flags |= NOT_RECORDED;
    }

    /// Whether the span will be recorded; see [`Span::is_recorded`].
    pub fn is_recorded(&self) -> bool {
        self.state.is_recorded()
    }

    /// The place of this span; see [`Span::context`].
    pub fn context(&self) -> Context {
        self.place
    }

    /// Makes the span current on this thread until the guard is dropped. It may be entered on several threads
    /// at the same time. Cost: that of [`Context::enter`] and two readings of the clock.
    ///
    /// ```
    /// use throughline::{info, span};
    /// let request = span!("request").detach();
    /// {
    ///     let _entered = request.enter();
    ///     info!("in the request");
    /// }
    /// info!("outside of it");
    /// ```
    #[must_use = "dropping the guard leaves the span"]
    pub fn enter(&self) -> EnteredSpan<'_> {
        let guard = self.place.enter();
        EnteredSpan { span: self, since: self.busy_since(), guard }
    }

    /// Runs `f` with this span current.
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        f()
    }

    /// Adds a field; see [`Span::record`]. The field may be added on any thread; one that is added while the
    /// span ends elsewhere may come too late.
    pub fn record(&self, key: &str, value: impl Field) -> &DetachedSpan {
        add!(self, [super::KEY_FIELD, "throughline.value"], (key, value));
        self
    }

    /// Sets the status that is recorded when the span ends.
    pub fn set_status(&self, status: Status) {
        self.status.store(status as u8, Relaxed);
    }

    /// Sets the status unless one was set before.
    pub fn set_status_if_unset(&self, status: Status) {
        let _ = self.status.compare_exchange(Status::Unset as u8, status as u8, Relaxed, Relaxed);
    }

    /// Like [`Span::fail`].
    pub fn fail(&self, error: &(impl core::fmt::Display + ?Sized)) {
        self.set_status(Status::Error);
        add!(self, ["error.message"], (crate::fields::Display(error),));
    }

    /// Like [`Span::set_name`].
    pub fn set_name(&self, name: &str) {
        add!(self, [super::NAME_FIELD], (name,));
    }

    /// Like [`Span::link`].
    pub fn link(&self, other: TraceContext) {
        add!(self, [super::LINK_FIELD], (super::relations::link(other),));
    }

    /// Like [`Span::follows_from`].
    pub fn follows_from(&self, cause: impl Parent) {
        if let Some(cause) = cause.place().trace_context() {
            self.link(cause);
        }
    }

    fn add<F: Fields>(&self, callsite: CallsiteId, values: &F) {
        if let Some(recorder) = self.recorder() {
            let place = (self.state.id, self.state.root());
            crate::event::write(recorder, RecordKind::Fields, callsite.id, recorder.ticks(), place, values);
        }
    }

    /// Adds fields whose names are those of `callsite`, which must be of kind
    /// [`Fields`](crate::callsite::Kind::Fields). For bridges.
    #[doc(hidden)]
    pub fn add_list(&self, callsite: CallsiteId, fields: &mut FieldList) {
        if self.is_recorded()
            && !fields.is_empty()
            && let Some(recorder) = recorder::get_to_record()
        {
            self.write_fields(recorder, callsite.id, recorder.ticks(), fields.encoded());
        }
    }

    /// Records an event of the span, so many nanoseconds ago. For bridges; see [`DetachedSpan::begin_ago`].
    #[doc(hidden)]
    pub fn event(&self, callsite: CallsiteId, fields: &mut FieldList, nanos: i64) {
        if self.is_recorded()
            && let Some(recorder) = recorder::get_to_record()
        {
            // The ids of a remote parent may have to be recorded again, which entering does.
            let _below = self.place.is_below_remote().then(|| self.place.enter());
            let time = ago(recorder, recorder.ticks(), nanos);
            let place = (self.state.word(), self.state.root());
            write_list(recorder, RecordKind::Event, callsite.id, time, place, fields.encoded());
        }
    }

    /// The beginning of a time for [`DetachedSpan::count_busy`].
    #[doc(hidden)]
    pub fn busy_since(&self) -> BusySince {
        BusySince { ticks: self.ticks(), was_panicking: is_panicking() }
    }

    /// Counts the time since `since`, which is of this thread, as busy. If the thread began to unwind meanwhile,
    /// the status becomes error. For bridges that cannot keep the guard of [`DetachedSpan::enter`].
    #[doc(hidden)]
    pub fn count_busy(&self, since: BusySince) {
        let Some(recorder) = self.recorder() else { return };
        let now = recorder.ticks();
        self.busy.fetch_add(now.wrapping_sub(since.ticks) as Count, Relaxed);
        recorder.record_poll(self.state.id, since.ticks, now);
        if is_panicking() && !since.was_panicking {
            self.fail_by_panic(recorder, since.ticks);
        }
    }

    #[cold]
    fn fail_by_panic(&self, recorder: &Recorder, since: Word) {
        let (unset, error) = (Status::Unset as u8, Status::Error as u8);
        if self.status.compare_exchange(unset, error, Relaxed, Relaxed).is_ok() {
            panic::say_why(recorder, (self.state.id, self.state.root()), since);
        }
    }

    fn end(&mut self, nanos_ago: i64) {
        if !self.is_recorded() {
            return;
        }
        // A thread without a recorder counts the span as lost.
        let Some(recorder) = recorder::get_to_record() else { return };
        // The ids of a remote parent may have to be recorded again, which entering does.
        let _below = self.place.is_below_remote().then(|| self.place.enter());
        if has_panicked(self.state.start) {
            self.fail_by_panic(recorder, self.state.start);
        }
        self.state.set_status(self.status.load(Relaxed));
        let mut end = recorder.ticks();
        if nanos_ago != 0 {
            end = ago(recorder, end, nanos_ago).max(self.state.start);
        }
        let busy = self.busy.load(Relaxed);
        let busy = if busy == Count::MAX { NO_BUSY } else { busy as u64 };
        finish_at(recorder, &self.state, Some(busy), end);
    }

    fn ticks(&self) -> Word {
        self.recorder().map_or(0, |recorder| recorder.ticks())
    }

    /// This thread's recorder, if the span is recorded.
    fn recorder(&self) -> Option<&'static Recorder> {
        if self.is_recorded() { recorder::get() } else { None }
    }

    fn write_fields(&self, recorder: &Recorder, callsite: u32, time: Word, fields: (u32, &[Word])) {
        let place = (self.state.id, self.state.root());
        write_list(recorder, RecordKind::Fields, callsite, time, place, fields);
    }
}

impl Drop for DetachedSpan {
    fn drop(&mut self) {
        self.end(0);
    }
}

/// The ticks so many nanoseconds before `now`.
fn ago(recorder: &Recorder, now: Word, nanos: i64) -> Word {
    if nanos == 0 || Word::BITS == 32 {
        return now;
    }
    let ticks = u128::from(nanos.unsigned_abs()) * u128::from(recorder.clock().hz()) / 1_000_000_000;
    let ticks = Word::try_from(ticks).unwrap_or(Word::MAX);
    // Times before the clock's start are its start.
    if nanos > 0 { now.saturating_sub(ticks) } else { now.saturating_add(ticks) }
}

impl Parent for DetachedSpan {
    fn place(&self) -> Context {
        self.context()
    }
}

/// Leaves a [`DetachedSpan`] when it is dropped.
#[derive(Debug)]
pub struct EnteredSpan<'a> {
    span: &'a DetachedSpan,
    since: BusySince,
    #[allow(dead_code)]
    guard: ContextGuard,
}

/// When a span was entered; see [`DetachedSpan::busy_since`].
#[derive(Clone, Copy, Debug)]
pub struct BusySince {
    ticks: Word,
    /// A span that is entered while the thread unwinds did not cause that.
    was_panicking: bool,
}

impl Drop for EnteredSpan<'_> {
    fn drop(&mut self) {
        self.span.count_busy(self.since);
    }
}

/// Records an event of the current place with the values of a list. For bridges. Cost: that of an event with
/// long texts.
pub fn event(callsite: CallsiteId, fields: &mut FieldList) {
    event_ago(callsite, fields, 0);
}

/// As [`event`], so many nanoseconds ago; a negative number is in the future. On a 32-bit machine, whose clock wraps
/// within seconds, it is now.
pub fn event_ago(callsite: CallsiteId, fields: &mut FieldList, nanos: i64) {
    if let Some(recorder) = callsite.recorder() {
        let (time, place) = (ago(recorder, recorder.ticks(), nanos), recorder.place());
        write_list(recorder, RecordKind::Event, callsite.id, time, place, fields.encoded());
    }
}

fn write_list(
    recorder: &Recorder,
    kind: RecordKind,
    callsite: u32,
    time: Word,
    (span, root): (Word, Word),
    (types, words): (u32, &[Word]),
) {
    let mut body = [MaybeUninit::<Word>::uninit(); crate::ring::MAX_BODY];
    body[..3].copy_from_slice(&[time, span, root].map(MaybeUninit::new));
    for (to, word) in body[3..].iter_mut().zip(words) {
        *to = MaybeUninit::new(*word);
    }
    // SAFETY: the first three words and those of the list are set above, and the list is not longer than the rest.
    let body = unsafe { super::initialised(&body[..3 + words.len()]) };
    recorder.push(Head::new(kind, callsite, 0, types), body, time);
}
