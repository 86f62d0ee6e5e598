//! Builds or checks the libraries for every target they support.

use anyhow::Result;

use crate::cli;
use crate::process::{Cmd, run_all};
use crate::setup::{self, BARE_METAL, HOSTED, Need};

const HELP: &str = "\
usage: cargo xtask targets

Builds `throughline` and `throughline-embedded` for the bare-metal targets, `throughline` for this kind of host,
and checks `throughline` for the other hosted targets, with and without `std`, and there `throughline-profile`. Installs missing
targets.
";

/// Runs `cargo xtask targets`.
///
/// # Errors
///
/// Fails if a target can't be installed or a library doesn't build for one.
pub fn run(args: lexopt::Parser) -> Result<()> {
    if cli::only_help(args, HELP)? {
        return Ok(());
    }
    check()
}

/// Builds or checks for every target.
///
/// # Errors
///
/// Like [`run`].
pub fn check() -> Result<()> {
    let needs: Vec<Need> = BARE_METAL.iter().chain(HOSTED).map(|target| Need::Target(target)).collect();
    setup::ensure(&needs)?;
    run_all(&commands())
}

fn commands() -> Vec<Cmd> {
    let mut commands = Vec::new();
    for target in BARE_METAL {
        // Build each package separately, so that a feature that one enables in a shared dependency does not
        // help the other.
        for package in ["throughline", "throughline-embedded"] {
            commands.push(Cmd::cargo().args(["build", "-p", package, "--target", target]));
        }
    }
    for target in HOSTED {
        // `cargo check` is enough, because there is no linker or system library for a foreign host.
        let verb = if target.starts_with("x86_64-unknown-linux") { "build" } else { "check" };
        let cmd = Cmd::cargo().args([verb, "-p", "throughline", "--target", target]);
        commands.push(cmd.clone());
        commands.push(cmd.args(["--features", "std"]));
        // Other systems than Linux have what the profiler asks the system.
        if !target.contains("linux") {
            commands.push(Cmd::cargo().args(["check", "-p", "throughline-profile", "--target", target]));
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_metal_is_never_built_with_std() {
        let shown: Vec<String> = commands().iter().map(ToString::to_string).collect();
        let without_linux = HOSTED.iter().filter(|target| !target.contains("linux")).count();
        assert_eq!(shown.len(), 2 * (BARE_METAL.len() + HOSTED.len()) + without_linux);
        assert!(shown.iter().all(|it| !(it.contains("-none-") && it.contains("std"))), "{shown:#?}");
        assert!(shown.contains(&"cargo build -p throughline-embedded --target thumbv6m-none-eabi".into()));
        assert!(
            shown.contains(
                &"cargo check -p throughline --target wasm32-unknown-unknown --features std".into()
            )
        );
    }
}
