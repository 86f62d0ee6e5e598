//! The texts among a record's values, which a reader may replace before it passes the record on.

use super::{Record, Values};
use crate::Value;
use crate::fields::{floor_char_boundary, types};
use crate::ring::{MAX_BODY, RawRecord, RecordKind, Word};
use core::ops::Range;

/// The bit of a type that texts, bytes and options have, and numbers do not.
const RARE: u64 = u64::MAX / 15 * 8;

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

/// Whether a text among the values of a span, an event or later fields may hold one of these ASCII characters. It may say yes where none
/// does, as for values that are options, and never says no where one does. Cost on a 64-bit machine: some 20 instructions for a record
/// with a text, and 15 for each 8 bytes of it.
#[inline(never)]
pub fn texts_may_hold<const N: usize>(raw: &RawRecord, characters: [u8; N]) -> bool {
    let first = match raw.head.kind() {
        RecordKind::Span => 5,
        RecordKind::SpanBusy => 6,
        RecordKind::Event | RecordKind::Fields => 3,
        // Only on a machine with 32 bits.
        RecordKind::SpanLong => return true,
        _ => return false,
    };
    let values = raw.body.get(first..raw.len).and_then(|words| Values::new(raw.head, words));
    values.is_some_and(|values| values.types & RARE != 0 && (Word::BITS != 64 || values.look_for(characters)))
}

impl Values<'_> {
    #[inline(always)]
    fn look_for<const N: usize>(self, characters: [u8; N]) -> bool {
        const ONES: u64 = u64::MAX / 0xff;
        let (mut types, mut words) = (self.types, self.words);
        while types & RARE != 0 {
            // Each value before it is a word.
            let before = (types & RARE).trailing_zeros() / 4;
            let code = (types >> (4 * before) & 15) as u8;
            types = types >> (4 * before) >> 4;
            let Some((first, rest)) = words.get(before as usize..).and_then(<[Word]>::split_first) else {
                return false;
            };
            if code == types::OPTION {
                return true;
            }
            let Some((text, after)) = rest.split_at_checked((first >> 1).div_ceil(WORD_BYTES)) else {
                return false;
            };
            words = after;
            if !matches!(code, types::STR | types::SHOWN) {
                continue;
            }
            for word in text {
                let mut found = 0;
                for character in characters {
                    // A byte of zero is one that is looked for. It has its highest bit set in what follows, and maybe one above it too.
                    let bytes = *word as u64 ^ (u64::from(character) * ONES);
                    found |= bytes.wrapping_sub(ONES) & !bytes;
                }
                if found & (ONES << 7) != 0 {
                    return true;
                }
            }
        }
        false
    }
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
