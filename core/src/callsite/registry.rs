//! Callsites that register on first use, and the filter that enables and disables them.

use super::registration::{Directory, OFF, Registered, Registration};
use super::{Blob, CallsiteId};
use crate::list::{Link, Linked};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A callsite: a static that a macro makes.
#[derive(Debug)]
pub struct Callsite {
    blob: &'static [u8],
    level: u8,
    registration: Registration<Callsite>,
}

static CALLSITES: Directory<Callsite> = Directory::new();
/// Whether callsites register on first use.
static OPEN: AtomicBool = AtomicBool::new(false);
static FILTER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Decides whether a callsite is enabled; see [`set_filter`].
pub type Filter = fn(&Blob<'_>) -> bool;

impl Callsite {
    /// A callsite with this blob and [`Level`](crate::Level) number.
    pub const fn new(blob: &'static [u8], level: u8) -> Callsite {
        Callsite { blob, level, registration: Registration::new() }
    }

    /// The callsite's id if it is enabled. Cost: one load and one branch.
    #[inline(always)]
    pub fn enabled(&'static self) -> Option<CallsiteId> {
        let state = self.registration.state();
        // Test OFF first: a disabled callsite must stay one load and one branch.
        if state == OFF {
            return None;
        }
        if (state as i32) < 0 { self.first_use() } else { Some(CallsiteId { id: state }) }
    }

    #[cold]
    #[inline(never)]
    fn first_use(&'static self) -> Option<CallsiteId> {
        crate::version::keep();
        // Register nothing before there is a recorder: a filter may still be set.
        if !is_open() {
            return None;
        }
        CALLSITES.register(self).map(|id| CallsiteId { id })
    }

    /// The callsite's description.
    pub fn blob(&self) -> Blob<'static> {
        Blob::parse(self.blob).unwrap_or_else(|| unreachable!("blobs of callsites are made by Meta::blob"))
    }

    /// The callsite's number; 0 before it has registered.
    pub fn id(&self) -> u32 {
        self.registration.number()
    }
}

impl Linked for Callsite {
    fn link(&self) -> &Link<Callsite> {
        self.registration.link()
    }
}

impl Registered for Callsite {
    fn registration(&self) -> &Registration<Callsite> {
        &self.registration
    }

    fn wanted(&self) -> bool {
        self.level >= crate::level::min() && filter().is_none_or(|f| f(&self.blob()))
    }
}

fn filter() -> Option<Filter> {
    let f = FILTER.load(Ordering::Acquire);
    if f.is_null() {
        return None;
    }
    // SAFETY: only `set_filter` stores this pointer, and it stores a `Filter`.
    Some(unsafe { core::mem::transmute::<*mut (), Filter>(f) })
}

/// Makes callsites register on first use from now on: there is a recorder, or a hook that makes one for each
/// thread.
pub(crate) fn open() {
    OPEN.store(true, Ordering::Release);
}

/// Whether [`open`] was called. Metrics that register on first use check this too.
pub(crate) fn is_open() -> bool {
    OPEN.load(Ordering::Acquire)
}

/// Enables and disables callsites, those seen so far and those to come, by target, name or any other part of
/// the blob. The run-time level applies in addition. `None` enables all callsites. A callsite that another
/// thread uses for the first time meanwhile also follows the new filter, at the latest when that use returns.
/// Cost: a walk over the callsites used so far.
pub fn set_filter(filter: Option<Filter>) {
    FILTER.store(filter.map_or(core::ptr::null_mut(), |f| f as *mut ()), Ordering::Release);
    refilter();
}

pub(crate) fn refilter() {
    CALLSITES.settings_changed();
}

/// The address of the blob of the callsite with this number.
pub(crate) fn address(id: u32) -> Option<u64> {
    let callsite = CALLSITES.iter().find(|callsite| callsite.id() == id)?;
    Some(callsite.blob.as_ptr().addr() as u64)
}

/// Calls `f` with every callsite used so far, newest first. Ids are small numbers from 2 on, so a reader that
/// keeps a table must look again only when it finds a number that is missing. If the number is missing here
/// too, another thread is about to add the callsite: of the contexts that use a callsite first at the same
/// time one adds it, while the others already record.
pub fn for_each(f: impl FnMut(&'static Callsite)) {
    CALLSITES.iter().for_each(f);
}
