//! Fields that are added to a span after it began.

/// Adds fields to a running span; they need not have been declared. `record!(current, …)` adds to whatever span is current.
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
