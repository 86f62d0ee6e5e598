//! The profiler of memory.

use super::counts::{self, allocation_counts};
use super::sampler;
use super::sizes::Sizes;
use crate::profile::Profile;
use crate::{ProfileError, cpu, modules, unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

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
/// Cost: some microseconds for each sample. A place that allocates is kept for the life of the process.
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
