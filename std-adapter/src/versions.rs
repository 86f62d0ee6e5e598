//! Says when a program has several versions of `throughline`, of which only one is recorded.

use std::io::Write;

/// Says so on standard error, if it is so.
pub(crate) fn tell() {
    let ours = env!("CARGO_PKG_VERSION");
    let mut versions: Vec<&str> = throughline::adapter::versions().collect();
    if versions.len() < 2 {
        return;
    }
    versions.sort_unstable();
    let _ = writeln!(
        std::io::stderr(),
        "throughline: this program has {} versions of the crate `throughline` ({}); what uses another than {ours} records nothing. \
         `cargo tree --duplicates` shows which crates ask for which; make them agree",
        versions.len(),
        versions.join(", "),
    );
}
