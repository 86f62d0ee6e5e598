//! A live stream. Its own thread reads, so that silence can be told from a slow consumer and each chunk has
//! the time at which it arrived.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use super::{CHUNK, Chunk};
use crate::error::CliError;
use crate::stop;

/// After this silence, traces are shown that were held back for records that usually follow at once.
const QUIET: Duration = Duration::from_millis(300);
/// Number of chunks that are read ahead.
const AHEAD: usize = 16;

/// An event of the reading thread.
pub(crate) enum Arrival {
    /// Bytes, and when they arrived, in nanoseconds since 1970.
    Bytes(Vec<u8>, u64),
    /// The link was lost and opened again.
    Reopened,
    /// The stream cannot be read any longer.
    Failed(std::io::Error),
}

pub(crate) type Arrivals = Receiver<Arrival>;

/// Reads a stream until it ends.
pub(crate) fn read(mut stream: impl Read + Send + 'static) -> Arrivals {
    spawn(move |sender| {
        let mut buffer = vec![0; CHUNK];
        loop {
            let arrival = match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => Arrival::Bytes(buffer[..n].to_vec(), now_ns()),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => Arrival::Failed(e),
            };
            let failed = matches!(arrival, Arrival::Failed(_));
            if sender.send(arrival).is_err() || failed {
                return;
            }
        }
    })
}

/// Starts the reading thread.
pub(super) fn spawn(body: impl FnOnce(SyncSender<Arrival>) + Send + 'static) -> Arrivals {
    let (sender, receiver) = sync_channel(AHEAD);
    std::thread::spawn(move || body(sender));
    receiver
}

/// Passes on everything until the stream ends or a signal asks to stop. Returns the number of bytes.
pub(super) fn take_all(
    name: &Path,
    arrivals: &Arrivals,
    mut take: impl FnMut(Chunk<'_>) -> Result<(), CliError>,
) -> Result<u64, CliError> {
    let mut total = 0;
    let mut pass = |arrival| match arrival {
        None => take(Chunk::Quiet),
        Some(Arrival::Bytes(bytes, at)) => {
            total += bytes.len() as u64;
            take(Chunk::Bytes(&bytes, Some(at)))
        }
        Some(Arrival::Reopened) => take(Chunk::Reopened),
        Some(Arrival::Failed(source)) => Err(CliError::Input { path: name.to_owned(), source }),
    };
    while !stop::requested() {
        match arrivals.recv_timeout(QUIET) {
            Ok(arrival) => pass(Some(arrival))?,
            Err(RecvTimeoutError::Timeout) => pass(None)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(total),
        }
    }
    // Show what was read before the signal.
    for arrival in arrivals.try_iter().take(AHEAD) {
        pass(Some(arrival))?;
    }
    Ok(total)
}

pub(super) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
