//! Beginning a span.

/// Begins a span, which ends when the returned [`Span`](crate::Span) is dropped.
///
/// Before the name may come, in any order: `level: Debug` ([`Level`](crate::Level); `Info` else), `kind: Server`
/// ([`SpanKind`](crate::SpanKind)), `target: "…"` in place of the module's path, `parent: &span` (or a [`Context`](crate::Context)) in place of
/// the current span, and `root: true` or `parent: None` for a trace of its own. After it, at most 15 fields with different keys: `name = value`,
/// `name = %display`, `name = ?debug`, where the name may be `dotted.words` or `"any text"`, or a variable by itself: `value`, `%value`, `?value`.
/// Which values can be fields is said at [`Field`](crate::Field). Levels may also be written as `tracing` does, `Level::DEBUG`, before the name too.
///
/// ```
/// use throughline::{debug_span, span};
/// let channel = 3;
/// let span = span!("read_sensor", channel, gain = 1.5_f32);
/// let _inner = span!(level: Debug, kind: Client, "spi.transfer", bytes = 12);
/// let _same_level = debug_span!(parent: &span, "spi.wait");
/// ```
#[macro_export]
macro_rules! span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [] $($input)*) };
}

/// A span at `Trace`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! trace_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Trace] $($input)*) };
}

/// A span at `Debug`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! debug_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Debug] $($input)*) };
}

/// A span at `Info`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! info_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Info] $($input)*) };
}

/// A span at `Warn`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! warn_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Warn] $($input)*) };
}

/// A span at `Error`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! error_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Error] $($input)*) };
}
