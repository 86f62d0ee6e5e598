//! `throughline pgo`: a profile for the compiler.

use std::io::Write;

use crate::FINE;
use crate::args::PgoArgs;
use crate::error::CliError;
use crate::profile::read;

/// Runs the command and returns the exit code.
pub(crate) fn run(args: &PgoArgs) -> Result<u8, CliError> {
    let report = read(&args.inputs, false)?.report;
    let text = report.sample_profile(&args.executable).map_err(|source| CliError::ProfileFile {
        path: args.executable.clone(),
        source: Box::new(source),
    })?;
    match &args.output {
        Some(path) => {
            std::fs::write(path, text).map_err(|source| CliError::Written { path: path.clone(), source })?
        }
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(FINE)
}
