//! The place in the trace: which span is current, whose trace it is, and how a remote parent becomes part of it.

use super::{REMOTE, REMOTE_WORDS, Recorder, UNSAMPLED, get, id_key};
use crate::record::ATTACH_WORDS;
use crate::ring::{Head, RecordKind, Word};
use crate::sync::Relaxed;
use crate::{TraceContext, TraceId};
use core::marker::PhantomData;

/// A place in a trace: copy it to another task or thread and enter it there, and spans there become children of the span here.
///
/// ```
/// use throughline::Context;
/// let here = Context::current();
/// # #[cfg(not(target_os = "none"))]
/// std::thread::spawn(move || {
///     let _there = here.enter();
///     // spans of this thread now belong to the trace of the other
/// });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    pub(crate) span: Word,
    pub(crate) root: Word,
    /// Flags and trace id of the remote trace, if `root` stands for one.
    remote: [Word; REMOTE_WORDS],
}

impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        (self.span, self.root) == (other.span, other.root)
    }
}

impl Eq for Context {}

impl Context {
    /// The place of the running code; outside any span (or without a recorder) a place outside any trace.
    pub fn current() -> Context {
        get().map_or(Context::default(), Recorder::context)
    }

    /// Moves the running code to this place, until the guard is dropped.
    #[must_use = "dropping the guard leaves the context"]
    pub fn enter(self) -> ContextGuard {
        ContextGuard { previous: get().map(|r| (r, r.replace_context(self))), not_send: PhantomData }
    }

    /// As it travels to another process; `None` outside any trace.
    pub fn trace_context(self) -> Option<TraceContext> {
        if self.span == 0 {
            return None;
        }
        let sampled = self.root != UNSAMPLED;
        let key = id_key();
        let trace_id = self.remote_trace().unwrap_or(key.trace_id(self.root as u64));
        Some(TraceContext { trace_id, span_id: key.span_id(self.span as u64), flags: sampled as u8 })
    }

    fn remote_trace(&self) -> Option<TraceId> {
        if self.root & REMOTE == 0 || self.root == UNSAMPLED && self.remote[0] == 0 {
            return None;
        }
        let mut bytes = [0; 16];
        for (chunk, word) in bytes.chunks_exact_mut(size_of::<Word>()).zip(&self.remote[1..]) {
            chunk.copy_from_slice(&word.to_ne_bytes());
        }
        TraceId::from_bytes(bytes)
    }
}

/// Leaves an entered [`Context`] when dropped.
#[derive(Debug)]
pub struct ContextGuard {
    previous: Option<(&'static Recorder, Context)>,
    not_send: PhantomData<*const ()>,
}

impl Drop for ContextGuard {
    fn drop(&mut self) {
        if let Some((recorder, previous)) = self.previous {
            recorder.replace_context(previous);
        }
    }
}

/// The place of the running code as it travels to another process, for a `traceparent` header; `None` outside any span.
/// Cost: three multiplications of 64 bits, each twice; made when asked for, never kept.
///
/// ```
/// let header = throughline::current().map(|here| here.traceparent());
/// ```
pub fn current() -> Option<TraceContext> {
    Context::current().trace_context()
}

/// Puts the running code below a span of another process, until the guard is dropped: what a server does with a request's `traceparent`,
/// and a device with that of a command. Spans made meanwhile have the remote trace's id. Recorded once.
///
/// A remote parent that is not sampled switches recording off until the guard is dropped.
///
/// ```
/// # let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let _remote = throughline::TraceContext::parse(header).map(throughline::attach);
/// ```
#[must_use = "dropping the guard leaves the remote trace"]
pub fn attach(remote: TraceContext) -> AttachGuard {
    let Some(recorder) = get() else {
        return AttachGuard(ContextGuard { previous: None, not_send: PhantomData });
    };
    let id = recorder.next_id() | REMOTE;
    let mut words = [0; REMOTE_WORDS];
    words[0] = remote.flags as Word | 1 << 8;
    for (word, chunk) in words[1..].iter_mut().zip(remote.trace_id.to_bytes().chunks_exact(size_of::<Word>()))
    {
        *word = chunk.iter().rev().fold(0, |w, b| w << 8 | *b as Word);
        if cfg!(target_endian = "big") {
            *word = word.swap_bytes();
        }
    }
    let root = if remote.sampled() { id } else { UNSAMPLED };
    let previous = recorder.replace_context(Context { span: id, root, remote: words });
    if remote.sampled() {
        let time = recorder.ticks();
        let mut body = [0; ATTACH_WORDS];
        body[..3].copy_from_slice(&[time, id, remote.flags as Word]);
        let (trace, span) = (remote.trace_id.to_bytes(), remote.span_id.to_bytes());
        let bytes = trace.chunks_exact(size_of::<Word>()).chain(span.chunks_exact(size_of::<Word>()));
        for (word, chunk) in body[3..].iter_mut().zip(bytes) {
            let mut w = [0; size_of::<Word>()];
            w.copy_from_slice(chunk);
            *word = Word::from_ne_bytes(w);
        }
        recorder.push(Head::new(RecordKind::Attach, 0, 0, 0), &body, time);
    }
    AttachGuard(ContextGuard { previous: Some((recorder, previous)), not_send: PhantomData })
}

/// Leaves an attached remote trace when dropped.
#[derive(Debug)]
pub struct AttachGuard(#[allow(dead_code)] ContextGuard);

/// A place is read by the contexts that interrupt this one, on the same core, so the compiler's order is all it takes.
#[inline(always)]
fn order_for_interrupts() {
    core::sync::atomic::compiler_fence(crate::sync::Release);
}

impl Recorder {
    /// The place, and with it always the remote words: they may belong to a place further out, to which the code will return.
    pub(crate) fn context(&self) -> Context {
        let (span, root) = self.place();
        Context { span, root, remote: core::array::from_fn(|i| self.remote[i].load(Relaxed)) }
    }

    #[inline(always)]
    pub(crate) fn place(&self) -> (Word, Word) {
        let owner = self.ring.owner();
        (owner.span.load(Relaxed), owner.root.load(Relaxed))
    }

    /// Moves to a span of the same trace.
    #[inline(always)]
    pub(crate) fn set_span(&self, span: Word) {
        self.ring.owner().span.store(span, Relaxed);
    }

    /// Says whose trace the next span that is set belongs to. While the current span is of another trace, use [`Recorder::set_place`].
    #[inline(always)]
    pub(crate) fn set_root(&self, root: Word) {
        order_for_interrupts();
        self.ring.owner().root.store(root, Relaxed);
        order_for_interrupts();
    }

    /// Moves to a span of another trace. An interrupt between the stores sees no span at all, never one of each trace.
    #[inline]
    pub(crate) fn set_place(&self, span: Word, root: Word) {
        self.set_span(0);
        self.set_root(root);
        self.set_span(span);
    }

    /// Moves to another place. An interrupt in between that does the same puts back what it found, so that the words come out whole.
    pub(crate) fn replace_context(&self, new: Context) -> Context {
        let old = self.context();
        self.set_place(0, 0);
        for (cell, word) in self.remote.iter().zip(new.remote) {
            cell.store(word, Relaxed);
        }
        self.set_place(new.span, new.root);
        old
    }
}
