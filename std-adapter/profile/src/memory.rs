//! Memory profiles: an allocator that counts for each thread, and samples the places that allocate.

mod counts;
mod leaks;
mod live;
mod sampler;
mod sizes;
pub(crate) mod spans;

use crate::profile::Profile;
use crate::{ProfileError, cpu, modules, unwind};
pub use counts::{AllocationCounts, allocation_counts};
pub use leaks::{Leak, LeakFinder, LeakSeverity};
pub use sizes::{SizeCategory, Sizes};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

/// Wraps the program's allocator, counts what each thread allocates and frees, and lets [`HeapProfiler`] sample it.
///
/// ```
/// use std::alloc::System;
/// use throughline_profile::{Allocator, allocation_counts};
///
/// #[global_allocator]
/// static ALLOCATOR: Allocator<System> = Allocator::new(System);
///
/// let before = allocation_counts();
/// let text = String::from("forty-two bytes would have to be allocated");
/// let after = allocation_counts();
/// assert!(after.allocated_bytes - before.allocated_bytes >= 42);
/// # drop(text);
/// ```
///
/// Cost: 0.3 ns for an allocation and its free together (AMD EPYC; `benches/results`), without a lock or an atomic read-modify-write; about 200 bytes for
/// each thread, reused for later ones.
#[derive(Debug, Default)]
pub struct Allocator<A = System>(A);

impl<A> Allocator<A> {
    /// Wraps an allocator.
    pub const fn new(allocator: A) -> Allocator<A> {
        Allocator(allocator)
    }
}

// SAFETY: the memory is that of the wrapped allocator. What is done beside it allocates only where the counts of this
// thread say that it does, which keeps it from being counted or sampled again, and does not unwind.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        counted(unsafe { self.0.alloc(layout) }, layout.size())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        counted(unsafe { self.0.alloc_zeroed(layout) }, layout.size())
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        counts::freed(layout.size());
        if live::may_hold(block) {
            live::take(block);
        }
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { self.0.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Before the call, because another thread may get the old block at once.
        let sampled = if live::may_hold(block) { live::take(block) } else { None };
        // SAFETY: the caller keeps the contract of `realloc`.
        let new = unsafe { self.0.realloc(block, layout, new_size) };
        if !new.is_null() {
            counts::freed(layout.size());
        } else if let Some(sampled) = sampled {
            live::put(block, sampled);
        }
        counted(new, new_size)
    }
}

/// Counts a new block, and samples it if its turn has come.
#[inline(always)]
fn counted(block: *mut u8, size: usize) -> *mut u8 {
    if !block.is_null() && counts::allocated(size) {
        sampler::due(block, size);
    }
    block
}

/// How allocations are sampled.
#[derive(Clone, Copy, Debug)]
pub struct HeapOptions {
    interval: u64,
}

impl Default for HeapOptions {
    /// One sample in 512 KiB.
    fn default() -> HeapOptions {
        HeapOptions { interval: 512 * 1024 }
    }
}

impl HeapOptions {
    /// Bytes from one sample to the next, on average; at least 1. The distance is random (exponential), so that no rhythm
    /// of the program goes unseen, and each sample stands for as many allocations as its size makes likely.
    pub fn interval(mut self, bytes: u64) -> HeapOptions {
        self.interval = bytes.max(1);
        self
    }
}

static RUNNING: AtomicBool = AtomicBool::new(false);

/// A running memory profiler; there can be one in a process, beside a CPU profiler. Dropping it ends the sampling.
///
/// ```
/// use throughline_profile::{Allocator, HeapOptions, HeapProfiler};
///
/// #[global_allocator]
/// static ALLOCATOR: Allocator = Allocator::new(std::alloc::System);
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let profiler = HeapProfiler::start(HeapOptions::default())?;
/// let kept: Vec<Vec<u8>> = (0..100).map(|_| vec![1; 100_000]).collect();
/// let profile = profiler.profile(); // what was allocated, and what of it is still in use
/// println!("{}", profile.symbolize().text());
/// # drop(kept);
/// # Ok(())
/// # }
/// ```
///
/// Cost: some microseconds for each sample (1 µs ten functions deep, AMD EPYC). A place that allocates is kept for the life of the process.
#[derive(Debug)]
pub struct HeapProfiler {
    /// Ends the thread that follows the libraries.
    _end: Sender<()>,
    /// What was sampled before.
    before: Sizes,
}

/// The profile of the profiler that runs; `None` if none does.
pub fn running_profile() -> Option<Profile> {
    sampler::is_on().then(sampler::profile)
}

/// The sizes of all that was allocated while a profiler ran.
pub fn all_sizes() -> Sizes {
    sampler::sizes()
}

impl HeapProfiler {
    /// Samples allocations from now on. What was allocated before is not in the profile.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] says what stands in the way and what can be done.
    pub fn start(options: HeapOptions) -> Result<HeapProfiler, ProfileError> {
        cpu::watch_forks();
        if cpu::is_forked() {
            return Err(ProfileError::Forked);
        }
        unwind::is_permitted().map_err(ProfileError::Memory)?;
        let before = allocation_counts();
        drop(std::hint::black_box(Box::new(0_u64)));
        if allocation_counts() == before {
            return Err(ProfileError::NoAllocator);
        }
        if RUNNING.swap(true, Ordering::AcqRel) {
            return Err(ProfileError::AlreadyRunning);
        }
        modules::refresh();
        let (end, ended) = mpsc::channel();
        let follow = move || {
            throughline::adapter::recorder::mute_thread();
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(Duration::from_millis(100)) {
                modules::refresh();
                counts::draw_anew();
            }
        };
        let thread = std::thread::Builder::new().name("throughline-heap".into()).spawn(follow);
        if let Err(error) = thread {
            RUNNING.store(false, Ordering::Release);
            return Err(ProfileError::Thread(error));
        }
        sampler::start(options.interval);
        Ok(HeapProfiler { _end: end, before: sampler::sizes() })
    }

    /// What was allocated since the start, and what of it is in use now, for each place that allocated.
    pub fn profile(&self) -> Profile {
        sampler::profile()
    }

    /// How large the blocks are that were allocated since the start.
    pub fn sizes(&self) -> Sizes {
        sampler::sizes().since(&self.before)
    }
}

impl Drop for HeapProfiler {
    fn drop(&mut self) {
        if !cpu::is_forked() {
            sampler::stop();
            RUNNING.store(false, Ordering::Release);
        }
    }
}
