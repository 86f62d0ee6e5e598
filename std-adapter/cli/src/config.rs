//! `throughline config`: checks and explains the configuration of a service.

use std::io::Write;
use std::path::Path;

use throughline_std::Config;
use throughline_std::config::{Problem, json_schema, reference};

use crate::args::{ConfigArgs, ConfigCommand};
use crate::error::{self, CliError};
use crate::{FINE, say};

/// Runs the sub-command.
pub(crate) fn run(args: &ConfigArgs) -> Result<u8, CliError> {
    let mut out = std::io::stdout().lock();
    match &args.command {
        ConfigCommand::Check { file } => {
            check(&load(Some(file))?, file)?;
            writeln!(out, "{}: no mistakes", file.display())?;
        }
        ConfigCommand::Print { file, json } => {
            for explained in load(file.as_deref())?.explain() {
                if *json {
                    writeln!(out, "{}", explained.json())?;
                } else {
                    writeln!(out, "{explained}")?;
                }
            }
        }
        ConfigCommand::Reference => out.write_all(reference().as_bytes())?,
        ConfigCommand::Schema => out.write_all(json_schema().as_bytes())?,
    }
    out.flush()?;
    Ok(FINE)
}

/// The configuration, with what is not honoured told; or all that is wrong with it.
fn load(file: Option<&Path>) -> Result<Config, CliError> {
    let loaded = file.map_or_else(Config::from_env, Config::load);
    match loaded {
        Ok(config) => {
            config.warnings().iter().for_each(warn);
            Ok(config)
        }
        Err(error) => {
            error.problems().iter().for_each(|problem| say(problem));
            error.warnings().iter().for_each(warn);
            Err(mistakes(error.problems().iter(), file))
        }
    }
}

/// Features whose keys only turn them on and off, so that there is nothing that this tool could have looked at.
const BRIDGES: &[&str] = &["log", "metrics", "opentelemetry", "tracing"];

/// Tells of a setting that is not honoured, or that this tool did not look at.
fn warn(warning: &Problem) {
    if warning.feature.is_some_and(|feature| feature.split(" or ").all(|feature| BRIDGES.contains(&feature)))
    {
        return;
    }
    match note(warning) {
        Some(note) => say(&note),
        None => say(&format!("warning: {warning}")),
    }
}

/// Tells everything that the service's `init` would refuse.
fn check(config: &Config, file: &Path) -> Result<(), CliError> {
    let findings = config.findings();
    let (notes, wrong): (Vec<&Problem>, Vec<&Problem>) =
        findings.iter().partition(|problem| problem.feature.is_some());
    notes.into_iter().filter_map(note).for_each(|note| say(&note));
    wrong.iter().for_each(|problem| say(problem));
    if wrong.is_empty() { Ok(()) } else { Err(mistakes(wrong.into_iter(), Some(file))) }
}

/// What is told of a feature that this tool lacks. Which features the service has is its own matter, so this is no
/// mistake.
fn note(problem: &Problem) -> Option<String> {
    let (place, feature) = (problem.place(), problem.feature?);
    let one = feature.split(" or ").next().unwrap_or(feature);
    Some(format!(
        "note: {place} wants a service that is built with the feature `{feature}` of throughline-std; this tool is built without it, so it did not check what the feature would; one that does: cargo install throughline-cli --features throughline-std/{one}"
    ))
}

/// The end of the tool: how many mistakes there are, and where.
fn mistakes<'p>(problems: impl Iterator<Item = &'p Problem>, file: Option<&Path>) -> CliError {
    let (in_file, others): (Vec<_>, Vec<_>) = problems.partition(|problem| problem.file.is_some());
    let file = file.map_or_else(|| "the file".into(), |file| file.display().to_string());
    let places = [(in_file.len(), &*file), (others.len(), "the environment")];
    let told = places
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, place)| error::mistakes(*number, place));
    CliError::Config { mistakes: told.collect::<Vec<_>>().join(" and ") }
}
