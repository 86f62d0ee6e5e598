//! A log file that is rotated by size or time.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When a [`RollingFile`] is rotated, besides by its size. Periods are in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Period {
    /// Only by its size.
    #[default]
    Never,
    /// At each full hour.
    Hourly,
    /// At midnight.
    Daily,
}

impl Period {
    const fn seconds(self) -> Option<u64> {
        match self {
            Period::Never => None,
            Period::Hourly => Some(3600),
            Period::Daily => Some(24 * 3600),
        }
    }
}

/// How a log file is opened, when it is rotated, and how many old files are kept.
///
/// The file keeps its name. On rotation, the old file is renamed to `NAME.TIME`, with the time in UTC as in
/// `shop.log.20261128T100000Z`, and the oldest files beyond [`keep`](RollingFile::keep) are removed. A line
/// is never divided between two files.
///
/// Other programs such as logrotate may rename or remove the file: the next batch then goes to a new file of
/// this name. (logrotate's `copytruncate` is not needed.)
#[derive(Clone, Debug)]
pub struct RollingFile {
    path: PathBuf,
    max_bytes: u64,
    period: Period,
    keep: usize,
}

impl RollingFile {
    /// A file that is never rotated. Missing folders are made when it is opened.
    pub fn new(path: impl Into<PathBuf>) -> RollingFile {
        RollingFile { path: path.into(), max_bytes: u64::MAX, period: Period::Never, keep: 7 }
    }

    /// Rotates the file before it exceeds this many bytes. A longer line gets a file of its own.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> RollingFile {
        self.max_bytes = bytes;
        self
    }

    /// Rotates the file at the first line of each period.
    #[must_use]
    pub fn period(mut self, period: Period) -> RollingFile {
        self.period = period;
        self
    }

    /// How many old files are kept. The default is 7.
    #[must_use]
    pub fn keep(mut self, files: usize) -> RollingFile {
        self.keep = files;
        self
    }

    /// Opens the file, and appends to it if it exists.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be made or written to. The message names it.
    pub fn open(self) -> io::Result<RollingWriter> {
        let current = self.current()?;
        Ok(RollingWriter { settings: self, current, clock: Box::new(SystemTime::now) })
    }

    /// Finds whether [`open`](RollingFile::open) would succeed, and leaves everything as it was: what does not
    /// exist is made and removed again.
    ///
    /// # Errors
    ///
    /// Those of `open`.
    pub fn check(&self) -> io::Result<()> {
        let missing: Vec<&Path> =
            self.path.ancestors().skip(1).take_while(|folder| !folder.exists()).collect();
        let is_new = !self.path.exists();
        let opened = self.current();
        if is_new && opened.is_ok() {
            let _ = fs::remove_file(&self.path);
        }
        // A folder that somebody has used meanwhile is not empty, so it is not removed.
        missing.into_iter().for_each(|folder| _ = fs::remove_dir(folder));
        opened.map(drop)
    }

    /// Opens the file, in a folder that is made if there is none. The error names the file.
    fn current(&self) -> io::Result<Current> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let made = folder.map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| Current::open(&self.path, self.period)).map_err(|error| {
            let path = self.path.display();
            let text =
                format!("{path} cannot be opened for writing: {error}; check the path and its permissions");
            io::Error::new(error.kind(), text)
        })
    }
}

/// Reads the time of day.
type Clock = Box<dyn Fn() -> SystemTime + Send>;

/// An open [`RollingFile`]. It writes whole lines: each call of `write` takes as many as fit into the present
/// file.
pub struct RollingWriter {
    settings: RollingFile,
    current: Current,
    clock: Clock,
}

impl fmt::Debug for RollingWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RollingWriter").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Current {
    file: File,
    bytes: u64,
    /// The period of its first line, counted from 1970.
    period: u64,
    /// Whether an error has cut a line whose rest is still to come.
    in_line: bool,
}

impl Current {
    fn open(path: &Path, period: Period) -> io::Result<Current> {
        refuse_pipe(path)?;
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        // A file from an earlier run belongs to the period in which it was last written.
        let since = metadata.modified().unwrap_or(UNIX_EPOCH);
        Ok(Current { bytes: metadata.len(), period: period_at(period, since), in_line: false, file })
    }

    /// Whether `path` is still this file.
    fn is_at(&self, path: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let (Ok(open), Ok(named)) = (self.file.metadata(), fs::metadata(path)) else { return false };
            open.dev() == named.dev() && open.ino() == named.ino()
        }
        #[cfg(not(unix))]
        {
            path.exists()
        }
    }
}

/// Refuses a path that is a named pipe or a socket: opening a pipe waits for its reader, which may never come.
fn refuse_pipe(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = fs::metadata(path).map(|metadata| metadata.file_type());
        let what = match kind {
            Ok(kind) if kind.is_fifo() => "a named pipe, whose reader may never come",
            Ok(kind) if kind.is_socket() => "a socket",
            _ => return Ok(()),
        };
        let why = format!("it is {what}; only a regular file or a device can be used");
        Err(io::Error::new(io::ErrorKind::InvalidInput, why))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

fn period_at(period: Period, time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    period.seconds().map_or(0, |seconds| since / seconds)
}

impl RollingWriter {
    /// Reads the time of day from `clock` instead of [`SystemTime::now`], for example in a test.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + 'static) -> RollingWriter {
        self.clock = Box::new(clock);
        self
    }

    fn roll(&mut self, now: SystemTime) -> io::Result<()> {
        let path = &self.settings.path;
        let stamp = stamp(now);
        // A growing number tells apart several files of one second, so that names sort by age.
        let of_now = old_files(path).into_iter().filter(|old| old.stamp == stamp);
        let suffix = match of_now.map(|old| old.number).max() {
            None => stamp,
            Some(number) => format!("{stamp}.{}", number.saturating_add(1)),
        };
        fs::rename(path, with_suffix(path, &suffix))?;
        self.current = Current::open(path, self.settings.period)?;
        self.current.period = period_at(self.settings.period, now);
        self.remove_old();
        Ok(())
    }

    /// Removes the oldest files beyond those to keep. A file that cannot be removed is tried again next time.
    fn remove_old(&self) {
        let mut old = old_files(&self.settings.path);
        old.sort();
        let beyond = old.len().saturating_sub(self.settings.keep);
        for file in &old[..beyond] {
            let _ = fs::remove_file(with_suffix(&self.settings.path, &file.suffix));
        }
    }
}

/// The suffix of an old file. Sorts by age.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct OldFile {
    stamp: String,
    number: u32,
    suffix: String,
}

impl OldFile {
    /// The old file with this suffix; `None` if [`RollingWriter`] does not make such suffixes, so that
    /// nothing else is removed.
    fn of(suffix: &str) -> Option<OldFile> {
        let (stamp, number) = suffix.split_once('.').unwrap_or((suffix, "0"));
        let bytes = stamp.as_bytes();
        let is_stamp = bytes.len() == 16
            && (bytes[8], bytes[15]) == (b'T', b'Z')
            && bytes[..15].iter().enumerate().all(|(at, byte)| at == 8 || byte.is_ascii_digit());
        let number = number.parse().ok()?;
        is_stamp.then(|| OldFile { stamp: stamp.into(), number, suffix: suffix.into() })
    }
}

/// The old files of `path`, in no order.
fn old_files(path: &Path) -> Vec<OldFile> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let old =
        |entry: fs::DirEntry| OldFile::of(entry.file_name().to_str()?.strip_prefix(name)?.strip_prefix('.')?);
    entries.filter_map(old).collect()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// A time such as `20261128T100000Z`, which sorts by time.
fn stamp(time: SystemTime) -> String {
    let whole = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(whole)).to_string();
    text.replace(['-', ':'], "")
}

impl Write for RollingWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let now = (self.clock)();
        if !self.current.is_at(&self.settings.path) {
            self.current = Current::open(&self.settings.path, self.settings.period)?;
        }
        let room = self.settings.max_bytes.saturating_sub(self.current.bytes);
        let is_full = fitting(buf, room) == 0 || period_at(self.settings.period, now) != self.current.period;
        if is_full && self.current.bytes > 0 && !self.current.in_line {
            self.roll(now)?;
        }
        self.current.period = period_at(self.settings.period, now);
        let room = self.settings.max_bytes.saturating_sub(self.current.bytes);
        let first_line = buf.iter().position(|byte| *byte == b'\n').map_or(buf.len(), |at| at + 1);
        // A line that is too long for any file is written anyway.
        let lines = &buf[..fitting(buf, room).max(first_line)];
        let written = self.current.file.write(lines)?;
        self.current.bytes += written as u64;
        self.current.in_line = written > 0 && lines[written - 1] != b'\n';
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current.file.flush()
    }
}

/// How many bytes of `buf` are whole lines that fit into `room` bytes.
fn fitting(buf: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
    buf[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}
