//! defmt and throughline over RTT: with one control block both arrive. With two, the program does not link,
//! and the linker says what to do.

use std::io::Read;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::firmware::{Balance, Capture, Tool};
use crate::qemu::{Machine, Options, Qemu};
use crate::workspace;

const MACHINE: Machine = Machine::Mps2An386;

pub(super) fn defmt_shares_the_control_block_or_does_not_link_34(tool: &Tool) -> Result<String> {
    for profile in ["dev", "release"] {
        let output = build("two-blocks", profile)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!output.status.success(), "two control blocks link in profile {profile}");
        ensure!(
            said.contains("Share one: let rtt-target define two channels"),
            "the linker does not say what to do: {said}"
        );
    }
    let output = build("shared", "release")?;
    ensure!(output.status.success(), "one block does not link: {}", String::from_utf8_lossy(&output.stderr));

    let elf = target_dir().join(MACHINE.target()).join("release/shared");
    let limit = Duration::from_secs(60);
    let options = Options { count_instructions: true, hold: true, limit, ..Options::default() };
    let mut qemu = Qemu::boot(MACHINE, &elf, &options)?;
    let (mut defmt, mut ours) = (qemu.rtt(0)?, qemu.rtt(1)?);
    qemu.resume()?;
    // The program ends when the second channel is empty, so read the first one before.
    let mut first = [0; 256];
    let count = defmt.read(&mut first)?;
    ensure!(count > 0, "nothing came from defmt");
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes)?;
    let capture = Capture { elf, bytes, outcome: qemu.wait()? };
    let balance = Balance::of(&tool.json(&capture)?)?;
    ensure!(balance.decoded == 5 && balance.emitted == 5, "not all of 5 events arrived: {balance:?}");
    Ok("two blocks do not link; one serves both".to_owned())
}

fn target_dir() -> std::path::PathBuf {
    workspace::target_dir().join("rtt")
}

/// Builds the firmware with this feature, which chooses its binary.
fn build(feature: &str, profile: &str) -> Result<Output> {
    Command::new("cargo")
        .args(["build", "--profile", profile, "--features", feature, "--target", MACHINE.target()])
        .current_dir(workspace::root().join("ci/rtt"))
        .env("CARGO_TARGET_DIR", target_dir())
        .output()
        .context("can't start cargo")
}
