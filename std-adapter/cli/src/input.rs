//! Where the bytes come from: a file, with a progress bar when it is large, or a live stream on standard input.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::CliError;

const CHUNK: usize = 64 * 1024;
/// Smaller files are done before a bar could be read.
const LARGE: u64 = 16 * 1024 * 1024;
/// How long a live stream may be silent before what is held back is shown.
const SILENCE: Duration = Duration::from_millis(300);

/// What a source gives.
pub(crate) enum Chunk<'a> {
    /// Bytes, and of a live stream when they came in, in nanoseconds since 1970.
    Bytes(&'a [u8], Option<u64>),
    /// The live stream is silent, for the n-th time in a row.
    Silence(u32),
}

/// Reads all of `path` (`-` is standard input) in chunks. Gives back the number of bytes.
pub(crate) fn read(
    path: &Path,
    mut take: impl FnMut(Chunk<'_>) -> Result<(), CliError>,
) -> Result<u64, CliError> {
    if path == Path::new("-") {
        return live(path, take);
    }
    let failed = |source| CliError::Input { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let len = file.metadata().map_err(failed)?.len();
    let bar = bar(len);
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let n = file.read(&mut buffer).map_err(failed)?;
        if n == 0 {
            bar.finish_and_clear();
            return Ok(total);
        }
        take(Chunk::Bytes(&buffer[..n], None))?;
        total += n as u64;
        bar.set_position(total);
    }
}

/// A bar on standard error when that is a terminal and the output is not, where the two would mix.
fn bar(len: u64) -> ProgressBar {
    if len < LARGE || !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A thread of its own reads, so that silence can be told from a slow consumer and each chunk has the time it came in.
fn live(path: &Path, mut take: impl FnMut(Chunk<'_>) -> Result<(), CliError>) -> Result<u64, CliError> {
    let chunks = reader();
    let (mut total, mut silences) = (0, 0);
    loop {
        match chunks.recv_timeout(SILENCE) {
            Ok(Ok((bytes, arrival))) => {
                silences = 0;
                total += bytes.len() as u64;
                take(Chunk::Bytes(&bytes, Some(arrival)))?;
            }
            Ok(Err(source)) => return Err(CliError::Input { path: path.to_owned(), source }),
            Err(RecvTimeoutError::Timeout) => {
                silences += 1;
                take(Chunk::Silence(silences))?;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(total),
        }
    }
}

type Read1 = std::io::Result<(Vec<u8>, u64)>;

fn reader() -> Receiver<Read1> {
    let (sender, receiver) = sync_channel(16);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = match stdin.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => Ok((buffer[..n].to_vec(), now_ns())),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
            let failed = read.is_err();
            if sender.send(read).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
