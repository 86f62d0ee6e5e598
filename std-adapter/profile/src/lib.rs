#![doc = include_str!("../README.md")]
// What is not Linux on x86-64 or AArch64 has no profiler: the crate is then empty.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_pointer_width = "64"
))]

mod cpu;
mod error;
mod files;
mod memory;
mod modules;
mod output;
mod profile;
mod symbols;
mod unwind;

pub use cpu::{CpuOptions, CpuProfiler, FREQUENCIES, profile_for};
pub use error::ProfileError;
pub use files::ProfileFolder;
pub use memory::{AllocationCounts, Allocator, HeapOptions, HeapProfiler, ProcessMemory, allocation_counts};
pub use output::Report;
pub use profile::{Losses, Profile};

/// What adapters call as threads come and go. Outside the promise that version numbers make.
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
