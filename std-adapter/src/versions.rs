//! Reports a program with several versions of `throughline`, of which only one is recorded.

use throughline_export::diagnostics;

/// Prints a message on standard error if the program has several versions.
pub(crate) fn tell() {
    let ours = env!("CARGO_PKG_VERSION");
    let mut versions: Vec<&str> = throughline::adapter::versions().collect();
    if versions.len() < 2 {
        return;
    }
    versions.sort_unstable();
    diagnostics::tell(format_args!(
        "this program has {} versions of the crate `throughline` ({}); code that uses another version than {ours} records nothing. \
         `cargo tree --duplicates` shows which crates need which version; make them agree",
        versions.len(),
        versions.join(", "),
    ));
}
