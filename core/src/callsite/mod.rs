//! Callsites: the description of an instrumented place, made at compile time except for bridges, and the id by which records refer to it.
//!
//! On a 32-bit microcontroller a callsite's id is the address of its blob, so it needs no RAM and no
//! registration. Elsewhere a callsite is a small static that registers on first use and then has a number.
//! One word holds both the number and whether the callsite is enabled, so a disabled callsite costs one load
//! and one branch.

mod blob;
#[cfg(registered_callsites)]
mod registration;
#[cfg(registered_callsites)]
pub mod registry;
#[cfg(feature = "std")]
pub(crate) mod run_time;

pub use blob::{Blob, HEADER, Kind, MAGIC, MAX_FIELDS, Meta};

/// The id of a callsite in its records.
#[derive(Clone, Copy, Debug)]
pub struct CallsiteId {
    pub(crate) id: u32,
    /// The level is checked where the record is made, because the callsite itself has no state here.
    #[cfg(not(registered_callsites))]
    pub(crate) level: u8,
}

/// The id of a record's callsite on the wire: the address of its blob. On a microcontroller records hold that
/// address. Elsewhere this walks over the callsites used so far; a number that no callsite has is returned
/// unchanged.
#[inline(always)]
pub(crate) fn wire_id(callsite: u32) -> u64 {
    #[cfg(not(registered_callsites))]
    return callsite.into();
    #[cfg(registered_callsites)]
    registry::address(callsite).unwrap_or(callsite.into())
}

#[cfg(registered_callsites)]
pub use registry::Callsite;

/// A place in the code that makes records.
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
