//! The records of the last moments, in a file.

use super::{Action, Match, Place};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use throughline_export::ledger::DropReason;
use throughline_export::otlp::{OtlpFile, Signal};
use throughline_export::{Deadline, ExportError, Exporter, Host};

const ENDING: &str = ".jsonl";

/// Writes the spans and events of the last moments to a file, as OTLP JSON lines, which the Collector's `otlpjsonfile` receiver and `throughline` read. Its
/// name is that of the observer and the time of the match. The oldest files of the observer go when there are too many.
///
/// What is kept has passed sampling, as what exporters get.
#[derive(Clone, Debug)]
pub struct Dump {
    folder: PathBuf,
    files: usize,
    bytes: usize,
    place: Option<Place>,
}

impl Dump {
    /// Writes files into this folder, which is made if it does not exist. It keeps 4 MiB of records in memory, and 10 files.
    pub fn new(folder: impl Into<PathBuf>) -> Dump {
        Dump { folder: folder.into(), files: 10, bytes: 4 << 20, place: None }
    }

    /// How many bytes of records are kept in memory. All actions of a process share those of the one that wants most.
    #[must_use]
    pub fn bytes(self, bytes: usize) -> Dump {
        Dump { bytes, ..self }
    }

    /// How many files are kept of each observer, at least one.
    #[must_use]
    pub fn files(self, files: usize) -> Dump {
        Dump { files: files.max(1), ..self }
    }

    fn write(&self, found: &Match, place: &Place, deadline: &Deadline) -> Result<(), ExportError> {
        let failed = |error: io::Error| self.failed(DropReason::WriteError, error);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let prefix = format!("{}-", safe(&found.observer));
        let path = self.folder.join(format!("{prefix}{:020}{ENDING}", found.time_unix_ns));
        write_records(&path, place, deadline).map_err(|(reason, why)| {
            // A part of the records would pass for all of them.
            let _ = std::fs::remove_file(&path);
            self.failed(reason, why)
        })?;
        self.thin_out(&prefix).map_err(failed)
    }

    fn failed(&self, reason: DropReason, why: impl Display) -> ExportError {
        let why = format!("records cannot be written into {}: {why}", self.folder.display());
        ExportError::new(reason, 1, why)
    }

    /// Removes the oldest files of an observer, so that as many are left as are to be kept.
    fn thin_out(&self, prefix: &str) -> io::Result<()> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| is_of(path, prefix));
        files.sort();
        let surplus = files.len().saturating_sub(self.files);
        files.iter().take(surplus).try_for_each(std::fs::remove_file)
    }
}

/// Writes the records of the last moments to a new file.
fn write_records(path: &Path, place: &Place, deadline: &Deadline) -> Result<(), (DropReason, String)> {
    let failed = |error: io::Error| (DropReason::WriteError, error.to_string());
    let out = BufWriter::new(File::create(path).map_err(failed)?);
    let mut file = OtlpFile::new(out).signals(&[Signal::Traces, Signal::Logs]);
    let spawn = |_: &str, _: Box<dyn FnOnce() + Send>| Err(io::Error::other("no threads here"));
    file.begin(&Host::new(&place.resource, &spawn)).map_err(failed)?;
    for chunk in place.recent.take() {
        chunk.replay(&mut file);
    }
    file.finish(deadline).map_err(|error| (error.reason, error.message))
}

/// Whether this is a file of the observer: its name and digits.
fn is_of(path: &Path, prefix: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(ENDING));
    digits.is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The name with other characters than letters, digits, `_` and `-` replaced.
fn safe(name: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.chars().map(|c| if is_safe(c) { c } else { '_' }).collect()
}

impl Action for Dump {
    fn begin(&mut self, place: &Place) {
        self.place = Some(place.clone());
    }

    fn keeps(&self) -> usize {
        self.bytes
    }

    fn run(&mut self, found: &Match, deadline: &Deadline) -> Result<(), ExportError> {
        match &self.place {
            Some(place) => self.write(found, place, deadline),
            None => Err(ExportError::new(DropReason::Ended, 1, "nothing is recorded here")),
        }
    }
}
