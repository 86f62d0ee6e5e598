//! Callsites that register themselves on first use: a lock-free list of statics, numbered in order.

use super::{Blob, CallsiteId};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// A place in the code; a static that a macro makes.
#[derive(Debug)]
pub struct Callsite {
    blob: &'static [u8],
    level: u8,
    /// 0 before the first use, [`OFF`] when filtered out, [`BUSY`] while registering, else the id.
    state: AtomicU32,
    /// The id, kept while `state` is `OFF`.
    id: AtomicU32,
    next: AtomicPtr<Callsite>,
}

const NEW: u32 = 0;
const OFF: u32 = 1;
const BUSY: u32 = 2;
/// Ids begin after the states that are no ids.
const FIRST: u32 = 3;
/// Ids end where a record's head ends.
const LAST: u32 = u16::MAX as u32;

static LIST: AtomicPtr<Callsite> = AtomicPtr::new(core::ptr::null_mut());
static NEXT_ID: AtomicU32 = AtomicU32::new(FIRST);
static FILTER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Decides whether a callsite is on; see [`set_filter`].
pub type Filter = fn(&Blob<'_>) -> bool;

impl Callsite {
    /// A callsite with this blob and [`Level`](crate::Level) number.
    pub const fn new(blob: &'static [u8], level: u8) -> Callsite {
        Callsite {
            blob,
            level,
            state: AtomicU32::new(NEW),
            id: AtomicU32::new(0),
            next: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Its id when it is on. Cost: one load and one branch.
    #[inline(always)]
    pub fn enabled(&'static self) -> Option<CallsiteId> {
        let state = self.state.load(Ordering::Relaxed);
        // First what costs most if it costs anything: a record takes a clock read or two, nothing takes nothing.
        if state == OFF {
            return None;
        }
        if state >= FIRST {
            return Some(CallsiteId { id: state });
        }
        self.first_use()
    }

    #[cold]
    #[inline(never)]
    fn first_use(&'static self) -> Option<CallsiteId> {
        // Before there is a recorder nothing is registered: filters may yet come.
        if !crate::recorder::exists() {
            return None;
        }
        if self.state.compare_exchange(NEW, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
            // Another thread is at it, or was; if it still is, this one record goes unnamed and so unmade.
            let state = self.state.load(Ordering::Relaxed);
            return (state >= FIRST).then_some(CallsiteId { id: state });
        }
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        if id > LAST {
            NEXT_ID.store(LAST + 1, Ordering::Relaxed);
            self.state.store(OFF, Ordering::Release);
            return None;
        }
        self.id.store(id, Ordering::Relaxed);
        let mut head = LIST.load(Ordering::Relaxed);
        loop {
            self.next.store(head, Ordering::Relaxed);
            let this = core::ptr::from_ref(self).cast_mut();
            match LIST.compare_exchange_weak(head, this, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.refilter();
        let state = self.state.load(Ordering::Relaxed);
        (state >= FIRST).then_some(CallsiteId { id: state })
    }

    fn refilter(&self) {
        let on = self.level >= crate::level::min() && filter().is_none_or(|f| f(&self.blob()));
        self.state.store(if on { self.id.load(Ordering::Relaxed) } else { OFF }, Ordering::Release);
    }

    /// What it is.
    pub fn blob(&self) -> Blob<'static> {
        Blob::parse(self.blob).unwrap_or_else(|| unreachable!("blobs of callsites are made by Meta::blob"))
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.id.load(Ordering::Relaxed)
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

/// Turns callsites on or off, now and as they come: by target, by name, by any part of the blob. The run-time level applies
/// beside it. `None` lets everything through. Cost: a walk over the callsites seen so far.
pub fn set_filter(filter: Option<Filter>) {
    FILTER.store(filter.map_or(core::ptr::null_mut(), |f| f as *mut ()), Ordering::Release);
    refilter();
}

pub(crate) fn refilter() {
    for_each(|callsite| {
        if callsite.state.load(Ordering::Relaxed) != BUSY {
            callsite.refilter();
        }
    });
}

/// Calls `f` with every callsite used so far, newest first. Ids are consecutive from 3 on, so a reader that keeps a table needs
/// to look again only when it meets a number beyond it.
pub fn for_each(mut f: impl FnMut(&'static Callsite)) {
    let mut at = LIST.load(Ordering::Acquire);
    // SAFETY: the list holds only `&'static Callsite`s, put there with Release.
    while let Some(callsite) = unsafe { at.cast_const().as_ref() } {
        f(callsite);
        at = callsite.next.load(Ordering::Relaxed);
    }
}
