//! Things that threads take, leave behind and take again: never two threads at a time, and each sees all that the one before it wrote.
//!
//! Taking walks over the list once and waits for nobody. The model checker's view is in `core/tests/loom_threads.rs`.

// Public to the model checker.
#![cfg_attr(not(loom), allow(unreachable_pub))]

use crate::list::{Iter, Link, Linked, List};
use crate::sync::{Acquire, AtomicWord, Relaxed, Release, const_unless_loom};

/// What a [`Pool`] keeps with each of its members.
#[derive(Debug)]
pub struct Place<T> {
    /// 1 while a thread has it; also before it is in the pool, as whoever made it has it.
    owned: AtomicWord,
    pub(super) link: Link<T>,
}

/// What can be in a [`Pool`], once.
pub trait Pooled: Linked {
    /// Its place.
    fn place(&self) -> &Place<Self>;
}

/// The pool.
#[derive(Debug)]
pub struct Pool<T>(List<T>);

impl<T> Place<T> {
    const_unless_loom! {
        /// Of what is in no pool yet.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Place<T> {
            Place { owned: AtomicWord::new(1), link: Link::new() }
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
    /// One that was left, or else the one that `make` makes, which then stays in the pool for ever.
    pub fn acquire(&self, make: impl FnOnce() -> Option<&'static T>) -> Option<&'static T> {
        let take = |member: &&'static T| {
            let owned = &member.place().owned;
            // Acquire: all that the last owner wrote comes before all that this one writes.
            owned.load(Relaxed) == 0 && owned.swap(1, Acquire) == 0
        };
        self.iter().find(take).or_else(|| {
            let made = make()?;
            self.0.push(made);
            Some(made)
        })
    }

    /// Leaves a member to the next thread. The caller must be the one that has it, and no longer use it.
    pub fn release(&self, member: &'static T) {
        member.place().owned.store(0, Release);
    }

    /// All of them, owned or not.
    pub fn iter(&self) -> Iter<T> {
        self.0.iter()
    }
}
