//! The current span, whose guard the running code may not hold: operations on it through its [`Context`].

use super::{Span, below};
use crate::fields::Field;
use crate::recorder::Context;
use crate::span::parent::Parent;
use crate::{TraceContext, record};

impl Span {
    /// The current span as a [`Context`]: add fields to it, run code in it, name it as a parent, or take it
    /// to another task or thread.
    ///
    /// Dropping the context ends nothing, because the span belongs to the code that began it. Outside any
    /// span the context accepts all operations and records nothing.
    ///
    /// ```
    /// use throughline::{Span, info, span};
    /// let _request = span!("request", user = throughline::Empty);
    /// Span::current().record("user", 42);
    /// let here = Span::current();
    /// std::thread::spawn(move || here.in_scope(|| info!("on another thread, in the request"))).join().unwrap();
    /// ```
    pub fn current() -> Context {
        Context::current()
    }
}

impl Context {
    /// Like [`Span::record`]. On another thread than the span's own the field may come too late, if the span
    /// ends right afterwards.
    ///
    /// ```
    /// # use throughline::Span;
    /// Span::current().record("rows", 42).record("cached", true);
    /// ```
    pub fn record(&self, key: &str, value: impl Field) -> &Context {
        below(self, || record!(current, "throughline.key" = key, "throughline.value" = value));
        self
    }

    /// Runs `f` at this place, whatever is current now.
    ///
    /// ```
    /// # use throughline::{Span, info};
    /// let here = Span::current();
    /// here.in_scope(|| info!("here"));
    /// ```
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        below(self, f)
    }

    /// Like [`Span::set_name`].
    ///
    /// ```
    /// throughline::Span::current().set_name("GET /users/{id}");
    /// ```
    pub fn set_name(&self, name: &str) {
        below(self, || record!(current, "throughline.name" = name));
    }

    /// Like [`Span::link`].
    ///
    /// ```
    /// use throughline::{Span, TraceContext};
    /// if let Ok(sender) = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") {
    ///     Span::current().link(sender);
    /// }
    /// ```
    pub fn link(&self, other: TraceContext) {
        below(self, || record!(current, "throughline.link" = super::relations::link(other)));
    }

    /// Like [`Span::follows_from`].
    ///
    /// ```
    /// use throughline::{Span, span};
    /// let request = span!("request");
    /// let cleanup = span!(root: true, "cleanup");
    /// Span::current().follows_from(&request);
    /// ```
    pub fn follows_from(&self, cause: impl Parent) {
        if let Some(cause) = cause.place().trace_context() {
            self.link(cause);
        }
    }
}
