//! Profiles as files in a folder, of which the newest are kept.

use crate::{Profile, Report};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How the names of profiles begin: of CPU time, of memory, and of what changed.
const KINDS: [&str; 3] = ["cpu", "heap", "change"];

/// A folder for profiles. Each is written as pprof and as a flame graph: `cpu-20261128T101500.250Z-4711.pb.gz` and `.svg`,
/// with the time at which it began and the process. What changed between two profiles is a flame graph too, `change-….svg`.
///
/// ```no_run
/// use throughline_profile::{ProfileFolder, profile_for};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = ProfileFolder::new("profiles").keep(10);
/// let profile = profile_for(std::time::Duration::from_secs(30), Default::default())?;
/// println!("go tool pprof {}", folder.write(&profile)?.display());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ProfileFolder {
    folder: PathBuf,
    keep: usize,
    max_age: Duration,
    max_bytes: u64,
    removed: Arc<[AtomicU64; 3]>,
}

/// Profiles that a [`ProfileFolder`] has removed, by the limit that they were beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemovedProfiles {
    /// Beyond [`ProfileFolder::keep`].
    pub count: u64,
    /// Beyond [`ProfileFolder::max_age`].
    pub age: u64,
    /// Beyond [`ProfileFolder::max_bytes`].
    pub bytes: u64,
}

impl ProfileFolder {
    /// Writes into this folder, which is created with the first profile, and keeps the newest 20 of each kind.
    pub fn new(folder: impl Into<PathBuf>) -> ProfileFolder {
        let (folder, max_age, max_bytes) = (folder.into(), Duration::MAX, u64::MAX);
        ProfileFolder { folder, keep: 20, max_age, max_bytes, removed: Arc::default() }
    }

    /// Keeps so many of each kind, CPU, memory and changes; at least 1. Older ones are removed, also those of earlier processes.
    pub fn keep(mut self, profiles: usize) -> ProfileFolder {
        self.keep = profiles.max(1);
        self
    }

    /// Removes profiles that were written longer ago than this, also those of earlier processes, whenever another one is
    /// written. Without this, none is too old.
    pub fn max_age(mut self, age: Duration) -> ProfileFolder {
        self.max_age = age;
        self
    }

    /// Keeps so many bytes of all kinds together: whenever a profile is written, the oldest go first, and the one that was
    /// written stays even if it is larger. Without this, there is no limit.
    pub fn max_bytes(mut self, bytes: u64) -> ProfileFolder {
        self.max_bytes = bytes;
        self
    }

    /// What was removed so far, by this and all clones of it.
    pub fn removed(&self) -> RemovedProfiles {
        let [count, age, bytes] = self.removed.each_ref().map(|n| n.load(Ordering::Relaxed));
        RemovedProfiles { count, age, bytes }
    }

    /// Looks up names and writes the profile. Returns the path of the file for pprof; the flame graph is beside it.
    ///
    /// # Errors
    ///
    /// An error of the file system, with the path in its text.
    pub fn write(&self, profile: &Profile) -> io::Result<PathBuf> {
        let [cpu, heap, _] = KINDS;
        let kind = if profile.is_cpu() { cpu } else { heap };
        let stem = named(kind, profile.started());
        let report = profile.symbolize();
        self.put(&stem, "svg", report.flame_graph(&stem).into_bytes())?;
        let pprof = self.put(&stem, "pb.gz", report.pprof())?;
        self.remove_old(&stem);
        Ok(pprof)
    }

    /// The last CPU profile of this process whose samples were all taken before this time, if it is still there.
    pub fn last_before(&self, time: SystemTime) -> Option<PathBuf> {
        let [cpu, ..] = KINDS;
        let own = format!("-{}", std::process::id());
        let is_it = |old: &Written| old.kind == cpu && old.modified <= time && old.stem.ends_with(&own);
        let paths = self.list().into_iter().filter(is_it).map(|old| self.folder.join(old.stem + ".pb.gz"));
        paths.into_iter().find(|path| path.exists())
    }

    /// Where [`write_change`](ProfileFolder::write_change) writes a change of this time.
    pub fn change(&self, at: SystemTime) -> PathBuf {
        let [.., change] = KINDS;
        self.folder.join(named(change, at) + ".svg")
    }

    /// Writes a flame graph of what changed from a profile in pprof's format to this one, red where more is used and blue where less is. Returns its path,
    /// which is that of [`change`](ProfileFolder::change).
    ///
    /// # Errors
    ///
    /// An error of the file system, or that the file `before` holds no profile, with the path in its text.
    pub fn write_change(
        &self,
        at: SystemTime,
        before: &Path,
        profile: &Profile,
        title: &str,
    ) -> io::Result<PathBuf> {
        let bytes = fs::read(before).map_err(|error| named_error(before, error))?;
        let before = Report::read_pprof(&bytes)
            .map_err(|error| named_error(before, io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let picture = profile.symbolize().difference(&before, title);
        let [.., change] = KINDS;
        let stem = named(change, at);
        let path = self.put(&stem, "svg", picture.into_bytes())?;
        self.remove_old(&stem);
        Ok(path)
    }

    /// Writes a file, which is made if it is not there. A reader never finds half of it under its name.
    fn put(&self, stem: &str, extension: &str, content: Vec<u8>) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder).map_err(|error| named_error(&self.folder, error))?;
        let path = self.folder.join(format!("{stem}.{extension}"));
        let unfinished = path.with_added_extension("part");
        fs::write(&unfinished, content).map_err(|error| named_error(&unfinished, error))?;
        fs::rename(&unfinished, &path).map_err(|error| named_error(&path, error))?;
        Ok(path)
    }

    /// Removes what is beyond a limit, but for the profile with this stem. What cannot be removed stays; the next profile
    /// tries again.
    fn remove_old(&self, written: &str) {
        let now = SystemTime::now();
        let mut kept = self.list();
        let mut remove = |reason: usize, is_beyond: &mut dyn FnMut(&Written) -> bool| {
            kept.retain(|old| {
                let stays = !is_beyond(old) || old.stem == written || !self.remove(old);
                self.removed[reason].fetch_add(u64::from(!stays), Ordering::Relaxed);
                stays
            });
        };
        remove(1, &mut |old| now.duration_since(old.modified).is_ok_and(|age| age > self.max_age));
        // The newest come first.
        let mut of_kind = HashMap::new();
        remove(0, &mut |old| {
            let newer = of_kind.entry(old.kind).or_insert(0);
            *newer += 1;
            *newer > self.keep
        });
        let mut bytes = 0_u64;
        remove(2, &mut |old| {
            bytes = bytes.saturating_add(old.bytes);
            bytes > self.max_bytes
        });
    }

    fn remove(&self, old: &Written) -> bool {
        old.files.iter().all(|name| match fs::remove_file(self.folder.join(name)) {
            // Another process may have removed it meanwhile.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
            Ok(()) => true,
        })
    }

    /// The profiles in the folder, the newest first. What a process left unfinished when it ended is among them.
    fn list(&self) -> Vec<Written> {
        let mut found = HashMap::<String, Written>::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let (Some((kind, stem)), Ok(file)) = (stem(&name), entry.metadata()) else { continue };
            let modified = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let stem = stem.to_owned();
            let profile = found.entry(stem.clone()).or_insert_with(|| Written {
                modified,
                stem,
                kind,
                bytes: 0,
                files: Vec::new(),
            });
            profile.modified = profile.modified.max(modified);
            profile.bytes += file.len();
            profile.files.push(name);
        }
        let mut found: Vec<Written> = found.into_values().collect();
        found.sort_unstable_by(|a, b| (b.modified, &b.stem).cmp(&(a.modified, &a.stem)));
        found
    }
}

/// A profile in the folder.
struct Written {
    modified: SystemTime,
    stem: String,
    kind: &'static str,
    bytes: u64,
    files: Vec<String>,
}

/// The name of a file without its extension.
fn named(kind: &str, time: SystemTime) -> String {
    let time = humantime::format_rfc3339_millis(time.max(SystemTime::UNIX_EPOCH));
    format!("{kind}-{}-{}", time.to_string().replace(['-', ':'], ""), std::process::id())
}

/// The error with the path.
fn named_error(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl<P: Into<PathBuf>> From<P> for ProfileFolder {
    fn from(folder: P) -> ProfileFolder {
        ProfileFolder::new(folder)
    }
}

/// The kind and the part of a name before its extension, if it is that of a profile.
fn stem(name: &str) -> Option<(&'static str, &str)> {
    let name = name.strip_suffix(".part").unwrap_or(name);
    let stem = name.strip_suffix(".pb.gz").or_else(|| name.strip_suffix(".svg"))?;
    let (kind, rest) = stem.split_once('-')?;
    let kind = KINDS.into_iter().find(|it| *it == kind)?;
    let (time, process) = rest.rsplit_once('-')?;
    let is_time = time.len() == "20261128T101500.250Z".len() && time.ends_with('Z');
    (is_time && process.parse::<u32>().is_ok()).then_some((kind, stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder for one test.
    fn empty(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("throughline-folder-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn profile(seconds: u64) -> Profile {
        Profile { started: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), ..Profile::default() }
    }

    /// Makes a file look as if it had been written so long ago.
    fn age(path: &Path, seconds: u64) {
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_newest_profiles_are_kept_and_other_files_are_left_alone() {
        let folder = empty("keep");
        let files = ProfileFolder::new(folder.join("profiles")).keep(2);
        let mut paths = Vec::new();
        for (started, written_before) in [(5, 10), (1, 20), (9, 0)] {
            let path = files.write(&profile(started)).unwrap();
            for path in [&path, &path.with_extension("").with_extension("svg")] {
                age(path, written_before);
            }
            paths.push(path);
            fs::write(folder.join("profiles/cpu-notes.svg"), "mine").unwrap();
            fs::write(folder.join("profiles/heap-19700101T000000.000Z-1.svg"), "another kind").unwrap();
        }
        let name = paths[0].file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("cpu-19700101T000005.000Z-{}.pb.gz", std::process::id()));
        let there: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        assert_eq!(there, [true, false, true]);
        let all = fs::read_dir(folder.join("profiles")).unwrap().count();
        assert_eq!(all, 2 * 2 + 2, "two profiles of two files, and two other files");
        assert_eq!(files.removed(), RemovedProfiles { count: 1, ..RemovedProfiles::default() });
        // The error of a folder that cannot be made names it.
        let blocked = ProfileFolder::new(paths[0].join("below a file"));
        let error = blocked.write(&Profile::default()).unwrap_err().to_string();
        assert!(error.contains("below a file"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn profiles_that_are_too_old_go_and_so_does_what_a_process_left_unfinished() {
        let folder = empty("age");
        let left =
            ["cpu-20261128T101500.250Z-1.svg.part", "heap-20261128T101500.250Z-2.svg", "notes-1-2.svg"];
        for name in left {
            fs::write(folder.join(name), "").unwrap();
            age(&folder.join(name), 7200);
        }
        let young = "cpu-20261128T101500.250Z-3.pb.gz";
        fs::write(folder.join(young), "").unwrap();
        age(&folder.join(young), 1800);
        let files = ProfileFolder::new(&folder).max_age(Duration::from_secs(3600));
        let written = files.write(&profile(5)).unwrap();
        let written = written.file_name().unwrap().to_str().unwrap();
        let picture = written.replace(".pb.gz", ".svg");
        assert_eq!(names(&folder), [written, &picture, young, left[2]]);
        assert_eq!(files.clone().removed(), RemovedProfiles { age: 2, ..RemovedProfiles::default() });
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_oldest_of_both_kinds_go_when_there_are_too_many_bytes() {
        let folder = empty("bytes");
        let old = [
            ("cpu-20261128T101500.250Z-1.svg", 30),
            ("heap-20261128T101500.250Z-2.svg", 40),
            ("cpu-20261128T101500.250Z-3.svg", 20),
        ];
        let fill = || {
            for (name, seconds) in old {
                fs::write(folder.join(name), [0; 1000]).unwrap();
                age(&folder.join(name), seconds);
            }
        };
        let written = ProfileFolder::new(&folder).write(&profile(5)).unwrap();
        let sizes = names(&folder).into_iter().map(|name| fs::metadata(folder.join(name)).unwrap().len());
        let size: u64 = sizes.sum();
        fill();
        let files = ProfileFolder::new(&folder).max_bytes(size + 2000);
        files.write(&profile(5)).unwrap();
        let there = old.map(|(name, _)| folder.join(name).exists());
        assert_eq!((there, files.removed().bytes), ([true, false, true], 1));
        // The new one stays even if it is larger than that.
        fill();
        let files = files.max_bytes(1);
        files.write(&profile(5)).unwrap();
        assert_eq!((names(&folder).len(), files.removed().bytes), (2, 4));
        assert!(written.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
