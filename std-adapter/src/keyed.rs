//! A bounded table of what is known for each key. Keys that were not seen for the longest time make room for new ones.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Most keys.
pub(crate) const MOST: usize = 4096;
/// How many keys make room at once, so that looking for them is rare.
const SHARE: usize = MOST / 8;

#[derive(Debug)]
pub(crate) struct Keyed<K, T>(HashMap<K, Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    value: T,
    seen: u64,
}

impl<K, T> Default for Keyed<K, T> {
    fn default() -> Keyed<K, T> {
        Keyed(HashMap::new())
    }
}

impl<K: Hash + Eq, T: Default> Keyed<K, T> {
    /// The value of the key, seen at this time, and how many others had to go.
    pub(crate) fn at<Q>(&mut self, key: &Q, seen: u64) -> (&mut T, u64)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let gone = if self.0.contains_key(key) { 0 } else { self.make_room() };
        let entry = self.0.entry(key.to_owned()).or_insert_with(|| Entry { value: T::default(), seen });
        entry.seen = entry.seen.max(seen);
        (&mut entry.value, gone)
    }
}

impl<K: Hash + Eq, T> Keyed<K, T> {
    fn make_room(&mut self) -> u64 {
        if self.0.len() < MOST {
            return 0;
        }
        let mut times: Vec<u64> = self.0.values().map(|entry| entry.seen).collect();
        let (_, last, _) = times.select_nth_unstable(SHARE);
        let last = *last;
        let before = self.0.len();
        self.0.retain(|_, entry| entry.seen > last);
        (before - self.0.len()) as u64
    }

    #[cfg(feature = "observers")]
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&T>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<T>
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).map(|entry| entry.value)
    }

    /// Forgets the keys that were last seen before this time.
    pub(crate) fn forget_before(&mut self, time: u64) {
        self.0.retain(|_, entry| entry.seen >= time);
    }

    /// All keys, in any order.
    #[cfg(feature = "insights")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &T)> {
        self.0.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// All keys, in order.
    #[cfg(feature = "observers")]
    pub(crate) fn sorted(&self) -> Vec<(&K, &T, u64)>
    where
        K: Ord,
    {
        let mut all: Vec<_> = self.0.iter().map(|(key, entry)| (key, &entry.value, entry.seen)).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(b.0));
        all
    }

    #[cfg(feature = "observers")]
    pub(crate) fn put(&mut self, key: K, value: T, seen: u64) {
        self.make_room();
        self.0.insert(key, Entry { value, seen });
    }
}

#[cfg(all(test, feature = "observers"))]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded_and_keeps_what_came_last() {
        let mut table = Keyed::<String, u64>::default();
        let mut gone = 0;
        for n in 0..3 * MOST as u64 {
            let (value, more) = table.at(&n.to_string(), n);
            *value = n;
            gone += more;
            assert!(table.0.len() <= MOST);
        }
        assert_eq!(gone + table.0.len() as u64, 3 * MOST as u64);
        assert_eq!(table.get(&(3 * MOST - 1).to_string()), Some(&(3 * MOST as u64 - 1)));
        assert_eq!(table.get("0"), None);
        table.forget_before(3 * MOST as u64 - 1);
        assert_eq!(table.sorted().len(), 1);
        // Keys of one time make room too.
        let mut table = Keyed::<String, ()>::default();
        for n in 0..2 * MOST {
            table.at(&n.to_string(), 7);
            assert!(table.0.len() <= MOST);
        }
    }
}
