//! A span made by hand.

use throughline_export::view::{Scope, SpanView};

/// A server's span without fields.
pub(crate) fn span() -> SpanView<'static> {
    SpanView {
        trace_id: throughline::TraceId::from_bytes([1; 16]).unwrap(),
        span_id: throughline::SpanId::from_bytes([1; 8]).unwrap(),
        parent_span_id: None,
        parent_is_remote: false,
        scope: Scope::OWN,
        name: "GET /",
        target: "",
        file: "",
        line: 0,
        kind: throughline::SpanKind::Server,
        level: throughline::Level::Info,
        status: throughline::Status::Unset,
        start_unix_ns: 1,
        end_unix_ns: 2,
        busy_ns: None,
        time_error_ns: None,
        fields: (&[][..]).into(),
    }
}
