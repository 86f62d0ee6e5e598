//! The checks that run only when they are asked for, because they take long.

use anyhow::Result;

use super::Folder::{Own, Shared};
use super::miri::{miri_32, miri_64};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
use super::steps::{WORDS_32, words_32};
use super::steps::{all, workspace_tests};
use super::{Done, Step, features};
use crate::process::Cmd;
use crate::setup::{self, Need};
use crate::{consumer, fuzz, workspace};

/// What `cargo xtask test` runs only when it is asked to.
pub const ON_REQUEST: &[Step] = &[
    Step {
        name: "miri-64",
        about: "undefined behaviour of the whole core, on a 64-bit layout",
        folder: Own,
        run: miri_64,
    },
    Step { name: "miri-32", about: "undefined behaviour, on a 32-bit layout", folder: Own, run: miri_32 },
    Step {
        name: "combinations",
        about: "every macro under each of the features, and enough combinations that any three meet",
        folder: Own,
        run: threes_of_features,
    },
    Step { name: "small", about: "the exporters without any feature", folder: Shared, run: small },
    Step {
        name: "systems",
        about: "lints of the server's crates for Windows and macOS",
        folder: Own,
        run: systems,
    },
    Step { name: "server-32", about: "tests of a server with 32-bit words", folder: Shared, run: server_32 },
    Step { name: "fuzz", about: "the decoder's fuzz targets, briefly", folder: Own, run: fuzz_smoke },
    Step {
        name: "pgo",
        about: "profiles for the compiler, and what it makes of them",
        folder: Shared,
        run: pgo,
    },
    Step { name: "perf", about: "profiles beside those of the kernel's perf", folder: Shared, run: perf },
    Step { name: "smtp", about: "alerts by mail to a real mail server", folder: Shared, run: smtp },
    Step {
        name: "story",
        about: "an agent's slow tool, from the trace to the function and the fix",
        folder: Shared,
        run: story,
    },
    Step {
        name: "tool",
        about: "tests of the host tool with the features that it is installed with",
        folder: Shared,
        run: tool,
    },
    Step { name: "interop", about: "servers that take long to get", folder: Shared, run: interop },
    Step {
        name: "manifests",
        about: "files of compose, Kubernetes and Grafana, against the types of these programs",
        folder: Own,
        run: manifests,
    },
    Step {
        name: "abort",
        about: "programs with panic = \"abort\": how far what they recorded gets",
        folder: Shared,
        run: abort,
    },
    Step {
        name: "stranger",
        about: "a service on axum, sqlx, reqwest and tonic that knows nothing of Throughline, and the same with our layers",
        folder: Own,
        run: stranger,
    },
];

/// How long the fuzz targets run in the suite; `cargo xtask fuzz` runs them for longer.
const FUZZ_SMOKE_SECONDS: u32 = 30;

fn small() -> Result<Done> {
    all(&[Cmd::cargo_test().args(["-p", "throughline-export", "--lib", "--test", "client"])])
}

fn threes_of_features() -> Result<Done> {
    consumer::check_threes()?;
    Ok(Done::Passed)
}

/// Types alone, because there is no linker for these systems, and without the features whose dependencies build C, for which
/// there is no compiler.
fn systems() -> Result<Done> {
    let features = features::without_c();
    let mut commands = Vec::new();
    for target in ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"] {
        setup::ensure(&[Need::Target(target)])?;
        let packages = ["-p", "throughline-profile", "-p", "throughline-export", "-p", "throughline-std"];
        let clippy = Cmd::cargo().args(["clippy", "--lib", "--target", target]).args(packages);
        commands.push(clippy.args(["--features", &features, "--", "-D", "warnings"]));
    }
    all(&commands)
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn server_32() -> Result<Done> {
    setup::ensure(&[Need::Target(WORDS_32)])?;
    all(&[words_32(&["-p", "throughline-std", "--tests"])])
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn server_32() -> Result<Done> {
    super::steps::unit_32()
}

fn fuzz_smoke() -> Result<Done> {
    if !fuzz::is_present() {
        return Ok(Done::Nothing("there are no fuzz targets in std-adapter/decode/fuzz".into()));
    }
    fuzz::check(FUZZ_SMOKE_SECONDS, None)?;
    Ok(Done::Passed)
}

fn pgo() -> Result<Done> {
    setup::ensure(&[Need::Nightly])?;
    all(&[workspace_tests(&["--test", "pgo", "--", "--include-ignored"])])
}

/// Where the kernel does not permit `perf`, the test says so and passes; with `THROUGHLINE_PERF_REQUIRED` it fails.
fn perf() -> Result<Done> {
    setup::ensure(&[Need::Perf])?;
    all(&[workspace_tests(&["--test", "cpu", "--", "--include-ignored", "perf_record"])])
}

fn smtp() -> Result<Done> {
    setup::ensure(&[Need::Aiosmtpd])?;
    all(&[workspace_tests(&["--test", "alert_notices", "--", "--include-ignored", "mail"])])
}

fn story() -> Result<Done> {
    crate::demo::told()?;
    Ok(Done::Passed)
}

/// Tests of the host tool with the features that it is installed with. In [`workspace_tests`] it has them all.
fn tool() -> Result<Done> {
    all(&[Cmd::cargo_test().args(["-p", "throughline-cli"])])
}

fn interop() -> Result<Done> {
    crate::interop::check(&[])?;
    Ok(Done::Passed)
}

fn manifests() -> Result<Done> {
    crate::dashboards::proof::manifests()?;
    Ok(Done::Passed)
}

/// The program has a build folder of its own, because all that it depends on is built with `panic = "abort"` too.
fn abort() -> Result<Done> {
    let folder = workspace::target_dir().join("abort");
    Cmd::cargo()
        .args(["build", "-p", "throughline-std", "--example", "aborting"])
        .args(["--config", "profile.dev.panic=\"abort\""])
        .env("CARGO_TARGET_DIR", &folder)
        .run()?;
    all(&[workspace_tests(&["--test", "aborting", "--", "--include-ignored"])
        .env("THROUGHLINE_ABORTING_PROGRAM", folder.join("debug").join("examples").join("aborting"))])
}

/// In a build folder of its own, because it is a separate workspace.
fn stranger() -> Result<Done> {
    all(&[Cmd::cargo_test()
        .args(["--manifest-path", "examples/stranger/Cargo.toml"])
        .env("CARGO_TARGET_DIR", workspace::target_dir().join("stranger"))])
}
