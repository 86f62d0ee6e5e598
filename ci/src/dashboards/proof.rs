//! The steps `dashboards` and `manifests`: whether the files of `examples/deploy` do what they are for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use super::{check, deploy_folder, guides, live};
use crate::collector::Collector;
use crate::process::{Cmd, run_all, timed};
use crate::setup::{self, Need};
use crate::suite::workspace_build;
use crate::workspace;

/// Checks the files of Prometheus and the Collector with these programs, runs the commands of the guides, and asks a Prometheus that scrapes a service under load
/// for every panel.
///
/// # Errors
///
/// Fails if a file is out of date or wrong, or if a panel would be empty.
pub(crate) fn dashboards() -> Result<()> {
    check()?;
    setup::ensure(&[Need::Prometheus])?;
    let promtool = |what: &[&str]| Cmd::new("promtool").args(what.iter().copied()).dir(deploy_folder());
    let collector = Collector::build()?;
    run_all(&[
        promtool(&["check", "config", "prometheus/prometheus.yaml"]),
        promtool(&["test", "rules", "prometheus/rules.test.yaml"]),
        Cmd::new(collector.program())
            .args(["validate", "--config", "collector/collector.yaml"])
            .dir(deploy_folder()),
    ])?;
    let features = "shop-example/profile,shop-example/alerts,shop-example/observers,shop-example/insights,shop-example/events";
    workspace_build(&["shop-example", "throughline"]).args(["--features", features]).run()?;
    guides::run(collector.program())?;
    live::every_panel_has_data(&collector)
}

/// Checks the files of compose, Kubernetes and Grafana against the types of the programs that read them.
///
/// # Errors
///
/// Fails if a file has a field that does not exist, or lacks one.
pub(crate) fn manifests() -> Result<()> {
    let program = strict()?;
    let strict = |what: &[&str]| Cmd::new(&program).args(what.iter().copied()).dir(deploy_folder());
    let mut dashboards = strict(&["grafana"]);
    for board in super::boards::ALL {
        dashboards = dashboards.arg(format!("grafana/dashboards/{}.json", board.id));
    }
    run_all(&[
        strict(&["compose", "compose.yaml"]),
        strict(&["compose", "compose.yaml", "tempo/compose.yaml"]),
        strict(&["kustomize", "."]),
        dashboards,
    ])
}

/// The program of `ci/strict`, which is built first unless it is in the cache of foreign programs.
fn strict() -> Result<PathBuf> {
    let sources = workspace::root().join("ci/strict");
    let folder = workspace::partners_dir().join("strict");
    let (program, built_from) = (folder.join("strict"), folder.join("built-from"));
    let of_now = ["main.go", "go.mod", "go.sum"].map(|file| fs::read_to_string(sources.join(file)));
    let of_now = of_now.into_iter().collect::<std::io::Result<String>>().context("can't read ci/strict")?;
    if program.is_file() && fs::read_to_string(&built_from).is_ok_and(|it| it == of_now) {
        return Ok(program);
    }
    setup::ensure(&[Need::Go])?;
    fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
    timed("building ci/strict from Go modules (about 3 minutes)", || build(&sources, &program))?;
    fs::write(built_from, of_now)?;
    Ok(program)
}

fn build(sources: &Path, program: &Path) -> Result<()> {
    let go = Cmd::new("go").args(["build", "-ldflags=-s -w", "-o"]).arg(program).arg(".").dir(sources);
    go.run_logged(&program.with_extension("log")).map_err(|error| {
        anyhow!("{error:#}What to do: see in the log which module could not be had from $GOPROXY.")
    })
}
