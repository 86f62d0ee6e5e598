//! The end-to-end demo: firmware in QEMU and a server, one trace.

use anyhow::{Result, bail};

use crate::cli;

const HELP: &str = "\
usage: cargo xtask demo

Not built yet.
";

/// Runs `cargo xtask demo`.
///
/// # Errors
///
/// Always: it is not built yet.
pub fn run(args: lexopt::Parser) -> Result<()> {
    if cli::only_help(args, HELP)? {
        return Ok(());
    }
    bail!("`cargo xtask demo` is not built yet")
}
