//! What the compiler says about macro calls that cannot be: `tests/ui/*.rs` and, beside each, the text. After a change of wording,
//! `TRYBUILD=overwrite cargo test -p throughline --test macros_ui` writes the texts anew.

/// Only without features: the compiler lists types that implement a trait, and features add some.
#[test]
#[cfg_attr(
    any(miri, feature = "std", feature = "postcard", feature = "serde", feature = "defmt"),
    ignore = "starts the compiler, on a crate without features"
)]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
