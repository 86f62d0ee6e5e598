//! Log records that this library itself makes, on other threads than the pump's. They reach the pump with its other messages, because these threads have no
//! rings.

use super::{Control, FanOut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;
use throughline_export::ledger::{Cells, DropReason};
use throughline_export::view::LogView;
use throughline_export::{Deadline, ExportError, Exporter, OwnedRecords};

/// Most records that may be on their way.
const MOST: usize = 1024;
/// Added to [`ON_THEIR_WAY`] when the pump takes no more.
const CLOSED: usize = usize::MAX / 2;
/// How long the pump waits at its end for one that was counted but has not arrived.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many were sent, or are about to be, and not taken.
static ON_THEIR_WAY: AtomicUsize = AtomicUsize::new(0);

/// Log records on their way to the pump.
#[derive(Debug)]
pub(crate) struct OwnLog(OwnedRecords);

impl OwnLog {
    /// Begins to take records.
    pub(crate) fn open() {
        ON_THEIR_WAY.store(0, Ordering::Relaxed);
    }

    /// Sends them. The error is [`DropReason::Unreachable`] if too many are on their way.
    pub(crate) fn send(pump: &Sender<Control>, records: OwnedRecords) -> Result<(), DropReason> {
        let before = ON_THEIR_WAY.fetch_add(1, Ordering::Relaxed);
        let refused = if before >= CLOSED {
            Some(DropReason::Ended)
        } else if before >= MOST {
            Some(DropReason::Unreachable)
        } else {
            pump.send(Control::Log(OwnLog(records))).err().map(|_| DropReason::Ended)
        };
        match refused {
            None => Ok(()),
            Some(reason) => {
                ON_THEIR_WAY.fetch_sub(1, Ordering::Relaxed);
                Err(reason)
            }
        }
    }

    /// Passes them on. They are counted like those of the program.
    pub(super) fn pass_on(&self, fan_out: &mut FanOut, cells: &Cells) {
        ON_THEIR_WAY.fetch_sub(1, Ordering::Relaxed);
        self.0.replay(&mut ToAll(fan_out));
        for hop in [&cells.ring, &cells.pump] {
            hop.input(self.0.len() as u64);
            hop.output(self.0.len() as u64);
        }
    }
}

/// Passes on what is on its way, and takes no more.
pub(super) fn pass_on_last(controls: &Receiver<Control>, fan_out: &mut FanOut, cells: &Cells) {
    let mut left = ON_THEIR_WAY.fetch_add(CLOSED, Ordering::Relaxed);
    while left > 0 {
        match controls.recv_timeout(PATIENCE) {
            Ok(Control::Log(log)) => {
                log.pass_on(fan_out, cells);
                left -= 1;
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
}

struct ToAll<'f>(&'f mut FanOut);

impl Exporter for ToAll<'_> {
    fn log(&mut self, log: &LogView<'_>) {
        self.0.own_log(log);
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}
