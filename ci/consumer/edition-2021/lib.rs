//! The same expansions in a crate of edition 2021.

#![forbid(unsafe_code)]

#[path = "../src/expansions/mod.rs"]
pub mod expansions;

/// The test of this file is that it compiles; one call shows that it was linked.
#[test]
fn expands_in_edition_2021() {
    assert_eq!(expansions::functions::alias(3), 3);
}
