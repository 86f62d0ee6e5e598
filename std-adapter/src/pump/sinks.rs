//! Where views go: into OTLP bodies, onto the terminal.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use throughline::adapter::record::Values;
use throughline_export::Resource;
use throughline_export::ledger::{Cells, DropReason};
use throughline_export::otlp::{LogEncoder, MetricEncoder, Options, Signal, Site, TraceEncoder};
use throughline_export::queue::{Body, Queue};
use throughline_export::terminal::{LossNote, Style, Tree, write_metrics};
use throughline_export::view::{Fields, LogView, PointView, SpanView};

/// How long a trace without news is kept off the terminal, in nanoseconds.
const IDLE_NS: u64 = 5_000_000_000;

/// The exporters that are on.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    pub(crate) otlp: Option<OtlpSink>,
    pub(crate) terminal: Option<TerminalSink>,
}

impl Sinks {
    #[inline]
    pub(super) fn log<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &LogView<'a, F>) {
        if let Some(otlp) = &mut self.otlp {
            otlp.log(site, view);
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.new += 1;
            terminal.tree.log(view);
        }
    }

    pub(super) fn loss(&mut self, note: LossNote) {
        if let Some(terminal) = &mut self.terminal {
            terminal.tree.loss(note);
        }
    }

    /// Ends a round: hands over batches that are old enough, writes traces that are whole.
    pub(super) fn end_round(&mut self, now: Instant, now_unix_ns: u64) {
        if let Some(otlp) = &mut self.otlp {
            otlp.publish();
            if otlp.oldest.is_some_and(|oldest| now.duration_since(oldest) >= otlp.interval) {
                otlp.submit();
            }
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.write(now_unix_ns);
        }
    }

    /// The wall clock was set: what waits for later times waits as long as before.
    pub(super) fn clock_set(&mut self, step_ns: i64) {
        if let Some(terminal) = &mut self.terminal {
            terminal.tree.clock_set(step_ns);
        }
    }

    /// Hands over what there is, whatever its age.
    pub(super) fn flush(&mut self) {
        if let Some(otlp) = &mut self.otlp {
            otlp.submit();
        }
    }

    /// Hands over a snapshot of the metrics; `last` says that no other will follow.
    pub(super) fn metrics(&mut self, points: &[PointView<'_>], last: bool) {
        if let Some(otlp) = &mut self.otlp {
            otlp.metrics(points, last);
        }
    }

    /// The end: the terminal gets what is not whole, and the metrics.
    pub(super) fn finish(&mut self, points: &[PointView<'_>]) {
        if let Some(terminal) = &mut self.terminal {
            terminal.finish(points);
        }
    }
}

/// Encodes views and hands bodies to the exporter.
#[derive(Debug)]
pub(crate) struct OtlpSink {
    traces: TraceEncoder,
    logs: LogEncoder,
    metrics: MetricEncoder,
    queue: Arc<Queue>,
    cells: Arc<Cells>,
    /// Bytes of records that make a batch.
    batch_bytes: usize,
    /// Age that makes a batch.
    interval: Duration,
    /// When the first of the records not handed over came.
    oldest: Option<Instant>,
    /// Records encoded but not yet counted.
    uncounted: u64,
    /// Whether to wait for a full queue, so that rings hold what it cannot.
    wait: bool,
}

impl OtlpSink {
    pub(crate) fn new(
        resource: &Resource,
        options: Options,
        queue: Arc<Queue>,
        cells: Arc<Cells>,
        (batch_bytes, interval): (usize, Duration),
        wait: bool,
    ) -> OtlpSink {
        OtlpSink {
            traces: TraceEncoder::new(resource, options),
            logs: LogEncoder::new(resource, options),
            metrics: MetricEncoder::new(resource, options),
            queue,
            cells,
            batch_bytes,
            interval,
            oldest: None,
            uncounted: 0,
            wait,
        }
    }

    #[inline(always)]
    pub(super) fn span<'a, F>(
        &mut self,
        site: &Site<'a>,
        view: &SpanView<'a, F>,
        records: impl Iterator<Item = (&'a Site<'a>, Values<'a>)>,
    ) {
        self.traces.span_of(site, view, records);
        self.uncounted += 1;
        if self.traces.record_bytes() >= self.batch_bytes {
            self.submit_traces();
        }
    }

    #[inline]
    fn log<'a, F: Fields<'a>>(&mut self, site: &Site<'a>, view: &LogView<'a, F>) {
        self.logs.log_at(site, view);
        self.uncounted += 1;
        if self.logs.record_bytes() >= self.batch_bytes {
            self.submit_logs();
        }
    }

    fn metrics(&mut self, points: &[PointView<'_>], last: bool) {
        self.metrics.clear();
        points.iter().for_each(|point| self.metrics.point(point));
        let bytes = self.metrics.take(self.queue.spare());
        let body = Body { signal: Signal::Metrics, bytes, records: 0 };
        // They are cumulative: a snapshot that finds no room is made up for by the next, if there is one.
        let _ = if last { self.queue.push(body) } else { self.queue.try_push(body) };
    }

    fn publish(&mut self) {
        if self.uncounted > 0 {
            self.cells.otlp.input(std::mem::take(&mut self.uncounted));
            self.oldest.get_or_insert_with(Instant::now);
        }
    }

    fn submit(&mut self) {
        self.submit_traces();
        self.submit_logs();
        self.oldest = None;
    }

    fn submit_traces(&mut self) {
        let records = self.traces.count() as u64;
        if records > 0 {
            let bytes = self.traces.take(self.queue.spare());
            self.hand_over(Body { signal: Signal::Traces, bytes, records });
        }
    }

    fn submit_logs(&mut self) {
        let records = self.logs.count() as u64;
        if records > 0 {
            let bytes = self.logs.take(self.queue.spare());
            self.hand_over(Body { signal: Signal::Logs, bytes, records });
        }
    }

    fn hand_over(&mut self, body: Body) {
        self.publish();
        let pushed = if self.wait { self.queue.push(body) } else { self.queue.try_push(body) };
        if let Err((body, reason)) = pushed {
            self.cells.otlp.dropped(reason, body.records);
        }
    }
}

/// Draws traces and counts what was drawn.
pub(crate) struct TerminalSink {
    tree: Tree,
    out: Box<dyn Write + Send>,
    style: Style,
    cells: Arc<Cells>,
    /// Taken since the last write.
    new: u64,
}

impl std::fmt::Debug for TerminalSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TerminalSink").field("tree", &self.tree).finish_non_exhaustive()
    }
}

impl TerminalSink {
    pub(crate) fn new(
        out: Box<dyn Write + Send>,
        style: Style,
        held: usize,
        cells: Arc<Cells>,
    ) -> TerminalSink {
        TerminalSink { tree: Tree::new(style, held), out, style, cells, new: 0 }
    }

    #[cold]
    pub(super) fn span<'a, F: Fields<'a>>(&mut self, view: &SpanView<'a, F>) {
        self.new += 1;
        self.tree.span(view);
    }

    fn write(&mut self, now_unix_ns: u64) {
        let count = std::mem::take(&mut self.new);
        self.cells.terminal.input(count);
        self.tree.advance(now_unix_ns);
        let written = self.tree.write_settled(IDLE_NS, &mut self.out);
        // What was taken in the round before is written in this one.
        let flushed = self.out.flush();
        self.count(written.and(flushed), count);
    }

    fn finish(&mut self, points: &[PointView<'_>]) {
        let count = std::mem::take(&mut self.new);
        self.cells.terminal.input(count);
        let mut written = self.tree.write_all(&mut self.out);
        if !points.is_empty() {
            written = written.and_then(|()| write_metrics(&mut self.out, self.style, points.iter().cloned()));
        }
        let flushed = self.out.flush();
        self.count(written.and(flushed), count);
    }

    /// A record counts as out when the tree has it and writing works; on which line it appears is the tree's affair.
    fn count(&self, written: std::io::Result<()>, count: u64) {
        match written {
            Ok(()) => self.cells.terminal.output(count),
            Err(_) => self.cells.terminal.dropped(DropReason::WriteFailed, count),
        }
    }
}
