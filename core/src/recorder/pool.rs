//! Things that threads take, leave behind and take again: never two threads at a time, and each sees all that the one before it wrote.
//!
//! Taking walks over the list once and waits for nobody. The model checker's view is in `core/tests/loom_threads.rs`.

// Public to the model checker.
#![cfg_attr(not(loom), allow(unreachable_pub))]

use crate::list::{Iter, Link, Linked, List};
use crate::sync::{Acquire, AtomicWord, Relaxed, Release, const_unless_loom};

/// What a [`Pool`] keeps with each of its members.
#[derive(Debug)]
pub struct Membership<T> {
    /// [`FREE`], [`OWNED`] by a thread, or [`NEW`].
    owned: AtomicWord,
    pub(super) link: Link<T>,
}

const FREE: usize = 0;
const OWNED: usize = 1;
/// In no pool yet. Whoever made it has it.
const NEW: usize = 2;

/// What can be in a [`Pool`], once.
pub trait Pooled: Linked {
    /// Its membership.
    fn membership(&self) -> &Membership<Self>;
}

/// The pool.
#[derive(Debug)]
pub struct Pool<T>(List<T>);

impl<T> Membership<T> {
    const_unless_loom! {
        /// Of what is in no pool yet.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Membership<T> {
            Membership { owned: AtomicWord::new(NEW), link: Link::new() }
        }
    }

    /// The link that the pool needs.
    pub fn link(&self) -> &Link<T> {
        &self.link
    }
}

impl<T> Pool<T> {
    const_unless_loom! {
        /// An empty pool.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Pool<T> {
            Pool(List::new())
        }
    }
}

impl<T: Pooled> Pool<T> {
    /// One that was left, or else the one that `make` makes, which then stays in the pool for ever. `None` when `make` makes none, or gives one that is
    /// in a pool already: twice in the list, it would make a circle of it.
    pub fn acquire(&self, make: impl FnOnce() -> Option<&'static T>) -> Option<&'static T> {
        let take = |member: &&'static T| {
            let owned = &member.membership().owned;
            // Acquire: all that the last owner wrote comes before all that this one writes.
            owned.load(Relaxed) == FREE && owned.swap(OWNED, Acquire) == FREE
        };
        self.iter().find(take).or_else(|| {
            let made = make()?;
            if made.membership().owned.swap(OWNED, Relaxed) != NEW {
                return None;
            }
            self.0.push(made);
            Some(made)
        })
    }

    /// Leaves a member to the next thread. The caller must be the one that has it, and no longer use it.
    pub fn release(&self, member: &'static T) {
        member.membership().owned.store(FREE, Release);
    }

    /// Forgets all of them. Nobody may take one meanwhile.
    #[cfg(not(loom))]
    pub fn clear(&self) {
        self.0.clear();
    }

    /// All of them, owned or not.
    pub fn iter(&self) -> Iter<T> {
        self.0.iter()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Member(Membership<Member>);

    impl Linked for Member {
        fn link(&self) -> &Link<Member> {
            self.0.link()
        }
    }

    impl Pooled for Member {
        fn membership(&self) -> &Membership<Member> {
            &self.0
        }
    }

    #[test]
    fn a_member_that_is_there_already_is_refused_01() {
        static POOL: Pool<Member> = Pool::new();
        static MEMBERS: [Member; 2] = [const { Member(Membership::new()) }; 2];
        for member in &MEMBERS {
            assert!(POOL.acquire(|| Some(member)).is_some());
        }
        assert!(POOL.acquire(|| Some(&MEMBERS[0])).is_none());
        assert_eq!(POOL.iter().take(3).count(), 2, "a list, not a circle");
    }
}
