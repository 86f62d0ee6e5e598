//! Memory for a thread's recorder: zeroed, kept for ever, and untouched until it is used.
//!
//! Zeroed memory from the operating system takes no page until the page is written. An allocator that is asked for zeroed memory passes that on only for
//! small alignments: for slots aligned to a cache line it takes memory as it is and fills it with zeros, and a thread with one span
//! would keep 512 KiB resident. So the operating system is asked directly where it can be.

use throughline::adapter::metrics::Cell;
use throughline::adapter::ring::Slot;

/// The slots of a ring and the metric cells of one thread; `None` when there is no memory.
pub(crate) fn for_thread(slots: usize, cells: usize) -> Option<(&'static [Slot], &'static [Cell])> {
    let bytes_of_slots = slots.checked_mul(size_of::<Slot>())?;
    let bytes = bytes_of_slots.checked_add(cells.checked_mul(size_of::<Cell>())?)?;
    let first = zeroed(bytes)?;
    // SAFETY: the memory begins at a multiple of a slot's alignment, holds that many slots and is nobody else's for ever. A slot is atomic integers,
    // for which zeros are valid.
    let slots = unsafe { std::slice::from_raw_parts(first.cast::<Slot>(), slots) };
    // SAFETY: the cells follow the slots in the same memory.
    let first_cell = unsafe { first.add(bytes_of_slots) };
    // SAFETY: the slots' size is a multiple of a cell's alignment, the memory holds that many cells, and zeros are valid for them.
    let cells = unsafe { std::slice::from_raw_parts(first_cell.cast::<Cell>(), cells) };
    Some((slots, cells))
}

/// Zeroed bytes at a multiple of a slot's alignment, kept for ever.
#[cfg(unix)]
fn zeroed(bytes: usize) -> Option<*const u8> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
    // SAFETY: a new mapping of no file, wherever the system likes; nothing that exists is touched.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, -1, 0) };
    if at == libc::MAP_FAILED {
        return None;
    }
    // Where all memory comes in huge pages, the first slot would take 2 MiB, which the mappings of several threads share.
    // SAFETY: the mapping is ours, and the advice changes nothing that it holds. Where it is refused, the pages are as they were.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::madvise(at, bytes, libc::MADV_NOHUGEPAGE);
    }
    Some(at.cast_const().cast())
}

/// Zeroed bytes at a multiple of a slot's alignment, kept for ever.
#[cfg(not(unix))]
fn zeroed(bytes: usize) -> Option<*const u8> {
    use std::alloc::{Layout, alloc_zeroed};
    // With an alignment that every allocator gives anyway, and more bytes than are needed, so that a multiple of the right one is among them.
    let layout = Layout::from_size_align(bytes.checked_add(align_of::<Slot>())?, align_of::<Cell>()).ok()?;
    // SAFETY: the size is not 0.
    let at = unsafe { alloc_zeroed(layout) };
    if at.is_null() {
        return None;
    }
    // SAFETY: the next multiple is at most an alignment further, and that many bytes more were asked for.
    Some(unsafe { at.add(at.align_offset(align_of::<Slot>())) })
}
