//! How a callsite gets its number and is switched on and off: only the protocol, which the model checker
//! drives in `core/tests/loom_callsites.rs`.
//!
//! Settings (the run-time level, the filter) may change while callsites register. No context waits for
//! another one. Instead a context that decides about a callsite checks afterwards whether the settings have
//! changed meanwhile, and if so decides again. The last decision about a callsite is therefore made with the
//! last settings.

// The model checker needs these items public.
#![cfg_attr(not(loom), allow(unreachable_pub))]

use crate::list::{Iter, Link, Linked, List};
use crate::sync::{AcqRel, Acquire, AtomicU32, Relaxed, Release, SeqCst, const_unless_loom, fence};

/// State of a disabled callsite. It is zero, a number is positive and [`NEW`] is negative, so that one
/// comparison distinguishes the three.
pub const OFF: u32 = 0;
/// The first number.
pub const FIRST: u32 = 2;
/// State before the first use.
pub const NEW: u32 = 1 << 31;
/// The greatest number, because a record's head has 16 bits for it.
const LAST: u32 = u16::MAX as u32;

/// The state that a [`Directory`] keeps in each member.
#[derive(Debug)]
pub struct Registration<T> {
    /// [`NEW`] before the first use, [`OFF`] when the member is disabled, else its number.
    state: AtomicU32,
    /// The number, also while `state` is [`OFF`]; 0 before there is one.
    number: AtomicU32,
    link: Link<T>,
}

/// A type whose values can be in a [`Directory`], each at most once.
pub trait Registered: Linked {
    /// The member's state.
    fn registration(&self) -> &Registration<Self>;
    /// Whether the member should be enabled under the current settings.
    fn wanted(&self) -> bool;
}

/// All registered members, numbered in order.
#[derive(Debug)]
pub struct Directory<T> {
    members: List<T>,
    next: AtomicU32,
    /// How often the settings have changed.
    changes: AtomicU32,
}

impl<T> Registration<T> {
    const_unless_loom! {
        /// The state of a value that is not in a directory yet.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Registration<T> {
            Registration { state: AtomicU32::new(NEW), number: AtomicU32::new(0), link: Link::new() }
        }
    }

    /// [`OFF`], the number if that is at least [`FIRST`], or [`NEW`] if the member must register first.
    #[inline(always)]
    pub fn state(&self) -> u32 {
        self.state.load(Relaxed)
    }

    /// The number, whether the member is enabled or not; 0 when it has none.
    pub fn number(&self) -> u32 {
        self.number.load(Relaxed)
    }

    /// The link for the directory's list.
    pub fn link(&self) -> &Link<T> {
        &self.link
    }
}

impl<T> Directory<T> {
    const_unless_loom! {
        /// An empty directory.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Directory<T> {
            Directory { members: List::new(), next: AtomicU32::new(FIRST), changes: AtomicU32::new(0) }
        }
    }
}

impl<T: Registered> Directory<T> {
    /// Registers a member that may not have a number yet. Returns its number if it is enabled. Of the
    /// contexts that use a member first at the same time, one adds it to the directory and all use its one
    /// number; the numbers that the others drew are skipped.
    pub fn register(&self, member: &'static T) -> Option<u32> {
        let it = member.registration();
        if it.number.load(Relaxed) == 0 {
            let number = self.next.fetch_add(1, Relaxed);
            if number > LAST {
                self.next.store(LAST + 1, Relaxed);
                if it.number.load(Relaxed) == 0 {
                    it.state.store(OFF, Release);
                    return None;
                }
            } else if it.number.compare_exchange(0, number, Relaxed, Relaxed).is_ok() {
                self.members.push(member);
            }
        }
        self.decide(member);
        Some(it.state.load(Relaxed)).filter(|state| *state != OFF)
    }

    /// Decides again about every member. Call this after settings changed. Cost: a walk over all members.
    pub fn settings_changed(&self) {
        self.changes.fetch_add(1, AcqRel);
        fence(SeqCst);
        self.iter().for_each(|member| self.decide(member));
    }

    /// All members, newest first.
    pub fn iter(&self) -> Iter<T> {
        self.members.iter()
    }

    /// Decides about a member, and repeats while settings change meanwhile.
    fn decide(&self, member: &T) {
        let it = member.registration();
        loop {
            let changes = self.changes.load(Acquire);
            let state = if member.wanted() { it.number.load(Relaxed) } else { OFF };
            it.state.store(state, Release);
            // Of two contexts that store a state, the one that stores last either knew all changes or sees
            // here that it did not. A walk that did not find a new member began before this point, so its
            // change is seen here too.
            fence(SeqCst);
            if self.changes.load(Relaxed) == changes {
                return;
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Site(Registration<Site>);

    impl Linked for Site {
        fn link(&self) -> &Link<Site> {
            self.0.link()
        }
    }

    impl Registered for Site {
        fn registration(&self) -> &Registration<Site> {
            &self.0
        }
        fn wanted(&self) -> bool {
            true
        }
    }

    #[test]
    fn numbers_end_where_a_head_ends_and_what_comes_later_is_off() {
        let directory = Directory::<Site> { next: AtomicU32::new(LAST - 1), ..Directory::new() };
        static SITES: [Site; 5] = [const { Site(Registration::new()) }; 5];
        let [first @ .., late] = &SITES;
        assert_eq!(
            first.each_ref().map(|site| directory.register(site)),
            [Some(LAST - 1), Some(LAST), None, None]
        );
        assert_eq!((directory.register(late), late.0.state(), late.0.number()), (None, OFF, 0));
        assert_eq!(directory.register(late), None);
        directory.settings_changed();
        assert_eq!((late.0.state(), directory.iter().count()), (OFF, 2));
        assert_eq!(
            directory.next.load(Relaxed),
            LAST + 1,
            "or it would come round to numbers that are taken"
        );
    }
}
