//! The macros that begin spans.

/// Begins a span, which ends when the returned [`Span`](crate::Span) is dropped.
///
/// Options come before the name, in any order: `level: Debug` ([`Level`](crate::Level), default `Info`),
/// `kind: Server` ([`SpanKind`](crate::SpanKind)), `target: "…"` to replace the module's path, `parent:
/// &span` (or a [`Context`](crate::Context)) to replace the current span, and `root: true` or `parent: None`
/// to begin a new trace. Levels may also be written as in `tracing`, `Level::DEBUG`.
///
/// After the name come at most 15 fields with different keys: `name = value`, `name = %display` or `name =
/// ?debug`, where the name may be `dotted.words` or `"any text"`; or a variable alone: `value`, `%value`,
/// `?value`. [`Field`](crate::Field) lists the types that can be fields.
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

/// Begins a span at `Trace`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! trace_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Trace] $($input)*) };
}

/// Begins a span at `Debug`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! debug_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Debug] $($input)*) };
}

/// Begins a span at `Info`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! info_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Info] $($input)*) };
}

/// Begins a span at `Warn`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! warn_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Warn] $($input)*) };
}

/// Begins a span at `Error`; see [`span!`](crate::span!).
#[macro_export]
macro_rules! error_span {
    ($($input:tt)*) => { $crate::__private::__span_call!([$crate] [Error] $($input)*) };
}
