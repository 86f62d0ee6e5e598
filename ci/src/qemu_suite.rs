//! Firmware tests: boots the example firmware in QEMU and checks what comes out of it.

use anyhow::{Result, bail};

use crate::{cli, setup};

const HELP: &str = "\
usage: cargo xtask qemu

Boots the example firmware in QEMU and checks what it sends. Not built yet.
";

/// Runs `cargo xtask qemu`.
///
/// # Errors
///
/// Always: no firmware exists yet.
pub fn run(args: lexopt::Parser) -> Result<()> {
    if cli::only_help(args, HELP)? {
        return Ok(());
    }
    setup::ensure(&[setup::Need::Qemu, setup::Need::Target("thumbv6m-none-eabi")])?;
    setup::ensure(&[setup::Need::Target("thumbv7em-none-eabihf")])?;
    bail!("`cargo xtask qemu` is not built yet: boot firmware here with `crate::qemu::Qemu::boot`")
}
