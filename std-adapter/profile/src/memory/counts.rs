//! What each thread has allocated and freed, counted by plain loads and stores of the thread's own words.

#[cfg(sampled)]
use super::spans::{self, Segment, Told};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The words of one thread. They remain when it ends, and a later thread goes on with them.
///
/// What an allocation and a free use is on the first line of the cache.
#[repr(C, align(64))]
pub(super) struct Counts {
    allocations: AtomicU64,
    allocated_bytes: AtomicU64,
    frees: AtomicU64,
    freed_bytes: AtomicU64,
    /// Bytes to the next sample, as a signed number; negative when it is due.
    until: AtomicU64,
    #[cfg(sampled)]
    pub(super) segment: Segment,
    /// The profiler for which the distance to the next sample was drawn; 0 before the first.
    drawn_for: AtomicU32,
    pub(super) random: AtomicU64,
    /// Whether the thread is at work on a sample, whose own allocations are not sampled.
    pub(super) inside: AtomicBool,
    owned: AtomicBool,
    next: AtomicPtr<Counts>,
    #[cfg(sampled)]
    pub(super) told: Told,
}

/// What the program has allocated and freed since it began, over all threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationCounts {
    /// Blocks that were allocated; a block that changes its size counts as a new one.
    pub allocations: u64,
    /// Their bytes.
    pub allocated_bytes: u64,
    /// Blocks that were freed.
    pub frees: u64,
    /// Their bytes.
    pub freed_bytes: u64,
}

impl AllocationCounts {
    /// Bytes in use: allocated and not freed.
    pub fn bytes_in_use(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.freed_bytes)
    }
}

/// All threads' words; only added to.
static ALL: AtomicPtr<Counts> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// Null before the thread's first allocation. It has no destructor, so reading it never allocates.
    static HERE: Cell<*const Counts> = const { Cell::new(ptr::null()) };
}

/// Adds to a word that only the running thread writes.
#[inline(always)]
fn add(word: &AtomicU64, n: u64) -> u64 {
    let sum = word.load(Ordering::Relaxed).wrapping_add(n);
    word.store(sum, Ordering::Relaxed);
    sum
}

/// The words of the running thread; `None` without memory.
#[inline(always)]
pub(super) fn here() -> Option<&'static Counts> {
    // SAFETY: only `begin` stores this pointer, to words that are never freed.
    match unsafe { HERE.get().as_ref() } {
        None => begin(),
        some => some,
    }
}

/// Counts an allocation. Returns whether a sample is due.
#[inline(always)]
pub(super) fn allocated(size: usize) -> bool {
    let Some(counts) = here() else { return false };
    let allocated = counts.allocated_bytes.load(Ordering::Relaxed);
    #[cfg(sampled)]
    if spans::is_on() {
        spans::follow(counts, [allocated, counts.freed_bytes.load(Ordering::Relaxed)], size);
    }
    add(&counts.allocations, 1);
    counts.allocated_bytes.store(allocated.wrapping_add(size as u64), Ordering::Relaxed);
    add(&counts.until, (size as u64).wrapping_neg()).cast_signed() < 0
}

/// Counts a free.
#[inline(always)]
pub(super) fn freed(size: usize) {
    let Some(counts) = here() else { return };
    let freed = counts.freed_bytes.load(Ordering::Relaxed);
    #[cfg(sampled)]
    if spans::is_on() {
        spans::follow(counts, [counts.allocated_bytes.load(Ordering::Relaxed), freed], 0);
    }
    add(&counts.frees, 1);
    counts.freed_bytes.store(freed.wrapping_add(size as u64), Ordering::Relaxed);
}

/// A distance to the next sample that says that none was drawn yet, so that the next allocation looks.
const UNDRAWN: i64 = i64::MIN / 2;

/// Counts the profilers. A distance that was drawn for an earlier one means nothing to this one, whose interval may be another.
static PROFILER: AtomicU32 = AtomicU32::new(0);

/// Another profiler begins.
pub(super) fn begin_profiler() {
    // Release: whoever sees the number sees its interval.
    PROFILER.fetch_add(1, Ordering::Release);
}

/// The number of the profiler that began last.
pub(super) fn profiler() -> u32 {
    PROFILER.load(Ordering::Acquire)
}

impl Counts {
    /// Bytes that the thread has allocated, and bytes that it has freed.
    #[cfg(sampled)]
    pub(super) fn bytes(&self) -> [u64; 2] {
        [self.allocated_bytes.load(Ordering::Relaxed), self.freed_bytes.load(Ordering::Relaxed)]
    }

    #[cfg(all(test, sampled))]
    pub(super) fn allocated(&self, bytes: u64) {
        add(&self.allocated_bytes, bytes);
    }

    /// Whether a new distance must be drawn before it is known whether a sample is due: the thread is new, or the
    /// distance was drawn for an earlier profiler.
    pub(super) fn is_undrawn(&self, profiler: u32) -> bool {
        self.waits_to_draw() || self.drawn_for.load(Ordering::Relaxed) != profiler
    }

    /// A later thread may have the words.
    pub(super) fn release(&self) {
        self.owned.store(false, Ordering::Release);
    }

    fn waits_to_draw(&self) -> bool {
        self.until.load(Ordering::Relaxed).cast_signed() < UNDRAWN / 2
    }

    /// Sets the distance to the next sample, drawn for this profiler.
    pub(super) fn set_until(&self, bytes: i64, profiler: u32) {
        self.drawn_for.store(profiler, Ordering::Relaxed);
        self.until.store(bytes.cast_unsigned(), Ordering::Relaxed);
    }
}

/// What all threads have allocated and freed. While they do, the numbers of a thread may be of slightly different times.
/// All zeros without [`Allocator`](crate::Allocator). Cost: four loads for each thread.
pub fn allocation_counts() -> AllocationCounts {
    let mut sum = AllocationCounts::default();
    for counts in all() {
        sum.allocations += counts.allocations.load(Ordering::Relaxed);
        sum.allocated_bytes += counts.allocated_bytes.load(Ordering::Relaxed);
        sum.frees += counts.frees.load(Ordering::Relaxed);
        sum.freed_bytes += counts.freed_bytes.load(Ordering::Relaxed);
    }
    sum
}

/// Has threads draw their distances to the next sample anew, unless they have done it for this profiler. A thread that counts
/// at this very moment writes its old distance back, so this must be called again. Counting could prevent that only with a
/// locked instruction. A distance that is drawn twice is as likely as one that is drawn once.
pub(super) fn draw_anew() {
    let profiler = profiler();
    let is_old = |counts: &&Counts| counts.is_undrawn(profiler) && !counts.waits_to_draw();
    all().filter(is_old).for_each(|counts| counts.until.store(UNDRAWN.cast_unsigned(), Ordering::Relaxed));
}

pub(super) fn all() -> impl Iterator<Item = &'static Counts> {
    // SAFETY: the list has only words that are never freed.
    let get = |pointer: &AtomicPtr<Counts>| unsafe { pointer.load(Ordering::Acquire).as_ref() };
    std::iter::successors(get(&ALL), move |counts| get(&counts.next))
}

/// Gives the running thread words that an ended thread has left, or new ones.
#[cold]
#[inline(never)]
fn begin() -> Option<&'static Counts> {
    let free = |counts: &&Counts| {
        !counts.owned.load(Ordering::Relaxed) && !counts.owned.swap(true, Ordering::Acquire)
    };
    let counts = all().find(free).or_else(make)?;
    HERE.set(counts);
    release_at_end(counts);
    Some(counts)
}

pub(super) fn make() -> Option<&'static Counts> {
    // SAFETY: the layout is not empty. The system's allocator is not this one, so this does not come back here.
    let counts = unsafe { System.alloc_zeroed(Layout::new::<Counts>()) }.cast::<Counts>();
    // SAFETY: zeros are valid words.
    let new = unsafe { counts.as_ref() }?;
    new.owned.store(true, Ordering::Relaxed);
    new.set_until(UNDRAWN, 0);
    // Different for each thread, and not 0.
    new.random.store((counts.addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, Ordering::Relaxed);
    let mut first = ALL.load(Ordering::Relaxed);
    loop {
        new.next.store(first, Ordering::Relaxed);
        match ALL.compare_exchange_weak(first, counts, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Some(new),
            Err(now) => first = now,
        }
    }
}

/// Has the words released when the thread ends. A thread-local with a destructor would allocate; a key of the system's
/// threads does not.
fn release_at_end(counts: &'static Counts) {
    /// The key and one more, which distinguishes the first one from none.
    static KEY: AtomicUsize = AtomicUsize::new(0);
    let mut key = KEY.load(Ordering::Acquire);
    if key == 0 {
        let Some(new) = key::make() else { return };
        // Two threads may make a key at the same time; the second one's is left unused.
        key = match KEY.compare_exchange(0, new + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => new + 1,
            Err(first) => first,
        };
    }
    // If this fails, the words are not used again, and their counts remain.
    key::set(key - 1, counts);
}

/// Keys of the system's threads, whose values are the words of threads.
#[cfg(unix)]
mod key {
    use super::{Counts, release};

    extern "C" fn end(counts: *mut libc::c_void) {
        release(counts.cast());
    }

    pub(super) fn make() -> Option<usize> {
        let mut key = 0;
        // SAFETY: the pointer is valid, and the destructor is a function of this program.
        let failed = unsafe { libc::pthread_key_create(&mut key, Some(end)) };
        (failed == 0).then_some(key as usize)
    }

    pub(super) fn set(key: usize, counts: &'static Counts) {
        // SAFETY: the key exists.
        unsafe { libc::pthread_setspecific(key as libc::pthread_key_t, std::ptr::from_ref(counts).cast()) };
    }
}

/// Keys of the system's threads (of fibers too), whose values are the words of threads.
#[cfg(windows)]
mod key {
    use super::{Counts, release};
    use windows_sys::Win32::System::Threading::{FLS_OUT_OF_INDEXES, FlsAlloc, FlsSetValue};

    extern "system" fn end(counts: *const std::ffi::c_void) {
        release(counts.cast());
    }

    pub(super) fn make() -> Option<usize> {
        // SAFETY: the callback is a function of this program.
        let key = unsafe { FlsAlloc(Some(end)) };
        (key != FLS_OUT_OF_INDEXES).then_some(key as usize)
    }

    pub(super) fn set(key: usize, counts: &'static Counts) {
        // SAFETY: the key exists.
        unsafe { FlsSetValue(key as u32, std::ptr::from_ref(counts).cast()) };
    }
}

/// Stands in where threads have no keys: the words of a thread that has ended are not used again.
#[cfg(not(any(unix, windows)))]
mod key {
    use super::Counts;

    pub(super) fn make() -> Option<usize> {
        None
    }

    pub(super) fn set(_: usize, _: &'static Counts) {}
}

/// The running thread ends.
#[cfg_attr(not(any(unix, windows)), allow(dead_code))]
fn release(counts: *const Counts) {
    HERE.set(ptr::null());
    // SAFETY: the value of the key is that of `set`, words that are never freed.
    if let Some(counts) = unsafe { counts.as_ref() } {
        counts.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_threads_that_have_ended_are_used_again() {
        let words =
            || std::thread::spawn(|| here().map(|counts| ptr::from_ref(counts).addr())).join().unwrap();
        // Other tests run at the same time, and may take words that have just been left.
        let different: std::collections::HashSet<_> = (0..100).map(|_| words().unwrap()).collect();
        assert!(different.len() < 50, "{} words for 100 threads, one after the other", different.len());
    }

    #[test]
    fn a_distance_that_a_thread_writes_back_is_found_old_again() {
        // The words of a thread that counts all the time and never comes to draw.
        let counts = make().unwrap();
        let distance = || counts.until.load(Ordering::Relaxed).cast_signed();
        begin_profiler();
        counts.set_until(1 << 40, profiler());
        draw_anew();
        assert_eq!(distance(), 1 << 40, "it was drawn for this profiler");
        begin_profiler();
        draw_anew();
        assert_eq!(distance(), UNDRAWN);
        // What the thread had loaded before.
        counts.until.store((1 << 40) - 8, Ordering::Relaxed);
        assert!(counts.is_undrawn(profiler()), "a sample that is due by it has no meaning");
        draw_anew();
        assert_eq!(distance(), UNDRAWN);
        counts.release();
    }
}
