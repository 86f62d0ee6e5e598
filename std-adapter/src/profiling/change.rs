//! Pictures of what changed since a time: which windows they are of, and where they are.

#![cfg_attr(not(feature = "alerts"), allow(dead_code, reason = "only alerts want pictures of changes"))]

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};
use throughline_profile::ProfileFolder;

/// A picture that is wanted: of the first window that begins then.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) at: SystemTime,
    /// The profile of the window before.
    pub(super) before: PathBuf,
    pub(super) title: String,
}

/// The pictures of a session. There is at most one for each window, so they cost no more than its profiles do.
#[derive(Debug)]
pub(super) struct Changes {
    folder: ProfileFolder,
    window: Duration,
    /// The last one, and when it was asked for.
    last: Option<(PathBuf, Instant)>,
}

impl Changes {
    pub(super) fn new(folder: ProfileFolder, window: Duration) -> Changes {
        Changes { folder, window, last: None }
    }

    /// The path of a picture, and what is to be made if it is a new one.
    pub(super) fn find(&mut self, title: &str, since: SystemTime) -> Option<(PathBuf, Option<Change>)> {
        if let Some((path, asked)) = &self.last
            && asked.elapsed() < self.window
        {
            return Some((path.clone(), None));
        }
        let before = self.folder.last_before(since)?;
        let at = SystemTime::now();
        let path = self.folder.change(at);
        // Who is told of it may be in another folder.
        let path = std::path::absolute(&path).unwrap_or(path);
        self.last = Some((path.clone(), Instant::now()));
        Some((path, Some(Change { at, before, title: title.to_owned() })))
    }
}
