//! How a callsite gets its number and is switched on and off, whoever comes first: the protocol alone, which the model checker drives in
//! `core/tests/loom_callsites.rs`.
//!
//! Settings (the run-time level, the filter) change while callsites register themselves. Nobody waits for anybody; instead whoever decides
//! looks afterwards whether the settings are still those it decided by, and else decides again. So the last word on a callsite was
//! said by one who knew the last settings.

// Public to the model checker.
#![cfg_attr(not(loom), allow(unreachable_pub))]

use crate::list::{Iter, Link, Linked, List};
use crate::sync::{AcqRel, Acquire, AtomicU32, Relaxed, Release, SeqCst, const_unless_loom, fence};

/// State of a callsite that was filtered out. This state is zero, a number is positive and [`NEW`] is negative, so
/// that one comparison tells the three apart.
pub const OFF: u32 = 0;
/// The first number.
pub const FIRST: u32 = 2;
/// State before the first use.
pub const NEW: u32 = 1 << 31;
/// Numbers end where a record's head ends.
const LAST: u32 = u16::MAX as u32;

/// What a [`Directory`] keeps with each of its members.
#[derive(Debug)]
pub struct Registration<T> {
    /// [`NEW`] before the first use, [`OFF`] when filtered out, else the number.
    state: AtomicU32,
    /// The number, kept while `state` is [`OFF`].
    number: AtomicU32,
    link: Link<T>,
}

/// What can be in a [`Directory`], once.
pub trait Registered: Linked {
    /// Its registration.
    fn registration(&self) -> &Registration<Self>;
    /// Whether it is to be on, by the settings as they are now.
    fn wanted(&self) -> bool;
}

/// All that registered themselves, numbered in order.
#[derive(Debug)]
pub struct Directory<T> {
    members: List<T>,
    next: AtomicU32,
    /// How often settings changed.
    changes: AtomicU32,
}

impl<T> Registration<T> {
    const_unless_loom! {
        /// Of what is in no directory yet.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Registration<T> {
            Registration { state: AtomicU32::new(NEW), number: AtomicU32::new(0), link: Link::new() }
        }
    }

    /// [`OFF`], or its number when that is at least [`FIRST`], or [`NEW`], which says that it must register first.
    #[inline(always)]
    pub fn state(&self) -> u32 {
        self.state.load(Relaxed)
    }

    /// Its number, on or off; 0 when it has none.
    pub fn number(&self) -> u32 {
        self.number.load(Relaxed)
    }

    /// The link that the directory needs.
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
    /// Its number, if it is on, of one that may have none yet. Of contexts that use it first at the same time one puts it in the directory, and all
    /// go by its number; the numbers that the others drew are used no more.
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

    /// Decides anew about every member; to be called after settings changed. Cost: a walk over all members.
    pub fn settings_changed(&self) {
        self.changes.fetch_add(1, AcqRel);
        fence(SeqCst);
        self.iter().for_each(|member| self.decide(member));
    }

    /// All members, newest first.
    pub fn iter(&self) -> Iter<T> {
        self.members.iter()
    }

    /// Repeats only when settings changed meanwhile.
    fn decide(&self, member: &T) {
        let it = member.registration();
        loop {
            let changes = self.changes.load(Acquire);
            let state = if member.wanted() { it.number.load(Relaxed) } else { OFF };
            it.state.store(state, Release);
            // Of two that store, the one whose store came last either knew all changes or sees here that it did not. And a walk that
            // did not find a new member began before this, so its change is seen here too.
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
