//! Callsites that register themselves on first use, and the filter that switches them on and off.

use super::registration::{Directory, OFF, Registered, Registration};
use super::{Blob, CallsiteId};
use crate::list::{Link, Linked};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// A place in the code; a static that a macro makes.
#[derive(Debug)]
pub struct Callsite {
    blob: &'static [u8],
    level: u8,
    registration: Registration<Callsite>,
}

static CALLSITES: Directory<Callsite> = Directory::new();
/// Whether callsites register on their first use.
static OPEN: AtomicBool = AtomicBool::new(false);
static FILTER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Decides whether a callsite is on; see [`set_filter`].
pub type Filter = fn(&Blob<'_>) -> bool;

impl Callsite {
    /// A callsite with this blob and [`Level`](crate::Level) number.
    pub const fn new(blob: &'static [u8], level: u8) -> Callsite {
        Callsite { blob, level, registration: Registration::new() }
    }

    /// Its id when it is on. Cost: one load and one branch.
    #[inline(always)]
    pub fn enabled(&'static self) -> Option<CallsiteId> {
        let state = self.registration.state();
        // First what costs most if it costs anything: a record takes a clock read or two, nothing takes nothing.
        if state == OFF {
            return None;
        }
        if (state as i32) < 0 { self.first_use() } else { Some(CallsiteId { id: state }) }
    }

    #[cold]
    #[inline(never)]
    fn first_use(&'static self) -> Option<CallsiteId> {
        crate::version::keep();
        // Before there is a recorder nothing is registered: filters may yet come.
        if !is_open() {
            return None;
        }
        CALLSITES.register(self).map(|id| CallsiteId { id })
    }

    /// What it is.
    pub fn blob(&self) -> Blob<'static> {
        Blob::parse(self.blob).unwrap_or_else(|| unreachable!("blobs of callsites are made by Meta::blob"))
    }

    /// Its id.
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
    // SAFETY: only `set_filter` stores here, and it stores a `Filter`.
    Some(unsafe { core::mem::transmute::<*mut (), Filter>(f) })
}

/// Has callsites register on their first use from now on: there is a recorder, or a hook that makes one for a thread.
pub(crate) fn open() {
    OPEN.store(true, Ordering::Release);
}

/// Whether [`open`] was called. Metrics that register on their first use go by it too.
pub(crate) fn is_open() -> bool {
    OPEN.load(Ordering::Acquire)
}

/// Turns callsites on or off, now and as they come: by target, by name, by any part of the blob. The run-time level applies
/// beside it. `None` lets everything through. A callsite that another thread uses for the first time meanwhile has its
/// state by the new filter too, at the latest when that use returns. Cost: a walk over the callsites seen so far.
pub fn set_filter(filter: Option<Filter>) {
    FILTER.store(filter.map_or(core::ptr::null_mut(), |f| f as *mut ()), Ordering::Release);
    refilter();
}

pub(crate) fn refilter() {
    CALLSITES.settings_changed();
}

/// The address of the blob of the callsite with this id.
pub(crate) fn address(id: u32) -> Option<u64> {
    let callsite = CALLSITES.iter().find(|callsite| callsite.id() == id)?;
    Some(callsite.blob.as_ptr().addr() as u64)
}

/// Calls `f` with every callsite used so far, newest first. Ids are small numbers from 2 on, so a reader that keeps a table needs
/// to look again only when it meets a number that it has not. If it is not here either, another thread is about to put it here: of those that use
/// a callsite first at the same time one does so, while the others record already.
pub fn for_each(f: impl FnMut(&'static Callsite)) {
    CALLSITES.iter().for_each(f);
}
