//! What an allocator tells about itself.

use std::sync::{Mutex, PoisonError};

/// What an allocator has of the system, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocatorFigures {
    /// In blocks that the program has (jemalloc's `stats.allocated`, mimalloc's malloc statistics, glibc's `uordblks`).
    pub allocated: u64,
    /// Taken from the system and not given back (jemalloc's `stats.mapped`, mimalloc's `committed`, glibc's `arena` and `hblkhd`).
    /// What is above `allocated` is free for later blocks, or lost between them.
    pub total: u64,
}

/// The statistics of the program's allocator, such as jemalloc's or mimalloc's. They become the metric `memory.allocator.total_bytes`.
///
/// Their crates build C, so this one does not depend on them; a program that has one of these allocators has its crate already:
///
/// ```
/// use throughline_profile::{AllocatorFigures, AllocatorStats, set_allocator_stats};
/// # mod tikv_jemalloc_ctl {
/// #     pub mod epoch { pub fn advance() -> Result<u64, ()> { Ok(1) } }
/// #     pub mod stats {
/// #         pub mod allocated { pub fn read() -> Result<usize, ()> { Ok(1 << 20) } }
/// #         pub mod mapped { pub fn read() -> Result<usize, ()> { Ok(3 << 20) } }
/// #     }
/// # }
/// struct Jemalloc; // with the crate tikv-jemalloc-ctl
///
/// impl AllocatorStats for Jemalloc {
///     fn read(&self) -> Option<AllocatorFigures> {
///         use tikv_jemalloc_ctl::{epoch, stats};
///         epoch::advance().ok()?; // jemalloc keeps copies of its statistics until then
///         let (allocated, total) = (stats::allocated::read().ok()?, stats::mapped::read().ok()?);
///         Some(AllocatorFigures { allocated: allocated as u64, total: total as u64 })
///     }
/// }
///
/// # mod libmimalloc_sys {
/// #     use std::ffi::c_void;
/// #     pub unsafe fn mi_process_info(_: *mut usize, _: *mut usize, _: *mut usize, _: *mut usize, _: *mut usize, commit: *mut usize, _: *mut usize, _: *mut usize) {
/// #         unsafe { *commit = 5 << 20 }
/// #     }
/// # }
/// struct Mimalloc; // with the crate libmimalloc-sys and its feature `extended`
///
/// impl AllocatorStats for Mimalloc {
///     fn read(&self) -> Option<AllocatorFigures> {
///         let (mut commit, mut rest) = (0, [0; 7]);
///         let [a, b, c, d, e, f, g] = rest.each_mut().map(std::ptr::from_mut);
///         // SAFETY: all pointers are valid.
///         unsafe { libmimalloc_sys::mi_process_info(a, b, c, d, e, &mut commit, f, g) };
///         Some(AllocatorFigures { allocated: throughline_profile::allocation_counts().bytes_in_use(), total: commit as u64 })
///     }
/// }
///
/// set_allocator_stats(Jemalloc);
/// # assert_eq!(throughline_profile::allocator_figures().map(|figures| figures.total), Some(3 << 20));
/// # set_allocator_stats(Mimalloc);
/// # assert_eq!(throughline_profile::allocator_figures().map(|figures| figures.total), Some(5 << 20));
/// ```
pub trait AllocatorStats: Send + 'static {
    /// Reads the statistics; `None` if the allocator does not tell now. It should return within milliseconds.
    fn read(&self) -> Option<AllocatorFigures>;
}

static STATS: Mutex<Option<Box<dyn AllocatorStats>>> = Mutex::new(None);

/// Says how the program's allocator is asked. The last call counts.
pub fn set_allocator_stats(stats: impl AllocatorStats) {
    *STATS.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(stats));
}

/// What the program's allocator tells; `None` without [`set_allocator_stats`].
pub fn allocator_figures() -> Option<AllocatorFigures> {
    STATS.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.read()
}
