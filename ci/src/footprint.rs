//! Flash and RAM size of the firmware examples.

use anyhow::{Result, bail};

use crate::cli;

const HELP: &str = "\
usage: cargo xtask footprint

Not built yet.
";

/// Runs `cargo xtask footprint`.
///
/// # Errors
///
/// Always: it is not built yet.
pub fn run(args: lexopt::Parser) -> Result<()> {
    if cli::only_help(args, HELP)? {
        return Ok(());
    }
    bail!("`cargo xtask footprint` is not built yet")
}
