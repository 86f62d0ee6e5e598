//! Why the tool gives up; every message names the input and the next step.

use std::path::PathBuf;

use throughline_decode::ElfError;
use throughline_export::otlp::{ConfigError, SendError};

/// An error that ends the tool with exit code 1.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The ELF cannot be used.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The capture cannot be read.
    #[error("cannot read {}: {source}; give a capture of the device's bytes, or - for standard input", path.display())]
    Input {
        /// The capture.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The capture has no bytes.
    #[error("{} is empty; capture while the device runs, and check that its throughline bytes go to that link", path.display())]
    Empty {
        /// The capture.
        path: PathBuf,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
    /// Not an OTLP endpoint.
    #[error(transparent)]
    Endpoint(#[from] ConfigError),
    /// The collector did not take it.
    #[error("{records} records were not delivered: {source}")]
    Send {
        /// Records in the requests given up.
        records: u64,
        /// What went wrong last.
        source: Box<SendError>,
    },
    /// OTLP needs wall-clock time.
    #[error(
        "{} has no wall-clock time: the device sent none; give the time of its first record as --anchor \
         2026-01-31T12:00:00Z, or pipe the live stream into `throughline decode -`",
        path.display()
    )]
    NoTime {
        /// The capture.
        path: PathBuf,
    },
}
