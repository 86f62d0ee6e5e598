//! Which points are of one series, and the order of series: by name, unit, labels and kind.

use std::ops::Range;

/// The identities of some points. Each is written out as one string of bytes, because comparing two of those takes
/// one call where comparing labels one by one takes ten.
#[derive(Debug, Default)]
pub(super) struct Identities {
    bytes: Vec<u8>,
    /// Where each is among the bytes, and its number.
    places: Vec<(Range<usize>, usize)>,
}

impl Identities {
    /// Adds the next one. The order of its labels does not matter; they are sorted.
    pub(super) fn push(&mut self, name: &str, unit: &str, labels: &mut [(&str, &str)], kind: u8) {
        let begin = self.bytes.len();
        labels.sort_unstable();
        self.put(name);
        self.put(unit);
        for (key, value) in labels {
            self.put(key);
            self.put(value);
        }
        self.bytes.push(kind);
        self.places.push((begin..self.bytes.len(), self.places.len()));
    }

    /// The numbers of all in order, each with whether it differs from the one before. Equal ones stay in the order in
    /// which they were added.
    pub(super) fn order(&mut self) -> Vec<(usize, bool)> {
        let Identities { bytes, places } = self;
        let of = |(range, _): &(Range<usize>, usize)| &bytes[range.clone()];
        places.sort_by(|a, b| of(a).cmp(of(b)));
        let is_first = |at: usize| at == 0 || of(&places[at - 1]) != of(&places[at]);
        places.iter().enumerate().map(|(at, (_, number))| (*number, is_first(at))).collect()
    }

    /// Forgets all but the first of equal ones, once they are in [order](Self::order).
    pub(super) fn dedup(&mut self) {
        let Identities { bytes, places } = self;
        places.dedup_by(|(later, _), (first, _)| bytes[later.clone()] == bytes[first.clone()]);
    }

    /// The place of the only identity in `other` among these, which are in order: where it is, or where it would be.
    pub(super) fn find(&self, other: &Identities) -> Result<usize, usize> {
        self.places.binary_search_by(|(range, _)| self.bytes[range.clone()].cmp(&other.bytes[..]))
    }

    /// Removes all.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }

    /// Appends a text and a zero byte. Bytes 0 and 1 in the text are written as two, so that different lists of texts
    /// never give the same bytes, and the order of the bytes is the order of the texts.
    fn put(&mut self, text: &str) {
        if text.bytes().all(|b| b > 1) {
            self.bytes.extend_from_slice(text.as_bytes());
        } else {
            text.bytes().for_each(|b| if b > 1 { self.bytes.push(b) } else { self.bytes.extend([1, b + 1]) });
        }
        self.bytes.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_low_bytes_are_told_apart_and_ordered() {
        let bytes = |texts: &[&str]| {
            let mut out = Identities::default();
            texts.iter().for_each(|text| out.put(text));
            out.bytes
        };
        let lists: [&[&str]; 8] =
            [&["", "b"], &["\0", "b"], &["\0\0"], &["\x01", "b"], &["\x02"], &["a", "b"], &["a\0b"], &["ab"]];
        for (i, list) in lists.iter().enumerate() {
            for (j, other) in lists.iter().enumerate() {
                assert_eq!(bytes(list).cmp(&bytes(other)), list.cmp(other), "{i} {j}");
            }
        }
    }

    #[test]
    fn equal_ones_stay_in_their_order_whatever_the_order_of_labels() {
        let mut all = Identities::default();
        all.push("b", "", &mut [], 0);
        all.push("a", "s", &mut [("k", "1"), ("j", "2")], 0);
        all.push("a", "s", &mut [("j", "2"), ("k", "1")], 0);
        all.push("a", "s", &mut [("j", "2"), ("k", "1")], 1);
        all.push("a", "", &mut [("j", "2")], 0);
        assert_eq!(all.order(), [(4, true), (1, true), (2, false), (3, true), (0, true)]);
    }
}
