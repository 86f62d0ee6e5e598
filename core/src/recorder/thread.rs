//! A server's recorders: one a thread, found by a thread-local read, kept in a list that only grows and whose members are used again.
//!
//! A recorder outlives its thread: what the thread left in the ring is drained later, what it counted stays counted, and the next new thread
//! takes it over. So no record or count is lost with a thread, and 10,000 short-lived threads need no more memory than the most
//! that ran at once.

extern crate std;

use super::Recorder;
use super::pool::{Membership, Pool, Pooled};
use crate::list::{Link, Linked};
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// What a [`Recorder`] has when it belongs to one thread.
#[derive(Debug)]
pub(crate) struct ThreadPart {
    /// Written by one thread only.
    pub(crate) local: bool,
    /// Whether it keeps what is oldest and reads the processor's clock, so that spans and events may go the straight way.
    pub(crate) straight: bool,
    /// Spans that a sampler decided against; written by this thread only.
    pub(super) sampled_out: crate::sync::AtomicWord,
    /// Metric cells; written by this thread only, summed by the reader.
    pub(crate) cells: &'static [crate::sync::Cell],
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
            membership: Membership::new(),
        }
    }

    pub(super) const fn new(cells: &'static [crate::sync::Cell], straight: bool) -> ThreadPart {
        ThreadPart { local: true, straight, cells, ..ThreadPart::none() }
    }
}

std::thread_local! {
    static CURRENT: Cell<*const Recorder> = const { Cell::new(core::ptr::null()) };
    /// The same, when spans and events may go the straight way; null sends the caller the general way, whatever the reason.
    static STRAIGHT: Cell<*const Recorder> = const { Cell::new(core::ptr::null()) };
    /// Whether this thread records nothing, on purpose.
    static MUTED: Cell<bool> = const { Cell::new(false) };
}

static THREADS: Pool<Recorder> = Pool::new();
static HOOK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Gives the running thread a recorder; see [`set_thread_hook`].
pub type ThreadHook = fn() -> Option<&'static Recorder>;

/// The recorder of this thread, made on the thread's first record. Cost: a thread-local read and a branch.
#[inline(always)]
pub(crate) fn get() -> Option<&'static Recorder> {
    // SAFETY: only `first_use` stores here, and it stores null or a `&'static Recorder`.
    match unsafe { CURRENT.get().as_ref() } {
        None => first_use(),
        some => some,
    }
}

/// The recorder of this thread for a record that is lost if there is none: such a loss is counted. To ask for other reasons (a count in a metric, the
/// current place) use [`get`], as nothing is lost then.
#[inline(always)]
pub(crate) fn get_to_record() -> Option<&'static Recorder> {
    match get() {
        None => refuse(),
        some => some,
    }
}

impl Recorder {
    /// Whether the running thread may write to it: not when it is the recorder of a thread and that thread has left it, as then it may be another
    /// thread's. For guards that end in an unusual way; those that find their own span current need not ask.
    pub(crate) fn is_here(&self) -> bool {
        !self.thread.local || core::ptr::eq(CURRENT.get(), self)
    }
}

/// Counts a record that is lost because its thread has no recorder any more.
#[cold]
#[inline(never)]
pub(crate) fn refuse() -> Option<&'static Recorder> {
    // Without a hook this program records nothing, or has one recorder for all.
    if hooked() && !MUTED.get() {
        REFUSED.fetch_add(1, Ordering::Relaxed);
    }
    None
}

/// The recorder of this thread if spans and events may go the straight way there. Cost: a thread-local read and a branch, which also answer whether there is one.
#[cfg(straight)]
#[inline(always)]
pub(crate) fn straight() -> Option<&'static Recorder> {
    // SAFETY: only `first_use` stores here, and it stores null or a `&'static Recorder`.
    unsafe { STRAIGHT.get().as_ref() }
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
    // SAFETY: only `set_thread_hook` stores here, and it stores a `ThreadHook`.
    let hook = unsafe { core::mem::transmute::<*mut (), ThreadHook>(hook) };
    let recorder = hook();
    if let Some(recorder) = recorder {
        CURRENT.set(recorder);
        STRAIGHT.set(if recorder.thread.straight { recorder } else { core::ptr::null() });
    }
    recorder
}

/// Sets what gives a thread its recorder, on the thread's first record. The hook must see to it that [`release_thread`] is
/// called when the thread ends, and get the recorder from [`acquire_thread`]; it returns `None` when the thread is too
/// far gone for that. It must not record. For adapters.
pub fn set_thread_hook(hook: ThreadHook) {
    HOOK.store(hook as *mut (), Ordering::Release);
    crate::callsite::registry::open();
}

fn hooked() -> bool {
    !HOOK.load(Ordering::Relaxed).is_null()
}

/// A recorder that an ended thread left, or else the one that `make` makes ([`Recorder::for_thread`]), which then stays in the list for ever.
/// Cost: a walk over the list.
pub fn acquire_thread(make: impl FnOnce() -> Option<&'static Recorder>) -> Option<&'static Recorder> {
    THREADS.acquire(make)
}

/// Leaves the running thread's recorder to the next thread that needs one.
pub fn release_thread() {
    STRAIGHT.set(core::ptr::null());
    // SAFETY: as in `get`.
    if let Some(recorder) = unsafe { CURRENT.replace(core::ptr::null()).as_ref() } {
        recorder.clear_place();
        THREADS.release(recorder);
    }
}

/// Leaves all recorders that threads have or had to nobody: the running thread gets a new one with its next record, readers find none, and what metrics
/// counted in them is forgotten. For a process that was forked from one that records; must be called while no other thread records. Does what a
/// signal handler may.
pub fn forget_threads() {
    STRAIGHT.set(core::ptr::null());
    CURRENT.set(core::ptr::null());
    THREADS.clear();
    REFUSED.store(0, Ordering::Relaxed);
}

/// Has the running thread record nothing from now on, neither spans and events nor metrics, and without counting them as lost: for threads that
/// deliver records, so that what they call cannot feed what they deliver.
pub fn mute_thread() {
    MUTED.set(true);
    release_thread();
}

/// Calls `f` with every thread's recorder, those of ended threads included.
pub fn for_each_thread(f: impl FnMut(&'static Recorder)) {
    THREADS.iter().for_each(f);
}

/// Records that were not made because their thread could have no recorder: it was already being torn down.
pub fn refused() -> usize {
    REFUSED.load(Ordering::Relaxed)
}
