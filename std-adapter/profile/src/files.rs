//! Profiles as files in a folder, of which the newest are kept.

use crate::Profile;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A folder for profiles. Each is written as pprof and as a flame graph: `cpu-20261128T101500.250Z-4711.pb.gz` and `.svg`,
/// with the time at which it began and the process.
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
}

impl ProfileFolder {
    /// Writes into this folder, which is created with the first profile, and keeps the newest 20 of each kind.
    pub fn new(folder: impl Into<PathBuf>) -> ProfileFolder {
        ProfileFolder { folder: folder.into(), keep: 20 }
    }

    /// Keeps so many of each kind, CPU and memory; at least 1. Older ones are removed, also those of earlier processes.
    pub fn keep(mut self, profiles: usize) -> ProfileFolder {
        self.keep = profiles.max(1);
        self
    }

    /// Looks up names and writes the profile. Returns the path of the file for pprof; the flame graph is beside it.
    ///
    /// # Errors
    ///
    /// An error of the file system, with the path in its text.
    pub fn write(&self, profile: &Profile) -> io::Result<PathBuf> {
        let kind = if profile.is_cpu() { "cpu" } else { "heap" };
        let at = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
        };
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))?;
        let time = humantime::format_rfc3339_millis(profile.started().max(SystemTime::UNIX_EPOCH));
        let time = time.to_string().replace(['-', ':'], "");
        let stem = format!("{kind}-{time}-{}", std::process::id());
        let (pprof, picture) =
            (self.folder.join(format!("{stem}.pb.gz")), self.folder.join(format!("{stem}.svg")));
        let report = profile.symbolize();
        // A reader never finds half a file under its name.
        for (path, content) in [(&picture, report.flame_graph(&stem).into_bytes()), (&pprof, report.pprof())]
        {
            let unfinished = path.with_added_extension("part");
            fs::write(&unfinished, content).map_err(at(&unfinished))?;
            fs::rename(&unfinished, path).map_err(at(path))?;
        }
        self.remove_old(kind);
        Ok(pprof)
    }

    /// Removes what is too old. What cannot be removed stays; the next profile tries again.
    fn remove_old(&self, kind: &str) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut stems: Vec<String> = names.filter_map(|name| Some(stem(&name, kind)?.to_owned())).collect();
        // The time comes first in a name, so the order of names is that of time.
        stems.sort_unstable();
        stems.dedup();
        let old = stems.len().saturating_sub(self.keep);
        for stem in &stems[..old] {
            for extension in ["pb.gz", "svg"] {
                let _ = fs::remove_file(self.folder.join(format!("{stem}.{extension}")));
            }
        }
    }
}

impl<P: Into<PathBuf>> From<P> for ProfileFolder {
    fn from(folder: P) -> ProfileFolder {
        ProfileFolder::new(folder)
    }
}

/// The part of a name before its extension, if it is that of a profile of this kind.
fn stem<'a>(name: &'a str, kind: &str) -> Option<&'a str> {
    let stem = name.strip_suffix(".pb.gz").or_else(|| name.strip_suffix(".svg"))?;
    let (time, process) = stem.strip_prefix(kind)?.strip_prefix('-')?.rsplit_once('-')?;
    let is_time = time.len() == "20261128T101500.250Z".len() && time.ends_with('Z');
    (is_time && process.parse::<u32>().is_ok()).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_profiles_are_kept_and_other_files_are_left_alone() {
        let folder = std::env::temp_dir().join(format!("throughline-folder-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let files = ProfileFolder::new(folder.join("profiles")).keep(2);
        let mut paths = Vec::new();
        for seconds in [5, 1, 9] {
            let started = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            paths.push(files.write(&Profile { started, ..Profile::default() }).unwrap());
            fs::write(folder.join("profiles/cpu-notes.svg"), "mine").unwrap();
            fs::write(folder.join("profiles/heap-19700101T000000.000Z-1.svg"), "another kind").unwrap();
        }
        let name = paths[0].file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("cpu-19700101T000005.000Z-{}.pb.gz", std::process::id()));
        let there: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        assert_eq!(there, [true, false, true]);
        let all = fs::read_dir(folder.join("profiles")).unwrap().count();
        assert_eq!(all, 2 * 2 + 2, "two profiles of two files, and two other files");
        // The error of a folder that cannot be made names it.
        let blocked = ProfileFolder::new(paths[0].join("below a file"));
        let error = blocked.write(&Profile::default()).unwrap_err().to_string();
        assert!(error.contains("below a file"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
