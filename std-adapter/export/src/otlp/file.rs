//! Writes OTLP requests as lines of JSON, as the Collector's file exporter writes them and its otlpjsonfile
//! receiver reads them.

use super::encode::Histograms;
use super::{LogEncoder, MetricEncoder, Options, Signal, TraceEncoder, to_json};
use crate::ledger::DropReason;
use crate::log::LineBatch;
use crate::view::{LogView, PointView, SpanView};
use crate::{Deadline, ExportError, Exporter, Host, Resource, Wants};
use std::io::{self, Write};

/// A line is complete at this many bytes of protobuf. The Collector's receiver takes lines of up to 1 MiB. JSON takes up to
/// six times the space of protobuf, for control characters, and the last record of a line may have 52 KB (128
/// attributes of 400 bytes): (96 + 52) × 6 KiB leave room for the resource.
const LINE: usize = 96 * 1024;

/// Writes each batch of spans, log records and metric points as a request of OTLP in a line of JSON, for example to
/// a [`RollingFile`](crate::log::RollingFile). Sums and histograms are cumulative.
///
/// If writing fails, the records in lines that are not complete are counted as `dropped[write_error]`.
///
/// ```
/// use throughline_export::otlp::{OtlpFile, Signal};
/// let file = OtlpFile::new(std::io::stdout()).signals(&[Signal::Traces, Signal::Logs]);
/// // let config = throughline_std::Config::new("shop").exporter("otlp-file", file);
/// # drop(file);
/// ```
pub struct OtlpFile<W> {
    out: W,
    options: Options,
    wants: Wants,
    traces: TraceEncoder,
    logs: LogEncoder,
    metrics: MetricEncoder,
    batch: LineBatch,
    /// The records in each line of the batch.
    records: Vec<u64>,
}

impl<W: Write + Send> OtlpFile<W> {
    /// Writes all signals to `out`.
    pub fn new(out: W) -> OtlpFile<W> {
        let (options, resource) = (Options::default(), Resource::new("unknown_service"));
        OtlpFile {
            out,
            options,
            wants: Wants { losses: false, ..Wants::ALL },
            traces: TraceEncoder::new(&resource, options),
            logs: LogEncoder::new(&resource, options),
            metrics: MetricEncoder::new(&resource),
            batch: LineBatch::default(),
            records: Vec::new(),
        }
    }

    /// Writes these signals alone.
    #[must_use]
    pub fn signals(mut self, signals: &[Signal]) -> OtlpFile<W> {
        let has = |signal| signals.contains(&signal);
        let (spans, logs, points) = (has(Signal::Traces), has(Signal::Logs), has(Signal::Metrics));
        self.wants = Wants { spans, logs, points, losses: false };
        self
    }

    /// Limits attributes in this way.
    #[must_use]
    pub fn options(mut self, options: Options) -> OtlpFile<W> {
        self.options = options;
        self
    }

    /// Writes histograms in this form. The default is exponential.
    #[must_use]
    pub fn histograms(mut self, histograms: Histograms) -> OtlpFile<W> {
        self.metrics.set_histograms(histograms);
        self
    }

    /// Ends the line of a signal, if there is anything in it.
    fn end_line(&mut self, signal: Signal) {
        let records = match signal {
            Signal::Traces => self.traces.count(),
            Signal::Logs => self.logs.count(),
            Signal::Metrics => self.metrics.count(),
        };
        if records == 0 {
            return;
        }
        let json = match signal {
            Signal::Traces => to_json(signal, self.traces.finish()),
            Signal::Logs => to_json(signal, self.logs.finish()),
            Signal::Metrics => to_json(signal, self.metrics.finish()),
        };
        match signal {
            Signal::Traces => self.traces.clear(),
            Signal::Logs => self.logs.clear(),
            Signal::Metrics => self.metrics.clear(),
        }
        self.batch.push(&json);
        // The ledger does not count points.
        self.records.push(if signal == Signal::Metrics { 0 } else { records as u64 });
    }
}

impl<W: Write + Send> Exporter for OtlpFile<W> {
    fn begin(&mut self, host: &Host<'_>) -> io::Result<()> {
        let histograms = self.metrics.histograms();
        self.traces = TraceEncoder::new(host.resource, self.options);
        self.logs = LogEncoder::new(host.resource, self.options);
        self.metrics = MetricEncoder::new(host.resource);
        self.metrics.set_histograms(histograms);
        Ok(())
    }

    fn wants(&self) -> Wants {
        self.wants
    }

    fn span(&mut self, span: &SpanView<'_>) {
        self.traces.span(span);
        if self.traces.record_bytes() >= LINE {
            self.end_line(Signal::Traces);
        }
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.logs.log(log);
        if self.logs.record_bytes() >= LINE {
            self.end_line(Signal::Logs);
        }
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        for point in points {
            self.metrics.point(point);
            if self.metrics.record_bytes() >= LINE {
                self.end_line(Signal::Metrics);
            }
        }
        self.end_line(Signal::Metrics);
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        self.end_line(Signal::Traces);
        self.end_line(Signal::Logs);
        let written = self.batch.write(&mut self.out);
        let records = std::mem::take(&mut self.records);
        written.map_err(|(error, lines)| {
            let from = records.len().saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
            let lost = records[from..].iter().sum();
            let message =
                format!("OTLP lines cannot be written: {error}; check the disk, and where the output goes");
            ExportError::new(DropReason::WriteError, lost, message)
        })
    }
}
