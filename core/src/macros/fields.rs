//! The macro that adds fields to a span after it began.

/// Adds fields to a running span. The span need not have declared them. `record!(current, …)` adds to the
/// current span.
///
/// ```
/// use throughline::{record, span};
/// let span = span!("query");
/// record!(span, rows = 42, cached = true);
/// record!(current, shard = 3);
/// ```
#[macro_export]
macro_rules! record {
    ($($input:tt)*) => { $crate::__private::__record_call!([$crate] [] $($input)*) };
}
