//! A table of values that are made at run time and never dropped, one for each blob. Callsites and metrics of
//! bridges are in such tables.
//!
//! Looking up and adding are lock-free, so they may be done anywhere, also in a child right after `fork`. The
//! number of values is limited; what finds no room is counted. The model is in `core/tests/loom_callsites.rs`.

// The model checker needs these items public.
#![cfg_attr(not(loom), allow(unreachable_pub))]

extern crate std;

use crate::list::{Link, Linked, List};
use crate::sync::{AtomicWord, Relaxed, add_up_to, const_unless_loom};
use core::hash::{Hash, Hasher};
use std::boxed::Box;

/// The number of lists that the values are spread over.
const BUCKETS: usize = if cfg!(loom) { 1 } else { 256 };

/// A table of at most a given number of values.
#[derive(Debug)]
pub struct Interned<T: 'static> {
    buckets: [List<Member<T>>; BUCKETS],
    made: AtomicWord,
    most: usize,
    refused: AtomicWord,
}

/// A value and the blob that it was made for.
#[derive(Debug)]
struct Member<T: 'static> {
    hash: u64,
    blob: &'static [u8],
    value: T,
    link: Link<Member<T>>,
}

impl<T: Sync> Linked for Member<T> {
    fn link(&self) -> &Link<Member<T>> {
        &self.link
    }
}

impl<T> Interned<T> {
    const_unless_loom! {
        /// An empty table for at most this many values.
        pub fn new(most: usize) -> Interned<T> {
            Interned {
                buckets: no_members(),
                made: AtomicWord::new(0),
                most,
                refused: AtomicWord::new(0),
            }
        }
    }
}

#[cfg(not(loom))]
const fn no_members<T>() -> [List<Member<T>>; BUCKETS] {
    [const { List::new() }; BUCKETS]
}

#[cfg(loom)]
fn no_members<T>() -> [List<Member<T>>; BUCKETS] {
    core::array::from_fn(|_| List::new())
}

impl<T: Sync> Interned<T> {
    /// The value of this blob, made by `make` if there is none yet. `None` when the table is full, which is
    /// counted. All callers with equal blobs get the same value. When the last place is taken, a value that other
    /// threads are making at this moment may be refused too; the next call finds it.
    ///
    /// Cost: a hash of the blob and a walk over a list of a 256th of the table.
    pub fn get_or_make(&self, blob: &[u8], make: impl FnOnce(&'static [u8]) -> T) -> Option<&'static T> {
        let hash = hash(blob);
        let bucket = &self.buckets[hash as usize % BUCKETS];
        let is_same = |member: &Member<T>| member.hash == hash && member.blob == blob;
        if let Some(there) = bucket.iter().find(|member| is_same(member)) {
            return Some(&there.value);
        }
        if add_up_to(&self.made, 1, self.most).is_none() {
            self.refused.fetch_add(1, Relaxed);
            return None;
        }
        let blob: &'static [u8] = Box::leak(Box::<[u8]>::from(blob));
        let own = Box::leak(Box::new(Member { hash, blob, value: make(blob), link: Link::new() }));
        let there = bucket.find_or_append(own, is_same);
        if !core::ptr::eq(there, own) {
            // Another thread has made the value at the same time. The one made here stays unused: it is never freed,
            // because `make` may have kept a reference to it. Its place in the count is given back.
            self.made.fetch_sub(1, Relaxed);
        }
        Some(&there.value)
    }

    /// How often the table was full.
    pub fn refused(&self) -> usize {
        self.refused.load(Relaxed)
    }
}

/// The blob's hash, without a key: the table is bounded, so its lists cannot be made long on purpose.
fn hash(blob: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    blob.hash(&mut hasher);
    hasher.finish()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn equal_blobs_have_one_value_and_the_table_ends_where_it_should() {
        static TABLE: Interned<usize> = Interned::new(300);
        let blobs: Vec<[u8; 2]> = (0..300u16).map(u16::to_le_bytes).collect();
        let made: Vec<&usize> =
            blobs.iter().enumerate().map(|(i, blob)| TABLE.get_or_make(blob, |_| i).unwrap()).collect();
        assert!(TABLE.get_or_make(b"one more", |_| 0).is_none());
        assert!(TABLE.get_or_make(b"another", |_| 0).is_none());
        assert_eq!(TABLE.refused(), 2);
        for (i, blob) in blobs.iter().enumerate() {
            let again = TABLE.get_or_make(blob, |_| usize::MAX).unwrap();
            assert!(core::ptr::eq(again, made[i]) && *again == i);
        }
    }

    #[test]
    fn threads_that_make_the_same_value_at_the_same_time_get_one() {
        static TABLE: Interned<usize> = Interned::new(64);
        let all: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let work = |thread: usize| {
                move || (0..8u8).map(|i| *TABLE.get_or_make(&[i], |_| thread).unwrap()).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(work(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
        assert_eq!(TABLE.made.load(Relaxed), 8);
    }
}
