//! One atomic word for every target: the hardware's where it can compare-and-swap, a critical section where it cannot
//! (thumbv6m), loom's when the protocols are model-checked.
//!
//! A critical section here covers one read-modify-write of one word and nothing else; the longest one is measured by
//! `cargo xtask footprint`.

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

pub(crate) use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

#[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
mod emulated {
    use core::sync::atomic::{AtomicUsize, Ordering};

    /// `AtomicUsize` with its read-modify-writes under a critical section. Loads and stores are the hardware's.
    #[derive(Debug)]
    pub struct AtomicWord(AtomicUsize);

    impl AtomicWord {
        /// A word of this value.
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
        pub(crate) fn swap(&self, v: usize, _order: Ordering) -> usize {
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
