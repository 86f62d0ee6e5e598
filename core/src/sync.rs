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

/// Pointers and 32-bit words with compare-and-swap; only where lists of statics are made as the program runs, and there every target has it.
#[cfg(all(not(loom), any(registered_callsites, feature = "std")))]
pub(crate) use core::sync::atomic::AtomicPtr;
#[cfg(all(not(loom), registered_callsites))]
pub(crate) use core::sync::atomic::AtomicU32;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32};

/// Makes a function `const`, but for the model checker, whose atomics are made as it runs.
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

/// Adds `n` to `word` and gives what it was, unless the sum would then be more than `most` after `from`. With a stale `from` it may refuse what
/// would just have fitted, never take what does not.
#[inline(always)]
pub(crate) fn add_within(word: &AtomicWord, n: usize, from: usize, most: usize) -> Option<usize> {
    #[cfg(all(not(loom), target_arch = "arm", target_has_atomic = "ptr"))]
    return add_within_exclusive(word, n, from, most);
    #[cfg(all(not(loom), not(target_has_atomic = "ptr")))]
    return word.add_within(n, from, most);
    #[cfg(any(loom, all(not(target_arch = "arm"), target_has_atomic = "ptr")))]
    {
        let mut old = word.load(Relaxed);
        loop {
            let new = old.wrapping_add(n);
            if new.wrapping_sub(from) > most {
                return None;
            }
            match word.compare_exchange_weak(old, new, Relaxed, Relaxed) {
                Ok(_) => return Some(old),
                Err(now) => old = now,
            }
        }
    }
}

/// The check fits between load and store of one exclusive pair: 7 instructions, where a compare-and-swap takes 16.
#[cfg(all(not(loom), target_arch = "arm", target_has_atomic = "ptr"))]
#[inline(always)]
fn add_within_exclusive(word: &AtomicWord, n: usize, from: usize, most: usize) -> Option<usize> {
    let limit = from.wrapping_add(most);
    let (old, refused): (usize, usize);
    // SAFETY: `word` is an atomic word, which exclusive accesses may touch; nothing else is read or written. Relaxed: no barrier.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldrex {old}, [{word}]",
            "adds {new}, {old}, {n}",
            "subs {refused}, {limit}, {new}",
            "bmi 3f",
            "strex {refused}, {new}, [{word}]",
            "cmp {refused}, #0",
            "bne 2b",
            "3:",
            word = in(reg) word,
            n = in(reg) n,
            limit = in(reg) limit,
            old = out(reg) old,
            new = out(reg) _,
            refused = out(reg) refused,
            options(nostack),
        );
    }
    // Below 0 when it was refused; else the 0 of a store that was made.
    (refused == 0).then_some(old)
}

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
        pub(super) fn add_within(&self, n: usize, from: usize, most: usize) -> Option<usize> {
            critical_section::with(|_| {
                let old = self.0.load(Ordering::Relaxed);
                let new = old.wrapping_add(n);
                if new.wrapping_sub(from) > most {
                    return None;
                }
                self.0.store(new, Ordering::Relaxed);
                Some(old)
            })
        }

        /// Puts a value in and gives what was there.
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
