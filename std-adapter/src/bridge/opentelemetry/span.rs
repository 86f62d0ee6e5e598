//! Spans of the API.

use super::context;
use super::site::{Scope, What};
use super::value;
use crate::bridge::{elsewhere, leave_out};
use opentelemetry::trace::{Event, Link, SpanContext, Status};
use opentelemetry::{KeyValue, trace};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;
use throughline::adapter::bridge::FieldList;
use throughline::adapter::callsite::{Kind, MAX_FIELDS};
use throughline::{DetachedSpan, Level, SpanKind, TraceContext};

/// A span of the API; see [`TracerProvider`](super::TracerProvider).
#[derive(Debug)]
pub struct Span {
    /// Not recorded any more when it has ended.
    own: DetachedSpan,
    context: SpanContext,
    status: Status,
    scope: Arc<Scope>,
}

impl Span {
    pub(super) fn new(own: DetachedSpan, context: SpanContext, scope: &Arc<Scope>) -> Span {
        Span { own, context, status: Status::Unset, scope: Arc::clone(scope) }
    }

    /// This library's span, as long as it is recorded.
    fn recorded(&self) -> Option<&DetachedSpan> {
        Some(&self.own).filter(|own| own.is_recorded())
    }

    /// Adds what the builder says beside name and attributes.
    pub(super) fn begin_with(&mut self, events: Vec<Event>, links: Vec<Link>) {
        for Event { name, timestamp, attributes, .. } in events {
            self.event(&name, timestamp, &attributes);
        }
        for Link { span_context, attributes, .. } in links {
            self.link(&span_context, attributes.len());
        }
    }

    fn event(&self, name: &str, time: SystemTime, attributes: &[KeyValue]) {
        let Some(own) = self.recorded() else { return };
        let what = What {
            kind: Kind::Event,
            span_kind: SpanKind::Internal,
            // Exceptions are the only events whose severity the conventions say.
            level: if name == "exception" { Level::Error } else { Level::Info },
            name,
            has_message: false,
            target: &self.scope.name,
        };
        let keys = attributes.iter().map(|attribute| attribute.key.as_str());
        let Some(callsite) = what.callsite(&self.scope, keys) else {
            return event_elsewhere(own, what, time, attributes);
        };
        leave_out(attributes.len().saturating_sub(MAX_FIELDS));
        if let Some(callsite) = callsite.enabled() {
            own.event(callsite, &mut value::list(attributes), nanos_ago(time));
        }
    }

    fn link(&self, to: &SpanContext, attributes: usize) {
        // A link is ids alone.
        leave_out(attributes);
        if let (Some(own), Some(to)) = (self.recorded(), trace_context(to)) {
            own.link(to);
        }
    }

    fn end_ago(&mut self, nanos: i64) {
        let Some(own) = self.recorded() else { return };
        match &self.status {
            Status::Unset => {}
            Status::Ok => own.set_status(throughline::Status::Ok),
            Status::Error { description } if description.is_empty() => {
                own.set_status(throughline::Status::Error);
            }
            Status::Error { description } => own.fail(description),
        }
        self.own.end_ago(nanos);
    }
}

/// Records an event whose name and keys have no callsite. The name is the message.
#[cold]
fn event_elsewhere(own: &DetachedSpan, what: What<'_>, time: SystemTime, attributes: &[KeyValue]) {
    let Some(callsite) = elsewhere::elsewhere(what.level) else { return };
    let mut list = FieldList::expecting(elsewhere::NAMES.len());
    list.push(what.name);
    let room = elsewhere::PAIR_NAMES.len() / 2;
    for attribute in attributes.iter().take(room) {
        list.push(attribute.key.as_str());
        value::push(&mut list, &attribute.value);
    }
    leave_out(attributes.len().saturating_sub(room));
    own.event(callsite, &mut list, nanos_ago(time));
}

/// How long ago this time was, in nanoseconds; negative in the future. 0 if it is now, as far as reading the clock
/// takes time: the caller has just read it, because the API asks for a time always.
pub(super) fn nanos_ago(time: SystemTime) -> i64 {
    const NOW: i64 = 1_000;
    let nanos = |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let ago = match SystemTime::now().duration_since(time) {
        Ok(ago) => nanos(ago),
        Err(ahead) => -nanos(ahead.duration()),
    };
    if ago.abs() < NOW { 0 } else { ago }
}

impl trace::Span for Span {
    fn add_event_with_timestamp<T>(&mut self, name: T, timestamp: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        self.event(&name.into(), timestamp, &attributes);
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        context::tell(self.own.context());
        self.recorded().is_some()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        let Some(own) = self.recorded() else { return };
        let what = What {
            kind: Kind::Fields,
            span_kind: SpanKind::Internal,
            level: Level::Error,
            name: "",
            has_message: false,
            target: "",
        };
        match what.callsite(&Scope::default(), std::iter::once(attribute.key.as_str())) {
            Some(callsite) => {
                if let Some(callsite) = callsite.enabled() {
                    own.add_list(callsite, &mut value::list(&[attribute]));
                }
            }
            None => value::add(own, &[attribute]),
        }
    }

    fn set_status(&mut self, status: Status) {
        // `Ok` is final, and an error is never unset.
        if self.own.is_recorded() && status > self.status {
            self.status = status;
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(own) = self.recorded() {
            own.set_name(&new_name.into());
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.link(&span_context, attributes.len());
    }

    fn end(&mut self) {
        self.end_ago(0);
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if self.own.is_recorded() {
            self.end_ago(nanos_ago(timestamp));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.end_ago(0);
    }
}

/// The ids in a span context; `None` if it is not valid.
pub(super) fn trace_context(context: &SpanContext) -> Option<TraceContext> {
    Some(TraceContext {
        trace_id: throughline::TraceId::from_bytes(context.trace_id().to_bytes())?,
        span_id: throughline::SpanId::from_bytes(context.span_id().to_bytes())?,
        flags: context.trace_flags().to_u8(),
    })
}
