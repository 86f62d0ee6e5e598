//! The seam between the pump and whatever takes its records.

use crate::Deadline;
use crate::ledger::DropReason;
use crate::log::Filter;
use crate::view::{LogView, LossView, PointView, SpanView};

/// Takes spans, log records, metric points and losses, and delivers them somewhere: to a file, a database, a queue, a page that a scraper reads.
///
/// # How to write one
///
/// Implement [`flush`](Exporter::flush), and of the other methods those whose records you want ([`wants`](Exporter::wants) says which, so that others
/// are not copied for you). Then give it to `throughline_std::Config::exporter`, which runs it like this:
///
/// * It gets a thread of its own. All its methods are called on that thread, one at a time, so it may block, and it needs no locks. Nothing that it
///   records itself is exported, so it cannot feed on itself.
/// * It gets a bounded queue of its own. The pump copies records into batches and never waits: while the queue is full, further records are
///   counted as `dropped[queue_full]` of this exporter, and other exporters do not notice.
/// * For each batch its methods are called with one view after the other, and then `flush`. Views borrow from the batch: keep what you need, not the
///   view. While there is nothing to do but something is [`held`](Exporter::held), `flush` is called every 50 ms.
/// * `flush` delivers what was taken. `Ok` counts it as delivered; an [`ExportError`] counts as many as it names as dropped, for the reason that it names.
/// * The first error is told on standard error, and so is the end of the trouble, with the number of records lost; `Guard::last_error` has the last one.
/// * If it panics, its thread ends: that is told once, and its records are counted as `dropped[thread_died]` from then on. Everything else goes on.
/// * At the end [`finish`](Exporter::finish) is called. `deadline` is when the shutdown ends: what has not returned by then is left to itself, and
///   its records are counted as `dropped[shutdown]`.
///
/// A complete one, which writes a line for each log record:
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
///         // What comes from outside may hold line breaks and terminal commands.
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
/// Copying a record into a batch takes the pump about 60 ns (a span with four attributes, x86-64), once for each exporter. OTLP goes without the copy: the pump encodes records straight
/// into the bodies of requests, as that is what most of them are for, and only bodies are queued.
pub trait Exporter: Send {
    /// What it wants to be called with; asked once, at the start. By default everything.
    fn wants(&self) -> Wants {
        Wants::ALL
    }

    /// Which log records it wants, of those that [`wants`](Exporter::wants) says it wants at all; asked once, at the start. What it does not take is
    /// not copied for it, and does not count as delivered. By default all.
    fn log_filter(&self) -> Filter {
        Filter::all()
    }

    /// A span has ended.
    fn span(&mut self, span: &SpanView<'_>) {
        let _ = span;
    }

    /// An event was recorded.
    fn log(&mut self, log: &LogView<'_>) {
        let _ = log;
    }

    /// All metrics, as they are now. Sums are cumulative, so a snapshot that does not arrive is made up for by the next.
    fn points(&mut self, points: &[PointView<'_>]) {
        let _ = points;
    }

    /// Records were lost before they came here.
    fn losses(&mut self, losses: &[LossView<'_>]) {
        let _ = losses;
    }

    /// Delivers what was taken, until `deadline` at most; the deadline may be drawn nearer meanwhile.
    ///
    /// # Errors
    ///
    /// What was lost, how many and why. What is neither lost nor [`held`](Exporter::held) counts as delivered.
    fn flush(&mut self, deadline: &Deadline) -> Result<(), ExportError>;

    /// The last call: delivers what was taken and what is held.
    ///
    /// # Errors
    ///
    /// As [`flush`](Exporter::flush).
    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    /// How many of the spans and log records taken are kept back for a later flush, such as the spans of a trace that is not complete. By default none.
    fn held(&self) -> u64 {
        0
    }
}

/// What an [`Exporter`] wants to be called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Whether spans are wanted.
    pub spans: bool,
    /// Whether log records are wanted.
    pub logs: bool,
    /// Whether metric points are wanted.
    pub points: bool,
    /// Whether the news of losses is wanted.
    pub losses: bool,
}

impl Wants {
    /// All of them.
    pub const ALL: Wants = Wants { spans: true, logs: true, points: true, losses: true };
    /// None of them; for `Wants { points: true, ..Wants::NOTHING }`.
    pub const NOTHING: Wants = Wants { spans: false, logs: false, points: false, losses: false };
}

/// Records could not be delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct ExportError {
    /// Why, for the ledger.
    pub reason: DropReason,
    /// How many spans and log records are lost.
    pub lost: u64,
    /// What happened and what to do, for people.
    pub message: String,
}

impl ExportError {
    /// An error that `lost` spans and log records did not survive.
    pub fn new(reason: DropReason, lost: u64, message: impl Into<String>) -> ExportError {
        ExportError { reason, lost, message: message.into() }
    }
}
