//! `throughline config`: checks and explains the configuration of a service.

use std::io::Write;
use std::path::Path;

use throughline_std::config::{json_schema, reference};
use throughline_std::{Config, LoadError};

use crate::args::{ConfigArgs, ConfigCommand};
use crate::error::CliError;
use crate::{FINE, say};

/// Runs the sub-command.
pub(crate) fn run(args: &ConfigArgs) -> Result<u8, CliError> {
    let mut out = std::io::stdout().lock();
    match &args.command {
        ConfigCommand::Check { file } => {
            load(Some(file))?;
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
            config.warnings().iter().for_each(|warning| say(&format!("warning: {warning}")));
            Ok(config)
        }
        Err(error) => Err(told(&error, file)),
    }
}

fn told(error: &LoadError, file: Option<&Path>) -> CliError {
    error.problems().iter().for_each(|problem| say(problem));
    let mistakes = match error.problems().len() {
        1 => "1 mistake".into(),
        n => format!("{n} mistakes"),
    };
    let what = file.map_or_else(|| "the environment".into(), |file| file.display().to_string());
    CliError::Config { mistakes, what }
}
