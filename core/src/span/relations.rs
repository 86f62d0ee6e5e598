//! Properties of a running span that its callsite does not declare: another name, links to other spans, and
//! fields whose key is known only at run time.
//!
//! Both are recorded as fields with reserved names, which exporters convert to what their format has.
//! Separate record kinds were rejected, because fields already find their span in every thread and on the
//! wire.

use super::Span;
use super::parent::Parent;
use crate::TraceContext;
use crate::fields::Field;

/// The field whose value replaces the span's name.
pub const NAME_FIELD: &str = "throughline.name";

/// The field that links the span to another one: trace id (16 bytes), span id (8 bytes), W3C flags (1 byte).
/// A span may have several.
pub const LINK_FIELD: &str = "throughline.link";

/// The field whose value is the name of the field after it.
pub const KEY_FIELD: &str = "throughline.key";

/// A link as it is recorded.
pub(super) fn link(other: TraceContext) -> [u8; 25] {
    let mut bytes = [0; 25];
    bytes[..16].copy_from_slice(&other.trace_id.to_bytes());
    bytes[16..24].copy_from_slice(&other.span_id.to_bytes());
    bytes[24] = other.flags;
    bytes
}

impl Span {
    /// Adds a field, as `tracing`'s method of this name does. The field may have been declared as
    /// [`Empty`](crate::Empty) or not at all, and its key may be known only at run time. A field that already
    /// exists gets the new value.
    ///
    /// [`record!`](crate::record!) costs less if the key is a literal: with this method the text of the key
    /// goes into the record, on a device too.
    ///
    /// ```
    /// use throughline::{Empty, field, info_span};
    /// let span = info_span!("query", rows = Empty);
    /// span.record("rows", 42).record("table", "users");
    /// span.record("plan", field::debug(Some("index")));
    /// ```
    pub fn record(&self, key: &str, value: impl Field) -> &Span {
        crate::record!(self, "throughline.key" = key, "throughline.value" = value);
        self
    }

    /// Gives the span another name that is known only after the span has begun, such as the route of a
    /// request. Cost: that of a field.
    ///
    /// ```
    /// let span = throughline::span!("request");
    /// span.set_name("GET /users/{id}");
    /// ```
    pub fn set_name(&self, name: &str) {
        crate::record!(self, "throughline.name" = name);
    }

    /// Links the span to another span that is not its parent, in this trace or another one: for example to
    /// the request that put a message into the queue from which this span took it. Cost: that of a field.
    ///
    /// ```
    /// use throughline::{TraceContext, span};
    /// let span = span!(kind: Consumer, "process");
    /// if let Ok(sender) = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") {
    ///     span.link(sender);
    /// }
    /// ```
    pub fn link(&self, other: TraceContext) {
        crate::record!(self, "throughline.link" = link(other));
    }

    /// Links the span to the span that caused it but does not wait for it: a `&Span` or a
    /// [`Context`](crate::Context). Outside any trace it does nothing.
    ///
    /// ```
    /// use throughline::span;
    /// let request = span!("request");
    /// let cleanup = span!(root: true, "cleanup");
    /// cleanup.follows_from(&request);
    /// ```
    pub fn follows_from(&self, cause: impl Parent) {
        if let Some(cause) = cause.place().trace_context() {
            self.link(cause);
        }
    }
}
