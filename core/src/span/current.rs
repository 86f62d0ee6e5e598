//! The current span, of which the running code may hold no guard: what can be said of it through its [`Context`].

use super::{Span, below};
use crate::fields::Field;
use crate::recorder::Context;
use crate::span::parent::Parent;
use crate::{TraceContext, record};

impl Span {
    /// The current span, as a [`Context`]: add to it, run code in it, name it as a parent, or take it to another task or thread.
    ///
    /// Nothing ends when it is dropped, as the span belongs to whoever began it. Outside any span it takes everything and records nothing.
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
    /// As [`Span::record`]. On another thread than the span's own the field may come too late, when the span ends right after.
    ///
    /// ```
    /// # use throughline::Span;
    /// Span::current().record("rows", 42).record("cached", true);
    /// ```
    pub fn record(&self, key: &str, value: impl Field) -> &Context {
        below(self, || record!(current, "throughline.key" = key, "throughline.value" = value));
        self
    }

    /// Runs `f` in this place, whatever is current now.
    ///
    /// ```
    /// # use throughline::{Span, info};
    /// let here = Span::current();
    /// here.in_scope(|| info!("here"));
    /// ```
    pub fn in_scope<R>(&self, f: impl FnOnce() -> R) -> R {
        below(self, f)
    }

    /// As [`Span::set_name`].
    ///
    /// ```
    /// throughline::Span::current().set_name("GET /users/{id}");
    /// ```
    pub fn set_name(&self, name: &str) {
        below(self, || record!(current, "throughline.name" = name));
    }

    /// As [`Span::link`].
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

    /// As [`Span::follows_from`].
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
