//! Running code within a span that is not the innermost one.

use super::Span;
use crate::recorder::ContextGuard;

impl Span {
    /// Runs `f` with this span current, whatever is current now.
    ///
    /// A span is current from its beginning as it is; this is for one that is kept while others run.
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

    /// The span itself, which is current as it is: for code that was written for `tracing`.
    pub fn entered(self) -> Span {
        self
    }
}
