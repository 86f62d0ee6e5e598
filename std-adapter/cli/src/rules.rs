//! `throughline rules`: checks alert rules, and makes rules for Prometheus of them.

use std::io::Write;
use std::path::Path;

use throughline_std::alert::{Rules, RulesError};

use crate::args::{RulesArgs, RulesCommand};
use crate::error::{CliError, mistakes};
use crate::{FINE, say};

/// Runs the sub-command.
pub(crate) fn run(args: &RulesArgs) -> Result<u8, CliError> {
    let mut out = std::io::stdout().lock();
    if let Some(file) = &args.prometheus {
        let text = load(file)?.to_prometheus(file).map_err(|error| told(&error, file))?;
        out.write_all(text.as_bytes())?;
    }
    if let Some(RulesCommand::Check { files }) = &args.command {
        let mut wrong = None;
        for file in files {
            match load(file) {
                Ok(rules) => {
                    let s = if rules.len() == 1 { "" } else { "s" };
                    writeln!(out, "{}: {} rule{s}, no mistakes", file.display(), rules.len())?;
                }
                // The others are checked too.
                Err(error) => wrong = Some(error),
            }
        }
        if let Some(error) = wrong {
            out.flush()?;
            return Err(error);
        }
    }
    out.flush()?;
    Ok(FINE)
}

fn load(file: &Path) -> Result<Rules, CliError> {
    Rules::load(file).map_err(|error| told(&error, file))
}

/// Tells all mistakes. Returns the error that ends the tool.
fn told(error: &RulesError, file: &Path) -> CliError {
    error.errors().iter().for_each(|error| say(error));
    CliError::Config { mistakes: mistakes(error.errors().len(), &file.display()) }
}
