//! A list of statics that only grows. Callsites and metrics enter it on first use, and readers walk it.
//!
//! One list takes its members either at the front ([`List::push`]) or at the end ([`List::find_or_append`]),
//! never both. Both operations are lock-free: they retry only when another member was added meanwhile.
//! Walking takes as many steps as there are members and never waits. The models are in
//! `core/tests/loom_threads.rs`, `core/tests/loom_callsites.rs` and `core/tests/loom_series.rs`.

// The model checker needs these items public.
#![cfg_attr(not(loom), allow(unreachable_pub))]

use crate::sync::{Acquire, AtomicPtr, Relaxed, Release, const_unless_loom};

/// A member's pointer to the next member.
#[derive(Debug)]
pub struct Link<T>(AtomicPtr<T>);

/// A type whose values can be in a [`List`], each in at most one.
pub trait Linked: Sync + Sized + 'static {
    /// The value's link.
    fn link(&self) -> &Link<Self>;
}

/// A list that only grows.
#[derive(Debug)]
pub struct List<T>(AtomicPtr<T>);

impl<T> Link<T> {
    const_unless_loom! {
        /// The link of a value that is not in a list yet.
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
    /// Adds `member` at the front. It must not be in a list yet.
    pub fn push(&self, member: &'static T) {
        let this = core::ptr::from_ref(member).cast_mut();
        let mut head = self.0.load(Relaxed);
        loop {
            member.link().0.store(head, Relaxed);
            // Release: a reader that finds the member also sees its contents.
            match self.0.compare_exchange_weak(head, this, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Forgets all members; none of them can be added to a list again. No other context may push at the same
    /// time.
    #[cfg(all(not(loom), feature = "std"))]
    pub fn clear(&self) {
        self.0.store(core::ptr::null_mut(), Release);
    }

    /// Finds the first member for which `is_same` holds, or appends `member` if there is none; returns the
    /// member that is in the list. All callers with the same `is_same` get the same member. The same `member`
    /// may be passed any number of times, provided that `is_same` holds for it. Cost: a walk over the list.
    #[cfg_attr(not(any(loom, registered_callsites)), allow(dead_code))]
    pub fn find_or_append(&self, member: &'static T, is_same: impl Fn(&T) -> bool) -> &'static T {
        let mut end = &self.0;
        let mut next = end.load(Acquire);
        loop {
            // SAFETY: the pointer is null or a `&'static T` that the exchange below published with Release;
            // it was loaded with Acquire.
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

    /// The current members. Pushed members come newest first, appended ones oldest first.
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

/// Iterates over a [`List`].
#[derive(Debug)]
pub struct Iter<T>(*mut T);

impl<T: Linked> Iterator for Iter<T> {
    type Item = &'static T;
    fn next(&mut self) -> Option<&'static T> {
        // SAFETY: the pointer is null or a `&'static T` that `List` published with Release; it was loaded
        // with Acquire.
        let member = unsafe { self.0.cast_const().as_ref() }?;
        self.0 = member.link().0.load(Acquire);
        Some(member)
    }
}
