//! Memory for a thread's recorder: zeroed, never freed, and not resident until it is used.
//!
//! Zeroed memory from the operating system takes no page until the page is written. An allocator passes such
//! a request on to the system only for small alignments. For slots aligned to a cache line, it takes any
//! memory and fills it with zeros, so a thread with one span would keep 512 KiB resident. Therefore this asks
//! the operating system directly where it can.

use throughline::adapter::metrics::Cell;
#[cfg(target_has_atomic = "64")]
use throughline::adapter::metrics::Exemplars;
use throughline::adapter::ring::Slot;

/// The slots of a ring and the metric cells of one thread; `None` if the system has no memory.
pub(crate) fn for_thread(slots: usize, cells: usize) -> Option<(&'static [Slot], &'static [Cell])> {
    let bytes_of_slots = slots.checked_mul(size_of::<Slot>())?;
    let bytes = bytes_of_slots.checked_add(cells.checked_mul(size_of::<Cell>())?)?;
    let first = zeroed(bytes)?;
    // SAFETY: the memory begins at a multiple of a slot's alignment, holds that many slots, and belongs to
    // nothing else forever. A slot consists of atomic integers, for which zeros are valid.
    let slots = unsafe { std::slice::from_raw_parts(first.cast::<Slot>(), slots) };
    // SAFETY: the cells follow the slots in the same memory.
    let first_cell = unsafe { first.add(bytes_of_slots) };
    // SAFETY: the slots' size is a multiple of a cell's alignment, the memory holds that many cells, and zeros are valid for them.
    let cells = unsafe { std::slice::from_raw_parts(first_cell.cast::<Cell>(), cells) };
    Some((slots, cells))
}

/// The exemplars of one thread; `None` if the system has no memory.
#[cfg(target_has_atomic = "64")]
pub(crate) fn for_exemplars() -> Option<&'static Exemplars> {
    let first = zeroed(size_of::<Exemplars>())?.cast::<Exemplars>();
    // SAFETY: the memory is aligned for a cell, and so for exemplars, which consist of cells; it holds one of them, and belongs to nothing else
    // forever. Exemplars say that zeros are none.
    Some(unsafe { &*first })
}

/// Zeroed bytes at a multiple of the alignments of a slot and of a cell, never freed.
#[cfg(unix)]
fn zeroed(bytes: usize) -> Option<*const u8> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
    // SAFETY: this makes a new anonymous mapping at an address that the system chooses, so it changes no
    // existing memory.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
    if at == libc::MAP_FAILED {
        return None;
    }
    // With transparent huge pages always on, writing the first slot would make 2 MiB resident.
    // SAFETY: the mapping is ours, and the advice does not change its contents. If the system refuses it,
    // only memory use differs.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::madvise(at, bytes, libc::MADV_NOHUGEPAGE);
    }
    Some(at.cast_const().cast())
}

/// Zeroed bytes at a multiple of the alignments of a slot and of a cell, never freed.
#[cfg(not(unix))]
fn zeroed(bytes: usize) -> Option<*const u8> {
    use std::alloc::{Layout, alloc_zeroed};
    // Ask for a small alignment, which allocators pass on to the system, and for enough extra bytes to align
    // the start here.
    let layout = Layout::from_size_align(bytes.checked_add(align_of::<Slot>())?, align_of::<Cell>()).ok()?;
    // SAFETY: the size is not 0.
    let at = unsafe { alloc_zeroed(layout) };
    if at.is_null() {
        return None;
    }
    // SAFETY: the next multiple is less than one alignment away, and that many extra bytes were allocated.
    Some(unsafe { at.add(at.align_offset(align_of::<Slot>())) })
}

#[cfg(target_has_atomic = "64")]
const _: () = assert!(align_of::<Exemplars>() <= align_of::<Cell>());
