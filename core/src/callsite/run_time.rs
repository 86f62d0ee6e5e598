//! Callsites that are described at run time, for bridges from other APIs. They live as long as the process;
//! equal descriptions have one callsite.

extern crate std;

use super::{Callsite, HEADER, MAX_FIELDS, Meta};
use crate::interned::Interned;
use std::vec::Vec;

/// The most callsites that can be made at run time.
pub const MOST_CALLSITES: usize = 4096;
/// The most bytes of each text of a description, so that a callsite's memory is bounded too.
const MOST_TEXT: usize = 512;

static CALLSITES: Interned<Callsite> = Interned::new(MOST_CALLSITES);

/// The callsite with this description, which is made if there is none yet. Texts are cut to 512 bytes, and
/// fields and labels beyond the 15th are left out. `None` when there are [`MOST_CALLSITES`] already.
///
/// Cost: to find one, encoding the description and a look-up of its hash; making one allocates what its texts take, for the life of the process.
pub fn callsite(meta: &Meta<'_>) -> Option<&'static Callsite> {
    CALLSITES.get_or_make(&blob(meta), |blob| Callsite::new(blob, meta.level))
}

/// How often there was no room for a callsite.
pub(crate) fn refused() -> usize {
    CALLSITES.refused()
}

/// Encodes a description, whose texts may come from anywhere.
pub(crate) fn blob(meta: &Meta<'_>) -> Vec<u8> {
    let fields: Vec<&str> = meta.fields.iter().take(MAX_FIELDS).map(|text| cut(text)).collect();
    let labels: Vec<(&str, &str)> =
        meta.labels.iter().take(MAX_FIELDS).map(|(key, value)| (cut(key), cut(value))).collect();
    let meta = Meta {
        name: cut(meta.name),
        target: cut(meta.target),
        package: cut(meta.package),
        version: cut(meta.version),
        file: cut(meta.file),
        unit: cut(meta.unit),
        description: cut(meta.description),
        fields: &fields,
        labels: &labels,
        ..*meta
    };
    let mut blob = std::vec![0; meta.encoded_len()];
    meta.write(&mut blob);
    blob
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_TEXT)]
}

// The longest blob must be shorter than 64 KiB.
const _: () = assert!(HEADER + (7 + 3 * MAX_FIELDS) * (2 + MOST_TEXT) < u16::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callsite::{Blob, Kind};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 3 } else { 64 }, ..ProptestConfig::default() })]

        #[test]
        fn any_description_becomes_a_blob_that_holds_it(
            texts in prop::collection::vec("\\PC{0,12}", 7),
            long in 0..600usize,
            names in prop::collection::vec("\\PC{0,6}", 0..20),
            labels in prop::collection::vec(("\\PC{0,6}", "\\PC{0,6}"), 0..20),
            level in 1..=5u8,
            line: u32,
        ) {
            let name = texts[0].repeat(long);
            let fields: Vec<&str> = names.iter().map(|name| &**name).collect();
            let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (&**k, &**v)).collect();
            let meta = Meta {
                kind: Kind::Event,
                level,
                name: &name,
                target: &texts[1],
                package: &texts[2],
                version: &texts[3],
                file: &texts[4],
                unit: &texts[5],
                description: &texts[6],
                line,
                fields: &fields,
                labels: &labels,
                ..Meta::EMPTY
            };
            let bytes = blob(&meta);
            let read = Blob::parse(&bytes).expect("a blob");
            prop_assert_eq!(read.len, bytes.len());
            prop_assert!(name.starts_with(read.name) && (read.name.len() == name.len() || read.name.len() > MOST_TEXT - 4));
            prop_assert_eq!((read.target, read.package, read.version), (&*texts[1], &*texts[2], &*texts[3]));
            prop_assert_eq!((read.file, read.unit, read.description), (&*texts[4], &*texts[5], &*texts[6]));
            prop_assert_eq!((read.line, read.level.map(|level| level as u8)), (line, Some(level)));
            prop_assert!(read.fields().eq(fields.iter().copied().take(MAX_FIELDS)));
            prop_assert!(read.labels().eq(labels.iter().copied().take(MAX_FIELDS)));
        }
    }
}
