//! Manages the files of a spool. Batches are appended at one end, and read and deleted at the other.

use super::frame::{HEADER, Header, crc32};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, PoisonError};

/// A new segment begins when the last one has reached this fraction of the limit, so that space is freed in
/// pieces.
const SHARE: u64 = 16;
/// A segment below this size is never full.
const SMALLEST: u64 = 64 * 1024;

/// The files of the folder beside the segments: the one that is locked, and the one that says what comes next.
const LOCK: &str = "lock";
const PLACE: &str = "cursor";

/// A spool that is locked by this program.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    max_bytes: u64,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// The last segment, while it is being appended to.
    writing: Option<File>,
    reading: Option<File>,
    /// The position of the next frame in the first segment.
    offset: u64,
    /// Records that were delivered or found lost, since the spool was created.
    done: u64,
    /// Records that were appended, since the spool was created.
    appended: u64,
    /// The header of the frame at the front, after it was read.
    front: Option<Header>,
    body: Vec<u8>,
    cursor: File,
    /// Held until the spool is dropped.
    _lock: File,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    /// Number of bytes of complete frames, or of the whole file if an earlier run wrote it.
    len: u64,
}

/// The front of a spool.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Front<'s> {
    Empty,
    /// The oldest batch and the number of records in it.
    Batch(&'s [u8], u64),
    /// This many records before the next readable batch were lost, because the file is damaged.
    Lost(u64),
}

/// Why a batch was not appended.
#[derive(Debug)]
pub(crate) enum AppendError {
    Full,
    Io(io::Error),
}

impl Spool {
    /// Opens the spool in `dir`, which is created if it does not exist. Batches of an earlier run are at its
    /// front. Reads the header of every frame.
    pub(crate) fn open(dir: &Path, max_bytes: u64) -> io::Result<Spool> {
        fs::create_dir_all(dir)?;
        let lock = lock(dir)?;
        let mut cursor = open(&dir.join(PLACE))?;
        let known = read_cursor(&mut cursor);
        let mut segments = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Some(number) = number_of(&entry.file_name().to_string_lossy()) else { continue };
            segments.push(Segment { number, len: entry.metadata()?.len() });
        }
        segments.sort_by_key(|segment| segment.number);
        // A segment before the noted one was delivered, but the program was killed before it could delete it.
        if let Some((number, ..)) = known {
            for old in segments.extract_if(.., |segment| segment.number < number) {
                fs::remove_file(path_of(dir, old.number))?;
            }
        }
        let first = segments.first().map(|segment| segment.number);
        let offset = known.filter(|known| Some(known.0) == first).map_or(0, |known| known.1);
        let mut spool = Spool {
            dir: dir.into(),
            max_bytes,
            segments: segments.into(),
            writing: None,
            reading: None,
            offset,
            done: 0,
            appended: 0,
            front: None,
            body: Vec::new(),
            cursor,
            _lock: lock,
        };
        let (before, after) = spool.scan();
        spool.done = known.map(|known| known.2).or(before).unwrap_or(0);
        spool.appended = after.unwrap_or(0).max(spool.done);
        Ok(spool)
    }

    /// Whether no batch waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Number of records that wait, including those that will be found lost when they are read.
    pub(crate) fn records(&self) -> u64 {
        self.appended - self.done
    }

    /// Appends a batch and syncs it to the disk. If that fails, the spool is unchanged.
    pub(crate) fn append(&mut self, body: &[u8], records: u64) -> Result<(), AppendError> {
        self.append_all([(body, records)])
    }

    /// Appends batches and syncs them to the disk, all at once. If that fails, the spool is unchanged.
    pub(crate) fn append_all<'b>(
        &mut self,
        batches: impl IntoIterator<Item = (&'b [u8], u64)>,
    ) -> Result<(), AppendError> {
        let too_long = || AppendError::Io(io::Error::other("the batch is longer than 4 GiB"));
        let (mut frames, mut appended) = (Vec::new(), self.appended);
        for (body, records) in batches {
            let header = Header::of(body, appended, records).ok_or_else(too_long)?;
            appended = header.after();
            frames.extend_from_slice(&header.to_bytes());
            frames.extend_from_slice(body);
        }
        let used: u64 = self.segments.iter().map(|segment| segment.len).sum();
        if used.saturating_add(frames.len() as u64) > self.max_bytes {
            return Err(AppendError::Full);
        }
        self.write(&frames, appended).map_err(AppendError::Io)
    }

    /// Writes frames, the last of which ends after so many records.
    fn write(&mut self, frames: &[u8], appended: u64) -> io::Result<()> {
        let limit = (self.max_bytes / SHARE).max(SMALLEST);
        if self.segments.back().is_some_and(|last| last.len >= limit) {
            self.writing = None;
        }
        if self.writing.as_ref().is_some_and(is_deleted) {
            self.go_on_reading();
        }
        if self.writing.is_none() {
            self.create_again()?;
            let last = self.segments.back().map(|last| last.number + 1);
            let number = last.unwrap_or_else(|| self.next_number());
            let path = path_of(&self.dir, number);
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            self.writing = Some(file);
            self.segments.push_back(Segment { number, len: 0 });
            // Sync the folder, so that the file's name survives a crash too. Not all systems can sync
            // folders, so an error is ignored.
            let _ = File::open(&self.dir).and_then(|dir| dir.sync_all());
        }
        let (Some(file), Some(segment)) = (&mut self.writing, self.segments.back_mut()) else {
            return Ok(());
        };
        let written = file.write_all(frames).and_then(|()| file.sync_data());
        if written.is_ok() {
            segment.len += frames.len() as u64;
            self.appended = appended;
            return Ok(());
        }
        // A partly written frame must not be read. If it cannot be cut off, begin another segment; the reader
        // knows the length of this one.
        let is_cut = file.set_len(segment.len).and_then(|()| file.seek(SeekFrom::Start(segment.len))).is_ok();
        if !is_cut || segment.len == 0 {
            self.writing = None;
        }
        if segment.len == 0 {
            let number = segment.number;
            self.segments.pop_back();
            let _ = fs::remove_file(path_of(&self.dir, number));
        }
        written
    }

    /// Creates what somebody has deleted of the folder and its files again.
    fn create_again(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let is_gone = |name| self.dir.join(name).try_exists().is_ok_and(|it| !it);
        if is_gone(LOCK) {
            self._lock = lock(&self.dir)?;
        }
        if is_gone(PLACE) {
            self.cursor = open(&self.dir.join(PLACE))?;
            self.note();
        }
        Ok(())
    }

    /// Appends no more to the last segment, whose file was deleted. What it has can still be read as long as it is open.
    fn go_on_reading(&mut self) {
        let file = self.writing.take();
        if self.segments.len() == 1 && self.reading.is_none() {
            self.reading = file;
        }
    }

    /// The number for the first segment of an empty spool, which was not used before.
    fn next_number(&mut self) -> u64 {
        read_cursor(&mut self.cursor).map_or(1, |(number, ..)| number.max(1))
    }

    /// Returns the front of the spool. A batch stays there until [`pop`](Self::pop); a loss is reported once.
    pub(crate) fn front(&mut self) -> Front<'_> {
        while self.front.is_none() {
            let Some(segment) = self.segments.front() else { break };
            if self.offset >= segment.len {
                self.next_segment();
                continue;
            }
            match self.read_frame() {
                Some(header) => self.front = Some(header),
                None => self.offset = u64::MAX,
            }
        }
        // `done` may already be ahead of this frame; then nothing was lost before it.
        let up_to = self.front.map_or(self.appended, |header| header.before).max(self.done);
        let lost = up_to - self.done;
        if lost > 0 {
            self.done = up_to;
            // Note the loss at once, so that the next run does not report it again.
            self.note();
            return Front::Lost(lost);
        }
        match self.front {
            Some(header) => Front::Batch(&self.body, header.records),
            None => Front::Empty,
        }
    }

    /// Removes the batch at the front.
    pub(crate) fn pop(&mut self) {
        let Some(header) = self.front.take() else { return };
        self.offset += header.frame_len();
        self.done = self.done.max(header.after());
        if self.segments.front().is_some_and(|segment| self.offset >= segment.len) {
            self.next_segment();
        } else {
            self.note();
        }
    }

    /// Deletes the first segment.
    fn next_segment(&mut self) {
        let Some(segment) = self.segments.pop_front() else { return };
        if self.segments.is_empty() {
            self.writing = None;
        }
        (self.offset, self.reading) = (0, None);
        let next = self.segments.front().map_or(segment.number + 1, |next| next.number);
        // Note the next segment first. If the program is killed before it deletes the old segment, the next
        // run does.
        self.note_at(next);
        let _ = fs::remove_file(path_of(&self.dir, segment.number));
    }

    fn note(&mut self) {
        let number = match self.segments.front() {
            Some(segment) => segment.number,
            None => self.next_number(),
        };
        self.note_at(number);
    }

    /// Notes how far the spool has been delivered. If that fails, a later run delivers some batches twice.
    fn note_at(&mut self, number: u64) {
        let mut bytes = [0; CURSOR];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.done.to_le_bytes());
        let crc = crc32(&bytes[..24]);
        bytes[24..].copy_from_slice(&crc.to_le_bytes());
        let _ = self.cursor.seek(SeekFrom::Start(0)).and_then(|_| self.cursor.write_all(&bytes));
    }

    /// Reads the next frame of the first segment, with its body into `body`. Damaged parts are skipped.
    /// Returns `None` if the rest of the segment has no complete frame.
    fn read_frame(&mut self) -> Option<Header> {
        let segment = self.segments.front()?;
        let (number, end) = (segment.number, segment.len);
        if self.reading.is_none() {
            self.reading = File::open(path_of(&self.dir, number)).ok();
        }
        if self.reading.is_none() {
            self.go_on_reading();
        }
        let file = self.reading.as_mut()?;
        loop {
            let (offset, header) = next_header(file, self.offset)?;
            self.offset = offset;
            if header.frame_len() > end.checked_sub(offset)? {
                return None;
            }
            self.body.resize(header.body_len as usize, 0);
            file.read_exact(&mut self.body).ok()?;
            if crc32(&self.body) == header.body_crc {
                return Some(header);
            }
            self.offset += header.frame_len();
        }
    }

    /// The counts of records before the first and after the last frame with a readable header, even if its
    /// body is cut short.
    fn scan(&self) -> (Option<u64>, Option<u64>) {
        let (mut before, mut after) = (None, None);
        let mut offset = self.offset;
        for segment in &self.segments {
            let Ok(mut file) = File::open(path_of(&self.dir, segment.number)) else { continue };
            while let Some((at, header)) = next_header(&mut file, offset) {
                before = before.or(Some(header.before));
                after = after.max(Some(header.after()));
                offset = at + header.frame_len();
            }
            offset = 0;
        }
        (before, after)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Locks this file, which is created if it does not exist, until what is returned is dropped. Other programs that lock it are kept out, and so is the rest
/// of this one.
///
/// # Errors
///
/// [`TryLockError::WouldBlock`] if it is locked already, and another error if it cannot be opened or locked.
pub fn lock_file(path: &Path) -> Result<File, TryLockError> {
    let lock = open(path).map_err(TryLockError::Error)?;
    lock.try_lock()?;
    Ok(lock)
}

/// Locks that [`reserve`] took and [`lock`] has not taken over yet, by folder, each with the process that took it.
static RESERVED: Mutex<BTreeMap<PathBuf, (u32, File)>> = Mutex::new(BTreeMap::new());

/// Locks the spool in this folder for the [`Spool`] that this process opens there later, so that no other process can do so in between.
pub(super) fn reserve(dir: &Path) -> io::Result<()> {
    let lock = lock(dir)?;
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    reserved.insert(dir.into(), (process::id(), lock));
    Ok(())
}

/// Locks the spool in this folder, until the file is dropped.
fn lock(dir: &Path) -> io::Result<File> {
    let reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner).remove(dir);
    // After a fork there are those of the parent.
    if let Some((_, lock)) = reserved.filter(|(of, _)| *of == process::id()) {
        return Ok(lock);
    }
    lock_file(&dir.join(LOCK)).map_err(|error| match error {
        TryLockError::WouldBlock => {
            io::Error::other("another program uses it; give each a folder of its own")
        }
        TryLockError::Error(error) => error,
    })
}

/// Finds the header at `offset`, or the next valid one if that is damaged, and its position. The file is then
/// positioned at the body.
fn next_header(file: &mut File, offset: u64) -> Option<(u64, Header)> {
    if let Some(header) = read_header(file, offset) {
        return Some((offset, header));
    }
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).ok()?;
    let is_header = |bytes: &[u8]| bytes.first_chunk().is_some_and(|bytes| Header::read(bytes).is_some());
    let skipped = (0..rest.len()).find(|at| is_header(&rest[*at..]))?;
    let found = offset + skipped as u64;
    Some((found, read_header(file, found)?))
}

fn read_header(file: &mut File, offset: u64) -> Option<Header> {
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = [0; HEADER];
    file.read_exact(&mut bytes).ok()?;
    Header::read(&bytes)
}

/// Length of the cursor: number of a segment, offset in it, records done, checksum.
const CURSOR: usize = 28;

fn read_cursor(file: &mut File) -> Option<(u64, u64, u64)> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut bytes = [0; CURSOR];
    file.read_exact(&mut bytes).ok()?;
    let word = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or(0);
    (bytes[24..] == crc32(&bytes[..24]).to_le_bytes()).then(|| (word(0), word(8), word(16)))
}

/// Whether the file has no name any more.
#[cfg(unix)]
fn is_deleted(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// Whether the file has no name any more: one that is open cannot be deleted.
#[cfg(not(unix))]
fn is_deleted(_: &File) -> bool {
    false
}

fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.spool"))
}

fn number_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(".spool")?, 16).ok()
}
