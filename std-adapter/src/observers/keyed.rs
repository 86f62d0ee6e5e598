//! A bounded table of what is known for each key. Keys that were not seen for the longest time make room for new ones.

use std::collections::HashMap;

/// Most keys.
pub(super) const MOST: usize = 4096;
/// How many keys make room at once, so that looking for them is rare.
const SHARE: usize = MOST / 8;

#[derive(Debug)]
pub(super) struct Keyed<T>(HashMap<String, Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    value: T,
    seen: u64,
}

impl<T> Default for Keyed<T> {
    fn default() -> Keyed<T> {
        Keyed(HashMap::new())
    }
}

impl<T: Default> Keyed<T> {
    /// The value of the key, seen at this time, and how many others had to go.
    pub(super) fn at(&mut self, key: &str, seen: u64) -> (&mut T, u64) {
        let gone = if self.0.contains_key(key) { 0 } else { self.make_room() };
        let entry = self.0.entry(key.to_owned()).or_insert_with(|| Entry { value: T::default(), seen });
        entry.seen = entry.seen.max(seen);
        (&mut entry.value, gone)
    }
}

impl<T> Keyed<T> {
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

    pub(super) fn get(&self, key: &str) -> Option<&T> {
        self.0.get(key).map(|entry| &entry.value)
    }

    pub(super) fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// Forgets the keys that were last seen before this time.
    pub(super) fn forget_before(&mut self, time: u64) {
        self.0.retain(|_, entry| entry.seen >= time);
    }

    /// All keys, in order.
    pub(super) fn sorted(&self) -> Vec<(&str, &T, u64)> {
        let mut all: Vec<_> = self.0.iter().map(|(key, entry)| (&**key, &entry.value, entry.seen)).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(b.0));
        all
    }

    pub(super) fn put(&mut self, key: String, value: T, seen: u64) {
        self.make_room();
        self.0.insert(key, Entry { value, seen });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_bounded_and_keeps_what_came_last() {
        let mut table = Keyed::<u64>::default();
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
        let mut table = Keyed::<()>::default();
        for n in 0..2 * MOST {
            table.at(&n.to_string(), 7);
            assert!(table.0.len() <= MOST);
        }
    }
}
