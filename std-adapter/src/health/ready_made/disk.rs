//! Room on a disk.

use super::judged;
use crate::health::{Check, Finding};
use crate::room;
use std::path::PathBuf;

impl Check {
    /// Whether at least this share (0 to 1) of the file system that has `path` is free for this user; degraded below twice as much.
    pub fn disk(name: impl Into<String>, path: impl Into<PathBuf>, least: f64) -> Check {
        let path = path.into();
        Check::new(name, move || match room::disk(&path) {
            Ok((free, total)) => judged(&path.display().to_string(), free, total, least),
            Err(error) => Finding::unhealthy(format!("{}: {error}; does the path exist?", path.display())),
        })
    }
}
