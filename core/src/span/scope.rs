//! Runs code in a span that is not the innermost one.

use super::Span;
use crate::recorder::ContextGuard;

impl Span {
    /// Runs `f` with this span current, whatever is current now.
    ///
    /// A span is already current when it begins. Use this for a span that is kept while other spans run.
    ///
    /// ```
    /// use throughline::{info, info_span};
    /// let first = info_span!("first");
    /// let second = info_span!("second");
    /// first.in_scope(|| info!("in the first, though the second is the innermost"));
    /// # drop(second);
    /// ```
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        super::below(self, f)
    }

    /// Makes this span current until the guard is dropped; see [`in_scope`](Span::in_scope).
    #[must_use = "dropping the guard leaves the span"]
    pub fn enter(&self) -> ContextGuard {
        self.context().enter()
    }

    /// Returns the span itself, which is already current. For code that was written for `tracing`.
    pub fn entered(self) -> Span {
        self
    }
}
