//! Fields whose number and types are known only at run time.

use super::{Field, FieldWriter, MAX_FIELD_WORDS, WORDS_64, types};
use crate::callsite::MAX_FIELDS;
use crate::ring::{HEAD_TYPES, TYPES_IN_BODY, Word};

/// The values of a record's fields, in the order of the names in its callsite. For bridges, which learn the
/// types of values only at run time; the macros know them at compile time and need no list.
///
/// The list has room for the fields of one record: at most 15, and 400 bytes (190 on a 32-bit machine). A
/// text that does not fit is cut and marked, so that every field that is still expected gets a place. It is
/// on the stack and allocates nothing.
///
/// ```
/// use throughline::adapter::bridge::FieldList;
/// let mut fields = FieldList::expecting(2);
/// fields.push(&42);
/// fields.push("text");
/// assert_eq!(fields.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct FieldList {
    /// The number of values that are still to come.
    expected: usize,
    count: usize,
    types: u64,
    /// The end of the values in `words`.
    at: usize,
    /// The first [`WORDS_64`] words are for the types, if the record's head cannot hold them.
    words: [Word; MAX_FIELD_WORDS],
}

impl FieldList {
    /// An empty list to which at most `fields` values will be added.
    pub fn expecting(fields: usize) -> FieldList {
        let expected = fields.min(MAX_FIELDS);
        FieldList { expected, count: 0, types: 0, at: WORDS_64, words: [0; MAX_FIELD_WORDS] }
    }

    /// The number of values, those that are absent included.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a value. Beyond 15 values it does nothing and returns false. A value that needs more room than
    /// is left is recorded as absent.
    pub fn push<F: Field + ?Sized>(&mut self, value: &F) -> bool {
        if self.count == MAX_FIELDS {
            return false;
        }
        self.expected = self.expected.saturating_sub(1);
        // Each value that is still to come needs at least a word.
        let fits = self.at + F::WORDS + self.expected <= self.words.len();
        let FieldList { expected, at, .. } = *self;
        let mut out = FieldWriter { words: &mut self.words, at, reserved: expected, texts: expected };
        let code = if fits {
            value.write(&mut out);
            F::TYPE
        } else {
            super::Empty.write(&mut out);
            types::OPTION
        };
        self.at = out.at;
        self.types |= u64::from(code) << (4 * self.count);
        self.count += 1;
        true
    }

    /// Appends absent values until the next value is the one with this index.
    pub fn skip_to(&mut self, index: usize) {
        while self.count < index.min(MAX_FIELDS) {
            self.push(&super::Empty);
        }
    }

    /// The types for the record's head, and the words that follow the record's own.
    pub fn encoded(&mut self) -> (u32, &[Word]) {
        if self.count <= HEAD_TYPES {
            return (self.types as u32, &self.words[WORDS_64..self.at]);
        }
        for i in 0..WORDS_64 {
            self.words[i] = (self.types >> (i as u32 * Word::BITS % 64)) as Word;
        }
        (TYPES_IN_BODY, &self.words[..self.at])
    }
}
