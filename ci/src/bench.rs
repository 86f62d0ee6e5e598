//! Benchmarks against peers and limits, into the tables in `benches/`.

use anyhow::{Result, bail};

use crate::cli;

const HELP: &str = "\
usage: cargo xtask bench

Not built yet.
";

/// Runs `cargo xtask bench`.
///
/// # Errors
///
/// Always: it is not built yet.
pub fn run(args: lexopt::Parser) -> Result<()> {
    if cli::only_help(args, HELP)? {
        return Ok(());
    }
    bail!("`cargo xtask bench` is not built yet")
}
