//! The guard that ends recording, within a deadline.

use crate::config::reload::Reload;
use crate::config::{Config, LoadError};
use crate::pump::{Control, Farewell, Rings};
use crate::{ended, profiling};
use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{Duration, Instant};
use throughline_export::ledger::{Cells, DropReason, Ledger};
use throughline_export::{AnyLane, Deadline, Health, diagnostics};

/// How long a shutdown waits after its deadline for the pump to count the records that are left.
const COUNTING: Duration = Duration::from_millis(100);

/// Ends recording when it is dropped: it delivers the remaining records for up to [`Config::drop_deadline`]. If it is dropped before anything was
/// recorded, the first later record causes a warning on standard error.
#[derive(Debug)]
#[must_use = "dropping the guard ends recording, and `let _ = …` drops it at once: bind it to a variable such as `_guard`, for as long as `main` runs"]
pub struct Guard {
    running: Option<Arc<Running>>,
    /// The process that created the guard. A forked process has a copy of the guard, but no pump.
    process: u32,
}

/// How a shutdown went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Whether every record since [`init`](crate::init) arrived: it was delivered to every exporter or is in a spool, or the configuration left it out
    /// (by sampling or a rate limit). If not, [`Ledger::losses`] says what was lost where and why. Metrics are no records; `last_error` tells whether
    /// they arrived.
    pub complete: bool,
    /// Whether the deadline was kept, whatever came of the records. If not, the rest is counted as
    /// [`DropReason::Shutdown`](crate::DropReason::Shutdown), and exporter threads that are still trying are not waited for.
    pub in_time: bool,
    /// The counts of all records.
    pub ledger: Ledger,
    /// The last error of an exporter that still fails.
    pub last_error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Guard {
    pub(crate) fn of(running: Option<Arc<Running>>) -> Guard {
        Guard { running, process: std::process::id() }
    }

    /// What runs, unless this is a forked process: there its locks may be held for ever.
    fn running(&self) -> Option<&Arc<Running>> {
        self.running.as_ref().filter(|_| self.process == std::process::id())
    }

    /// Delivers everything recorded before the call, including metrics, and waits for it at most this long. Returns whether it was done in time.
    pub fn flush(&self, within: Duration) -> bool {
        self.running().is_none_or(|running| running.flush(within))
    }

    /// Reads the configuration's file again, and the environment if it was read after the file, and applies their levels, filters and sampling from
    /// now on. Other changes in the file take effect when the program is started again; a line on standard error names them. Does nothing if the configuration did not come from a file.
    /// With the key `reload.interval` the file is checked for changes without a call.
    ///
    /// # Errors
    ///
    /// All errors in the file; in that case everything stays as it was.
    pub fn reload(&self) -> Result<(), LoadError> {
        self.running().and_then(|running| running.parts.reload.as_ref()).map_or(Ok(()), Reload::now)
    }

    /// Ends recording and delivers the remaining records within the deadline. Records that are left then are counted as dropped, which takes at most
    /// another 0.2 s. It uses no async runtime and waits for no thread beyond that time, so it may be called anywhere, even in a `Drop`. If anything
    /// was lost since `init`, a line on standard error says how much, where and why.
    pub fn shutdown(mut self, within: Duration) -> ShutdownReport {
        self.end(|_| within)
    }

    /// The counts of all records so far.
    pub fn ledger(&self) -> Ledger {
        self.running.as_ref().map_or_else(Ledger::default, |running| running.parts.cells.read())
    }

    /// The last error of an exporter that still fails.
    pub fn last_error(&self) -> Option<String> {
        self.running()?.last_error()
    }

    /// The alerts of the process: what fires, and silences. `None` if there are no rules.
    #[cfg(feature = "alerts")]
    pub fn alerts(&self) -> Option<crate::alert::Alerts> {
        self.running()?.parts.alerts.clone()
    }

    fn end(&mut self, within: impl FnOnce(&Running) -> Duration) -> ShutdownReport {
        let Some(running) = self.running.take() else { return ShutdownReport::of_nothing() };
        if self.process == std::process::id() {
            return running.end(within(&running));
        }
        // The state belongs to the parent. Dropping a copy could wait for a lock for ever.
        std::mem::forget(running);
        ShutdownReport::of_nothing()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let unused = self.running().filter(|running| running.report).map(|running| running.begun.elapsed());
        let report = self.end(|running| running.drop_deadline);
        if let Some(after) = unused.filter(|_| report.ledger.ring.input == 0) {
            ended::unused(after);
        }
    }
}

impl ShutdownReport {
    fn of_nothing() -> ShutdownReport {
        let ledger = Ledger::default();
        ShutdownReport { complete: true, in_time: true, ledger, last_error: None, took: Duration::ZERO }
    }

    fn of(in_time: bool, ledger: Ledger, last_error: Option<String>, begun: Instant) -> ShutdownReport {
        let complete = in_time && ledger.losses().is_none();
        ShutdownReport { complete, in_time, ledger, last_error, took: begun.elapsed() }
    }
}

/// What runs from `init` to the end, for whoever ends it: the guard, a signal, or the exit of the process.
pub(crate) struct Running {
    parts: Parts,
    pub(crate) drop_deadline: Duration,
    begun: Instant,
    report: bool,
    /// The report of the shutdown that was.
    ended: Mutex<Option<ShutdownReport>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("lanes", &self.parts.lanes).finish_non_exhaustive()
    }
}

/// The parts that `init` has made.
pub(crate) struct Parts {
    pub(crate) controls: Sender<Control>,
    pub(crate) deadline: Arc<Deadline>,
    pub(crate) cells: Arc<Cells>,
    pub(crate) rings: Arc<Rings>,
    pub(crate) lanes: Vec<Arc<dyn AnyLane>>,
    pub(crate) healths: Vec<Arc<Health>>,
    #[cfg(feature = "admin")]
    pub(crate) pages: crate::admin::Pages,
    #[cfg(feature = "alerts")]
    pub(crate) alerts: Option<crate::alert::Alerts>,
    #[cfg(feature = "health")]
    pub(crate) checks: Option<Arc<crate::health::Board>>,
    /// Present if the configuration came from a file.
    pub(crate) reload: Option<Reload>,
}

impl Running {
    pub(crate) fn new(parts: Parts, config: &Config) -> Running {
        Running {
            parts,
            drop_deadline: config.drop_deadline,
            begun: Instant::now(),
            report: config.report_errors,
            ended: Mutex::new(None),
        }
    }

    pub(crate) fn flush(&self, within: Duration) -> bool {
        let (done, wait) = mpsc::channel();
        let is_done = self.parts.controls.send(Control::Flush(done)).is_ok() && all_dropped(&wait, within);
        // A pump that panics also drops what it was asked, but then it takes no other message.
        is_done && self.parts.controls.send(Control::Room).is_ok()
    }

    /// Ends everything, once. Whoever comes later waits for the end and gets the same report.
    pub(crate) fn end(&self, within: Duration) -> ShutdownReport {
        let begun = Instant::now();
        self.parts.deadline.draw_within(within);
        loop {
            match self.ended.try_lock() {
                Ok(mut ended) => return ended.get_or_insert_with(|| self.end_now(begun, within)).clone(),
                Err(TryLockError::Poisoned(ended)) => {
                    return ended.into_inner().get_or_insert_with(|| self.end_now(begun, within)).clone();
                }
                // A handler that exits the process may have interrupted the very thread that ends it.
                Err(TryLockError::WouldBlock) if begun.elapsed() > within.saturating_add(3 * COUNTING) => {
                    let (ledger, last_error) = (self.parts.cells.read(), self.last_error());
                    return ShutdownReport::of(false, ledger, last_error, begun);
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn end_now(&self, begun: Instant, within: Duration) -> ShutdownReport {
        #[cfg(feature = "health")]
        self.parts.checks.iter().for_each(|checks| checks.end());
        let profiling = profiling::end();
        let (drained, wait_drained) = mpsc::channel();
        let (delivered, wait_delivered) = mpsc::channel();
        let told = self.parts.controls.send(Control::Shutdown(Farewell { drained, delivered })).is_ok();
        if !told {
            // The pump has panicked, but its exporters may still be delivering.
            let (delivered, wait_delivered) = mpsc::channel();
            self.parts.lanes.iter().for_each(|lane| lane.mark(delivered.clone()));
            drop(delivered);
            all_dropped(&wait_delivered, within);
        }
        let delivered = told && all_dropped(&wait_delivered, within);
        let drained =
            all_dropped(&wait_drained, COUNTING) || self.parts.rings.seize(&self.parts.cells, COUNTING);
        self.parts.lanes.iter().for_each(|lane| lane.give_up(DropReason::Shutdown));
        #[cfg(feature = "admin")]
        self.parts.pages.stop();
        ended::count();
        #[cfg(unix)]
        crate::signals::forget();
        profiling.wait(within.saturating_sub(begun.elapsed()));
        let ledger = self.parts.cells.read();
        let in_time = delivered && drained && ledger.is_settled();
        let last_error = self.last_error();
        self.tell(&ledger);
        ShutdownReport::of(in_time, ledger, last_error, begun)
    }

    /// Reports the outages that are not over, and everything that was lost.
    fn tell(&self, ledger: &Ledger) {
        self.parts.healths.iter().for_each(|health| health.ended());
        if let Some(losses) = ledger.losses().filter(|_| self.report) {
            let advice = advice(ledger);
            diagnostics::tell(format_args!("not everything was delivered: {losses}{advice}"));
        }
    }

    fn last_error(&self) -> Option<String> {
        self.parts.healths.iter().find_map(|health| health.last_error())
    }
}

/// What helps against losses at the end.
fn advice(ledger: &Ledger) -> &'static str {
    let lost = ledger.hops().filter(|(_, hop)| hop.dropped_for(DropReason::Shutdown) > 0);
    // News of alerts and observers have no spool.
    let has_spool = |name: &str| !name.starts_with("alerts.") && !name.starts_with("observers.");
    match lost.map(|(name, _)| has_spool(name)).max() {
        Some(true) => "; give the shutdown more time, or the exporter a spool",
        Some(false) => "; give the shutdown more time",
        None => "",
    }
}

/// Waits at most this long until all senders have been dropped. Returns whether they have.
fn all_dropped(wait: &Receiver<()>, within: Duration) -> bool {
    wait.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
}
