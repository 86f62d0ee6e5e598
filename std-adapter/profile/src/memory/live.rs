//! The sampled blocks that are in use: a fixed table, found by the block's address, without a lock.
//!
//! Almost no block that is freed was sampled, so freeing looks first at a small count for the line where the block would
//! be, which is almost always 0.

use super::sampler::Site;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Lines of the table; a power of two.
const LINES: usize = 1 << 14;
/// Blocks in a line.
const WIDTH: usize = 8;

/// Blocks in each line, or on their way there.
static COUNTS: [AtomicU8; LINES] = [const { AtomicU8::new(0) }; LINES];
/// The table: [`LINES`] lines, 4 MiB of which the system provides only what is used.
static TABLE: AtomicPtr<[Entry; WIDTH]> = AtomicPtr::new(std::ptr::null_mut());

struct Entry {
    /// The block's address; 0 for a free entry, [`BUSY`] for one that is being written.
    block: AtomicUsize,
    site: AtomicPtr<Site>,
    objects: AtomicU64,
    bytes: AtomicU64,
}

/// No block has this address.
const BUSY: usize = 1;

/// A sampled block: where it was allocated, and what it stands for.
#[derive(Clone, Copy)]
pub(super) struct Sampled {
    pub(super) site: &'static Site,
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

#[inline(always)]
fn line_of(block: *mut u8) -> usize {
    // Blocks are aligned, so the low bits of an address tell little (Fibonacci hashing).
    ((block.addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - LINES.trailing_zeros()))
        as usize
}

/// Whether the block may have been sampled. The thread that asks owns the block, so it has seen what was counted when the
/// block was sampled.
#[inline(always)]
pub(super) fn may_hold(block: *mut u8) -> bool {
    COUNTS[line_of(block)].load(Ordering::Relaxed) != 0
}

fn line(block: *mut u8) -> Option<&'static [Entry; WIDTH]> {
    let table = TABLE.load(Ordering::Acquire);
    if table.is_null() {
        return None;
    }
    // SAFETY: the table has `LINES` lines.
    let line = unsafe { table.add(line_of(block)) };
    // SAFETY: it is made of atomics, and never freed.
    unsafe { line.as_ref() }
}

/// Gets the table's memory, once. Returns false without memory.
pub(super) fn install() -> bool {
    if TABLE.load(Ordering::Acquire).is_null() {
        // SAFETY: the layout is not empty; zeros are valid, free entries.
        let table = unsafe { System.alloc_zeroed(Layout::new::<[[Entry; WIDTH]; LINES]>()) };
        TABLE.store(table.cast(), Ordering::Release);
    }
    !TABLE.load(Ordering::Acquire).is_null()
}

/// Adds a block that the caller owns. Returns false if there is no room.
pub(super) fn put(block: *mut u8, sampled: Sampled) -> bool {
    let Some(line) = line(block) else { return false };
    COUNTS[line_of(block)].fetch_add(1, Ordering::Relaxed);
    let claim = |entry: &&Entry| {
        let free = entry.block.load(Ordering::Relaxed) == 0;
        free && entry.block.compare_exchange(0, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok()
    };
    let Some(entry) = line.iter().find(claim) else {
        COUNTS[line_of(block)].fetch_sub(1, Ordering::Relaxed);
        return false;
    };
    entry.site.store(std::ptr::from_ref(sampled.site).cast_mut(), Ordering::Relaxed);
    entry.objects.store(sampled.objects, Ordering::Relaxed);
    entry.bytes.store(sampled.bytes, Ordering::Relaxed);
    entry.block.store(block.addr(), Ordering::Release);
    sampled.site.add_live(sampled.objects, sampled.bytes);
    true
}

/// Removes a block that the caller is about to free.
#[cold]
#[inline(never)]
pub(super) fn take(block: *mut u8) -> Option<Sampled> {
    let entry = line(block)?.iter().find(|entry| entry.block.load(Ordering::Acquire) == block.addr())?;
    // SAFETY: `put` stored the pointer to a site, which is never freed.
    let site = unsafe { entry.site.load(Ordering::Relaxed).as_ref() }?;
    let (objects, bytes) = (entry.objects.load(Ordering::Relaxed), entry.bytes.load(Ordering::Relaxed));
    entry.block.store(0, Ordering::Release);
    COUNTS[line_of(block)].fetch_sub(1, Ordering::Relaxed);
    site.remove_live(objects, bytes);
    Some(Sampled { site, objects, bytes })
}
