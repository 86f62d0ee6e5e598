//! What the engine is told of a span.

use throughline::{SpanId, SpanKind, Status, TraceId, Value};
use throughline_export::view::{Fields, SpanView};

/// A span that has ended, as the [`Engine`](super::Engine) wants it.
///
/// ```
/// use throughline::{SpanId, SpanKind, TraceId};
/// use throughline_std::insights::Ended;
/// let query = Ended {
///     parent_span_id: SpanId::from_bytes([1; 8]),
///     statement: "SELECT name FROM items WHERE id = ?",
///     kind: SpanKind::Client,
///     ..Ended::new(TraceId::from_bytes([7; 16]).unwrap(), SpanId::from_bytes([2; 8]).unwrap(), "SELECT items", 1_000, 2_000)
/// };
/// # let _ = query;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// Its parent.
    pub parent_span_id: Option<SpanId>,
    /// Whether the parent is in another process, whose spans are not told of.
    pub parent_is_remote: bool,
    /// The service, where spans of several are told of; "" otherwise.
    pub service: &'a str,
    /// The span's name.
    pub name: &'a str,
    /// The route, if the name does not have it: `/orders/{id}`.
    pub route: &'a str,
    /// The statement of a query of a database, with or without values.
    pub statement: &'a str,
    /// Its role in a call between processes.
    pub kind: SpanKind,
    /// Whether it ended with an error.
    pub failed: bool,
    /// Start, in nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// End, in nanoseconds since 1970.
    pub end_unix_ns: u64,
    /// For an async span: how long its future was being polled, in nanoseconds.
    pub busy_ns: Option<u64>,
}

impl<'a> Ended<'a> {
    /// A span with these ids, this name, start and end; without a parent and without an error.
    pub fn new(trace_id: TraceId, span_id: SpanId, name: &'a str, start: u64, end: u64) -> Ended<'a> {
        Ended {
            trace_id,
            span_id,
            parent_span_id: None,
            parent_is_remote: false,
            service: "",
            name,
            route: "",
            statement: "",
            kind: SpanKind::Internal,
            failed: false,
            start_unix_ns: start,
            end_unix_ns: end,
            busy_ns: None,
        }
    }

    /// What an exporter is given. The route is the attribute `http.route`, and the statement is `db.query.text` or `db.statement`.
    pub fn of<F: Fields<'a>>(view: &SpanView<'a, F>) -> Ended<'a> {
        let mut ended = Ended {
            parent_span_id: view.parent_span_id,
            parent_is_remote: view.parent_is_remote,
            kind: view.kind,
            failed: view.status == Status::Error,
            busy_ns: view.busy_ns,
            ..Ended::new(view.trace_id, view.span_id, view.name, view.start_unix_ns, view.end_unix_ns)
        };
        for (name, value) in view.fields.clone() {
            if let Value::Str { text, .. } | Value::Shown { text, .. } = value {
                ended.attribute(name, text);
            }
        }
        ended
    }

    /// Takes an attribute in, if it is one that tells the route or the statement.
    pub fn attribute(&mut self, name: &str, text: &'a str) {
        match name {
            "http.route" => self.route = text,
            "db.query.text" | "db.statement" => self.statement = text,
            _ => {}
        }
    }
}
