//! Bodies that leave in order, at least once: they wait in memory, or on the disk from before the first attempt until they were taken.

use crate::backlog::{Away, Backlog, Lost};
use crate::ledger::DropReason;
use crate::spool::{AppendError, Front, Spool};
use crate::{Deadline, ExportError, SpoolConfig};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bodies that wait until they are taken.
///
/// With a spool each body is on the disk before it is sent for the first time, so that a process that is killed loses none; one that was taken just before
/// may be sent twice. A clone has the same bodies.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Most records in a body.
    most: u64,
    /// Bodies that do not wait yet, each with the number of its records. The last one is being filled.
    open: Vec<(Vec<u8>, u64)>,
    /// Those that wait without a spool.
    memory: Backlog,
    spool: Option<Spool>,
    /// Why nothing is sent; `None` while it works.
    away: Option<Away>,
    /// What was lost since the last delivery.
    lost: Lost,
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
        let state = State { most, open: Vec::new(), memory, spool: None, away: None, lost: Lost::default() };
        Outbox(Arc::new(Mutex::new(state)))
    }

    /// Keeps bodies in a folder of this name in the spool's. It may have some already.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or another program uses it.
    pub(crate) fn open_spool(&self, spool: &SpoolConfig, name: &str) -> io::Result<()> {
        let spool = Spool::open(&spool.dir.join(name), spool.max_bytes)?;
        self.lock().spool = Some(spool);
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
        open + state.memory.held() + state.spool.as_ref().map_or(0, Spool::records)
    }

    /// Number of records that wait on the disk.
    pub(crate) fn on_disk_now(&self) -> u64 {
        self.lock().spool.as_ref().map_or(0, Spool::records)
    }

    /// Puts what was added where it waits, and sends nothing.
    ///
    /// # Errors
    ///
    /// What was lost since the last call of this or of [`deliver`](Outbox::deliver).
    pub(crate) fn keep(&self) -> Result<(), ExportError> {
        let mut state = self.lock();
        state.close();
        std::mem::take(&mut state.lost).into_result()
    }

    /// Sends what waits, in order, until one body is not taken. An error of `send` whose reason is [`DropReason::Unreachable`] means that it may be
    /// taken later; with any other one as many of its records are lost as the error says. While the receiver is away, this returns an error that loses nothing. With `last` it is tried until the
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
        state.close();
        while last || !state.away.as_ref().is_some_and(Away::is_too_early) {
            let Some((body, records, place)) = state.front() else { break };
            drop(state);
            let sent = send(&body);
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
                    let pause = Away::note(&mut state.away, error.message, None);
                    drop(state);
                    let goes_on = last && deadline.pause(pause);
                    state = self.lock();
                    if !goes_on {
                        break;
                    }
                }
            }
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
    /// Puts the open bodies where they wait.
    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        if open.is_empty() {
            return;
        }
        let Some(spool) = &mut self.spool else {
            open.into_iter().for_each(|(body, records)| self.memory.push(body, records));
            let (reason, why) = match &self.away {
                Some(away) => (DropReason::Unreachable, &*away.why),
                None => (DropReason::QueueFull, "more came at once than may wait"),
            };
            match self.memory.take_overflow() {
                0 => {}
                overflow => self.lost.add(reason, overflow, why.into()),
            }
            return;
        };
        let mut append = |bodies: &[(Vec<u8>, u64)]| {
            let failed = spool.append_all(bodies.iter().map(|(body, records)| (&**body, *records))).err()?;
            Some((failed, bodies.iter().map(|(_, records)| records).sum()))
        };
        let failed = match append(&open) {
            // Some may fit.
            Some((AppendError::Full, _)) => open.chunks(1).filter_map(append).collect(),
            failed => Vec::from_iter(failed),
        };
        for (error, records) in failed {
            let (reason, why) = match error {
                AppendError::Full => (
                    DropReason::SpoolFull,
                    "the spool is full; give it more room, or look after the receiver".into(),
                ),
                AppendError::Io(error) => {
                    (DropReason::SpoolError, format!("the spool cannot be written: {error}"))
                }
            };
            self.lost.add(reason, records, why);
        }
    }

    /// A copy of the body that is sent next, and the number of its records.
    fn front(&mut self) -> Option<(Vec<u8>, u64, Place)> {
        while let Some(spool) = &mut self.spool {
            match spool.front() {
                Front::Empty => break,
                Front::Lost(records) => {
                    self.lost.add(DropReason::SpoolCorrupt, records, "files of the spool are damaged".into());
                }
                Front::Batch(body, records) => return Some((body.to_vec(), records, Place::Disk)),
            }
        }
        self.memory.front().map(|(body, records)| (body.to_vec(), records, Place::Memory))
    }

    fn pop(&mut self, from: Place) {
        match (from, &mut self.spool) {
            (Place::Disk, Some(spool)) => spool.pop(),
            _ => _ = self.memory.pop(),
        }
    }
}
