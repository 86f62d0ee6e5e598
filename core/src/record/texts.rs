//! The texts among a record's values, which a reader may replace before it passes the record on.

use super::Record;
use crate::Value;
use crate::fields::floor_char_boundary;
use crate::ring::{MAX_BODY, RawRecord, Word};
use core::ops::Range;

const WORD_BYTES: usize = size_of::<Word>();

/// Where a text is in its record, for [`replace_text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPlace {
    /// The word with its length; the text is in the words after it.
    header: usize,
    /// The words of the text.
    words: Range<usize>,
}

/// The texts among the values of a record, in order, each with its place. A record that no writer makes has none.
pub fn texts(raw: &RawRecord) -> impl Iterator<Item = (TextPlace, &str)> {
    let values = Record::parse(raw).and_then(|record| record.values());
    let body = raw.body.as_ptr().addr();
    values.into_iter().flatten().filter_map(move |value| {
        let (Value::Str { text, .. } | Value::Shown { text, .. }) = value else { return None };
        // What stands for a text that is none is not in the record.
        let at = text.as_ptr().addr().checked_sub(body)? / WORD_BYTES;
        let words = at..at + text.len().div_ceil(WORD_BYTES);
        let header = at.checked_sub(1).filter(|_| words.end <= raw.len)?;
        Some((TextPlace { header, words }, text))
    })
}

/// Puts another text in the place of one, and marks it as truncated if the record has no room for all of it. Places of texts that come
/// later in the record are no longer right afterwards, so several are replaced from the last to the first.
pub fn replace_text(raw: &mut RawRecord, place: &TextPlace, text: &str) {
    let TextPlace { header, words } = place;
    let room = (MAX_BODY - raw.len + words.len()) * WORD_BYTES;
    let kept = &text[..floor_char_boundary(text, room)];
    let end = words.start + kept.len().div_ceil(WORD_BYTES);
    raw.body.copy_within(words.end..raw.len, end);
    raw.len = raw.len - words.end + end;
    for (word, bytes) in raw.body[words.start..end].iter_mut().zip(kept.as_bytes().chunks(WORD_BYTES)) {
        let mut whole = [0; WORD_BYTES];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = Word::from_ne_bytes(whole);
    }
    let truncated = raw.body[*header] & 1 | Word::from(kept.len() < text.len());
    raw.body[*header] = kept.len() << 1 | truncated;
}
