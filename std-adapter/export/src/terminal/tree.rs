//! Collects spans, logs and losses until their trace is complete, in bounded memory.

use super::{Style, draw};
use crate::message::{self, ValueText};
use crate::text::{Escaped, escaped, is_dangerous};
use crate::view::{Fields, LogView, SpanView};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};
use throughline::adapter::record::NAME_FIELD;
use throughline::{Level, SpanId, Status, TraceId, Value};

/// How long a loss waits for its trace, in nanoseconds of record time.
const NOTE_PATIENCE: u64 = 2_000_000_000;

/// Records that were lost, shown where they are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossNote {
    /// Time of the first loss, in nanoseconds since 1970.
    pub time_unix_ns: u64,
    /// Number of records lost.
    pub count: u64,
    /// The reason and the place as text, such as `ring full` or `lost on the link`.
    pub what: String,
}

/// Prints traces as trees once their root has ended.
///
/// It holds at most `limit` spans and logs back. Beyond that, the trace that began first is printed
/// incomplete.
///
/// ```
/// use throughline_export::terminal::{Style, Tree};
/// let mut tree = Tree::new(Style::PLAIN, 10_000);
/// // … tree.span(&view), tree.log(&view) …
/// tree.write_complete(&mut std::io::stdout())?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Tree {
    style: Style,
    limit: usize,
    held: usize,
    traces: HashMap<TraceId, Trace>,
    /// Logs outside of spans.
    loose: Vec<Log>,
    notes: Vec<Note>,
    /// Time of the newest record seen.
    newest: u64,
    begun: u64,
}

/// A loss, and when this program was told of it.
#[derive(Debug)]
struct Note {
    loss: LossNote,
    heard: Instant,
}

/// The age of something: in record time relative to the newest record (nanoseconds), and in this program's
/// running time.
#[derive(Clone, Copy)]
struct Age {
    records: u64,
    here: Duration,
}

/// The records of a trace so far.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) spans: Vec<Span>,
    pub(super) logs: Vec<Log>,
    pub(super) notes: Vec<LossNote>,
    /// Whether its root has ended.
    pub(super) complete: bool,
    /// Whether a part of it was written before.
    pub(super) continued: bool,
    /// Whether its id is not known. The key under which it is held must not be shown then.
    pub(super) unknown: bool,
    /// Whether it was complete when [`Tree::write_settled`] was last called.
    settled: bool,
    /// Time of its newest record, and when that record came.
    newest: u64,
    heard: Option<Instant>,
    /// Its number in the order in which traces began.
    number: u64,
}

#[derive(Debug)]
pub(super) struct Span {
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) name: Box<str>,
    pub(super) level: Level,
    pub(super) status: Status,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) busy: Option<u64>,
    pub(super) time_error: Option<u64>,
    pub(super) fields: Box<str>,
}

#[derive(Debug)]
pub(super) struct Log {
    pub(super) span: Option<SpanId>,
    pub(super) time: u64,
    pub(super) level: Level,
    pub(super) text: Box<str>,
}

impl Tree {
    /// A tree that holds back at most `limit` spans and logs of about 200 bytes each.
    pub fn new(style: Style, limit: usize) -> Tree {
        Tree {
            style,
            limit,
            held: 0,
            traces: HashMap::new(),
            loose: Vec::new(),
            notes: Vec::new(),
            newest: 0,
            begun: 0,
        }
    }

    /// Takes a finished span. A span without a parent completes its trace.
    pub fn span<'a, F: Fields<'a>>(&mut self, view: &SpanView<'a, F>) {
        let mut fields = String::new();
        let name_of = |(name, value)| match value {
            Value::Str { text, .. } if name == NAME_FIELD => Some(text),
            _ => None,
        };
        let name = view.fields.clone().filter_map(name_of).last().unwrap_or(view.name);
        write_fields(&mut fields, view.fields.clone().filter(|(name, _)| *name != NAME_FIELD));
        let trace = self.trace(view.trace_id, view.end_unix_ns);
        trace.complete |= view.parent_span_id.is_none();
        trace.spans.push(Span {
            id: view.span_id,
            parent: view.parent_span_id,
            name: escaped(name).into(),
            level: view.level,
            status: view.status,
            start: view.start_unix_ns,
            end: view.end_unix_ns,
            busy: view.busy_ns,
            time_error: view.time_error_ns,
            fields: fields.into(),
        });
        self.held += 1;
    }

    /// Takes a log record.
    pub fn log<'a, F: Fields<'a>>(&mut self, view: &LogView<'a, F>) {
        let mut text = String::new();
        message::render_into(&mut text, view.message, view.fields.clone());
        if !view.event_name.is_empty() {
            text.insert_str(0, if text.is_empty() { "" } else { ": " });
            text.insert_str(0, view.event_name);
        }
        if text.contains(is_dangerous) {
            text = Escaped(&text).to_string();
        }
        // Fields that the message already shows are not repeated.
        let message = view.message;
        let rest =
            view.fields.clone().enumerate().filter(move |(i, (name, _))| !message::shows(message, *i, name));
        if rest.clone().next().is_some() {
            text.push_str("  ");
            write_fields(&mut text, rest.map(|(_, field)| field));
        }
        let log = Log {
            span: view.span.map(|(_, span)| span),
            time: view.time_unix_ns,
            level: view.level,
            text: text.into(),
        };
        match view.span {
            Some((trace_id, _)) => self.trace(trace_id, view.time_unix_ns).logs.push(log),
            None => {
                self.newest = self.newest.max(view.time_unix_ns);
                self.loose.push(log);
            }
        }
        self.held += 1;
    }

    /// Notes that a part of this trace was written before. The rest is drawn under a header that says so.
    pub fn continued(&mut self, id: TraceId) {
        let newest = self.newest;
        self.trace(id, newest).continued = true;
    }

    /// Notes that a trace's id is not known, because it began in another process and no record named it.
    /// Whatever is taken under this `key` is drawn without an id.
    pub fn unknown(&mut self, key: TraceId) {
        let newest = self.newest;
        self.trace(key, newest).unknown = true;
    }

    /// Takes a report of a loss.
    pub fn loss(&mut self, note: LossNote) {
        // At most one loss comes per poll and ring; the limit bounds memory in any case.
        if self.notes.len() < 1000 {
            self.notes.push(Note { loss: note, heard: Instant::now() });
        }
    }

    /// Number of spans and logs taken but not yet written.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Writes complete traces, logs outside of spans, and losses outside of traces; then, beyond the limit,
    /// the oldest traces as they are. Call it after each batch of records, not after each record, because a
    /// root may come before its children.
    pub fn write_complete(&mut self, out: &mut impl io::Write) -> io::Result<()> {
        self.write(out, |_, trace| trace.complete, by_records)?;
        self.write_excess(out)
    }

    /// Writes the oldest traces beyond the limit as they are.
    fn write_excess(&mut self, out: &mut impl io::Write) -> io::Result<()> {
        let excess = self.held.saturating_sub(self.limit);
        if excess > 0 {
            let mut numbers: Vec<_> =
                self.traces.values().map(|t| (t.number, t.spans.len() + t.logs.len())).collect();
            numbers.sort_unstable();
            let mut freed = 0;
            let last = numbers.iter().find(|(_, n)| {
                freed += n;
                freed >= excess
            });
            let last = last.map_or(u64::MAX, |(number, _)| *number);
            self.write(out, move |_, trace| trace.number <= last, by_records)?;
        }
        Ok(())
    }

    /// Writes complete traces, and traces without a record for `age_ns` nanoseconds of record time: their
    /// root is in another process, still open, or lost.
    pub fn write_idle(&mut self, age_ns: u64, out: &mut impl io::Write) -> io::Result<()> {
        self.write(out, |age, trace| trace.complete || age.records > age_ns, by_records)
    }

    /// Writes traces that were already complete at the last call, traces without new records for `patience`,
    /// and logs and losses outside of traces. Use it for records from many threads of this program, and call
    /// it each time all threads have been read: a thread that was read before the root's thread may have held
    /// spans that ended earlier, and the second reading has found them.
    pub fn write_settled(&mut self, patience: Duration, out: &mut impl io::Write) -> io::Result<()> {
        let late = |age: Age| age.here > patience;
        let written = self.write(out, |age, trace| trace.settled || !trace.complete && late(age), late);
        self.traces.values_mut().for_each(|trace| trace.settled = trace.complete);
        written.and(self.write_excess(out))
    }

    /// Writes everything that is held back.
    pub fn write_all(&mut self, out: &mut impl io::Write) -> io::Result<()> {
        self.write(out, |_, _| true, |_| true)?;
        out.flush()
    }

    /// Writes the traces for which `ready` holds with the losses in their time, logs outside of spans, and
    /// the remaining losses that are `old`.
    fn write(
        &mut self,
        out: &mut impl io::Write,
        ready: impl Fn(Age, &Trace) -> bool,
        old: impl Fn(Age) -> bool,
    ) -> io::Result<()> {
        let (newest, now) = (self.newest, Instant::now());
        let age = |time: u64, heard: Instant| Age {
            records: newest.saturating_sub(time),
            here: now.duration_since(heard),
        };
        let of_trace = |trace: &Trace| age(trace.newest, trace.heard.unwrap_or(now));
        let mut traces: Vec<(TraceId, Trace)> =
            self.traces.extract_if(|_, trace| ready(of_trace(trace), trace)).collect();
        // The order of a hash map is random, so sort traces by id; those that begin at the same time stay in
        // this order.
        traces.sort_unstable_by_key(|(id, _)| *id);
        for (_, trace) in &mut traces {
            self.held -= trace.spans.len() + trace.logs.len();
            let (start, end) = trace.interval();
            let within = self.notes.extract_if(.., |note| (start..=end).contains(&note.loss.time_unix_ns));
            trace.notes.extend(within.map(|note| note.loss));
        }
        self.held -= self.loose.len();
        let old = self.notes.extract_if(.., |note| old(age(note.loss.time_unix_ns, note.heard)));
        let mut items: Vec<(u64, draw::Item)> =
            old.map(|note| (note.loss.time_unix_ns, draw::Item::Note(note.loss))).collect();
        items.extend(self.loose.drain(..).map(|log| (log.time, draw::Item::Log(log))));
        items
            .extend(traces.into_iter().map(|(id, trace)| (trace.interval().0, draw::Item::Trace(id, trace))));
        items.sort_by_key(|(time, _)| *time);
        for (_, item) in &items {
            draw::item(out, self.style, item)?;
        }
        Ok(())
    }

    fn trace(&mut self, id: TraceId, time: u64) -> &mut Trace {
        self.newest = self.newest.max(time);
        let begun = &mut self.begun;
        let trace = self.traces.entry(id).or_insert_with(|| {
            *begun += 1;
            Trace { number: *begun, ..Trace::default() }
        });
        trace.newest = trace.newest.max(time);
        trace.heard = Some(Instant::now());
        trace
    }
}

/// Whether a loss has waited long enough for its trace, in record time.
fn by_records(age: Age) -> bool {
    age.records > NOTE_PATIENCE
}

impl Trace {
    /// The time from the first start to the last end.
    pub(super) fn interval(&self) -> (u64, u64) {
        let spans = self.spans.iter().map(|s| (s.start, s.end));
        spans
            .chain(self.logs.iter().map(|l| (l.time, l.time)))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .unwrap_or_default()
    }
}

/// Appends `name=value name=value`. Text that is empty or contains whitespace or quotes is quoted. Dangerous
/// characters are escaped in both.
fn write_fields<'a>(out: &mut String, fields: impl Iterator<Item = (&'a str, throughline::Value<'a>)>) {
    let present = fields.filter(|(_, value)| *value != throughline::Value::Absent);
    for (i, (name, value)) in present.enumerate() {
        let space = if i > 0 { " " } else { "" };
        let _ = write!(out, "{space}{}=", Escaped(name));
        let _ = match value {
            throughline::Value::Str { text, truncated } | throughline::Value::Shown { text, truncated }
                if text.is_empty()
                    || text.contains(|c: char| c.is_whitespace() || is_dangerous(c) || c == '"') =>
            {
                write!(out, "{text:?}{}", if truncated { "…" } else { "" })
            }
            value => write!(out, "{}", Escaped(&ValueText(&value).to_string())),
        };
    }
}
