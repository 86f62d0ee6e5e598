//! Log records made by hand.

use throughline::{Level, SpanId, TraceId, Value};
use throughline_export::view::{LogView, Scope};

/// A record of the package's own scope, in a span.
pub(crate) fn log<'a>(level: Level, message: &'a str, fields: &'a [(&'a str, Value<'a>)]) -> LogView<'a> {
    LogView {
        span: Some((TraceId::from_bytes([0xab; 16]).unwrap(), SpanId::from_bytes([0x12; 8]).unwrap())),
        // 2026-01-22T10:00:00.123456789Z
        time_unix_ns: 1_769_076_000_123_456_789,
        level,
        message,
        trace_flags: 1,
        scope: Scope::OWN,
        event_name: "",
        target: "shop::events",
        file: "src/events.rs",
        line: 12,
        time_error_ns: None,
        fields: fields.into(),
    }
}
