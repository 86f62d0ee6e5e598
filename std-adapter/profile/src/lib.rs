#![doc = include_str!("../README.md")]
// The model checker has the rings alone (`tests/loom_rings.rs`), because the core under it has no recorders of threads.
#![cfg(not(loom))]
// Programs of other systems than Linux on x86-64 and AArch64 (`sampled`, see build.rs) have only what the system tells,
// counts of allocations, and reports of profiles that were taken elsewhere.

mod allocator_stats;
#[cfg(sampled)]
mod cpu;
mod device;
#[cfg(sampled)]
mod error;
#[cfg(sampled)]
mod files;
#[cfg(sampled)]
mod marks;
mod memory;
#[cfg(sampled)]
mod modules;
mod output;
mod process;
mod profile;
mod stack;
#[cfg(sampled)]
mod switches;
mod symbols;
#[cfg(sampled)]
mod unwind;
mod wall;

pub use allocator_stats::{AllocatorFigures, AllocatorStats, allocator_figures, set_allocator_stats};
#[cfg(sampled)]
pub use cpu::{CpuOptions, CpuProfiler, CpuSource, FREQUENCIES, profile_for};
pub use device::{DeviceRun, DeviceSample};
#[cfg(sampled)]
pub use error::ProfileError;
#[cfg(sampled)]
pub use files::{ProfileFolder, RemovedProfiles};
pub use memory::{AllocationCounts, Allocator, allocation_counts};
#[cfg(sampled)]
pub use memory::{HeapOptions, HeapProfiler, Leak, LeakFinder, LeakSeverity, SizeCategory, Sizes};
pub use output::{ReadError, Report};
pub use process::ProcessMemory;
pub use profile::{Losses, Profile};
pub use wall::{WallProfile, WallSpan};

/// What adapters call as threads come and go. Outside the promise that version numbers make.
#[cfg(sampled)]
#[doc(hidden)]
pub mod adapter {
    /// The running thread has begun: it is sampled from now on, if anything is.
    pub fn begin_thread() {
        crate::cpu::begin_current();
    }

    /// The running thread is about to end.
    pub fn end_thread() {
        crate::cpu::end_current();
        crate::switches::end_current();
    }

    pub use crate::memory::spans::Allocated;
    pub use crate::memory::{all_sizes, running_profile};

    pub use crate::switches::{Away, monotonic_ns};

    /// Has the context switches of threads recorded that call [`begin_switches`] from now on.
    ///
    /// # Errors
    ///
    /// Fails if the system does not permit it.
    pub fn tell_switches() -> std::io::Result<()> {
        crate::switches::turn_on()
    }

    /// The running thread has begun. `owner` is what [`read_switches`] calls it.
    pub fn begin_switches(owner: usize) {
        crate::switches::begin_current(owner);
    }

    /// Calls `each` with the owners of threads, and when the threads were not on a CPU since the last call, in order.
    /// There must be one caller at a time.
    pub fn read_switches(each: impl FnMut(usize, Away)) {
        crate::switches::read(each);
    }

    /// Calls `each` with the owners of the threads whose switches are recorded.
    pub fn switch_owners(each: impl FnMut(usize)) {
        crate::switches::owners(each);
    }

    /// Tells from now on what spans use, to the caller of [`read_used`].
    pub fn tell_used() {
        crate::memory::spans::turn_on();
        crate::cpu::tell_spans();
    }

    /// Tells only the samples of CPU time.
    pub fn tell_samples() {
        crate::cpu::tell_spans();
    }

    /// What a span has used since the last call, in part.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Used {
        /// Memory that it has allocated.
        Memory(Allocated),
        /// CPU time that a sample stands for, in nanoseconds.
        Sample(u64),
    }

    /// Calls `each` with the id of a span and what the span has used since the last call. There must be one caller at a
    /// time. Cost: for each thread, a few loads.
    pub fn read_used(mut each: impl FnMut(u64, Used)) {
        crate::memory::spans::read(|span, part| each(span, Used::Memory(part)));
        crate::cpu::read_spans(|span, nanoseconds| each(span, Used::Sample(nanoseconds)));
    }

    /// Bytes, samples and switches that were not told, because they were not read in time.
    pub fn lost_used() -> [u64; 3] {
        [crate::memory::spans::lost_bytes(), crate::cpu::lost_samples_of_spans(), crate::switches::lost()]
    }
}
