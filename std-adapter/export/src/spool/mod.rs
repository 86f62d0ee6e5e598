//! A spool keeps batches that could not be delivered on disk, in order. They survive the end of the program.
//!
//! # Files
//!
//! Each exporter and signal has its own folder. Batches are appended to segments, named
//! `0000000000000001.spool` and so on. A segment is deleted when all of its batches have been delivered, and
//! each run of the program begins a new one. A batch is a frame:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | `TLS1` |
//! | 4 | length of the body |
//! | 8 | records appended to this spool before this frame, ever |
//! | 8 | records in this frame |
//! | 4 | CRC-32 of the body |
//! | 4 | CRC-32 of the 28 bytes before |
//! | … | the body: a request, encoded and not compressed |
//!
//! Numbers are little-endian. Each frame says how many records came before it, so the exact number of records
//! lost between two readable frames is known. The file `cursor` says how far the spool has been delivered;
//! the program that uses the spool holds the file `lock`.

mod frame;
mod store;
#[cfg(test)]
mod tests;

pub use store::lock_file;
pub(crate) use store::{AppendError, Front, Spool};

use std::io;
use std::path::{Path, PathBuf};

/// Finds out whether a spool can be used in this folder, which is created if it does not exist, and keeps it for the exporter that this process
/// starts there next.
///
/// # Errors
///
/// Fails if the folder cannot be written, or if another program uses it.
pub fn reserve_spool(folder: &Path) -> io::Result<()> {
    let checked = std::fs::create_dir_all(folder).and_then(|()| store::reserve(folder));
    let folder = folder.display();
    checked.map_err(|error| {
        io::Error::new(error.kind(), format!("the spool in {folder} cannot be used: {error}"))
    })
}

/// Configuration of the spool, where batches wait that could not be delivered.
///
/// A batch counts as spooled only when it has reached the disk (`fdatasync`). A crash while a batch is being
/// written loses that batch. When the program starts again, it delivers the batches that it finds, oldest
/// first, before new ones. If it was killed after a delivery but before it had noted that, the batch is
/// delivered twice.
///
/// Records are dropped and counted as `spool_full` if the spool has reached its limit, and as `spool_corrupt` if they are
/// damaged on disk. While the disk cannot be written, they are delivered as without a spool, and what cannot be is counted as
/// `spool_error`; a line on standard error says that a crash would lose what waits, and another one when that is over. A folder that
/// was deleted is created again. The program itself gets no error.
///
/// ```
/// use throughline_export::SpoolConfig;
/// let config = SpoolConfig::new("/var/spool/shop").max_bytes(256 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    pub(crate) dir: PathBuf,
    pub(crate) max_bytes: u64,
}

impl SpoolConfig {
    /// A spool in this folder, which is created if it does not exist. It holds up to 128 MiB for each
    /// exporter and signal. Programs that run at the same time need separate folders.
    pub fn new(dir: impl Into<PathBuf>) -> SpoolConfig {
        SpoolConfig { dir: dir.into(), max_bytes: 128 << 20 }
    }

    /// Limits the bytes on disk, for each exporter and signal.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> SpoolConfig {
        self.max_bytes = bytes;
        self
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
