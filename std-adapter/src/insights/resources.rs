//! What the process uses, and how much of it there is.

use super::Reading;
#[cfg(unix)]
use crate::room;
use std::path::{Path, PathBuf};
use throughline_export::Process;

/// A resource of the process.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) name: String,
    of: Of,
}

#[derive(Clone, Debug)]
enum Of {
    Memory,
    OpenFiles,
    Disk(PathBuf),
}

/// Memory, open files, and each disk that has one of the folders.
pub(super) fn all(folders: &[PathBuf]) -> Vec<Resource> {
    let named = |name: &str, of| Resource { name: name.to_owned(), of };
    let mut all = vec![named("memory", Of::Memory), named("open files", Of::OpenFiles)];
    let mut known = Vec::new();
    for folder in folders {
        // Until the folder is made, its parent tells which disk it will be on.
        let Some(there) = folder.ancestors().find(|path| path.exists()) else { continue };
        let device = device(there);
        if device.is_none() || !known.contains(&device) {
            known.push(device);
            let name = format!("disk {}", there.display());
            all.push(Resource { name, of: Of::Disk(there.to_owned()) });
        }
    }
    all
}

/// The number of the file system.
#[cfg(unix)]
fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|metadata| metadata.dev())
}

#[cfg(not(unix))]
fn device(_path: &Path) -> Option<u64> {
    None
}

impl Resource {
    /// How much is used now; `None` if that cannot be read here.
    pub(super) fn read(&self, process: &Process, time_unix_ns: u64) -> Option<Reading<'_>> {
        let (unit, used, limit) = match &self.of {
            Of::Memory => ("By", process.resident_bytes?, memory()),
            Of::OpenFiles => ("{file}", process.open_fds?, process.max_fds),
            Of::Disk(path) => {
                let (used, all) = disk(path)?;
                ("By", used, Some(all))
            }
        };
        let limit = limit.map(|limit| limit as f64);
        Some(Reading { name: &self.name, unit, used: used as f64, limit, time_unix_ns })
    }
}

#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    room::memory().ok().map(|(_, all)| all)
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}

/// What is not free for this user, and all.
#[cfg(unix)]
fn disk(path: &Path) -> Option<(u64, u64)> {
    room::disk(path).ok().map(|(free, all)| (all.saturating_sub(free), all))
}

#[cfg(not(unix))]
fn disk(_path: &Path) -> Option<(u64, u64)> {
    None
}
