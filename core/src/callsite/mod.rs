//! Callsites: what is known of an instrumented place when it is compiled, and how a record names it.
//!
//! On a 32-bit microcontroller a callsite's id is the address of its blob: no RAM, no registration. Elsewhere a callsite is a small
//! static that registers itself on its first use and is then a number; the same word says whether it is on, so a
//! disabled callsite costs one load and one branch.

mod blob;
#[cfg(registered_callsites)]
mod registration;
#[cfg(registered_callsites)]
pub mod registry;

pub use blob::{Blob, HEADER, Kind, MAGIC, MAX_FIELDS, Meta};

/// A place in the code, as its record names it.
#[derive(Clone, Copy, Debug)]
pub struct CallsiteId {
    pub(crate) id: u32,
    /// Checked where the record is made: here the callsite itself has no state that could answer.
    #[cfg(not(registered_callsites))]
    pub(crate) level: u8,
}

/// What a record's callsite is called on the wire: the address of its blob. On a microcontroller records hold that address. A number that no
/// registered callsite has stays as it is. Cost elsewhere: a walk over the callsites used so far.
#[inline(always)]
pub(crate) fn wire_id(callsite: u32) -> u64 {
    #[cfg(not(registered_callsites))]
    return callsite.into();
    #[cfg(registered_callsites)]
    registry::address(callsite).unwrap_or(callsite.into())
}

#[cfg(registered_callsites)]
pub use registry::Callsite;

/// A place in the code.
#[cfg(not(registered_callsites))]
#[derive(Debug)]
pub struct Callsite;

#[cfg(not(registered_callsites))]
impl Callsite {
    /// The callsite whose blob is `blob`.
    #[inline(always)]
    pub fn of<const N: usize>(blob: &'static [u8; N], level: u8) -> CallsiteId {
        CallsiteId { id: blob.as_ptr().addr() as u32, level }
    }
}
