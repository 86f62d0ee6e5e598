//! Bodies that leave in order, at least once: they wait in memory, or on the disk from before the first attempt until they were taken.

use crate::backlog::{Backlog, Failure};
use crate::ledger::DropReason;
use crate::spool::{AppendError, Front, Spool};
use crate::{Deadline, ExportError, SpoolConfig};
use std::io;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Bodies that wait until they are taken.
///
/// With a spool each body is on the disk before it is sent for the first time, so that a process that is killed loses none; one that was taken just before
/// may be sent twice.
#[derive(Debug)]
pub(crate) struct Outbox(Kind);

#[derive(Debug)]
enum Kind {
    Memory(Backlog),
    Disk(Box<Disk>),
}

#[derive(Debug)]
struct Disk {
    spool: Spool,
    /// Records that could not be appended, and why.
    refused: Option<ExportError>,
    /// When to try again, and after which pause; `None` while it works.
    away: Option<(Instant, Duration, String)>,
}

impl Outbox {
    /// Keeps at most so many bytes in memory, but at least one body.
    pub(crate) fn in_memory(bytes: usize) -> Outbox {
        Outbox(Kind::Memory(Backlog::new(bytes)))
    }

    /// Keeps bodies in a folder of this name in the spool's. It may have some already.
    ///
    /// # Errors
    ///
    /// The folder cannot be written, or another program uses it.
    pub(crate) fn on_disk(spool: &SpoolConfig, name: &str) -> io::Result<Outbox> {
        let spool = Spool::open(&spool.dir.join(name), spool.max_bytes)?;
        Ok(Outbox(Kind::Disk(Box::new(Disk { spool, refused: None, away: None }))))
    }

    /// Adds a body with so many records. If there is no room for it, the next [`deliver`](Outbox::deliver) counts them as lost.
    pub(crate) fn push(&mut self, body: Vec<u8>, records: u64) {
        match &mut self.0 {
            Kind::Memory(backlog) => backlog.push(body, records),
            Kind::Disk(disk) => disk.push(&body, records),
        }
    }

    /// Number of records that wait.
    pub(crate) fn held(&self) -> u64 {
        match &self.0 {
            Kind::Memory(backlog) => backlog.held(),
            Kind::Disk(disk) => disk.spool.records(),
        }
    }

    /// Number of records that wait on the disk.
    pub(crate) fn on_disk_now(&self) -> u64 {
        match &self.0 {
            Kind::Memory(_) => 0,
            Kind::Disk(disk) => disk.spool.records(),
        }
    }

    /// Sends what waits, in order, until one body is not taken. An error of `send` whose reason is [`DropReason::Unreachable`] means that it may be
    /// taken later; with any other one as many of its records are lost as the error says. While the receiver is away, this returns an error that loses nothing. With `last` it is tried until the
    /// deadline.
    ///
    /// # Errors
    ///
    /// What was lost, or why nothing is delivered.
    pub(crate) fn deliver(
        &mut self,
        deadline: &Deadline,
        last: bool,
        mut send: impl FnMut(&[u8]) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        match &mut self.0 {
            Kind::Memory(backlog) => backlog.deliver(deadline, last, |body| {
                send(body).map_err(|error| match error.reason {
                    DropReason::Unreachable => Failure::Later { why: error.message, after: None },
                    reason => Failure::Partly { why: error.message, reason, records: error.lost },
                })
            }),
            Kind::Disk(disk) => disk.deliver(deadline, last, &mut send),
        }
    }
}

impl Disk {
    fn push(&mut self, body: &[u8], records: u64) {
        let (reason, why) = match self.spool.append(body, records) {
            Ok(()) => return,
            Err(AppendError::Full) => (
                DropReason::SpoolFull,
                "the spool is full; give it more room, or look after the receiver".into(),
            ),
            Err(AppendError::Io(error)) => {
                (DropReason::SpoolError, format!("the spool cannot be written: {error}"))
            }
        };
        self.refused.get_or_insert_with(|| ExportError::new(reason, 0, why)).lost += records;
    }

    fn deliver(
        &mut self,
        deadline: &Deadline,
        last: bool,
        send: &mut dyn FnMut(&[u8]) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut lost = self.refused.take();
        let mut lose = |reason, n, why: String| {
            lost.get_or_insert_with(|| ExportError::new(reason, 0, why)).lost += n;
        };
        loop {
            if let Some((next, ..)) = &self.away
                && !last
                && Instant::now() < *next
            {
                break;
            }
            let (sent, records) = match self.spool.front() {
                Front::Empty => break,
                Front::Lost(records) => {
                    lose(DropReason::SpoolCorrupt, records, "files of the spool are damaged".into());
                    continue;
                }
                Front::Batch(body, records) => (send(body), records),
            };
            match sent {
                Ok(()) => {
                    self.away = None;
                    self.spool.pop();
                }
                Err(error) if error.reason != DropReason::Unreachable => {
                    self.away = None;
                    lose(error.reason, records.min(error.lost), error.message);
                    self.spool.pop();
                }
                Err(error) => {
                    let pause = self
                        .away
                        .as_ref()
                        .map_or(FIRST_PAUSE, |(_, pause, _)| (*pause * 2).min(LONGEST_PAUSE));
                    self.away = Some((Instant::now() + pause, pause, error.message));
                    if !last || !deadline.pause(pause) {
                        break;
                    }
                }
            }
        }
        match (lost, &self.away) {
            (Some(lost), _) => Err(lost),
            (None, Some((.., why))) => Err(ExportError::new(DropReason::Unreachable, 0, why.clone())),
            (None, None) => Ok(()),
        }
    }
}
