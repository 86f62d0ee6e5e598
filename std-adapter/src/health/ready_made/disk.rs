//! Room on a disk.

use super::judged;
use crate::health::{Check, Finding};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Check {
    /// Whether at least this share (0 to 1) of the file system that has `path` is free for this user; degraded below twice as much.
    pub fn disk(name: impl Into<String>, path: impl Into<PathBuf>, least: f64) -> Check {
        let path = path.into();
        Check::new(name, move || match room(&path) {
            Ok((free, total)) => judged(&path.display().to_string(), free, total, least),
            Err(error) => Finding::unhealthy(format!("{}: {error}; does the path exist?", path.display())),
        })
    }
}

/// Free bytes and all bytes of the file system that has the path.
fn room(path: &Path) -> io::Result<(u64, u64)> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero byte, and `found` has room for the answer.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call was successful, so it has filled the structure.
    let found = unsafe { found.assume_init() };
    // Some systems have 32-bit fields.
    #[allow(clippy::unnecessary_cast, reason = "as the comment says")]
    let (free, total, unit) = (found.f_bavail as u64, found.f_blocks as u64, found.f_frsize as u64);
    Ok((free.saturating_mul(unit), total.saturating_mul(unit)))
}
