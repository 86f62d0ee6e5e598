//! The checks in the order in which they start. Quick ones come first, so that a simple mistake shows within a
//! minute, and the long ones with a build folder of their own early, because they run beside others. The everyday suite
//! has 25 minutes of two cores; what it has no time for runs on request.

use anyhow::Result;

use super::Folder::{Own, Shared};
use super::miri::miri;
use super::{Done, Step, features};
use crate::process::{Cmd, run_all};
use crate::setup::{self, Need};
use crate::{api, consumer, targets, workspace};

/// Every step of `cargo xtask test`.
pub const STEPS: &[Step] = &[
    Step { name: "fmt", about: "formatting", folder: Own, run: fmt },
    Step {
        name: "clippy",
        about: "lints, as errors, of firmware and of servers without features; `unit` has all others",
        folder: Shared,
        run: clippy,
    },
    Step {
        name: "api",
        about: "the crates' public items, against the committed listings",
        folder: Own,
        run: public_items,
    },
    Step {
        name: "unit",
        about: "unit, property and documentation tests of every package, and lints",
        folder: Shared,
        run: unit,
    },
    Step {
        name: "miri",
        about: "undefined behaviour of what is shared, on a 64-bit layout",
        folder: Own,
        run: miri,
    },
    Step {
        name: "consumer",
        about: "every macro under none of the features and all of them",
        folder: Own,
        run: none_and_all,
    },
    Step { name: "docs", about: "documentation without dead links", folder: Shared, run: docs },
    Step {
        name: "unit-32",
        about: "tests with 32-bit words: of the device's half, and of signal handlers",
        folder: Shared,
        run: unit_32,
    },
    Step {
        name: "bench-smoke",
        about: "every bench of Throughline itself, a few operations each",
        folder: Shared,
        run: bench_smoke,
    },
    Step {
        name: "features",
        about: "the core with all of its features and with none, errors of a small build",
        folder: Shared,
        run: features,
    },
    Step { name: "loom", about: "every protocol under every interleaving", folder: Own, run: loom },
    Step {
        name: "instructions",
        about: "instructions and bytes of each path, against committed baselines and budgets",
        folder: Own,
        run: exact,
    },
    Step { name: "qemu", about: "firmware in QEMU", folder: Own, run: qemu },
    Step { name: "collector", about: "OTLP against a real Collector", folder: Shared, run: collector },
    Step {
        name: "targets",
        about: "the libraries on every supported target",
        folder: Shared,
        run: all_targets,
    },
    Step { name: "logs", about: "syslog messages to a real rsyslog", folder: Shared, run: logs },
    Step {
        name: "prometheus",
        about: "scrapes by a real Prometheus, pushes to a real Pushgateway",
        folder: Shared,
        run: prometheus,
    },
    Step {
        name: "dashboards",
        about: "every panel of the dashboards with data of a service under load; rules, configurations",
        folder: Shared,
        run: dashboards,
    },
    Step {
        name: "alertmanager",
        about: "alerts to a real Alertmanager, and rules for promtool",
        folder: Shared,
        run: alertmanager,
    },
    Step { name: "pprof", about: "profiles read by Go's pprof", folder: Shared, run: pprof },
];

/// Workspaces of firmware, which commands for the root workspace do not include.
const FIRMWARE: &[&str] = &["examples/firmware", "benches/firmware", "ci/rtt"];

/// The `--test` targets that are written for loom; the last is the profiler's, the others are the core's.
const LOOM_TESTS: &[&str] = &["loom_ring", "loom_series", "loom_threads", "loom_callsites", "loom_rings"];

fn fmt() -> Result<Done> {
    let others = [FIRMWARE, &["std-adapter/decode/fuzz"]].concat();
    let check = || Cmd::cargo().args(["fmt", "--all", "--check"]);
    let mut commands = vec![check()];
    commands.extend(
        others.iter().map(|folder| check().arg("--manifest-path").arg(format!("{folder}/Cargo.toml"))),
    );
    all(&commands)
}

fn clippy() -> Result<Done> {
    let servers = ["clippy", "-p", "throughline-std", "-p", "throughline-export", "--", "-D", "warnings"];
    // What optional features need must not be left over without them.
    let mut commands = vec![Cmd::cargo().args(servers)];
    setup::ensure(&[Need::Target("thumbv7em-none-eabihf")])?;
    commands.extend(FIRMWARE.iter().map(|folder| {
        // The lints run on release builds, like the firmware. They have their own build folder, because these
        // are separate workspaces.
        Cmd::cargo()
            .args(["clippy", "--release", "--bins", "--target", "thumbv7em-none-eabihf", "--manifest-path"])
            .arg(format!("{folder}/Cargo.toml"))
            .args(["--", "-D", "warnings"])
            .env("CARGO_TARGET_DIR", workspace::target_dir().join("firmware-lints"))
    }));
    all(&commands)
}

fn docs() -> Result<Done> {
    let libraries = [
        "throughline",
        "throughline-macros",
        "throughline-embedded",
        "throughline-std",
        "throughline-export",
        "throughline-decode",
        "throughline-profile",
    ];
    all(&[Cmd::cargo()
        .args(["doc", "--no-deps"])
        .args(libraries.iter().flat_map(|package| ["-p", package]))
        .args(["--features", &features::all()])
        .env("RUSTDOCFLAGS", "-D warnings")])
}

fn public_items() -> Result<Done> {
    api::check()?;
    Ok(Done::Passed)
}

fn unit() -> Result<Done> {
    all(&[workspace_tests(&[])])
}

/// Tests of the workspace with [`features::all`]. Every step uses the same command, so that only the first one builds.
pub(crate) fn workspace_tests(args: &[&str]) -> Cmd {
    // Tests of the host tool want to know it.
    workspace(Cmd::cargo_test()).args(args.iter().copied()).env("XTASK_ALL_FEATURES", "1")
}

/// Has a command of cargo build the workspace with [`features::all`] by Clippy's compiler, with lints as errors. `cargo clippy`
/// would analyse all dependencies a second time, without using what the tests build: 207 s of CPU, and not 21. What Clippy's
/// compiler builds is kept apart from what `cargo test` builds.
fn workspace(cmd: Cmd) -> Cmd {
    cmd.args(["--config", "build.rustc-workspace-wrapper=\"clippy-driver\""])
        .args(["--workspace", "--features", &features::all()])
        // As `cargo clippy -- -D warnings` does.
        .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
}

/// A build of these programs that shares what [`workspace_tests`] builds. The example is there because only with a target of
/// that kind does cargo give dependencies the features that they have in tests.
pub(crate) fn workspace_build(programs: &[&str]) -> Cmd {
    workspace(Cmd::cargo().arg("build"))
        .args(["--example", "aborting"])
        .args(programs.iter().flat_map(|program| ["--bin", program]))
}

/// Runs natively, linked with what rustup installs, because the property tests take minutes under Miri.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn unit_32() -> Result<Done> {
    setup::ensure(&[Need::Target(WORDS_32)])?;
    all(&[
        words_32(&["-p", "throughline", "-p", "throughline-embedded", "--tests"]),
        // A run of its own, because it turns on the core's feature `std`, which devices do not have.
        words_32(&["-p", "throughline", "--features", "std", "--test", "signals"]),
    ])
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) const WORDS_32: &str = "i686-unknown-linux-musl";

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) fn words_32(packages: &[&str]) -> Cmd {
    Cmd::cargo_test()
        .args(["--target", WORDS_32])
        .args(packages.iter().copied())
        .env("CARGO_TARGET_I686_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")
        .env(
            "CARGO_TARGET_I686_UNKNOWN_LINUX_MUSL_RUSTFLAGS",
            "-Clink-self-contained=yes -Clinker-flavor=ld.lld",
        )
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(super) fn unit_32() -> Result<Done> {
    anyhow::bail!("32-bit programs run on x86-64 Linux: run this step there")
}

fn bench_smoke() -> Result<Done> {
    // Without the argument `--bench`, the benchmark measures nothing and only checks that each subject does
    // its work.
    all(&[workspace(Cmd::cargo().arg("test")).args(["--bench", "compare"])])
}

fn features() -> Result<Done> {
    let core = Cmd::cargo_test().args(["-p", "throughline"]);
    // The texts of errors, some of which name features that are not built in.
    let errors = ["-p", "throughline-std", "--features", "yaml", "--lib", "table_tests::errors"];
    all(&[
        core.clone().arg("--all-features"),
        core.arg("--no-default-features"),
        Cmd::cargo_test().args(errors),
    ])
}

fn none_and_all() -> Result<Done> {
    consumer::check_ends()?;
    Ok(Done::Passed)
}

fn all_targets() -> Result<Done> {
    targets::check()?;
    Ok(Done::Passed)
}

fn loom() -> Result<Done> {
    // What runs thousands of times is optimised, and nothing else. In its own build folder, because the flag
    // would rebuild every dependency in the shared one.
    let optimised =
        ["loom", "generator", "throughline"].map(|it| format!("profile.dev.package.{it}.opt-level=3"));
    let mut cmd = Cmd::cargo_test()
        .args(["-p", "throughline", "-p", "throughline-profile"])
        .args(optimised.iter().flat_map(|it| ["--config", it.as_str()]))
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", workspace::target_dir().join("loom"));
    for test in LOOM_TESTS {
        cmd = cmd.args(["--test", test]);
    }
    all(&[cmd])
}

#[cfg(unix)]
fn qemu() -> Result<Done> {
    crate::qemu_suite::run(lexopt::Parser::from_args(std::iter::empty::<&str>()))?;
    Ok(Done::Passed)
}

#[cfg(not(unix))]
fn qemu() -> Result<Done> {
    anyhow::bail!("QEMU is driven over Unix sockets: run this step on Linux or macOS")
}

#[cfg(unix)]
fn exact() -> Result<Done> {
    crate::instructions::run(lexopt::Parser::from_args(std::iter::empty::<&str>()))?;
    Ok(Done::Passed)
}

#[cfg(not(unix))]
fn exact() -> Result<Done> {
    anyhow::bail!("QEMU is driven over Unix sockets: run this step on Linux or macOS")
}

#[cfg(unix)]
fn collector() -> Result<Done> {
    super::collector::run()?;
    Ok(Done::Passed)
}

#[cfg(not(unix))]
fn collector() -> Result<Done> {
    anyhow::bail!("the devices' captures come from QEMU: run this step on Linux or macOS")
}

/// The test starts the daemon itself, with a configuration of its own.
fn logs() -> Result<Done> {
    setup::ensure(&[Need::Rsyslog])?;
    all(&[workspace_tests(&["--test", "syslog", "--", "--include-ignored"])
        .env("THROUGHLINE_RSYSLOGD", "rsyslogd")])
}

fn prometheus() -> Result<Done> {
    setup::ensure(&[Need::Prometheus])?;
    all(&[workspace_tests(&["--test", "prometheus_real", "--", "--include-ignored"])])
}

fn dashboards() -> Result<Done> {
    crate::dashboards::proof::dashboards()?;
    Ok(Done::Passed)
}

fn alertmanager() -> Result<Done> {
    setup::ensure(&[Need::Prometheus])?;
    all(&[
        workspace_tests(&["--test", "alert_notices", "--", "--include-ignored", "alertmanager"]),
        workspace_tests(&["--test", "rules", "--", "--include-ignored"]),
    ])
}

fn pprof() -> Result<Done> {
    setup::ensure(&[Need::Go])?;
    all(&[workspace_tests(&["--test", "cpu", "--test", "memory", "--", "--include-ignored", "go_tool"])])
}

pub(super) fn all(commands: &[Cmd]) -> Result<Done> {
    run_all(commands)?;
    Ok(Done::Passed)
}
