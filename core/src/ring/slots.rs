//! Storage for a ring's slots, and the mapping from positions to slots.

use super::{MAX_SLOTS, Slot};

/// Storage for a ring of `N` slots. It is all zeros, so a static of it lies in `.bss`. `N` must be a power of
/// two, 8 or more.
///
/// ```
/// static SLOTS: throughline::Slots<256> = throughline::Slots::new();
/// ```
///
/// ```compile_fail
/// static SLOTS: throughline::Slots<100> = throughline::Slots::new(); // not a power of two
/// ```
pub struct Slots<const N: usize>([Slot; N]);

impl<const N: usize> Slots<N> {
    /// Empty slots.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        const {
            assert!(
                N.is_power_of_two() && N >= MAX_SLOTS,
                "the number of slots must be a power of two, 8 or more"
            )
        };
        Self([const { Slot::new() }; N])
    }

    /// The slots as a slice, to make a [`Ring`](super::Ring) of.
    #[doc(hidden)]
    pub const fn as_slice(&self) -> &[Slot] {
        &self.0
    }
}

#[cfg(not(loom))]
impl<const N: usize> Default for Slots<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A borrowed array of slots whose number is a power of two.
#[derive(Debug)]
pub(super) struct SlotArray<'a> {
    first: core::ptr::NonNull<Slot>,
    /// The number of slots less 1.
    mask: usize,
    slots: core::marker::PhantomData<&'a [Slot]>,
}

// SAFETY: the pointer stands for a `&[Slot]`, and slots are atomics.
unsafe impl Send for SlotArray<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for SlotArray<'_> {}

impl<'a> SlotArray<'a> {
    /// Panics when the number of slots is not a power of two of at least 8.
    pub(super) const fn new(slots: &'a [Slot]) -> SlotArray<'a> {
        assert!(
            slots.len().is_power_of_two() && slots.len() >= MAX_SLOTS,
            "the number of slots must be a power of two, 8 or more"
        );
        SlotArray {
            // SAFETY: a slice's pointer is not null.
            first: unsafe { core::ptr::NonNull::new_unchecked(slots.as_ptr().cast_mut()) },
            mask: slots.len() - 1,
            slots: core::marker::PhantomData,
        }
    }

    #[inline(always)]
    pub(super) const fn len(&self) -> usize {
        self.mask + 1
    }

    /// The slot for a position.
    #[inline(always)]
    pub(super) fn at(&self, position: usize) -> &Slot {
        // SAFETY: `new` checked that the number of slots is a power of two, so the masked index is below it.
        let slot = unsafe { self.first.add(position & self.mask) };
        // SAFETY: it points to one of the slots, which are borrowed for as long as `self`.
        unsafe { &*one_address(slot.as_ptr()) }
    }
}

/// Returns the pointer unchanged, but hides its origin from the compiler, which would otherwise keep base and
/// offset apart and add them up again for some of the accesses.
#[inline(always)]
fn one_address(slot: *const Slot) -> *const Slot {
    #[cfg(target_arch = "arm")]
    {
        let mut slot = slot;
        // SAFETY: the assembly has no instruction.
        unsafe {
            core::arch::asm!("/* {} */", inout(reg) slot, options(pure, nomem, nostack, preserves_flags))
        };
        slot
    }
    #[cfg(not(target_arch = "arm"))]
    slot
}
