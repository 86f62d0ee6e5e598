//! A list of statics that only grows. Callsites and metrics enter it on their first use, and readers find them here.
//!
//! A list takes its members in front ([`List::push`]) or at its end ([`List::find_or_append`]), always in the same way. Both are lock-free (they retry only
//! when another member got in between); walking is wait-free in the list's length. The model checker's view is in `core/tests/loom_threads.rs`,
//! `core/tests/loom_callsites.rs` and `core/tests/loom_series.rs`.

// Public to the model checker.
#![cfg_attr(not(loom), allow(unreachable_pub))]

use crate::sync::{Acquire, AtomicPtr, Relaxed, Release, const_unless_loom};

/// A member's pointer to the next one.
#[derive(Debug)]
pub struct Link<T>(AtomicPtr<T>);

/// A type whose values can be in a [`List`], each at most once.
pub trait Linked: Sync + Sized + 'static {
    /// Its link.
    fn link(&self) -> &Link<Self>;
}

/// The list.
#[derive(Debug)]
pub struct List<T>(AtomicPtr<T>);

impl<T> Link<T> {
    const_unless_loom! {
        /// The link of a member that is in no list yet.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Link<T> {
            Link(AtomicPtr::new(core::ptr::null_mut()))
        }
    }
}

impl<T> List<T> {
    const_unless_loom! {
        /// An empty list.
        #[allow(clippy::new_without_default)]
        pub fn new() -> List<T> {
            List(AtomicPtr::new(core::ptr::null_mut()))
        }
    }
}

impl<T: Linked> List<T> {
    /// Puts `member` in front. It must not be in a list yet.
    pub fn push(&self, member: &'static T) {
        let this = core::ptr::from_ref(member).cast_mut();
        let mut head = self.0.load(Relaxed);
        loop {
            member.link().0.store(head, Relaxed);
            // Release: whoever finds the member finds it whole.
            match self.0.compare_exchange_weak(head, this, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Forgets its members, which can be in no list again. Nobody may push meanwhile.
    #[cfg(all(not(loom), feature = "std"))]
    pub fn clear(&self) {
        self.0.store(core::ptr::null_mut(), Release);
    }

    /// Finds the first member of which `is_same` holds, or else puts `member` at the end; gives the one that is in the list then. All callers with the
    /// same `is_same` get the same one, and a member may come any number of times, as long as `is_same` holds of itself. Cost: a walk over the list.
    #[cfg_attr(not(any(loom, registered_callsites)), allow(dead_code))]
    pub fn find_or_append(&self, member: &'static T, is_same: impl Fn(&T) -> bool) -> &'static T {
        let mut end = &self.0;
        let mut next = end.load(Acquire);
        loop {
            // SAFETY: null, or a `&'static T` that the exchange below published with Release; it was acquired.
            if let Some(there) = unsafe { next.cast_const().as_ref() } {
                if is_same(there) {
                    return there;
                }
                end = &there.link().0;
                next = end.load(Acquire);
                continue;
            }
            let this = core::ptr::from_ref(member).cast_mut();
            match end.compare_exchange(core::ptr::null_mut(), this, Release, Acquire) {
                Ok(_) => return member,
                Err(now) => next = now,
            }
        }
    }

    /// Its members as of now: those that were pushed newest first, those that were appended oldest first.
    pub fn iter(&self) -> Iter<T> {
        Iter(self.0.load(Acquire))
    }
}

impl<T: Linked> Iter<T> {
    /// The members after this one, which must have been found in the list.
    pub fn after(member: &T) -> Iter<T> {
        Iter(member.link().0.load(Acquire))
    }
}

/// Walks over a [`List`].
#[derive(Debug)]
pub struct Iter<T>(*mut T);

impl<T: Linked> Iterator for Iter<T> {
    type Item = &'static T;
    fn next(&mut self) -> Option<&'static T> {
        // SAFETY: null, or a `&'static T` that `List` published with Release; it was acquired.
        let member = unsafe { self.0.cast_const().as_ref() }?;
        self.0 = member.link().0.load(Acquire);
        Some(member)
    }
}
