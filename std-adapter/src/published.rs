//! A value that is set seldom and read by anyone at any time, without a lock: a lock could be held for ever in a forked process.

use std::sync::atomic::{AtomicPtr, Ordering};

/// A static's place for a value. What was set is kept for ever, so that readers need nothing to hold on to.
#[derive(Debug)]
pub(crate) struct Published<T: 'static>(AtomicPtr<T>);

impl<T: Send + Sync> Published<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Published<T> {
        Published(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Sets the value.
    pub(crate) fn set(&self, value: T) {
        self.0.store(Box::into_raw(Box::new(value)), Ordering::Release);
    }

    /// Goes back to nothing.
    pub(crate) fn clear(&self) {
        self.0.store(std::ptr::null_mut(), Ordering::Release);
    }

    /// The value, if one is set.
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or what `set` has leaked, which lives for ever; Acquire makes it whole.
        unsafe { self.0.load(Ordering::Acquire).cast_const().as_ref() }
    }
}
