//! `cargo xtask dashboards`: the dashboards and rules of `examples/deploy`, made from one list of panels.

/// Selects the outcomes of records that are a loss. A test of the ledger compares what comes of it with its reasons.
macro_rules! lost {
    () => {
        "outcome!~\"output|absorbed|sampled_out|rate_limited|no_exporter|silenced|inhibited|deploying|restarting|muted|flapping\""
    };
}

pub mod alerts;
pub mod boards;
pub mod grafana;
mod guides;
mod live;
pub mod model;
pub(crate) mod proof;
pub mod rules;
pub mod vmui;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::Arg::{Long, Short};
use serde_json::Value;

use crate::workspace;

const HELP: &str = "\
usage: cargo xtask dashboards [--check]

Writes the dashboards for Grafana and vmui, and the rules for Prometheus, into examples/deploy. Their source is
ci/src/dashboards.

  --check  write nothing; fail if a file is not what would be written
";

/// Runs `cargo xtask dashboards`.
///
/// # Errors
///
/// Fails if a file cannot be written, or with `--check` if one is out of date.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut is_check = false;
    while let Some(arg) = args.next()? {
        match arg {
            Long("check") => is_check = true,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if is_check { check() } else { write() }
}

/// Fails if a file is not what would be written, or if there is one that would not be.
///
/// # Errors
///
/// The error names the files.
pub fn check() -> Result<()> {
    let files = files();
    let mut wrong = Vec::new();
    for (path, text) in &files {
        if fs::read_to_string(path).ok().as_deref() != Some(text.as_str()) {
            wrong.push(shown(path));
        }
    }
    for folder in [grafana_folder(), vmui_folder()] {
        for entry in fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
            let path = entry?.path();
            if !files.iter().any(|(known, _)| *known == path) {
                wrong.push(format!("{} (nothing makes it)", shown(&path)));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("out of date: {}\nrun `cargo xtask dashboards` and commit what it writes", wrong.join(", "));
    }
    Ok(())
}

fn write() -> Result<()> {
    for (path, text) in files() {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
        println!("{}", shown(&path));
    }
    Ok(())
}

/// The folder of what an operator copies.
#[must_use]
pub fn deploy_folder() -> PathBuf {
    workspace::root().join("examples/deploy")
}

fn grafana_folder() -> PathBuf {
    deploy_folder().join("grafana/dashboards")
}

fn vmui_folder() -> PathBuf {
    deploy_folder().join("vmui")
}

/// Every file with its text.
fn files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for board in boards::ALL {
        files
            .push((grafana_folder().join(board.id).with_extension("json"), json(&grafana::dashboard(board))));
        files.push((vmui_folder().join(board.id).with_extension("json"), json(&vmui::dashboard(board))));
    }
    files.push((deploy_folder().join("prometheus/rules.yaml"), rules::file()));
    files.push((deploy_folder().join("kubernetes/prometheus-rule.yaml"), rules::object()));
    files
}

fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

fn shown(path: &std::path::Path) -> String {
    path.strip_prefix(workspace::root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_up_to_date() {
        check().unwrap();
    }

    #[test]
    fn options_that_are_not_taken_are_refused() {
        assert!(run(lexopt::Parser::from_args(["--force"])).unwrap_err().is::<lexopt::Error>());
    }
}
