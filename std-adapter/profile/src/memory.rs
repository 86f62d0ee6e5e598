//! Memory profiles: an allocator that counts for each thread, and, where programs can be sampled, samples the places that allocate.

#[cfg_attr(not(sampled), allow(dead_code, reason = "the sampler uses the rest"))]
mod counts;
#[cfg(sampled)]
mod heap;
#[cfg(sampled)]
mod leaks;
#[cfg(sampled)]
mod live;
#[cfg(sampled)]
mod sampler;
#[cfg(sampled)]
mod sizes;
#[cfg(sampled)]
pub(crate) mod spans;

pub use counts::{AllocationCounts, allocation_counts};
#[cfg(sampled)]
pub use {
    heap::{HeapOptions, HeapProfiler, all_sizes, running_profile},
    leaks::{Leak, LeakFinder, LeakSeverity},
    sizes::{SizeCategory, Sizes},
};

use std::alloc::{GlobalAlloc, Layout, System};

/// Wraps the program's allocator, counts what each thread allocates and frees, and lets a `HeapProfiler` sample it, on systems that have one.
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
/// Cost: about 1 ns for an allocation and its free together (AMD EPYC; `benches/results`), without a lock or an atomic read-modify-write; 256 bytes for
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
        #[cfg(sampled)]
        if live::may_hold(block) {
            live::take(block);
        }
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { self.0.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Before the call, because another thread may get the old block at once.
        #[cfg(sampled)]
        let sampled = if live::may_hold(block) { live::take(block) } else { None };
        // SAFETY: the caller keeps the contract of `realloc`.
        let new = unsafe { self.0.realloc(block, layout, new_size) };
        if !new.is_null() {
            counts::freed(layout.size());
        } else {
            #[cfg(sampled)]
            if let Some(sampled) = sampled {
                live::put(block, sampled);
            }
        }
        counted(new, new_size)
    }
}

/// Counts a new block, and samples it if its turn has come.
#[inline(always)]
fn counted(block: *mut u8, size: usize) -> *mut u8 {
    let is_due = !block.is_null() && counts::allocated(size);
    #[cfg(sampled)]
    if is_due {
        sampler::due(block, size);
    }
    #[cfg(not(sampled))]
    let _ = is_due;
    block
}
