//! The recorders of a server, one for each thread. A thread finds its recorder by a thread-local read. The
//! recorders are in a list that only grows, and are reused.
//!
//! A recorder outlives its thread: the records that the thread left in the ring are drained later, its counts
//! remain, and the next new thread takes the recorder over. So no record or count is lost when a thread ends,
//! and 10,000 short-lived threads need only as much memory as the greatest number that ran at the same time.

extern crate std;

use super::Recorder;
use super::pool::{Membership, Pool, Pooled};
use crate::clock::Clock;
use crate::list::{Link, Linked};
use crate::ring::Slots;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The part of a [`Recorder`] that belongs to one thread.
#[derive(Debug)]
pub(crate) struct ThreadPart {
    /// Whether only one thread writes the recorder.
    pub(crate) local: bool,
    /// Whether the recorder keeps the oldest records and reads the processor's clock, so that spans and
    /// events may take the straight path.
    pub(crate) straight: bool,
    /// The number of spans that a sampler rejected. Only this thread writes it.
    pub(super) sampled_out: crate::sync::AtomicWord,
    /// Metric cells. Only this thread writes them; the reader sums over all threads.
    pub(crate) cells: &'static [crate::sync::Cell],
    /// Where the thread puts exemplars, if it keeps any.
    #[cfg(target_has_atomic = "64")]
    pub(crate) exemplars: Option<&'static crate::exemplars::Exemplars>,
    /// The number of the correlation fields that the thread's ring was told last. Only this thread writes it.
    pub(crate) correlation: crate::sync::AtomicWord,
    /// The current place for programs outside of the process.
    #[cfg(feature = "thread-context")]
    pub(crate) outside: super::OutsideRecord,
    membership: Membership<Recorder>,
}

impl Linked for Recorder {
    fn link(&self) -> &Link<Recorder> {
        self.thread.membership.link()
    }
}

impl Pooled for Recorder {
    fn membership(&self) -> &Membership<Recorder> {
        &self.thread.membership
    }
}

impl ThreadPart {
    pub(super) const fn none() -> ThreadPart {
        ThreadPart {
            local: false,
            straight: false,
            sampled_out: crate::sync::AtomicWord::new(0),
            cells: &[],
            #[cfg(target_has_atomic = "64")]
            exemplars: None,
            correlation: crate::sync::AtomicWord::new(0),
            #[cfg(feature = "thread-context")]
            outside: super::OutsideRecord::new(),
            membership: Membership::new(),
        }
    }

    pub(super) const fn new(cells: &'static [crate::sync::Cell], straight: bool) -> ThreadPart {
        ThreadPart { local: true, straight, cells, ..ThreadPart::none() }
    }
}

std::thread_local! {
    static CURRENT: Cell<*const Recorder> = const { Cell::new(core::ptr::null()) };
    /// The same recorder if spans and events may take the straight path. Null sends the caller to the general
    /// path, for whatever reason.
    static STRAIGHT: Cell<*const Recorder> = const { Cell::new(core::ptr::null()) };
    /// The same for spans, but [`NOWHERE`] instead of null. Its place is outside any trace, which sends a span to
    /// the general path anyway, so beginning a span needs no check for null.
    static STRAIGHT_SPANS: Cell<*const Recorder> = const { Cell::new(&raw const NOWHERE) };
    /// `CURRENT` for metrics, but [`NOWHERE`] instead of null. It has no cells, so the bounds check that finds a
    /// metric without a cell also finds a thread without a recorder.
    static WITH_CELLS: Cell<*const Recorder> = const { Cell::new(&raw const NOWHERE) };
    /// Whether this thread has been told to record nothing.
    static MUTED: Cell<bool> = const { Cell::new(false) };
    /// Why the hook last gave this thread no recorder.
    static REFUSAL: Cell<Refusal> = const { Cell::new(Refusal::Ending) };
}

/// Stands for a missing recorder. Nothing is recorded here, so its place stays outside any trace. It has no metric
/// cells.
static NOWHERE: Recorder = Recorder::new(&NO_SLOTS, Clock::mock());
static NO_SLOTS: Slots<8> = Slots::new();

static THREADS: Pool<Recorder> = Pool::new();
static HOOK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static REFUSED: [AtomicUsize; Refusal::ALL.len()] = [const { AtomicUsize::new(0) }; Refusal::ALL.len()];

/// Why a thread has no recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The thread is being torn down.
    Ending,
    /// As many threads record as may.
    TooMany,
    /// The system gives no memory for its ring.
    NoMemory,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 3] = [Refusal::Ending, Refusal::TooMany, Refusal::NoMemory];
}

/// Returns a recorder for the running thread; see [`set_thread_hook`].
pub type ThreadHook = fn() -> Option<&'static Recorder>;

/// The recorder of this thread, made on the thread's first record. Cost: a thread-local read and a branch.
#[inline(always)]
pub(crate) fn get() -> Option<&'static Recorder> {
    // SAFETY: only `set_current` stores this pointer, and it stores null or a `&'static Recorder`.
    match unsafe { CURRENT.get().as_ref() } {
        None => first_use(),
        some => some,
    }
}

/// The metric cells of this thread; empty before its first record. Cost: a thread-local read.
#[inline(always)]
pub(crate) fn thread_cells() -> &'static [crate::sync::Cell] {
    // SAFETY: the pointer is a `&'static Recorder` from the start, and `set_current` alone stores another.
    unsafe { &*WITH_CELLS.get() }.thread.cells
}

/// The place that is current on the running thread, as it travels to another process; `None` outside any span, and on
/// a thread that has recorded nothing. For the handler of a signal, which may interrupt the thread at any instruction
/// and wants to know in which span: it only loads, never makes a recorder, and sees the words of one place or none.
/// Cost: a thread-local read, four loads (in a remote trace nine) and six 64-bit multiplications.
///
/// The thread-local is part of the executable's own block. In a library that was loaded with `dlopen`, the first read
/// on a thread may allocate, which a handler must not do.
pub fn interrupted_place() -> Option<crate::TraceContext> {
    // SAFETY: only `set_current` stores this pointer, and it stores null or a `&'static Recorder`.
    unsafe { CURRENT.get().as_ref() }?.trace_context()
}

/// The place of the running thread, for allocators, which ask with each block. As [`interrupted_place`], it may be asked at any
/// instruction, and never makes a recorder.
#[derive(Clone, Copy, Debug)]
pub struct ThreadPlace(&'static Recorder);

impl ThreadPlace {
    /// That of the running thread. Cost: a thread-local read.
    #[inline(always)]
    pub fn here() -> ThreadPlace {
        // SAFETY: the pointer is a `&'static Recorder` from the start, and `set_current` alone stores another.
        ThreadPlace(unsafe { &*WITH_CELLS.get() })
    }

    /// A word that changes whenever another span becomes current. Cost: a load.
    #[inline(always)]
    pub fn span_word(self) -> crate::ring::Word {
        self.0.span_word()
    }

    /// The word of the trace's root, for [`recorded_span`]. Cost: a load.
    #[inline(always)]
    pub fn root_word(self) -> crate::ring::Word {
        self.0.root_word()
    }
}

/// The id, as records have it, of the span of a place with these words, if that span is recorded; 0 if not.
#[inline(always)]
pub fn recorded_span(span: crate::ring::Word, root: crate::ring::Word) -> crate::ring::Word {
    use crate::place::{REMOTE, is_sampled, span_id};
    let id = span_id(span, root);
    if root != 0 && is_sampled(root) && id & REMOTE == 0 { id } else { 0 }
}

/// The recorder of this thread for a record. If there is none, the record is counted as lost. Where nothing
/// would be lost (to add to a metric or to read the current place) use [`get`].
#[inline(always)]
pub(crate) fn get_to_record() -> Option<&'static Recorder> {
    match get() {
        None => refuse(),
        some => some,
    }
}

impl Recorder {
    /// Whether the running thread may write to this recorder. It may not if the recorder belongs to a thread
    /// that has left it, because another thread may have it by now. Guards that find their own span current
    /// need not ask.
    pub(crate) fn is_here(&self) -> bool {
        core::ptr::eq(CURRENT.get(), self) || !self.thread.local
    }
}

/// Counts a record that is lost because its thread no longer has a recorder.
#[cold]
#[inline(never)]
pub(crate) fn refuse() -> Option<&'static Recorder> {
    // Without a hook the program records nothing, or has one recorder for all threads.
    if hooked() && !MUTED.get() {
        REFUSED[REFUSAL.get() as usize].fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// The recorder of this thread, if spans and events may take the straight path there. Cost: a thread-local
/// read and a branch, which also tell whether there is a recorder.
#[cfg(straight)]
#[inline(always)]
pub(crate) fn straight() -> Option<&'static Recorder> {
    // SAFETY: only `set_current` stores this pointer, and it stores null or a `&'static Recorder`.
    unsafe { STRAIGHT.get().as_ref() }
}

/// The recorder of this thread if spans may take the straight path, else [`NOWHERE`], whose root is 0 as it is
/// outside any trace. Cost: a thread-local read.
#[cfg(straight)]
#[inline(always)]
pub(crate) fn straight_for_spans() -> &'static Recorder {
    // SAFETY: the pointer is a `&'static Recorder` from the start, and `set_current` alone stores another.
    unsafe { &*STRAIGHT_SPANS.get() }
}

fn set_current(recorder: Option<&'static Recorder>) {
    let straight = recorder.filter(|recorder| recorder.thread.straight);
    let or_null =
        |recorder: Option<&'static Recorder>| recorder.map_or(core::ptr::null(), core::ptr::from_ref);
    CURRENT.set(or_null(recorder));
    STRAIGHT.set(or_null(straight));
    STRAIGHT_SPANS.set(straight.unwrap_or(&NOWHERE));
    WITH_CELLS.set(recorder.unwrap_or(&NOWHERE));
}

#[cold]
#[inline(never)]
fn first_use() -> Option<&'static Recorder> {
    if MUTED.get() {
        return None;
    }
    let hook = HOOK.load(Ordering::Acquire);
    if hook.is_null() {
        return super::installed();
    }
    // SAFETY: only `set_thread_hook` stores this pointer, and it stores a `ThreadHook`.
    let hook = unsafe { core::mem::transmute::<*mut (), ThreadHook>(hook) };
    let recorder = hook();
    if recorder.is_some() {
        set_current(recorder);
    }
    recorder
}

/// Sets the hook that gives a thread its recorder on the thread's first record. The hook must get the
/// recorder from [`acquire_thread`] and must arrange that [`release_thread`] is called when the thread ends.
/// It returns `None` if it is too late for that, or after [`refuse_thread`]. It must not record. For adapters.
pub fn set_thread_hook(hook: ThreadHook) {
    HOOK.store(hook as *mut (), Ordering::Release);
    crate::callsite::registry::open();
}

fn hooked() -> bool {
    !HOOK.load(Ordering::Relaxed).is_null()
}

/// A recorder that an ended thread left or, if there is none, the one that `make` makes
/// ([`Recorder::for_thread`]), which then stays in the list for the life of the process. Cost: a walk over
/// the list.
pub fn acquire_thread(make: impl FnOnce() -> Option<&'static Recorder>) -> Option<&'static Recorder> {
    THREADS.acquire(make)
}

/// Releases the running thread's recorder for the next thread that needs one.
pub fn release_thread() {
    // SAFETY: as in `get`.
    let recorder = unsafe { CURRENT.get().as_ref() };
    set_current(None);
    if let Some(recorder) = recorder {
        recorder.clear_place();
        THREADS.release(recorder);
    }
}

/// Forgets all recorders that threads have or had. The running thread gets a new one on its next record,
/// readers find none, and the metrics counted in them are forgotten. For a process that was forked from one
/// that records. Call it while no other thread records. It does only what a signal handler may do.
pub fn forget_threads() {
    set_current(None);
    THREADS.clear();
    REFUSED.iter().for_each(|refused| refused.store(0, Ordering::Relaxed));
}

/// From now on the running thread records nothing, neither spans and events nor metrics, and this is not
/// counted as loss. For threads that deliver records, so that the code they call cannot produce more records
/// to deliver.
pub fn mute_thread() {
    MUTED.set(true);
    release_thread();
}

/// Calls `f` with the recorder of every thread, including threads that have ended.
pub fn for_each_thread(f: impl FnMut(&'static Recorder)) {
    THREADS.iter().for_each(f);
}

/// Notes why the running thread gets no recorder, for the count of what it loses. The hook calls this before it returns `None`.
pub fn refuse_thread(why: Refusal) {
    REFUSAL.set(why);
}

/// The number of records that were lost because their thread had no recorder for this reason.
pub fn refused(why: Refusal) -> usize {
    REFUSED[why as usize].load(Ordering::Relaxed)
}
