//! A value that is rarely set and may be read at any time, without a lock: a forked process could find a lock
//! held forever.

use std::sync::atomic::{AtomicPtr, Ordering};

/// Place in a static for a value. Values are never freed, so a reader may keep its reference forever.
#[derive(Debug)]
pub(crate) struct Published<T: 'static>(AtomicPtr<T>);

impl<T: Send + Sync> Published<T> {
    /// Makes a place without a value.
    pub(crate) const fn new() -> Published<T> {
        Published(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Sets the value.
    pub(crate) fn set(&self, value: T) {
        self.0.store(Box::into_raw(Box::new(value)), Ordering::Release);
    }

    /// Sets a value that lives for ever already.
    pub(crate) fn set_static(&self, value: &'static T) {
        self.0.store(std::ptr::from_ref(value).cast_mut(), Ordering::Release);
    }

    /// Removes the value.
    #[cfg(unix)]
    pub(crate) fn clear(&self) {
        self.0.store(std::ptr::null_mut(), Ordering::Release);
    }

    /// The value, if one is set.
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: the pointer is null or a value that `set` leaked, which lives forever. Acquire makes its
        // contents visible.
        unsafe { self.0.load(Ordering::Acquire).cast_const().as_ref() }
    }
}
