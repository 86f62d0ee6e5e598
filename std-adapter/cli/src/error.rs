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
    /// The serial port cannot be opened.
    #[error("cannot open {}: {source}; {next}", path.display())]
    Serial {
        /// The port.
        path: PathBuf,
        /// What the person can do.
        next: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A serial port in line mode was given as a file.
    #[error(
        "{port} is a terminal in line mode, which changes the device's bytes and echoes them back to it; let the tool open the \
         port: throughline decode --elf {elf} --serial {port} --baud 115200",
        port = port.display(), elf = elf.display()
    )]
    LineMode {
        /// The port.
        port: PathBuf,
        /// The ELF that was given with it.
        elf: PathBuf,
    },
    /// Standard input is the terminal that a person types at.
    #[error(
        "standard input is a terminal; give a capture file, pipe a stream into it (`nc board 19021 | throughline decode …`), or let \
         it read a serial port (`--serial /dev/ttyACM0 --baud 115200`)"
    )]
    Terminal,
    /// The capture has no bytes.
    #[error("no bytes came from {}; capture while the device runs, and check that its throughline bytes go to that link", path.display())]
    Empty {
        /// The capture.
        path: PathBuf,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
    /// A service's configuration is wrong; the mistakes have been told.
    #[error("{mistakes} in {what}; mend what is told above")]
    Config {
        /// How many.
        mistakes: String,
        /// The file, or the environment.
        what: String,
    },
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
    /// The collector took longer than the stream gave it.
    #[error(
        "{records} records were not sent, because the collector takes them more slowly than they come; give it more room, or send a \
         capture file later"
    )]
    SlowCollector {
        /// Records that found no room in the queue.
        records: u64,
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
