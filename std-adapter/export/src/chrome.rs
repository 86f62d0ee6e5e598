//! Writes a trace file in Chrome's format, which Perfetto, `chrome://tracing` and speedscope open.
//!
//! The format is the *JSON Array Format* of the [Trace Event
//! Format](https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU). The bracket at
//! its end is optional, so these programs open the file at every moment, even after a crash. An orderly end writes it, and makes the file JSON.

use crate::json::{Object, push_value};
use crate::ledger::DropReason;
use crate::message;
use crate::view::{Fields, LogView, PointData, PointView, SpanView};
use crate::{Deadline, ExportError, Exporter, Wants};
use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use throughline::{SpanId, Status, TraceId, Value};

/// Number of traces whose rows are kept, and number of spans kept for each.
const TRACES: usize = 256;
const SPANS: usize = 1024;

/// Writes spans, log records and metrics as a Chrome trace file.
///
/// Each trace has a row, on which spans nest by their times; concurrent spans, such as those of tasks, get
/// more rows of the same trace. Log records are marks on the row of their span, and counters and gauges are
/// curves. Times count from the moment at which the exporter was made. Records beyond the limit of bytes are
/// counted as `dropped[write_error]`.
///
/// ```
/// use std::fs::File;
/// use throughline_export::chrome::ChromeTrace;
/// # let path = std::env::temp_dir().join(format!("throughline-chrome-{}.json", std::process::id()));
/// let trace = ChromeTrace::new(File::create(&path)?, "shop");
/// // let config = throughline_std::Config::new("shop").exporter("chrome", trace);
/// # drop(trace);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ChromeTrace<W> {
    out: W,
    begun_ns: u64,
    batch: String,
    /// Number of records in the batch.
    taken: u64,
    /// Number of bytes written, and the limit.
    written: u64,
    limit: u64,
    has_events: bool,
    rows: Rows,
}

impl<W: Write + Send> ChromeTrace<W> {
    /// Writes at most 256 MiB to `out`. `service` is the name of the process in the file.
    pub fn new(out: W, service: &str) -> ChromeTrace<W> {
        let begun_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        let mut trace = ChromeTrace {
            out,
            begun_ns,
            batch: "[".into(),
            taken: 0,
            written: 0,
            limit: 256 << 20,
            has_events: false,
            rows: Rows::default(),
        };
        trace.event("M", "process_name", 0, None, |event| {
            let mut args = event.object("args");
            args.text("name", service);
            args.end();
        });
        trace
    }

    /// Writes at most this many bytes.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> ChromeTrace<W> {
        self.limit = bytes;
        self
    }

    /// Counts times from this one, in nanoseconds since 1970, instead of from the call of
    /// [`ChromeTrace::new`].
    #[must_use]
    pub fn begin_at(mut self, unix_ns: u64) -> ChromeTrace<W> {
        self.begun_ns = unix_ns;
        self
    }

    /// Appends an event with its phase, name, row and time, and the members that `rest` adds.
    fn event(
        &mut self,
        phase: &str,
        name: &str,
        row: u32,
        time: Option<u64>,
        rest: impl FnOnce(&mut Object<'_>),
    ) {
        self.batch.push_str(if std::mem::replace(&mut self.has_events, true) { ",\n" } else { "\n" });
        let mut event = Object::new(&mut self.batch);
        event.plain("ph", phase);
        event.text("name", name);
        event.number("pid", std::process::id());
        event.number("tid", row);
        if let Some(time) = time {
            let since = i128::from(time) - i128::from(self.begun_ns);
            push_micros(event.key("ts"), since);
        }
        rest(&mut event);
        event.end();
    }

    /// The row of a span or log record. A new row gets a name.
    fn row(&mut self, trace: TraceId, span: SpanId, time: Option<(u64, u64)>) -> u32 {
        let (row, new) = match time {
            Some((start, end)) => self.rows.place(trace, span, start, end),
            None => (self.rows.row_of(trace, span), None),
        };
        if let Some(lane) = new {
            self.event("M", "thread_name", row, None, |event| {
                let mut args = event.object("args");
                args.plain(
                    "name",
                    format_args!("trace {trace}{}", if lane == 0 { "" } else { " (side by side)" }),
                );
                args.end();
            });
        }
        row
    }
}

/// Microseconds with nanoseconds as decimals.
fn push_micros(out: &mut String, ns: i128) {
    let (sign, ns) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
    // Writing to a String cannot fail.
    let _ = write!(out, "{sign}{}.{:03}", ns / 1000, ns % 1000);
}

fn push_args<'a>(event: &mut Object<'_>, ids: Option<(TraceId, SpanId)>, fields: impl Fields<'a>) {
    let mut args = event.object("args");
    if let Some((trace_id, span_id)) = ids {
        args.plain("trace_id", trace_id);
        args.plain("span_id", span_id);
    }
    for (name, value) in fields.filter(|(_, value)| *value != Value::Absent) {
        push_value(args.key(name), &value);
    }
    args.end();
}

impl<W: Write + Send> Exporter for ChromeTrace<W> {
    fn wants(&self) -> Wants {
        Wants { losses: false, ..Wants::ALL }
    }

    fn span(&mut self, span: &SpanView<'_>) {
        let (start, end) = (span.start_unix_ns, span.end_unix_ns);
        let row = self.row(span.trace_id, span.span_id, Some((start, end)));
        self.event("X", span.name, row, Some(start), |event| {
            push_micros(event.key("dur"), i128::from(end.saturating_sub(start)));
            event.text("cat", span.target);
            if span.status == Status::Error {
                // A name from the format's colours.
                event.plain("cname", "terrible");
            }
            push_args(event, Some((span.trace_id, span.span_id)), span.fields.clone());
        });
        self.taken += 1;
    }

    fn log(&mut self, log: &LogView<'_>) {
        let text = message::render(log.message, log.fields.clone());
        let row = log.span.map_or(0, |(trace, span)| self.row(trace, span, None));
        self.event("i", &text, row, Some(log.time_unix_ns), |event| {
            event.plain("s", if log.span.is_some() { "t" } else { "p" });
            event.plain("cat", log.level);
            push_args(event, log.span, log.fields.clone());
        });
        self.taken += 1;
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        for point in points {
            let value = match point.data {
                PointData::Counter(n) => Value::U64(n),
                PointData::UpDown(n) | PointData::GaugeInt(n) => Value::I64(n),
                PointData::CounterFloat(x) | PointData::UpDownFloat(x) | PointData::GaugeFloat(x) => {
                    Value::F64(x)
                }
                _ => continue,
            };
            let mut name = point.name.to_owned();
            for (i, (key, value)) in point.labels.iter().enumerate() {
                let before = if i == 0 { '{' } else { ',' };
                let _ = write!(name, "{before}{key}={value}");
            }
            if !point.labels.is_empty() {
                name.push('}');
            }
            self.event("C", &name, 0, Some(point.time_unix_ns), |event| {
                let mut args = event.object("args");
                push_value(args.key(if point.unit.is_empty() { "value" } else { point.unit }), &value);
                args.end();
            });
        }
    }

    fn finish(&mut self, deadline: &Deadline) -> Result<(), ExportError> {
        let flushed = self.flush(deadline);
        // Without the bracket the file can be read too.
        let _ = self.out.write_all(b"\n]\n").and_then(|()| self.out.flush());
        flushed
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        let taken = std::mem::take(&mut self.taken);
        let lost = |why: String| Err(ExportError::new(DropReason::WriteError, taken, why));
        if self.written + self.batch.len() as u64 > self.limit {
            self.batch.clear();
            // Once the file is full it stays full, so that a later, smaller batch leaves no gap.
            self.limit = self.written;
            return lost(format!(
                "the trace file has its {} bytes; raise the limit, or record less",
                self.limit
            ));
        }
        let written = self.out.write_all(self.batch.as_bytes()).and_then(|()| self.out.flush());
        self.written += self.batch.len() as u64;
        self.batch.clear();
        written.or_else(|error| lost(format!("the trace file cannot be written: {error}; check the disk")))
    }
}

/// The row of each span.
#[derive(Default)]
struct Rows {
    traces: HashMap<TraceId, Trace>,
    /// The traces by the time of their first span.
    order: VecDeque<TraceId>,
    /// The last row in use; row 0 belongs to the process.
    last: u32,
}

#[derive(Default)]
struct Trace {
    lanes: Vec<u32>,
    spans: VecDeque<Placed>,
}

struct Placed {
    id: SpanId,
    lane: usize,
    start: u64,
    end: u64,
}

impl Placed {
    /// Whether two spans can be drawn on one row, because one is after the other or within the other.
    fn nests_with(&self, start: u64, end: u64) -> bool {
        let apart = self.end <= start || end <= self.start;
        let within = self.start <= start && end <= self.end;
        let around = start <= self.start && self.end <= end;
        apart || within || around
    }
}

impl Rows {
    /// The first row of its trace on which the span fits. For a new row, also its number within the trace.
    fn place(&mut self, trace: TraceId, id: SpanId, start: u64, end: u64) -> (u32, Option<usize>) {
        if !self.traces.contains_key(&trace) {
            if self.order.len() >= TRACES
                && let Some(oldest) = self.order.pop_front()
            {
                self.traces.remove(&oldest);
            }
            self.order.push_back(trace);
        }
        let rows = self.traces.entry(trace).or_default();
        let fits =
            |lane: &usize| rows.spans.iter().all(|span| span.lane != *lane || span.nests_with(start, end));
        let lane = (0..rows.lanes.len()).find(fits).unwrap_or(rows.lanes.len());
        let is_new = lane == rows.lanes.len();
        if is_new {
            self.last += 1;
            rows.lanes.push(self.last);
        }
        if rows.spans.len() >= SPANS {
            rows.spans.pop_front();
        }
        rows.spans.push_back(Placed { id, lane, start, end });
        (rows.lanes[lane], is_new.then_some(lane))
    }

    /// The row of a span, if it is known. A log record comes before the end of its span, and is then drawn on
    /// the first row of its trace.
    fn row_of(&self, trace: TraceId, id: SpanId) -> u32 {
        let Some(rows) = self.traces.get(&trace) else { return 0 };
        let lane = rows.spans.iter().find(|span| span.id == id).map_or(0, |span| span.lane);
        rows.lanes.get(lane).copied().unwrap_or(0)
    }
}
