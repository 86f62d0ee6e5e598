#![doc = include_str!("../README.md")]
// Programs of other systems than Linux on x86-64 and AArch64 (`sampled`, see build.rs) have only what the system tells.

mod allocator_stats;
#[cfg(sampled)]
mod cpu;
#[cfg(sampled)]
mod error;
#[cfg(sampled)]
mod files;
#[cfg(sampled)]
mod memory;
#[cfg(sampled)]
mod modules;
#[cfg(sampled)]
mod output;
mod process;
#[cfg(sampled)]
mod profile;
#[cfg(sampled)]
mod symbols;
#[cfg(sampled)]
mod unwind;

pub use allocator_stats::{AllocatorFigures, AllocatorStats, allocator_figures, set_allocator_stats};
#[cfg(sampled)]
pub use cpu::{CpuOptions, CpuProfiler, FREQUENCIES, profile_for};
#[cfg(sampled)]
pub use error::ProfileError;
#[cfg(sampled)]
pub use files::ProfileFolder;
#[cfg(sampled)]
pub use memory::{
    AllocationCounts, Allocator, HeapOptions, HeapProfiler, Leak, LeakFinder, LeakSeverity, SizeCategory,
    Sizes, allocation_counts,
};
#[cfg(sampled)]
pub use output::Report;
pub use process::ProcessMemory;
#[cfg(sampled)]
pub use profile::{Losses, Profile};

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
    }
}
