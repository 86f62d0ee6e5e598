//! One atomic word for every target: the hardware's where the target has compare-and-swap, one with critical
//! sections where it has none (thumbv6m), and loom's when the protocols are model-checked.
//!
//! A critical section covers one read-modify-write of one word, or in [`count_and_sum`] of two words.
//! `cargo xtask footprint` measures the longest one.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicUsize as AtomicWord, fence};

#[cfg(all(not(loom), target_has_atomic = "ptr"))]
pub use core::sync::atomic::AtomicUsize as AtomicWord;
#[cfg(all(not(loom), target_has_atomic = "ptr"))]
pub(crate) use core::sync::atomic::fence;

#[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
pub(crate) use core::sync::atomic::fence;
#[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
pub use emulated::AtomicWord;

#[cfg(all(not(loom), not(target_has_atomic = "64")))]
pub use AtomicWord as Cell;
/// A cell of a metric: 64 bits where the target has 64-bit atomics, else the machine's word. Emulated 64-bit
/// atomics are no alternative on a microcontroller: an interrupt handler that finds one half-written would
/// wait forever for the code that it interrupted.
#[cfg(all(not(loom), target_has_atomic = "64"))]
pub use core::sync::atomic::AtomicU64 as Cell;

#[cfg(all(not(loom), target_has_atomic = "64"))]
mod numbers {
    /// The number in a [`Cell`](super::Cell).
    pub type Count = u64;
    /// The signed number in a [`Cell`](super::Cell).
    pub(crate) type Signed = i64;
    /// The float that fits in a [`Cell`](super::Cell).
    pub(crate) type Float = f64;
}
#[cfg(all(not(loom), not(target_has_atomic = "64")))]
mod numbers {
    /// The number in a [`Cell`](super::Cell).
    pub type Count = usize;
    /// The signed number in a [`Cell`](super::Cell).
    pub(crate) type Signed = isize;
    /// The float that fits in a [`Cell`](super::Cell).
    pub(crate) type Float = f32;
}
#[cfg(not(loom))]
pub use numbers::Count;
#[cfg(not(loom))]
pub(crate) use numbers::{Float, Signed};

/// Pointers and 32-bit words with compare-and-swap. They are needed only where statics enter lists at run
/// time, and every such target has them.
#[cfg(all(not(loom), any(registered_callsites, feature = "std")))]
pub(crate) use core::sync::atomic::AtomicPtr;
#[cfg(all(not(loom), registered_callsites))]
pub(crate) use core::sync::atomic::AtomicU32;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32};

/// Makes a function `const`, except for the model checker, whose atomics cannot be made in constants.
macro_rules! const_unless_loom {
    ($(#[$doc:meta])* $vis:vis fn $($rest:tt)*) => {
        #[cfg(not(loom))] $(#[$doc])* $vis const fn $($rest)*
        #[cfg(loom)] $(#[$doc])* $vis fn $($rest)*
    };
}
pub(crate) use const_unless_loom;

#[cfg(registered_callsites)]
pub(crate) use core::sync::atomic::Ordering::SeqCst;
pub(crate) use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The first id. On a 32-bit machine every id has bit 30 set, so that clearing the bit can mark a word that
/// stands for a place entered elsewhere.
pub(crate) const FIRST_ID: usize = if usize::BITS == 64 { 1 } else { 1 << (usize::BITS - 2) | 1 };

/// Keeps the compiler from moving memory accesses across this point. An interrupt handler on the same
/// processor, or a signal handler on the same thread, needs no stronger order. Emits no instruction.
#[inline(always)]
pub(crate) fn order_for_interrupts() {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// Loads a word that tells this context which memory it may use. Reads through the loaded value, and writes
/// that depend on a branch on it, come after the load. This is an Acquire load, which on Arm needs no
/// barrier: the processor keeps an access after the loads that its address depends on, and a store after the
/// loads that a branch before it depends on (Armv6-M to Armv8-M, "dependency ordering").
#[inline(always)]
pub(crate) fn load_before_use(word: &AtomicWord) -> usize {
    #[cfg(all(not(loom), target_arch = "arm"))]
    {
        let value = word.load(Relaxed);
        core::sync::atomic::compiler_fence(Acquire);
        value
    }
    #[cfg(any(loom, not(target_arch = "arm")))]
    word.load(Acquire)
}

/// Adds `n` to `word` and returns the old value, unless the sum would exceed `limit`. With a stale `limit` it
/// may refuse an addition that would just have fitted, but it never allows one that does not fit.
#[inline(always)]
pub(crate) fn add_up_to(word: &AtomicWord, n: usize, limit: usize) -> Option<usize> {
    #[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
    return word.add_up_to(n, limit);
    #[cfg(any(loom, target_has_atomic = "ptr"))]
    {
        let mut old = word.load(Relaxed);
        loop {
            let new = old.wrapping_add(n);
            if (limit.wrapping_sub(new) as isize) < 0 {
                return None;
            }
            match word.compare_exchange_weak(old, new, Relaxed, Relaxed) {
                Ok(_) => return Some(old),
                Err(now) => old = now,
            }
        }
    }
}

/// Adds 1 to the id in `word` and returns the old value. After the greatest id, which has all bits but the
/// sign bit set, it continues with [`FIRST_ID`].
#[cfg(not(any(loom, exclusive)))]
#[inline(always)]
pub(crate) fn next(word: &AtomicWord) -> usize {
    #[cfg(not(target_has_atomic = "ptr"))]
    return word.next();
    #[cfg(target_has_atomic = "ptr")]
    {
        let after =
            |old: usize| if old.wrapping_add(1) as isize > 0 { old.wrapping_add(1) } else { FIRST_ID };
        let mut old = word.load(Relaxed);
        loop {
            match word.compare_exchange_weak(old, after(old), Relaxed, Relaxed) {
                Ok(_) => return old,
                Err(now) => old = now,
            }
        }
    }
}

/// [`add_up_to`] with 1, and [`next`], for the field `$field` of `$whole`, which is a `$type`. On a Cortex-M
/// with exclusive accesses the assembly is shorter than the compiler's code: it checks between the load and
/// the store of one pair, a successful store takes one branch, and no register holds the field's address.
#[cfg(not(loom))]
macro_rules! increment {
    ($whole:expr, $type:ty, $($field:tt).+) => {{
        #[cfg(not(exclusive))]
        let old = crate::sync::next(&$whole.$($field).+);
        #[cfg(exclusive)]
        let old: usize;
        #[cfg(exclusive)]
        // SAFETY: `$field` is an atomic word, which exclusive accesses may touch; nothing else is read or
        // written. The order is Relaxed, so no barrier is needed.
        unsafe {
            core::arch::asm!(
                // Use few lines: the compiler assumes four bytes for each, and a `cbz` around this code
                // reaches only 126 bytes.
                "2: ldrex {old}, [{whole}, #{at}]",
                "adds {new}, {old}, #1",
                "bmi 5f",
                "4: strex r4, {new}, [{whole}, #{at}]",
                "cbz r4, 3f",
                "b 2b",
                "5: movs {new}, #1",
                "lsls {new}, #30",
                "adds {new}, #1",
                "b 4b",
                "3:",
                whole = in(reg) core::ptr::from_ref::<$type>($whole),
                at = const core::mem::offset_of!($type, $($field).+),
                old = out(reg) old,
                new = out(reg) _,
                // `cbz` accepts only r0 to r7.
                out("r4") _,
                options(nostack),
            );
        }
        old
    }};
    ($whole:expr, $type:ty, $($field:tt).+, up to $limit:expr) => {{
        #[cfg(not(exclusive))]
        let old = crate::sync::add_up_to(&$whole.$($field).+, 1, $limit);
        #[cfg(exclusive)]
        let (old, refused): (usize, usize);
        #[cfg(exclusive)]
        // SAFETY: as for the other arm.
        unsafe {
            core::arch::asm!(
                "2: ldrex {old}, [{whole}, #{at}]",
                "adds {new}, {old}, #1",
                "subs r4, {limit}, {new}",
                "bmi 3f",
                "strex r4, {new}, [{whole}, #{at}]",
                "cbz r4, 3f",
                "b 2b",
                "3:",
                whole = in(reg) core::ptr::from_ref::<$type>($whole),
                at = const core::mem::offset_of!($type, $($field).+),
                limit = in(reg) $limit,
                old = out(reg) old,
                new = out(reg) _,
                out("r4") refused,
                options(nostack),
            );
        }
        // `refused` is below 0 after a refusal; after a successful store it is the 0 that `strex` returns.
        #[cfg(exclusive)]
        let old = (refused == 0).then_some(old);
        old
    }};
}
#[cfg(not(loom))]
pub(crate) use increment;

/// Adds 1 to `count`, and `n` to the sum whose lower and upper halves are `low` and `high`. On targets
/// without compare-and-swap critical sections do it. The upper half saturates, so that an overflowed sum is
/// not taken for a small one.
#[cfg(all(not(loom), not(target_has_atomic = "64")))]
#[inline(always)]
pub(crate) fn count_and_sum(count: &AtomicWord, low: &AtomicWord, high: &AtomicWord, n: usize) {
    #[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
    {
        let carry = critical_section::with(|_| {
            count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
            let (sum, carry) = low.load(Relaxed).overflowing_add(n);
            low.store(sum, Relaxed);
            carry
        });
        if carry {
            // Two critical sections mask interrupts for less time at once than one. Only a reader that
            // interrupts this context in between sees the sum without its carry.
            critical_section::with(|_| {
                let next = high.load(Relaxed).wrapping_add(1);
                // A full upper half stays full.
                if next != 0 {
                    high.store(next, Relaxed);
                }
            });
        }
    }
    #[cfg(target_has_atomic = "ptr")]
    {
        count.fetch_add(1, Relaxed);
        if low.fetch_add(n, Relaxed).overflowing_add(n).1 && high.load(Relaxed) < FULL {
            high.fetch_add(1, Relaxed);
        }
    }
}

/// An upper half from which the sum counts as full. It is below the greatest number by more than the number
/// of contexts that can interrupt each other between the check and the addition.
#[cfg(all(not(loom), not(target_has_atomic = "64")))]
pub(crate) const FULL: usize = usize::MAX - 0xFF;

#[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
mod emulated {
    #[cfg(not(target_arch = "arm"))]
    use super::FIRST_ID;
    use core::sync::atomic::{AtomicUsize, Ordering};

    /// An `AtomicUsize` whose read-modify-writes run in a critical section. Loads and stores are the
    /// hardware's.
    #[derive(Debug)]
    pub struct AtomicWord(AtomicUsize);

    impl AtomicWord {
        /// A word with this value.
        pub const fn new(v: usize) -> Self {
            Self(AtomicUsize::new(v))
        }

        #[inline(always)]
        pub(crate) fn load(&self, order: Ordering) -> usize {
            self.0.load(order)
        }

        #[inline(always)]
        pub(crate) fn store(&self, v: usize, order: Ordering) {
            self.0.store(v, order);
        }

        #[inline(always)]
        pub(crate) fn fetch_add(&self, n: usize, _order: Ordering) -> usize {
            critical_section::with(|_| {
                let old = self.0.load(Ordering::Relaxed);
                self.0.store(old.wrapping_add(n), Ordering::Relaxed);
                old
            })
        }

        #[inline(always)]
        pub(super) fn next(&self) -> usize {
            critical_section::with(|_| {
                let old = self.0.load(Ordering::Relaxed);
                #[cfg(target_arch = "arm")]
                let mut new = old;
                #[cfg(target_arch = "arm")]
                // In assembly because the compiler would load a constant to compare with. SAFETY: the code
                // works on a register only.
                unsafe {
                    core::arch::asm!("adds {new}, #1", "bpl 2f", "movs {new}, #1", "lsls {new}, #30", "adds {new}, #1", "2:", new = inout(reg) new, options(pure, nomem, nostack))
                };
                #[cfg(not(target_arch = "arm"))]
                let new = if old.wrapping_add(1) as isize > 0 { old.wrapping_add(1) } else { FIRST_ID };
                self.0.store(new, Ordering::Relaxed);
                old
            })
        }

        #[inline(always)]
        pub(super) fn add_up_to(&self, n: usize, limit: usize) -> Option<usize> {
            critical_section::with(|_| {
                let old = self.0.load(Ordering::Relaxed);
                let new = old.wrapping_add(n);
                if (limit.wrapping_sub(new) as isize) < 0 {
                    return None;
                }
                self.0.store(new, Ordering::Relaxed);
                Some(old)
            })
        }

        /// Stores a value and returns the old one.
        #[inline(always)]
        pub fn swap(&self, v: usize, _order: Ordering) -> usize {
            critical_section::with(|_| {
                let old = self.0.load(Ordering::Relaxed);
                self.0.store(v, Ordering::Relaxed);
                old
            })
        }

        #[inline(always)]
        pub(crate) fn compare_exchange(
            &self,
            current: usize,
            new: usize,
            _success: Ordering,
            _failure: Ordering,
        ) -> Result<usize, usize> {
            critical_section::with(|_| {
                let old = self.0.load(Ordering::Relaxed);
                if old != current {
                    return Err(old);
                }
                self.0.store(new, Ordering::Relaxed);
                Ok(old)
            })
        }

        #[allow(dead_code)]
        #[inline(always)]
        pub(crate) fn compare_exchange_weak(
            &self,
            current: usize,
            new: usize,
            success: Ordering,
            failure: Ordering,
        ) -> Result<usize, usize> {
            self.compare_exchange(current, new, success, failure)
        }
    }
}
