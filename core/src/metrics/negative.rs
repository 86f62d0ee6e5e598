//! Negative amounts given to counters. The types keep most of them out at compile time. What is left are `i32`,
//! which the literal `-1` is when nothing else decides, and floats: these add nothing, and the place is kept
//! for an adapter to report.

#[cfg(feature = "std")]
use core::panic::Location;
#[cfg(feature = "std")]
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Where it happened, until [`take_negative`] takes it.
#[cfg(feature = "std")]
static PLACE: AtomicPtr<Location<'static>> = AtomicPtr::new(core::ptr::null_mut());

/// Keeps the place of a negative amount. Only for servers: on a microcontroller the texts of the places would
/// take flash.
#[cold]
#[cfg_attr(feature = "std", track_caller)]
pub(super) fn negative() {
    #[cfg(feature = "std")]
    PLACE.store(core::ptr::from_ref(Location::caller()).cast_mut(), Relaxed);
}

/// The place where a counter was last given a negative amount since this was last called.
#[cfg(feature = "std")]
pub fn take_negative() -> Option<&'static Location<'static>> {
    let place = PLACE.swap(core::ptr::null_mut(), Relaxed);
    // SAFETY: it is null or came from a `&'static Location`, which is never written to.
    unsafe { place.as_ref() }
}
