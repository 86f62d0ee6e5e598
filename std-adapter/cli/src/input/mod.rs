//! The input: a capture file, or a live stream from standard input, a pipe or a serial port.

mod live;
mod serial;
mod tty;

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::DecodeArgs;
use crate::error::CliError;
use crate::stop;
use live::Arrivals;

const CHUNK: usize = 64 * 1024;
/// Smaller files are read before a progress bar would be of use.
const LARGE: u64 = 16 * 1024 * 1024;

/// A piece of the input.
pub(crate) enum Chunk<'a> {
    /// Bytes; for a live stream with the time at which they arrived, in nanoseconds since 1970.
    Bytes(&'a [u8], Option<u64>),
    /// The link was lost and opened again, so the next bytes may begin within a frame.
    Reopened,
    /// The live stream is silent at the moment.
    Quiet,
}

/// An open input.
pub(crate) enum Source {
    /// A file with an end. Its bytes have no time of arrival.
    Capture { path: PathBuf, file: File },
    /// A stream that is read as it arrives.
    Live { name: PathBuf, arrivals: Arrivals },
}

impl Source {
    /// Opens the input that the arguments name.
    pub(crate) fn open(args: &DecodeArgs) -> Result<Source, CliError> {
        if let Some(port) = &args.serial {
            return Ok(Source::Live { name: port.clone(), arrivals: serial::open(port, args.baud)? });
        }
        let path = args.input.clone();
        let failed = |source| CliError::Input { path: path.clone(), source };
        let is_stdin = path == Path::new("-");
        let (file, name) = if is_stdin {
            (tty::standard_input().map_err(failed)?, PathBuf::from("standard input"))
        } else {
            (tty::open(&path).map_err(failed)?, path.clone())
        };
        tty::refuse_line_mode(&file, &args.elf, (!is_stdin).then_some(&path))?;
        if file.metadata().map_err(failed)?.is_file() {
            return Ok(Source::Capture { path: name, file });
        }
        Ok(Source::Live { name, arrivals: live::read(file) })
    }

    /// Whether it is read as it arrives.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Source::Live { .. })
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> &Path {
        match self {
            Source::Capture { path, .. } => path,
            Source::Live { name, .. } => name,
        }
    }

    /// Reads to the end, or until a signal asks to stop. Returns the number of bytes.
    pub(crate) fn read(self, take: impl FnMut(Chunk<'_>) -> Result<(), CliError>) -> Result<u64, CliError> {
        match self {
            Source::Capture { path, file } => capture(&path, file, take),
            Source::Live { name, arrivals } => live::take_all(&name, &arrivals, take),
        }
    }
}

fn capture(
    path: &Path,
    mut file: File,
    mut take: impl FnMut(Chunk<'_>) -> Result<(), CliError>,
) -> Result<u64, CliError> {
    let failed = |source| CliError::Input { path: path.to_owned(), source };
    let bar = bar(file.metadata().map_err(failed)?.len());
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    while !stop::requested() {
        let n = file.read(&mut buffer).map_err(failed)?;
        if n == 0 {
            break;
        }
        take(Chunk::Bytes(&buffer[..n], None))?;
        total += n as u64;
        bar.set_position(total);
    }
    bar.finish_and_clear();
    Ok(total)
}

/// A progress bar on standard error, if that is a terminal and the output is not; otherwise they would mix.
fn bar(len: u64) -> ProgressBar {
    if len < LARGE || !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
