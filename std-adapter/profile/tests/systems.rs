//! What there is on every system: counts of allocations, and the process's memory as the system sees it.
#![cfg(any(target_os = "linux", target_os = "macos", windows))]

use throughline_profile::{Allocator, ProcessMemory, allocation_counts};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new(std::alloc::System);

const TAKEN: u64 = 64 << 20;

#[test]
fn memory_that_a_thread_takes_and_gives_back_is_seen() {
    let begun = (allocation_counts(), ProcessMemory::read().unwrap());
    let take = || std::hint::black_box(vec![1_u8; TAKEN as usize]);
    let taken = std::thread::spawn(take).join().unwrap();
    let full = (allocation_counts(), ProcessMemory::read().unwrap());
    drop(taken);
    let left = (allocation_counts(), ProcessMemory::read().unwrap());
    println!("{begun:?}\n{full:?}\n{left:?}");

    // The harness allocates a little meanwhile.
    let in_use = |one: u64, other: u64| one.abs_diff(other + TAKEN) < TAKEN / 8;
    assert!(in_use(full.0.bytes_in_use(), begun.0.bytes_in_use()));
    assert!(in_use(full.0.bytes_in_use(), left.0.bytes_in_use()));
    assert!(full.0.allocations > begun.0.allocations && left.0.frees > full.0.frees);

    let (begun, full, left) = (begun.1, full.1, left.1);
    assert!(in_use(full.resident, begun.resident) && in_use(full.resident, left.resident));
    // Systems count the peak a little later than the rest.
    assert!(left.peak_resident > left.resident + TAKEN / 8 * 7);
    // Allocators may reserve more addresses for a thread.
    assert!(full.virtual_size > begun.virtual_size + TAKEN / 8 * 7);
    // Wine does not know it.
    assert!(in_use(full.heap, begun.heap) || cfg!(windows) && full.heap == 0);
    assert!(full.peak_virtual_size.is_none_or(|peak| peak >= full.virtual_size));
}
