//! A callsite contains the package in which it was compiled. Blobs from before this was added still parse.

#![cfg(not(loom))]

use throughline::adapter::callsite::{Blob, Kind, Meta};

const META: Meta = Meta {
    kind: Kind::Event,
    level: 3,
    name: "m",
    target: "a::b",
    file: "f.rs",
    line: 7,
    fields: &["x"],
    ..Meta::EMPTY
}
.in_package(Some("pkg-a"), Some("1.2.3"));

#[test]
fn a_blob_ends_with_its_package_45() {
    const BYTES: [u8; META.encoded_len()] = META.blob();
    let blob = Blob::parse(&BYTES).unwrap();
    assert_eq!((blob.package, blob.version, blob.len), ("pkg-a", "1.2.3", BYTES.len()));
    assert_eq!(blob.fields().collect::<Vec<_>>(), ["x"]);
    for cut in 0..BYTES.len() {
        assert_eq!(Blob::parse(&BYTES[..cut]), None);
    }
}

#[test]
fn without_cargo_nothing_is_filled_in() {
    const BARE: Meta = META.in_package(None, None);
    const BYTES: [u8; BARE.encoded_len()] = BARE.blob();
    assert_eq!(BYTES, META.blob::<{ BARE.encoded_len() }>(), "what is there stays");
}

#[test]
fn a_blob_of_format_1_has_no_package() {
    const BYTES: [u8; META.encoded_len()] = META.blob();
    let mut old = BYTES[..BYTES.len() - 2 - "pkg-a".len() - 2 - "1.2.3".len()].to_vec();
    old[0] = 0xA1;
    old[4] = old.len() as u8;
    let blob = Blob::parse(&old).unwrap();
    assert_eq!((blob.name, blob.package, blob.version, blob.len), ("m", "", "", old.len()));
    assert_eq!(blob.fields().collect::<Vec<_>>(), ["x"]);
}
