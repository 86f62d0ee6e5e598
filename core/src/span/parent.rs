//! An explicit parent: `span!(parent: &request, "query")`.

use super::Span;
use crate::recorder::Context;

/// A type that can be given as a parent.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parent",
    note = "a parent is a `&Span` or a `Context`; for a span of another process use `throughline::attach`"
)]
pub trait Parent {
    /// The place of the parent.
    fn place(&self) -> Context;
}

impl Parent for Span {
    fn place(&self) -> Context {
        self.context()
    }
}

impl Parent for Context {
    fn place(&self) -> Context {
        *self
    }
}

impl<T: Parent + ?Sized> Parent for &T {
    fn place(&self) -> Context {
        (**self).place()
    }
}

impl<T: Parent + ?Sized> Parent for &mut T {
    fn place(&self) -> Context {
        (**self).place()
    }
}

/// Runs `f` below `parent`. Afterwards the previous place is current again, or the span that `f` returns.
pub fn below<R>(parent: impl Parent, f: impl FnOnce() -> R) -> R {
    let _entered = parent.place().enter();
    f()
}

/// Runs `f` outside any span.
pub fn outside<R>(f: impl FnOnce() -> R) -> R {
    below(Context::default(), f)
}
