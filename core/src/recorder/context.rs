//! Places in a trace that can be entered: the current span, its trace, and remote parents.

mod resting;

pub(crate) use resting::Resting;

use super::{Recorder, get, id_key};
use crate::place::{ID, MADE, MARK, REMOTE, is_flagged, is_outside, own_root, root_id, root_word, span_id};
#[cfg(feature = "std")]
use crate::record::AGAIN;
use crate::record::ATTACH_WORDS;
use crate::ring::{Head, RecordKind, Word};
use crate::sync::{AtomicWord, Relaxed, order_for_interrupts};
use crate::{SpanId, TraceContext, TraceId};
use core::marker::PhantomData;

/// The description of a remote parent: the id that stands for it, its flags with the bits below, trace id and
/// span id.
pub(crate) type RemoteWords = [Word; REMOTE_WORDS];
pub(super) type RemoteCells = [AtomicWord; REMOTE_WORDS];
/// In the word of the flags: a place below the remote parent was copied and may be entered elsewhere.
const HELD: Word = 1 << 8;
/// In the word of the flags: position of the [`TURN`] in which the remote parent was last recorded.
#[cfg(feature = "std")]
const TURN_SHIFT: u32 = 16;
const REMOTE_WORDS: usize = 2 + 24 / size_of::<Word>();

/// Counts how often the pump has begun to forget remote parents. A remote parent that was last recorded in an
/// earlier turn is recorded again when a place below it becomes current. The pump therefore need not remember
/// remote parents that only futures and contexts hold.
#[cfg(feature = "std")]
static TURN: AtomicWord = AtomicWord::new(0);

/// Begins a new turn, for a pump that is about to forget the remote parents recorded before the last turn. It
/// must keep those that are attached and those that [`remote_parent`] gives.
#[cfg(feature = "std")]
pub fn turn_remote_parents() {
    TURN.fetch_add(1, Relaxed);
}

/// The id of the remote parent that a thread's current place, or one further out, belongs to; 0 if there is
/// none.
#[cfg(feature = "std")]
pub fn remote_parent(recorder: &Recorder) -> Word {
    recorder.remote_cells()[0].load(Relaxed)
}

pub(super) const fn no_remote() -> RemoteCells {
    [const { AtomicWord::new(0) }; REMOTE_WORDS]
}

/// A place in a trace. Copy it to another task or thread and enter it there: spans there become children of
/// the span here.
///
/// ```
/// use throughline::Context;
/// let here = Context::current();
/// # #[cfg(not(target_os = "none"))]
/// std::thread::spawn(move || {
///     let _there = here.enter();
///     // spans of this thread now belong to the other thread's trace
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// The two words that [`place`](crate::place) describes.
    pub(crate) span: Word,
    pub(crate) root: Word,
    remote: RemoteWords,
}

impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        self.ids() == other.ids()
    }
}

impl Eq for Context {}

impl Context {
    /// The place of the running code. Outside any span, or without a recorder, it is a place outside any
    /// trace.
    pub fn current() -> Context {
        get().map_or(Context::default(), Recorder::context)
    }

    /// Moves the running code to this place until the guard is dropped. Guards may be dropped in any order:
    /// the current place is always that of the innermost guard or span that is still alive. Cost: about 50
    /// instructions; more if guards are not dropped in reverse order.
    #[must_use = "dropping the guard leaves the context"]
    pub fn enter(self) -> ContextGuard {
        let Some(recorder) = get() else { return ContextGuard::nowhere() };
        let (span, number) = recorder.enter_number(self.span);
        let before = recorder.replace(Context { span, ..self });
        ContextGuard::of(Entered {
            recorder,
            entry: span,
            before,
            number: Some(number),
            clearings: recorder.clearings(),
        })
    }

    /// The place as it travels to another process; `None` outside any trace. In an unsampled trace the flags
    /// say so, but the ids are real: the other process can follow the decision and relate its logs to ours.
    ///
    /// `None` also in a remote trace whose ids are no longer known. That takes three nested remote parents,
    /// of which the second was detached first.
    pub fn trace_context(self) -> Option<TraceContext> {
        trace_context((self.span, self.root), || self.remote)
    }

    /// Another place below the same remote parent, or below none.
    #[cfg(feature = "std")]
    pub(crate) fn with_words(self, span: Word, root: Word) -> Context {
        Context { span, root, ..self }.unmarked()
    }

    /// Whether the place belongs to a trace that began in another process.
    #[cfg(feature = "std")]
    pub(crate) fn is_below_remote(&self) -> bool {
        own_root(self.span, self.root) & REMOTE != 0
    }

    /// The ids of span and root without marks.
    fn ids(&self) -> (Word, Word) {
        ids((self.span, self.root))
    }

    /// The same place without the number that distinguishes its entries.
    fn unmarked(self) -> Context {
        let span = if is_outside(self.span) { 0 } else { self.span & (REMOTE | ID) | MADE };
        Context { span, ..self }
    }
}

/// An entry made by [`Context::enter`] or [`attach`].
#[derive(Debug)]
struct Entered {
    recorder: &'static Recorder,
    entry: Word,
    before: Context,
    /// For a context: the number that distinguishes its entries. A remote parent has its own id instead.
    number: Option<Option<u32>>,
    /// How often the recorder's table had been cleared when the entry was made.
    clearings: Word,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Entered { recorder, entry, before, number, clearings } = *self;
        if recorder.clearings() != clearings {
            // Everything was forgotten since then, and no other entry returns to this one.
            if number.is_none() {
                recorder.record_detach(entry);
            }
            return;
        }
        if number.is_none() {
            recorder.record_detach(entry);
        }
        let is_unique = number.is_none_or(|number| recorder.leave_number(number));
        if recorder.current().0 == entry {
            recorder.set_place(0, 0);
            recorder.set_remote(&before.remote);
            recorder.return_to((before.span & !MARK, before.root));
        } else if is_unique {
            recorder.remember(entry, (before.span & !MARK, before.root));
        } else {
            recorder.forget();
        }
    }
}

/// Leaves an entered [`Context`] when it is dropped.
#[derive(Debug)]
pub struct ContextGuard {
    #[allow(dead_code)]
    entered: Option<Entered>,
    not_send: PhantomData<*const ()>,
}

impl ContextGuard {
    fn of(entered: Entered) -> ContextGuard {
        ContextGuard { entered: Some(entered), not_send: PhantomData }
    }

    fn nowhere() -> ContextGuard {
        ContextGuard { entered: None, not_send: PhantomData }
    }
}

/// Leaves an attached remote trace when it is dropped.
#[derive(Debug)]
pub struct AttachGuard(#[allow(dead_code)] ContextGuard);

/// The place of the running code as it travels to another process, for a `traceparent` header; `None` outside
/// any span. Cost: six 64-bit multiplications; the ids are computed on each call and not kept.
///
/// ```
/// let header = throughline::current().map(|here| here.traceparent());
/// ```
pub fn current() -> Option<TraceContext> {
    get()?.trace_context()
}

/// The ids in the words of span and root, without marks.
fn ids((span, root): (Word, Word)) -> (Word, Word) {
    let root = own_root(span, root);
    if is_outside(span) { (0, 0) } else { (span_id(span, root), root_id(root)) }
}

/// The place with these words of span and root as it travels to another process. `remote` gives the description of
/// the remote parent; it is called only in a remote trace.
#[inline]
fn trace_context((here, trace): (Word, Word), remote: impl FnOnce() -> RemoteWords) -> Option<TraceContext> {
    if is_outside(here) {
        return None;
    }
    let (span, root) = ids((here, trace));
    let key = id_key();
    if root & REMOTE == 0 {
        let flags = is_flagged(trace) as u8;
        let (trace_id, span_id) = (key.trace_id(root as u64), key.span_id(span as u64));
        return Some(TraceContext { trace_id, span_id, flags });
    }
    let [id, flags, ids @ ..] = remote();
    if id != root {
        return None;
    }
    let mut bytes = [0; 24];
    for (chunk, word) in bytes.chunks_exact_mut(size_of::<Word>()).zip(ids) {
        chunk.copy_from_slice(&word.to_ne_bytes());
    }
    // The sampler decides for everything below a remote parent. Until it is asked, the parent's own flag
    // counts.
    let sampled = if trace == 0 { flags as u8 & 1 } else { is_flagged(trace) as u8 };
    let remote_span = SpanId::from_bytes(*bytes[16..].first_chunk()?)?;
    Some(TraceContext {
        trace_id: TraceId::from_bytes(*bytes.first_chunk()?)?,
        span_id: if span == root { remote_span } else { key.span_id(span as u64) },
        flags: flags as u8 & !1 | sampled,
    })
}

/// Puts the running code below a span of another process until the guard is dropped. A server does this with
/// a request's `traceparent`, a device with that of a command. Spans that begin meanwhile have the remote
/// trace's id. Cost: one record for the attachment, and on a server another when the guard is dropped.
///
/// Below an unsampled remote parent no span is recorded either, unless a [`Sampler`](crate::sampler::Sampler)
/// decides otherwise. Events are recorded, with a mark that their trace is not sampled.
///
/// ```
/// # let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let _remote = throughline::TraceContext::parse(header).map(throughline::attach);
/// ```
#[must_use = "dropping the guard leaves the remote trace"]
pub fn attach(remote: TraceContext) -> AttachGuard {
    let Some(recorder) = get() else { return AttachGuard(ContextGuard::nowhere()) };
    crate::linked::SPECIAL_TRACES.set();
    crate::linked::SPECIAL_PLACES.set();
    let id = recorder.next_id() | REMOTE;
    let mut words = [0; REMOTE_WORDS];
    words[..2].copy_from_slice(&[root_id(id), remote.flags as Word]);
    let (trace, span) = (remote.trace_id.to_bytes(), remote.span_id.to_bytes());
    let bytes = trace.chunks_exact(size_of::<Word>()).chain(span.chunks_exact(size_of::<Word>()));
    for (word, chunk) in words[2..].iter_mut().zip(bytes) {
        let mut bytes = [0; size_of::<Word>()];
        bytes.copy_from_slice(chunk);
        *word = Word::from_ne_bytes(bytes);
    }
    let root = if super::sampler::asks_below_remote() { 0 } else { root_word(id, remote.sampled()) };
    #[cfg(feature = "std")]
    {
        words[1] |= TURN.load(Relaxed) << TURN_SHIFT;
    }
    let before = recorder.replace(Context { span: id, root, remote: words });
    let _is_known = recorder.record_remote(&words);
    #[cfg(feature = "std")]
    if !_is_known {
        // Keep an earlier turn, so that the remote parent is recorded again when its place becomes current
        // again.
        recorder.remote_cells()[1].store(words[1].wrapping_sub(1 << TURN_SHIFT), Relaxed);
    }
    AttachGuard(ContextGuard::of(Entered {
        recorder,
        entry: id,
        before,
        number: None,
        clearings: recorder.clearings(),
    }))
}

impl Recorder {
    /// The current place, to be entered elsewhere.
    pub(crate) fn context(&self) -> Context {
        let (span, root) = self.place();
        self.context_of(span, root)
    }

    /// The place of a span, to be entered elsewhere.
    pub(crate) fn context_of(&self, span: Word, root: Word) -> Context {
        let context = Context { span, root, remote: self.remote() }.unmarked();
        let [id, flags, ..] = context.remote;
        if root_id(own_root(span, root)) == id && id != 0 {
            // Until the remote parent is detached, remember that other code may continue below it.
            self.remote_cells()[1].store(flags | HELD, Relaxed);
        }
        context
    }

    /// The current place as it travels to another process.
    pub(crate) fn trace_context(&self) -> Option<TraceContext> {
        trace_context(self.place(), || self.remote())
    }

    /// Records that a remote parent is detached. The pump keeps the ids of a remote parent as long as they
    /// may be needed; a device's decoder does not need this record.
    fn record_detach(&self, entry: Word) {
        #[cfg(feature = "std")]
        {
            let [id, flags, ..] = self.remote();
            let is_innermost = self.current().0 == entry && id == root_id(entry);
            let held = !is_innermost || flags & HELD != 0;
            let values = (&(root_id(entry) as u64), &held);
            self.push_extended(crate::ring::ExtendedKind::DETACH, 0, 0, self.ticks(), &values);
        }
        #[cfg(not(feature = "std"))]
        let _ = entry;
    }

    /// The current place with its marks. It always includes the remote words, which may belong to a place
    /// further out, to which the code will return.
    fn raw_context(&self) -> Context {
        let (span, root) = self.place();
        Context { span, root, remote: self.remote() }
    }

    #[inline(always)]
    pub(crate) fn place(&self) -> (Word, Word) {
        (self.span_word(), self.root_word())
    }

    #[inline(always)]
    pub(crate) fn root_word(&self) -> Word {
        self.ring.owner().root.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn span_word(&self) -> Word {
        self.ring.owner().span.load(Relaxed)
    }

    /// Whether this span word is the current one, so that its entry is the innermost one alive.
    #[cfg(any(straight, short))]
    #[inline(always)]
    pub(crate) fn is_current(&self, span: Word) -> bool {
        self.span_word() == span
    }

    /// Moves to a span of the same trace.
    #[inline(always)]
    pub(crate) fn set_span(&self, span: Word) {
        self.ring.owner().span.store(span, Relaxed);
        #[cfg(feature = "thread-context")]
        self.thread.outside.show(self, span);
    }

    /// Sets the root word for the next span that is set. While the current span is in another trace, use
    /// [`Recorder::set_place`].
    #[inline(always)]
    pub(crate) fn set_root(&self, root: Word) {
        order_for_interrupts();
        self.ring.owner().root.store(root, Relaxed);
        order_for_interrupts();
    }

    /// Moves to a span of another trace. An interrupt between the stores sees no span at all, never words of
    /// two traces.
    #[inline]
    pub(crate) fn set_place(&self, span: Word, root: Word) {
        // Programs outside of the process see the old place until the new one is whole.
        self.ring.owner().span.store(0, Relaxed);
        self.set_root(root);
        self.set_span(span);
    }

    fn remote(&self) -> RemoteWords {
        let cells = self.remote_cells();
        core::array::from_fn(|i| cells[i].load(Relaxed))
    }

    /// Sets the remote words. Call this only while nothing is current.
    fn set_remote(&self, words: &RemoteWords) {
        for (cell, word) in self.remote_cells().iter().zip(words) {
            cell.store(*word, Relaxed);
        }
        #[cfg(feature = "std")]
        if words[0] != 0 && words[1] >> TURN_SHIFT != TURN.load(Relaxed) & Word::MAX >> TURN_SHIFT {
            self.record_remote_again(words);
        }
    }

    /// Records a remote parent again, because the pump may have forgotten its ids.
    #[cfg(feature = "std")]
    #[cold]
    #[inline(never)]
    fn record_remote_again(&self, words: &RemoteWords) {
        let [_, flags, ..] = *words;
        let flags = flags & (Word::MAX >> (Word::BITS - TURN_SHIFT)) | TURN.load(Relaxed) << TURN_SHIFT;
        let mut words = *words;
        words[1] = flags | AGAIN;
        // If the ring is full, this is tried again when the place becomes current again.
        if self.record_remote(&words) {
            self.remote_cells()[1].store(flags, Relaxed);
        }
    }

    /// Records which span of another process an id stands for.
    fn record_remote(&self, words: &RemoteWords) -> bool {
        let time = self.ticks();
        let mut body = [0; ATTACH_WORDS];
        body[0] = time;
        body[1..].copy_from_slice(words);
        self.push(Head::new(RecordKind::Attach, 0, 0, 0), &body, time)
    }

    /// Moves to another place whose entry is alive. An interrupt in between that does the same restores what
    /// it found, so the words stay consistent.
    fn replace(&self, new: Context) -> Context {
        let old = self.raw_context();
        self.set_place(0, 0);
        self.set_remote(&new.remote);
        self.make_current((new.span, new.root));
        old
    }
}
