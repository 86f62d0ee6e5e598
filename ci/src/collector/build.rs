//! Builds the Collector with its own builder, into the cache of foreign programs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::process::{Cmd, log_tail, timed};
use crate::scratch::Scratch;
use crate::setup::{self, Need};
use crate::workspace;

const VERSION: &str = "0.155.0";

/// The parts of the program: the receivers and exporters that the tests use, and nothing else.
const MANIFEST: &str = "\
dist: {name: otelcol, output_path: ./out, version: 0.155.0}
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v0.155.0
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver v0.155.0
processors:
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/processor/tailsamplingprocessor v0.155.0
exporters:
  - gomod: go.opentelemetry.io/collector/exporter/debugexporter v0.155.0
  - gomod: go.opentelemetry.io/collector/exporter/otlphttpexporter v0.155.0
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter v0.155.0
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/prometheusexporter v0.155.0
";

/// Compiles without optimisation: 166 s of CPU instead of 272, for a program that tests use for seconds.
const GOFLAGS: &str = "-buildvcs=false '-gcflags=all=-N -l'";

const ADVICE: &str = "\
What to do: the build downloads Go modules from $GOPROXY (`go env GOPROXY`), so look in the log for a module that \
could not be had, and run the command again; what was downloaded is kept. `go version` should say 1.25 or later.";

/// The path of the program, which is built first if it is not in the cache.
///
/// # Errors
///
/// Fails if Go is missing or a step of the build fails.
pub(super) fn ensure() -> Result<PathBuf> {
    let cache = workspace::partners_dir().join(format!("otelcol-{VERSION}"));
    let program = cache.join(format!("otelcol{}", std::env::consts::EXE_SUFFIX));
    if is_current(&program) {
        return Ok(program);
    }
    fs::create_dir_all(&cache).with_context(|| format!("can't create {}", cache.display()))?;
    // A lock prevents two builds at once. The system releases it when the process ends.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    if is_current(&program) {
        return Ok(program);
    }
    setup::ensure(&[Need::Go])?;
    timed(&format!("building the OpenTelemetry Collector {VERSION} (about 2 minutes)"), || build(&program))?;
    Ok(program)
}

/// Whether the program is there and was built from this manifest, a copy of which is written after the build.
fn is_current(program: &Path) -> bool {
    program.is_file()
        && fs::read_to_string(program.with_file_name("built-from.yaml")).is_ok_and(|it| it == MANIFEST)
}

fn build(program: &Path) -> Result<()> {
    let log = program.with_file_name("build.log");
    fs::write(&log, "")?;
    // Do not keep the generated sources, because the builder writes them again in seconds.
    let scratch = Scratch::new("otelcol-build")?;
    let folder = scratch.path();
    fs::write(folder.join("manifest.yaml"), MANIFEST)?;

    let builder = Cmd::new("go")
        .arg("run")
        .arg(format!("go.opentelemetry.io/collector/cmd/builder@v{VERSION}"))
        .args(["--config", "manifest.yaml", "--skip-compilation"])
        // The builder leaves a temporary folder behind, so give it a folder that is removed.
        .env("TMPDIR", folder)
        .env("GOFLAGS", GOFLAGS)
        .dir(folder);
    // The builder's last step, `go mod tidy`, fails on a test-only dependency that cannot be downloaded. The
    // sources are complete by then, so success means that they exist.
    let outcome = builder.run_logged(&log);
    let sources = folder.join("out");
    if !(sources.join("go.mod").is_file() && sources.join("main.go").is_file()) {
        outcome.map_err(|error| anyhow!("{error:#}{ADVICE}"))?;
        bail!("the Collector's builder wrote no sources\n{}{ADVICE}", log_tail(&log));
    }
    let unfinished = program.with_extension("unfinished");
    Cmd::new("go")
        .args(["build", "-mod=mod", "-ldflags=-s -w", "-o"])
        .arg(&unfinished)
        .arg(".")
        .env("GOFLAGS", GOFLAGS)
        .dir(&sources)
        .run_logged(&log)
        .map_err(|error| anyhow!("{error:#}{ADVICE}"))?;
    fs::rename(&unfinished, program)?;
    fs::write(program.with_file_name("built-from.yaml"), MANIFEST)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_of_one_version() {
        let versions = MANIFEST.lines().filter(|line| line.contains("gomod")).collect::<Vec<_>>();
        assert_eq!(versions.len(), 7);
        assert!(versions.iter().all(|line| line.ends_with(&format!(" v{VERSION}"))));
        assert!(MANIFEST.contains(&format!("version: {VERSION}}}")));
    }

    #[test]
    fn a_program_without_its_manifest_is_built_anew() {
        let scratch = Scratch::new("xtask-test").unwrap();
        let program = scratch.path().join("otelcol");
        assert!(!is_current(&program));
        fs::write(&program, "").unwrap();
        assert!(!is_current(&program));
        fs::write(scratch.path().join("built-from.yaml"), MANIFEST).unwrap();
        assert!(is_current(&program));
    }
}
