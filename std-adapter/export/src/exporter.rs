//! The interface between the pump and an exporter.

use crate::ledger::DropReason;
use crate::log::Filter;
use crate::view::{LogView, LossView, PointView, SpanView};
use crate::{Deadline, Host};
use std::io;
use std::time::Duration;

/// Takes spans, log records, metric points and losses, and delivers them, for example to a file, a database,
/// a queue, or a page for a scraper.
///
/// # How to write one
///
/// Implement [`flush`](Exporter::flush) and the methods for the records that you want. Let
/// [`wants`](Exporter::wants) name these, so that other records are not copied. Then pass it to
/// `throughline_std::Config::exporter`, which runs it like this:
///
/// * It has its own thread. All its methods are called on that thread, one at a time, so it may block and
///   needs no locks. Records that it makes itself are not exported, so it cannot feed itself.
/// * It has its own bounded queue. The pump copies records into batches and never waits. While the queue is
///   full, further records are counted as `dropped[queue_full]` of this exporter; other exporters are not
///   affected.
/// * For each batch, its methods are called with one view after another, then `flush`. Views borrow from the
///   batch, so keep what you need, not the view. While no batch comes but something is
///   [`held`](Exporter::held), `flush` is called every 50 ms.
/// * `flush` delivers what was taken. `Ok` counts it as delivered. An [`ExportError`] states how many records
///   are dropped and the reason.
/// * The first error is reported on standard error, and so is the end of the outage, with the number of
///   records lost. `Guard::last_error` returns the last error.
/// * If it panics, its thread ends. This is reported once, and its records are counted as
///   `dropped[thread_died]` from then on. Everything else continues.
/// * At the end, [`finish`](Exporter::finish) is called with the `deadline` of the shutdown. If it does not
///   return by then, it is abandoned, and its records are counted as `dropped[shutdown]`, unless it has a
///   [`stand_in`](Exporter::stand_in) that keeps them.
///
/// A complete exporter, which writes a line for each log record:
///
/// ```
/// use std::io::{self, Write};
/// use throughline_export::ledger::DropReason;
/// use throughline_export::view::LogView;
/// use throughline_export::{Deadline, ExportError, Exporter, Wants, message, text};
///
/// struct Lines<W> {
///     out: W,
///     batch: String,
///     taken: u64,
/// }
///
/// impl<W: Write + Send> Exporter for Lines<W> {
///     fn wants(&self) -> Wants {
///         Wants { logs: true, ..Wants::NOTHING }
///     }
///
///     fn log(&mut self, log: &LogView<'_>) {
///         let text = message::render(log.message, log.fields.clone());
///         // Text from outside may contain line breaks and terminal commands.
///         self.batch += &format!("{} {} {}\n", log.time_unix_ns, log.level, text::escaped(&text));
///         self.taken += 1;
///     }
///
///     fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
///         let written = self.out.write_all(self.batch.as_bytes()).and_then(|()| self.out.flush());
///         self.batch.clear();
///         let taken = std::mem::take(&mut self.taken);
///         written.map_err(|error| ExportError::new(DropReason::WriteError, taken, error.to_string()))
///     }
/// }
///
/// let lines = Lines { out: io::stdout(), batch: String::new(), taken: 0 };
/// // let config = throughline_std::Config::new("shop").exporter("lines", lines);
/// # let _: Box<dyn Exporter> = Box::new(lines);
/// ```
///
/// # What it costs
///
/// Copying a record into a batch takes the pump about 60 ns (a span with four attributes, x86-64), once per
/// exporter. OTLP needs no copy: the pump encodes records directly into request bodies, because most records
/// go there, and only bodies are queued.
pub trait Exporter: Send {
    /// Called first, on the thread that starts the exporter. `host` is what the program offers to an exporter that
    /// needs threads of its own, or that reads metrics on demand. The default does nothing.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        let _ = host;
        Ok(())
    }

    /// Which methods should be called; read once, after [`begin`](Exporter::begin). The default is all of them.
    fn wants(&self) -> Wants {
        Wants::ALL
    }

    /// Which of the log records that it wants are passed on; read once at the start. Other records are not copied
    /// and do not count as delivered. The default is all of them.
    fn log_filter(&self) -> Filter {
        Filter::all()
    }

    /// Called when a span has ended.
    fn span(&mut self, span: &SpanView<'_>) {
        let _ = span;
    }

    /// Called when an event was recorded.
    fn log(&mut self, log: &LogView<'_>) {
        let _ = log;
    }

    /// Called with the current values of all metrics. Sums are cumulative, so the next snapshot replaces one
    /// that is lost.
    fn points(&mut self, points: &[PointView<'_>]) {
        let _ = points;
    }

    /// Called when records were lost before they reached the exporter.
    fn losses(&mut self, losses: &[LossView<'_>]) {
        let _ = losses;
    }

    /// Delivers what was taken. It must return by `deadline`, which may be brought forward meanwhile.
    ///
    /// # Errors
    ///
    /// Returns how many records were lost and why. Records that are neither lost nor [`held`](Exporter::held)
    /// count as delivered.
    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError>;

    /// The last call: delivers everything that was taken or held.
    ///
    /// # Errors
    ///
    /// Like [`flush`](Exporter::flush).
    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    /// How many of the taken spans and log records are kept for a later flush, for example the spans of an
    /// incomplete trace. The default is none.
    fn held(&self) -> u64 {
        0
    }

    /// How many of these are on the disk, so that the next run delivers them: when the exporter begins, those of an earlier run. The default is none.
    fn on_disk(&self) -> u64 {
        0
    }

    /// Why records that should be on the disk are in memory, where a crash would lose them, and what to do. It is asked for after each flush. The first
    /// such answer is told on standard error, and so is that it is over. The default is that none are.
    fn at_risk(&self) -> Option<String> {
        None
    }

    /// Whether it can be configured to keep records on the disk, so that this is advised where the shutdown loses some. The default is that it cannot.
    fn takes_spool(&self) -> bool {
        false
    }

    /// Another exporter that keeps records on the same disk, and sends nothing. It is asked for once, before the first record.
    ///
    /// When the deadline of the shutdown passes while [`flush`](Exporter::flush) or [`finish`](Exporter::finish) still waits for a receiver, the stand-in
    /// gets what waits in the queue, on another thread, and is flushed. Its [`held`](Exporter::held) and [`on_disk`](Exporter::on_disk), and the error of
    /// its `flush`, are about what this exporter has taken too: they say what became of all records. The default is none.
    fn stand_in(&mut self) -> Option<Box<dyn Exporter>> {
        None
    }
}

/// The methods that an [`Exporter`] wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Whether it wants spans.
    pub spans: bool,
    /// Whether it wants log records.
    pub logs: bool,
    /// Whether it wants metric points.
    pub points: bool,
    /// Whether it wants reports of losses.
    pub losses: bool,
}

impl Wants {
    /// All of them.
    pub const ALL: Wants = Wants { spans: true, logs: true, points: true, losses: true };
    /// None of them; use it as in `Wants { points: true, ..Wants::NOTHING }`.
    pub const NOTHING: Wants = Wants { spans: false, logs: false, points: false, losses: false };
}

/// Records could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ExportError {
    /// The reason, for the ledger.
    pub reason: DropReason,
    /// How many spans and log records are lost.
    pub lost: u64,
    /// What happened and what to do, for the operator.
    pub message: String,
    /// What was lost beside that, for other reasons.
    pub(crate) others: Vec<ExportError>,
    /// The pause that the receiver asked for.
    pub(crate) asked: Option<Duration>,
}

impl ExportError {
    /// This one and the others.
    pub(crate) fn each(&self) -> impl Iterator<Item = &ExportError> {
        std::iter::once(self).chain(&self.others)
    }

    /// An error that lost this many spans and log records.
    pub fn new(reason: DropReason, lost: u64, message: impl Into<String>) -> ExportError {
        ExportError { reason, lost, message: message.into(), others: Vec::new(), asked: None }
    }

    /// With the pause that the receiver asked for before the next attempt, as in the header `Retry-After`.
    #[must_use]
    pub fn retry_after(self, pause: Option<Duration>) -> ExportError {
        ExportError { asked: pause, ..self }
    }
}
