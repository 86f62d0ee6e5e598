//! A spool: batches that could not be delivered wait on disk, in order, and survive the program.
//!
//! # Files
//!
//! A folder for each exporter and signal. Batches are appended to segments, `0000000000000001.spool` and so on, which are deleted when all of their batches have been
//! delivered; a program that starts begins a segment of its own. A batch is a frame:
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
//! Numbers are little-endian. As each frame says how many records came before it, what is lost between two readable frames is known to the record. `cursor` says how far
//! the spool has been delivered; `lock` is held by the program that uses it.

mod frame;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use store::{AppendError, Front, Spool};

use std::path::{Path, PathBuf};

/// Where batches wait that could not be delivered, and how many.
///
/// What is written is on the disk before it counts as spooled (`fdatasync`). A crash in the middle of writing costs that batch. A program that starts again delivers what
/// it finds, oldest first, before anything new. If it was killed between a delivery and the note of it, that batch is delivered twice.
///
/// When the spool holds its limit, further batches are dropped and counted as `spool_full`; when the disk refuses them, as `spool_error`; what turns out damaged, as
/// `spool_corrupt`. None of it is an error in the program.
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
    /// A spool in this folder, which is made if it is not there: up to 128 MiB for each exporter and signal. Programs that run at the same time need folders of their own.
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
