//! Bodies that leave in order, at least once: they wait in memory, or on the disk from before the first attempt until they were taken.

use crate::backlog::{Away, Backlog, Lost};
use crate::ledger::DropReason;
use crate::spool::{AppendError, Front, Spool};
use crate::{Deadline, ExportError, SpoolConfig};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a spool that cannot be written is left alone.
const SPOOL_PAUSE: Duration = Duration::from_secs(1);
/// An attempt that fails after this time has hung. The next one comes after as long a rest, up to [`LONGEST_REST`], in which what came meanwhile gets to
/// where it waits.
const HUNG: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// Bodies that wait until they are taken.
///
/// With a spool each body is on the disk before it is sent for the first time, so that a process that is killed loses none; one that was taken just before
/// may be sent twice. While the spool cannot be written, bodies wait in memory. A clone has the same bodies.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Most records in a body.
    most: u64,
    /// Bodies that do not wait yet, each with the number of its records. The last one is being filled.
    open: Vec<(Vec<u8>, u64)>,
    /// Those that wait without a spool, or came after it could no longer be written.
    memory: Backlog,
    disk: Option<Disk>,
    /// Why nothing is sent; `None` while it works.
    away: Option<Away>,
    /// What was lost since the last delivery.
    lost: Lost,
}

#[derive(Debug)]
struct Disk {
    spool: Spool,
    folder: PathBuf,
    /// Why the spool cannot be written, and when to try again.
    broken: Option<(String, Instant)>,
}

/// Where a body waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Disk,
    Memory,
}

impl Outbox {
    /// Keeps at most so many bytes in memory, but at least one body. A body has at most `most` records.
    pub(crate) fn in_memory(bytes: usize, most: u64) -> Outbox {
        let memory = Backlog::new(bytes);
        let state = State { most, open: Vec::new(), memory, disk: None, away: None, lost: Lost::default() };
        Outbox(Arc::new(Mutex::new(state)))
    }

    /// Keeps bodies in a folder of this name in the spool's. It may have some already.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or another program uses it.
    pub(crate) fn open_spool(&self, spool: &SpoolConfig, name: &str) -> io::Result<()> {
        let folder = spool.dir.join(name);
        let spool = Spool::open(&folder, spool.max_bytes)?;
        self.lock().disk = Some(Disk { spool, folder, broken: None });
        Ok(())
    }

    /// Sets the most records in a body.
    pub(crate) fn most(&self, records: u64) {
        self.lock().most = records;
    }

    /// Adds a record to the last body.
    pub(crate) fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let most = state.most;
        if state.open.last().is_none_or(|(_, records)| *records >= most) {
            state.open.push((Vec::new(), 0));
        }
        if let Some((body, records)) = state.open.last_mut() {
            write(body);
            *records += 1;
        }
    }

    /// Number of records that wait.
    pub(crate) fn held(&self) -> u64 {
        let state = self.lock();
        let open: u64 = state.open.iter().map(|(_, records)| records).sum();
        open + state.memory.held() + state.on_disk()
    }

    /// Number of records that wait on the disk.
    pub(crate) fn on_disk_now(&self) -> u64 {
        self.lock().on_disk()
    }

    /// Why bodies wait in memory that should be on the disk, and what to do.
    pub(crate) fn at_risk(&self) -> Option<String> {
        let state = self.lock();
        let (why, _) = state.disk.as_ref()?.broken.as_ref()?;
        Some(why.clone())
    }

    /// Puts what was added where it waits, for the last time, and sends nothing.
    ///
    /// # Errors
    ///
    /// What was lost since the last call of this or of [`deliver`](Outbox::deliver).
    pub(crate) fn keep(&self) -> Result<(), ExportError> {
        let mut state = self.lock();
        state.close(true);
        std::mem::take(&mut state.lost).into_result()
    }

    /// Sends what waits, in order, until one body is not taken. An error of `send` whose reason is [`DropReason::Unreachable`] means that it may be
    /// taken later; with any other one as many of its records are lost as the error says. The pause that it asks for is kept. While the receiver is away, this returns an error that loses nothing. With `last` it is tried until the
    /// deadline. While it sends, a clone can be used.
    ///
    /// # Errors
    ///
    /// What was lost, or why nothing is delivered.
    pub(crate) fn deliver(
        &self,
        deadline: &Deadline,
        last: bool,
        mut send: impl FnMut(&[u8]) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut state = self.lock();
        state.close(last);
        while last || !state.away.as_ref().is_some_and(Away::is_too_early) {
            let Some((body, records, place)) = state.front() else { break };
            drop(state);
            let begun = Instant::now();
            let sent = send(&body);
            let took = begun.elapsed();
            state = self.lock();
            match sent {
                Ok(()) => {
                    state.away = None;
                    state.pop(place);
                }
                Err(error) if error.reason != DropReason::Unreachable => {
                    state.away = None;
                    state.lost.add(error.reason, records.min(error.lost), error.message);
                    state.pop(place);
                }
                Err(error) => {
                    let rest = (took >= HUNG && !last).then(|| took.min(LONGEST_REST));
                    let pause = Away::note(&mut state.away, error.message, error.asked.max(rest));
                    drop(state);
                    let goes_on = last && deadline.pause(pause);
                    state = self.lock();
                    if !goes_on {
                        break;
                    }
                }
            }
        }
        if last {
            state.close(true);
        }
        let mut lost = std::mem::take(&mut state.lost);
        if let Some(away) = &state.away {
            lost.add(DropReason::Unreachable, 0, away.why.clone());
        }
        lost.into_result()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn on_disk(&self) -> u64 {
        self.disk.as_ref().map_or(0, |disk| disk.spool.records())
    }

    /// Puts the open bodies where they wait. For the `last` time a spool that could not be written just now is tried again.
    fn close(&mut self, last: bool) {
        let mut open = std::mem::take(&mut self.open);
        let State { memory, disk, away, lost, .. } = self;
        if let Some(disk) = disk {
            // What waits in memory is older.
            let all: Vec<_> =
                memory.iter().chain(open.iter().map(|(body, records)| (&**body, *records))).collect();
            let done = disk.append(&all, lost, last);
            let in_memory = all.len() - open.len();
            (0..done.min(in_memory)).for_each(|_| _ = memory.pop());
            open.drain(..done.saturating_sub(in_memory));
        }
        open.into_iter().for_each(|(body, records)| memory.push(body, records));
        let overflow = memory.take_overflow();
        if overflow > 0 {
            let broken = disk.as_ref().and_then(|disk| disk.broken.as_ref());
            let (reason, why) = match (broken, away) {
                (Some((why, _)), _) => (DropReason::SpoolError, &**why),
                (None, Some(away)) => (DropReason::Unreachable, &*away.why),
                (None, None) => (DropReason::QueueFull, "more came at once than may wait"),
            };
            lost.add(reason, overflow, why.into());
        }
    }

    /// A copy of the body that is sent next, and the number of its records.
    fn front(&mut self) -> Option<(Vec<u8>, u64, Place)> {
        while let Some(disk) = &mut self.disk {
            match disk.spool.front() {
                Front::Empty => break,
                Front::Lost(records) => {
                    self.lost.add(
                        DropReason::SpoolCorrupt,
                        records,
                        "files of the spool are damaged or gone".into(),
                    );
                }
                Front::Batch(body, records) => return Some((body.to_vec(), records, Place::Disk)),
            }
        }
        self.memory.front().map(|(body, records)| (body.to_vec(), records, Place::Memory))
    }

    fn pop(&mut self, from: Place) {
        match (from, &mut self.disk) {
            (Place::Disk, Some(disk)) => disk.spool.pop(),
            _ => _ = self.memory.pop(),
        }
    }
}

impl Disk {
    /// Appends bodies in order, unless the spool could not be written just now and this is not the `last` time. Returns how many are done with: on the
    /// disk, or lost because there is no room.
    fn append(&mut self, bodies: &[(&[u8], u64)], lost: &mut Lost, last: bool) -> usize {
        let is_early = !last && self.broken.as_ref().is_some_and(|(_, again)| Instant::now() < *again);
        if bodies.is_empty() || is_early {
            return 0;
        }
        let mut done = 0;
        let failed = match self.spool.append_all(bodies.iter().copied()) {
            Ok(()) => return self.works(bodies.len()),
            Err(AppendError::Io(error)) => Some(error),
            // Some may fit.
            Err(AppendError::Full) => bodies.iter().find_map(|(body, records)| {
                match self.spool.append(body, *records) {
                    Ok(()) => {}
                    Err(AppendError::Io(error)) => return Some(error),
                    Err(AppendError::Full) => {
                        let why = "the spool is full; give it more room, or look after the receiver";
                        lost.add(DropReason::SpoolFull, *records, why.into());
                    }
                }
                done += 1;
                None
            }),
        };
        let Some(error) = failed else { return self.works(done) };
        let why = format!(
            "the spool in {} cannot be written: {error}; until it can, what is not delivered is kept in memory, where a crash would lose it; \
             make room on its disk, or let this program write there",
            self.folder.display()
        );
        self.broken = Some((why, Instant::now() + SPOOL_PAUSE));
        done
    }

    fn works(&mut self, done: usize) -> usize {
        self.broken = None;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_waits_in_memory_is_on_the_disk_at_the_end_if_that_can_be_written_by_then() {
        let folder = std::env::temp_dir().join(format!("throughline-outbox-{}", std::process::id()));
        let outbox = Outbox::in_memory(100, 1);
        outbox.open_spool(&SpoolConfig::new(&folder), "out").unwrap();
        let away = |_: &[u8]| Err(ExportError::new(DropReason::Unreachable, 1, "away"));
        // A file in the folder's place.
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "").unwrap();
        outbox.add(|body| body.push(b'a'));
        let _ = outbox.deliver(&Deadline::never(), false, away);
        assert_eq!((outbox.held(), outbox.on_disk_now(), outbox.at_risk().is_some()), (1, 0, true));
        std::fs::remove_file(&folder).unwrap();
        let _ = outbox.deliver(&Deadline::within(Duration::ZERO), true, away);
        assert_eq!((outbox.held(), outbox.on_disk_now(), outbox.at_risk()), (1, 1, None));
        drop(outbox);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn after_an_attempt_that_hung_there_is_no_other_one_at_once() {
        let outbox = Outbox::in_memory(100, 1);
        let mut attempts = 0;
        for _ in 0..3 {
            outbox.add(|body| body.push(b'a'));
            let _ = outbox.deliver(&Deadline::never(), false, |_| {
                attempts += 1;
                std::thread::sleep(HUNG);
                Err(ExportError::new(DropReason::Unreachable, 1, "no answer"))
            });
        }
        assert_eq!((attempts, outbox.held()), (1, 3));
    }

    #[test]
    fn the_pause_that_a_receiver_asks_for_is_kept() {
        let attempts = |asked| {
            let outbox = Outbox::in_memory(100, 1);
            outbox.add(|body| body.push(b'a'));
            let mut attempts = 0;
            let busy = |_: &[u8]| {
                attempts += 1;
                if attempts == 3 {
                    return Ok(());
                }
                Err(ExportError::new(DropReason::Unreachable, 1, "busy").retry_after(asked))
            };
            let _ = outbox.deliver(&Deadline::within(Duration::from_secs(60)), true, busy);
            (attempts, outbox.held())
        };
        assert_eq!(attempts(None), (3, 0));
        // Its end is beyond the deadline.
        assert_eq!(attempts(Some(Duration::from_secs(120))), (1, 1));
    }
}
