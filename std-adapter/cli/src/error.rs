//! Errors that end the tool. Every message names the input and the next step.

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
    #[error("cannot read {}: {source}; pass a capture of the device's bytes, or - for standard input", path.display())]
    Input {
        /// The capture.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file of a service cannot be read.
    #[error(
        "cannot read {}: {source}; pass a file of OTLP in JSON, as otlp.file of a service and the Collector's file exporter write it, or a \
         device's capture with its ELF: {command} --elf ELF CAPTURE",
        path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What was called.
        command: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The serial port cannot be opened.
    #[error("cannot open {}: {source}; {next}", path.display())]
    Serial {
        /// The port.
        path: PathBuf,
        /// What the user can do.
        next: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A serial port in line mode was passed as a file.
    #[error(
        "{port} is a terminal in line mode, which changes the device's bytes and echoes them back to it; let the tool open the \
         port: throughline decode --elf {elf} --serial {port} --baud 115200",
        port = port.display(), elf = elf.display()
    )]
    LineMode {
        /// The port.
        port: PathBuf,
        /// The ELF that was passed with it.
        elf: PathBuf,
    },
    /// Standard input is the user's terminal.
    #[error(
        "standard input is a terminal; pass a capture file, pipe a stream into it (`nc board 19021 | throughline decode …`), or let \
         it read a serial port (`--serial /dev/ttyACM0 --baud 115200`)"
    )]
    Terminal,
    /// The capture has no bytes.
    #[error("no bytes came from {}; capture while the device runs, and check that its throughline bytes go to that link", path.display())]
    Empty {
        /// The capture.
        path: PathBuf,
    },
    /// The name of the profile's file does not say what it is to hold.
    #[error(
        "{} says nothing about what it is to hold; let it end in .svg (a flame graph), .pb.gz (pprof), .folded (stacks as text) or .txt (tables)",
        path.display()
    )]
    ProfileName {
        /// The file.
        path: PathBuf,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
    /// A service's configuration is wrong; the mistakes have been told.
    #[error("{mistakes}; mend what is told above")]
    Config {
        /// How many, and where.
        mistakes: String,
    },
    /// A file with a profile, or a folder of them, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    ProfileFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error>,
    },
    /// There is no profile of the kind.
    #[error(
        "there is no {kind} profile in {inputs}; pass files in pprof's format (.pb.gz), or the folder that a service writes them to (profiling.exporter.file_output_dir)"
    )]
    NoProfiles {
        /// CPU or memory.
        kind: &'static str,
        /// The files and folders.
        inputs: String,
    },
    /// A profile has nothing of the trace or span.
    #[error(
        "no sample in {files} of {inputs} is of that trace, span or label; it may have used less CPU time than lies between two samples, or ran \
         while nothing was profiled"
    )]
    NoSamples {
        /// How many files.
        files: String,
        /// The files and folders.
        inputs: String,
    },
    /// A file has no requests of OTLP.
    #[error(
        "{} holds no OTLP in JSON, one request on a line, as otlp.file of a service and the Collector's file exporter write it; for a device's \
         capture pass its ELF too: {command} --elf ELF {}",
        path.display(), path.display()
    )]
    NoRequests {
        /// The file.
        path: PathBuf,
        /// What was called.
        command: &'static str,
    },
    /// Files have nothing that has a time.
    #[error("{inputs} has neither spans nor gauges; pass a file with the traces or the metrics of a service")]
    Nothing {
        /// The files.
        inputs: String,
    },
    /// No span is in the trace that was asked for.
    #[error("no span of {inputs} is the one that was asked for, or in that trace")]
    NoSpans {
        /// The files.
        inputs: String,
    },
    /// The profile measures something else.
    #[error("`{name}` is not measured; the profile has {known}")]
    Measure {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Formats for other tools have one value for a stack.
    #[error("a difference is a flame graph or folded text; pass --svg or --folded")]
    NoDifference,
    /// The file that was asked for cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Written {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Not an OTLP endpoint.
    #[error(transparent)]
    Endpoint(#[from] ConfigError),
    /// The collector did not take the records.
    #[error("{records} records were not delivered: {source}")]
    Send {
        /// Number of records in the requests that were not delivered.
        records: u64,
        /// The last error.
        source: Box<SendError>,
    },
    /// The collector was slower than the live stream.
    #[error(
        "{records} records were not sent, because the collector takes them more slowly than they come; give it more room, or send a \
         capture file later"
    )]
    SlowCollector {
        /// Number of records that found no room in the queue.
        records: u64,
    },
    /// OTLP needs wall-clock times, which the capture does not have.
    #[error(
        "{} has no wall-clock time: the device sent none; pass the time of its first record as --anchor \
         2026-01-31T12:00:00Z, or pipe the live stream into `throughline decode -`",
        path.display()
    )]
    NoTime {
        /// The capture.
        path: PathBuf,
    },
}

/// How many mistakes there are in a place.
pub(crate) fn mistakes(number: usize, place: &dyn std::fmt::Display) -> String {
    format!("{number} {} in {place}", if number == 1 { "mistake" } else { "mistakes" })
}
