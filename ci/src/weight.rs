//! `cargo xtask weight`: how many crates a user of `throughline-std` builds, and how long that takes, feature by
//! feature, beside OpenTelemetry's crates.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short};
use throughline_benches::Machine;

use crate::process::{Cmd, timed};
use crate::scratch::Scratch;
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask weight [--crates]

Counts the crates that `throughline-std` needs with each of its larger features, and those of OpenTelemetry's SDK, its
OTLP exporter and its bridge from `tracing` with equal features; builds each cold, in release with one job; prints the
table and writes it to benches/results. Fails if Throughline needs as many crates or as much CPU time as OpenTelemetry.

  --crates  only count, which takes seconds; the table has no times
";

/// The most crates that `throughline-std` may need with its default features, itself and the procedural macros
/// included. Whoever raises it says in the commit what the new crate is worth.
const MOST_BY_DEFAULT: usize = 30;

/// What is weighed: the name of a row, and the features on either side that do the same.
const ROWS: &[(&str, &str, &str)] = &[
    ("default: OTLP over HTTP; traces, metrics, logs", "", ""),
    ("+ TLS", "tls", "opentelemetry-otlp/reqwest-rustls"),
    ("+ gRPC", "grpc", "opentelemetry-otlp/grpc-tonic"),
    ("+ Prometheus", "prometheus", "dep:opentelemetry-prometheus"),
    (
        "+ all of these, gRPC with TLS, gzip, zstd",
        "tls,grpc-tls,prometheus,gzip,zstd",
        "opentelemetry-otlp/reqwest-rustls,opentelemetry-otlp/grpc-tonic,opentelemetry-otlp/tls-ring,\
         opentelemetry-otlp/tls-webpki-roots,opentelemetry-otlp/gzip-http,opentelemetry-otlp/gzip-tonic,\
         opentelemetry-otlp/zstd-http,opentelemetry-otlp/zstd-tonic,dep:opentelemetry-prometheus",
    ),
];

/// The package that depends on OpenTelemetry's crates; a feature for each row is added.
const PEER: &str = r#"[package]
name = "peer"
version = "0.0.0"
edition = "2024"

[dependencies]
opentelemetry = "0.33.1"
opentelemetry-appender-tracing = "0.33"
opentelemetry-otlp = { version = "0.33.1", default-features = false, features = ["http-proto", "reqwest-blocking-client", "trace", "metrics", "logs"] }
opentelemetry-prometheus = { version = "0.33.1", optional = true }
opentelemetry_sdk = "0.33.1"

[profile.release]
debug = "line-tables-only"

[workspace]

[features]
"#;

/// What one side of a row weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Weight {
    crates: usize,
    /// Seconds of CPU time for a cold build; `None` if it was not built.
    cpu: Option<f64>,
}

/// Runs `cargo xtask weight`.
///
/// # Errors
///
/// Fails if something cannot be built, or if Throughline is not the lighter one in a row.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut build = true;
    while let Some(arg) = args.next()? {
        match arg {
            Long("crates") => build = false,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let peer = Scratch::new("xtask-weight")?;
    let features: String = ROWS
        .iter()
        .enumerate()
        .map(|(row, (_, _, theirs))| {
            let list: Vec<String> =
                theirs.split(',').filter(|it| !it.is_empty()).map(|it| format!("\"{it}\"")).collect();
            format!("row{row} = [{}]\n", list.join(", "))
        })
        .collect();
    fs::write(peer.path().join("Cargo.toml"), format!("{PEER}{features}"))?;
    fs::create_dir(peer.path().join("src"))?;
    fs::write(peer.path().join("src/lib.rs"), "//! Depends on what is weighed.\n")?;
    let mut rows = Vec::new();
    for (row, (name, ours, _)) in ROWS.iter().enumerate() {
        let ours = weigh(|cmd| throughline(cmd, ours), build)?;
        let theirs = weigh(
            |cmd| cmd.args(["-p", "peer", "--features"]).arg(format!("row{row}")).dir(peer.path()),
            build,
        )?;
        rows.push((*name, ours, theirs));
    }
    let machine = Machine::this();
    let text = table(&machine, &rows, build);
    print!("{text}");
    let file = format!("benches/results/{}-weight.md", machine.date);
    fs::write(workspace::root().join(&file), &text).with_context(|| format!("can't write {file}"))?;
    if rows[0].1.crates > MOST_BY_DEFAULT {
        bail!("the default needs {} crates, at most {MOST_BY_DEFAULT}", rows[0].1.crates);
    }
    let heavier: Vec<&str> = rows
        .iter()
        .filter(|(_, ours, theirs)| ours.crates >= theirs.crates || (ours.cpu >= theirs.cpu && build))
        .map(|(name, ..)| *name)
        .collect();
    if !heavier.is_empty() {
        bail!("Throughline is not the lighter one: {}", heavier.join("; "));
    }
    Ok(())
}

fn throughline(cmd: Cmd, features: &str) -> Cmd {
    cmd.args(["-p", "throughline-std", "--features", features])
}

/// Counts the crates, and builds them if `build`. `choose` adds the package and its features to a command.
fn weigh(choose: impl Fn(Cmd) -> Cmd, build: bool) -> Result<Weight> {
    let crates = crates(&choose(Cmd::cargo().arg("tree")))?.len();
    let cpu = if build {
        Some(cold_build(&choose(Cmd::cargo().args(["build", "--release", "-j", "1"])))?)
    } else {
        None
    };
    Ok(Weight { crates, cpu })
}

/// The crates that are compiled for this host, by name and version. `tree` is a `cargo tree` with its packages.
fn crates(tree: &Cmd) -> Result<Vec<String>> {
    let text =
        tree.clone().args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}"]).output()?;
    Ok(distinct(&text))
}

/// The distinct packages of a list without those of `cargo xtask weight` itself.
fn distinct(list: &str) -> Vec<String> {
    let name = |line: &str| line.split(" (").next().unwrap_or(line).to_owned();
    let mut names: Vec<String> = list.lines().map(name).filter(|it| !it.starts_with("peer v")).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The seconds of CPU time that a cold build takes: those of the compilers, in user and system mode together. The
/// time on the clock depends on what else the machine does.
fn cold_build(build: &Cmd) -> Result<f64> {
    let target = Scratch::new("xtask-weight-target")?;
    // The shell's `times` prints its own times in the first line and those of its ended children in the second.
    let words = build.to_string();
    let script =
        format!("{} --target-dir \"$TARGET\" >&2 && times", words.split("   #").next().unwrap_or(&words));
    let shell = Cmd::new("sh").args(["-c", &script]).env("TARGET", target.path()).dir(build.folder());
    let told = timed(&words, || shell.output())?;
    let children = told.lines().nth(1).context("`times` prints two lines")?;
    children.split(' ').map(minutes).sum::<Option<f64>>().context("`times` prints minutes and seconds")
}

/// The seconds of a text such as `1m2.5s`.
fn minutes(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

fn table(machine: &Machine, rows: &[(&str, Weight, Weight)], built: bool) -> String {
    let (times, head) = if built {
        (
            ", and seconds of CPU time of a cold `cargo build --release -j 1`",
            "| features | Throughline: crates | CPU | OpenTelemetry: crates | CPU |\n|---|--:|--:|--:|--:|\n",
        )
    } else {
        ("", "| features | Throughline: crates | OpenTelemetry: crates |\n|---|--:|--:|\n")
    };
    let mut text = format!(
        "# What a dependency weighs\n\n{}; {}; {}. Written by `cargo xtask weight`: distinct crates of `cargo tree --edges normal,build`{times}.\n\
         OpenTelemetry is `opentelemetry`, `opentelemetry_sdk` and `opentelemetry-otlp` 0.33 with `opentelemetry-appender-tracing`.\n\n{head}",
        machine.date, machine.cpu, machine.rustc
    );
    let cell = |weight: &Weight| match weight.cpu {
        Some(seconds) => format!("{} | {seconds:.0} s", weight.crates),
        None => weight.crates.to_string(),
    };
    for (name, ours, theirs) in rows {
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {name} | {} | {} |", cell(ours), cell(theirs));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_needs_no_more_crates_than_committed() {
        let found = crates(&throughline(Cmd::cargo().args(["tree", "--offline"]), "")).unwrap();
        assert!(
            found.len() <= MOST_BY_DEFAULT,
            "{} crates, at most {MOST_BY_DEFAULT}: use what is there, put the new one behind a feature, or raise the figure and say why: {found:#?}",
            found.len()
        );
    }

    #[test]
    fn crates_are_counted_once() {
        let list =
            "peer v0.0.0 (/tmp/x)\nlog v0.4.35\nsyn v3.0.9\nlog v0.4.35 (*)\nm v0.1.0 (proc-macro) (/work)\n";
        assert_eq!(distinct(list), ["log v0.4.35", "m v0.1.0", "syn v3.0.9"]);
    }

    #[test]
    fn times_of_a_shell_are_read() {
        assert_eq!(minutes("1m2.500s"), Some(62.5));
        assert_eq!(minutes("2.5s"), None);
    }

    #[test]
    fn a_row_shows_both_sides() {
        let machine = Machine { date: "2026-11-28".into(), ..Machine::this() };
        let weight = |crates, cpu| Weight { crates, cpu };
        let built = table(&machine, &[("+ TLS", weight(51, Some(20.4)), weight(140, Some(71.0)))], true);
        assert!(built.ends_with("|---|--:|--:|--:|--:|\n| + TLS | 51 | 20 s | 140 | 71 s |\n"), "{built}");
        let counted = table(&machine, &[("+ TLS", weight(51, None), weight(140, None))], false);
        assert!(counted.ends_with("|---|--:|--:|\n| + TLS | 51 | 140 |\n"), "{counted}");
    }
}
