//! A list of statics that only grows: what registers itself on first use is found here by its reader.
//!
//! Pushing is lock-free (it retries only when another push got in between), walking is wait-free in the list's length. The model checker's
//! view is in `core/tests/loom_threads.rs` and `core/tests/loom_callsites.rs`.

// Public to the model checker.
#![cfg_attr(not(loom), allow(unreachable_pub))]

use crate::sync::{Acquire, AtomicPtr, Relaxed, Release, const_unless_loom};

/// A member's pointer to the one pushed before it.
#[derive(Debug)]
pub struct Link<T>(AtomicPtr<T>);

/// What can be in a [`List`], once.
pub trait Linked: Sync + Sized + 'static {
    /// Its link.
    fn link(&self) -> &Link<Self>;
}

/// The list.
#[derive(Debug)]
pub struct List<T>(AtomicPtr<T>);

impl<T> Link<T> {
    const_unless_loom! {
        /// Of what is in no list yet.
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
    /// Puts `member` in front. It must be in no list yet.
    pub fn push(&self, member: &'static T) {
        let this = core::ptr::from_ref(member).cast_mut();
        let mut head = self.0.load(Relaxed);
        loop {
            member.link().0.store(head, Relaxed);
            // Release: who finds the member finds it whole. Later pushes are read-modify-writes too, so that holds for those behind it as well.
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

    /// Its members, newest first, as of now.
    pub fn iter(&self) -> Iter<T> {
        Iter(self.0.load(Acquire))
    }
}

impl<T: Linked> Iter<T> {
    /// The members pushed before this one, which must have been found in the list.
    pub fn after(member: &T) -> Iter<T> {
        Iter(member.link().0.load(Relaxed))
    }
}

/// Walks over a [`List`].
#[derive(Debug)]
pub struct Iter<T>(*mut T);

impl<T: Linked> Iterator for Iter<T> {
    type Item = &'static T;
    fn next(&mut self) -> Option<&'static T> {
        // SAFETY: null, or a `&'static T` that `List::push` published with Release; `List::iter` acquired it.
        let member = unsafe { self.0.cast_const().as_ref() }?;
        self.0 = member.link().0.load(Relaxed);
        Some(member)
    }
}
