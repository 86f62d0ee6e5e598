//! Installs what the checks need and the machine does not have. What is already there is not changed.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cli;
use crate::process::{Cmd, NIGHTLY, timed};

const HELP: &str = "\
usage: cargo xtask setup

Installs what the other commands need and the machine lacks:
  rustup targets     those of `cargo xtask targets`
  rustup components  llvm-tools; miri and rust-src on nightly
  Debian packages    linux-perf, prometheus, prometheus-alertmanager, prometheus-pushgateway, qemu-system-arm, qemu-system-misc, rsyslog,
                     rsyslog-gnutls, valgrind
  cargo packages     cargo-fuzz
and checks for Go, which it can't install. The other commands install what they need themselves; this one does
it all at once, for example while a container image is built.
";

/// Targets without an operating system. Libraries are built for all of them, and firmware is linked for the
/// first two.
pub const BARE_METAL: &[&str] =
    &["thumbv6m-none-eabi", "thumbv7em-none-eabihf", "riscv32imac-unknown-none-elf"];

/// Targets with an operating system, or another kind of host.
pub const HOSTED: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "wasm32-unknown-unknown",
];

/// Something that a check needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The standard library of a Rust target, for the workspace's toolchain.
    Target(&'static str),
    /// A component of the workspace's toolchain.
    Component(&'static str),
    /// The nightly toolchain with Miri and the standard library's source.
    Miri,
    /// The nightly toolchain.
    Nightly,
    /// `cargo fuzz`, and the nightly toolchain it runs on.
    CargoFuzz,
    /// `cargo mutants`.
    CargoMutants,
    /// `qemu-system-arm` and `qemu-system-riscv32`.
    Qemu,
    /// `valgrind`.
    Valgrind,
    /// `prometheus`, `promtool`, `prometheus-alertmanager` and `prometheus-pushgateway`.
    Prometheus,
    /// Python's `aiosmtpd`, a mail server.
    Aiosmtpd,
    /// `rsyslogd`, with its driver for TLS.
    Rsyslog,
    /// The Go tool chain.
    Go,
    /// `perf`, the kernel's profiler.
    Perf,
}

/// Runs `cargo xtask setup`.
///
/// # Errors
///
/// Fails if something can't be installed; the error names the command to run by hand.
pub fn run(args: lexopt::Parser) -> Result<()> {
    if cli::only_help(args, HELP)? {
        return Ok(());
    }
    let targets = BARE_METAL.iter().chain(HOSTED).map(|target| Need::Target(target));
    let others = [
        Need::Component("llvm-tools"),
        Need::Miri,
        Need::CargoFuzz,
        Need::Qemu,
        Need::Valgrind,
        Need::Prometheus,
        Need::Rsyslog,
        Need::Go,
        Need::Perf,
    ];
    for need in targets.chain(others) {
        let was_there = need.is_there()?;
        ensure(&[need])?;
        println!("{:<44} {}", need.label(), if was_there { "was there" } else { "installed" });
    }
    Ok(())
}

/// Installs the missing ones of `needs`. Prints nothing about the others.
///
/// # Errors
///
/// Fails if something can't be installed; the error names the command to run by hand.
pub fn ensure(needs: &[Need]) -> Result<()> {
    for need in needs {
        if need.is_there()? {
            continue;
        }
        timed(&format!("installing {}", need.label()), || need.install())?;
        if !need.is_there()? {
            bail!(
                "{} was installed without an error, yet is not found: is its folder on PATH?",
                need.label()
            );
        }
    }
    Ok(())
}

impl Need {
    fn label(self) -> String {
        match self {
            Self::Target(target) => format!("target {target}"),
            Self::Component(component) => format!("component {component}"),
            Self::Miri => format!("miri and rust-src of {NIGHTLY}"),
            Self::Nightly => NIGHTLY.into(),
            Self::CargoFuzz => "cargo-fuzz".into(),
            Self::CargoMutants => "cargo-mutants".into(),
            Self::Qemu => "qemu-system-arm, qemu-system-misc".into(),
            Self::Valgrind => "valgrind".into(),
            Self::Prometheus => "prometheus, prometheus-alertmanager, prometheus-pushgateway".into(),
            Self::Aiosmtpd => "aiosmtpd, for Python".into(),
            Self::Rsyslog => "rsyslog, rsyslog-gnutls".into(),
            Self::Go => "go".into(),
            Self::Perf => "linux-perf".into(),
        }
    }

    fn is_there(self) -> Result<bool> {
        Ok(match self {
            Self::Target(target) => lists(&installed("target", None)?, target),
            Self::Component(component) => lists(&installed("component", None)?, component),
            Self::Miri => {
                let components = nightly_components();
                lists(&components, "miri") && lists(&components, "rust-src")
            }
            Self::Nightly => !nightly_components().is_empty(),
            Self::CargoFuzz => !nightly_components().is_empty() && on_path("cargo-fuzz"),
            Self::CargoMutants => on_path("cargo-mutants"),
            Self::Qemu => on_path("qemu-system-arm") && on_path("qemu-system-riscv32"),
            Self::Valgrind => on_path("valgrind"),
            Self::Prometheus => {
                ["prometheus", "promtool", "prometheus-alertmanager", "prometheus-pushgateway"]
                    .into_iter()
                    .all(on_path)
            }
            Self::Aiosmtpd => Cmd::new("python3").args(["-c", "import aiosmtpd"]).succeeds(),
            Self::Rsyslog => on_path("rsyslogd") && has_library("rsyslog/lmnsd_gtls.so"),
            Self::Go => Cmd::new("go").arg("version").succeeds(),
            Self::Perf => on_path("perf"),
        })
    }

    fn install(self) -> Result<()> {
        match self {
            Self::Target(target) => Cmd::new("rustup").args(["target", "add", target]).run(),
            Self::Component(component) => Cmd::new("rustup").args(["component", "add", component]).run(),
            Self::Miri => {
                install_nightly()?;
                Cmd::new("rustup")
                    .args(["component", "add", "miri", "rust-src", "--toolchain", NIGHTLY])
                    .run()
            }
            Self::Nightly => install_nightly(),
            Self::CargoFuzz => {
                install_nightly()?;
                if on_path("cargo-fuzz") {
                    return Ok(());
                }
                Cmd::cargo().args(["install", "--locked", "cargo-fuzz"]).run()
            }
            Self::CargoMutants => Cmd::cargo().args(["install", "--locked", "cargo-mutants"]).run(),
            Self::Qemu => apt_install(&["qemu-system-arm", "qemu-system-misc"]),
            Self::Valgrind => apt_install(&["valgrind"]),
            Self::Prometheus => {
                apt_install(&["prometheus", "prometheus-alertmanager", "prometheus-pushgateway"])
            }
            Self::Aiosmtpd => Cmd::new("python3").args(["-m", "pip", "install", "aiosmtpd"]).run(),
            Self::Rsyslog => apt_install(&["rsyslog", "rsyslog-gnutls"]),
            Self::Perf => apt_install(&["linux-perf"]),
            Self::Go => {
                bail!("Go is missing: install 1.25 or later from https://go.dev/dl and put it on PATH")
            }
        }
    }
}

/// Adds the nightly toolchain only if there is none, because a newer nightly is no reason to replace one that
/// works.
fn install_nightly() -> Result<()> {
    if !nightly_components().is_empty() {
        return Ok(());
    }
    Cmd::new("rustup").args(["toolchain", "install", NIGHTLY, "--profile", "minimal"]).run()
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !on_path("apt-get") {
        bail!("no apt-get here: install what Debian calls {list} with this system's package manager");
    }
    if !is_root() {
        bail!("not root: run `sudo apt-get update && sudo apt-get install -y {list}`");
    }
    let apt = Cmd::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
    // With old lists, a package may resolve to a version that the mirror has removed.
    apt.clone().args(["update", "-q"]).run()?;
    apt.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages.iter().copied()).run()
}

/// The list of installed parts from `rustup target list` or `rustup component list`.
fn installed(kind: &str, toolchain: Option<&str>) -> Result<String> {
    let mut cmd = Cmd::new("rustup").args([kind, "list", "--installed"]);
    if let Some(toolchain) = toolchain {
        cmd = cmd.args(["--toolchain", toolchain]);
    }
    cmd.output().context("the checks need rustup: install it from https://rustup.rs")
}

/// The components of nightly; empty if there is no such toolchain.
fn nightly_components() -> String {
    installed("component", Some(NIGHTLY)).unwrap_or_default()
}

/// Whether a line of rustup's list is `name`, alone or followed by its host.
fn lists(list: &str, name: &str) -> bool {
    list.lines()
        .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
}

fn on_path(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path).any(|dir| dir.join(&file).is_file())
}

/// Whether the file is in a folder of the system's libraries, such as `/usr/lib/x86_64-linux-gnu`.
fn has_library(file: &str) -> bool {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    folders.chain(["/usr/lib".into(), "/usr/lib64".into()]).any(|folder| folder.join(file).is_file())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustup_lists_are_read_by_whole_names() {
        let list = "miri-x86_64-unknown-linux-gnu\nrust-src\nrust-std-x86_64-unknown-linux-gnu\n";
        assert!(lists(list, "miri"));
        assert!(lists(list, "rust-src"));
        assert!(!lists(list, "rust-analyzer"));
        assert!(!lists(list, "mir"));
        assert!(!lists("", "miri"));
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(on_path("cargo"));
        assert!(!on_path("no-such-program-at-all"));
    }
}
