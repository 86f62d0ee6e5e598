//! The compiler's messages for mistakes in macro calls: `tests/ui/*.rs`, and the expected text beside each.
//! After changing a message, write the expected texts anew with `TRYBUILD=overwrite cargo test -p throughline
//! --test macros_ui`.

/// Runs only without features: the compiler lists the types that implement a trait, and features add some. It does
/// not depend on the target, so 64-bit hosts run it.
#[test]
#[cfg_attr(
    any(
        miri,
        target_pointer_width = "32",
        feature = "std",
        feature = "postcard",
        feature = "serde",
        feature = "defmt"
    ),
    ignore = "starts the compiler, on a crate without features"
)]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
