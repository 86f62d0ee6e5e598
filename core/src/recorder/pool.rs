//! A pool of objects that threads acquire and release. Only one thread has an object at a time, and it sees
//! everything that the previous owner wrote.
//!
//! Acquiring walks over the list once and waits for no thread. The model is in `core/tests/loom_threads.rs`.

// The model checker needs these items public.
#![cfg_attr(not(loom), allow(unreachable_pub))]

use crate::list::{Iter, Link, Linked, List};
use crate::sync::{Acquire, AtomicWord, Relaxed, Release, const_unless_loom};

/// The state that a [`Pool`] keeps in each member.
#[derive(Debug)]
pub struct Membership<T> {
    /// [`FREE`], [`OWNED`] by a thread, or [`NEW`].
    owned: AtomicWord,
    pub(super) link: Link<T>,
}

const FREE: usize = 0;
const OWNED: usize = 1;
/// Not in a pool yet; the context that made the member owns it.
const NEW: usize = 2;

/// A type whose values can be in a [`Pool`], each at most once.
pub trait Pooled: Linked {
    /// The member's state.
    fn membership(&self) -> &Membership<Self>;
}

/// A pool of members.
#[derive(Debug)]
pub struct Pool<T>(List<T>);

impl<T> Membership<T> {
    const_unless_loom! {
        /// The state of a value that is not in a pool yet.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Membership<T> {
            Membership { owned: AtomicWord::new(NEW), link: Link::new() }
        }
    }

    /// The link for the pool's list.
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
    /// A free member or, if there is none, the one that `make` makes, which then stays in the pool. `None`
    /// when `make` returns `None` or a value that is already in a pool: adding it twice would make the list a
    /// circle.
    pub fn acquire(&self, make: impl FnOnce() -> Option<&'static T>) -> Option<&'static T> {
        let take = |member: &&'static T| {
            let owned = &member.membership().owned;
            // Acquire: everything that the previous owner wrote comes before everything that this one writes.
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

    /// Releases a member for the next thread. The caller must own it, and must not use it afterwards.
    pub fn release(&self, member: &'static T) {
        member.membership().owned.store(FREE, Release);
    }

    /// Forgets all members. No other thread may acquire one at the same time.
    #[cfg(not(loom))]
    pub fn clear(&self) {
        self.0.clear();
    }

    /// All members, owned or free.
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
