//! Reads the values of `tracing`'s fields.

use super::site::{Role, Site};
use crate::bridge::elsewhere::{PAIR_NAMES, pairs};
use crate::bridge::message::Place;
use std::error::Error;
use std::fmt::Debug;
use throughline::adapter::bridge::FieldList;
use throughline::{DetachedSpan, Level, SpanKind, Status, field};
use tracing::field::{Field, Visit};

/// The values of a span or an event, at the places that they have in its callsite.
pub(super) struct Fields<'s> {
    site: &'s Site,
    pub(super) list: FieldList,
    pub(super) special: Special,
    /// The fields for which the list has no place, as keys and values.
    further: Vec<FieldList>,
}

impl<'s> Fields<'s> {
    pub(super) fn new(site: &'s Site) -> Fields<'s> {
        Fields {
            site,
            list: FieldList::expecting(site.plain),
            special: Special::default(),
            further: Vec::new(),
        }
    }

    #[inline]
    fn put<F: throughline::Field + ?Sized>(&mut self, field: &Field, value: &F) {
        match self.site.role(field) {
            // `tracing` gives values in the order of its fields, and leaves out those that are empty.
            Role::Plain(at) if at >= self.list.len() => {
                self.list.skip_to(at);
                self.list.push(value);
            }
            _ => self.put_further(field.name(), value),
        }
    }

    #[cold]
    fn put_further<F: throughline::Field + ?Sized>(&mut self, name: &str, value: &F) {
        if self.further.last().is_none_or(|list| list.len() == PAIR_NAMES.len()) {
            self.further.push(FieldList::expecting(PAIR_NAMES.len()));
        }
        if let Some(list) = self.further.last_mut() {
            list.push(name);
            list.push(value);
        }
    }

    /// How many fields the list has no place for.
    pub(super) fn further(&self) -> usize {
        self.further.iter().map(|list| list.len() / 2).sum()
    }

    /// Sets what a span's own record does not say.
    #[inline]
    pub(super) fn apply(&mut self, span: &DetachedSpan) {
        self.special.apply(span);
        for list in &mut self.further {
            if let Some(callsite) = pairs() {
                span.add_list(callsite, list);
            }
        }
    }
}

macro_rules! numbers {
    ($($name:ident: $type:ty;)*) => {$(
        fn $name(&mut self, field: &Field, value: $type) {
            self.put(field, &value);
        }
    )*};
}

impl Visit for Fields<'_> {
    numbers! {
        record_f64: f64;
        record_i64: i64;
        record_u64: u64;
        record_i128: i128;
        record_u128: u128;
        record_bool: bool;
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match self.site.role(field) {
            Role::Plain(_) | Role::Further => self.put(field, value),
            role => self.special.set(role, value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match self.site.role(field) {
            Role::Plain(_) | Role::Further => self.put(field, &field::debug(value)),
            role => self.special.set(role, &format!("{value:?}")),
        }
    }
}

/// The fields that mean something else than an attribute, as in `tracing-opentelemetry`.
#[derive(Debug, Default)]
pub(super) struct Special {
    pub(super) kind: SpanKind,
    name: Option<String>,
    status: Option<Status>,
    description: Option<String>,
}

impl Special {
    #[cold]
    fn set(&mut self, role: Role, text: &str) {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        match role {
            Role::Name => self.name = Some(text.to_owned()),
            Role::Kind if is("server") => self.kind = SpanKind::Server,
            Role::Kind if is("client") => self.kind = SpanKind::Client,
            Role::Kind if is("producer") => self.kind = SpanKind::Producer,
            Role::Kind if is("consumer") => self.kind = SpanKind::Consumer,
            Role::Status if is("ok") => self.status = Some(Status::Ok),
            Role::Status if is("error") => self.status = Some(Status::Error),
            Role::Description => self.description = Some(text.to_owned()),
            _ => {}
        }
    }

    /// Sets name and status. The kind was needed before the span began.
    #[inline]
    fn apply(&self, span: &DetachedSpan) {
        if let Some(name) = &self.name {
            span.set_name(name);
        }
        if let Some(status) = self.status {
            span.set_status(status);
        }
        if let Some(description) = &self.description {
            span.fail(description);
        }
    }
}

/// The text of an event's field `error`.
#[derive(Debug, Default)]
pub(super) struct ErrorText(pub(super) Option<String>);

impl Visit for ErrorText {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "error" {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "error" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

/// A record of the crate `log`, which `tracing-log` has made an event.
#[derive(Debug, Default)]
pub(super) struct LogEvent {
    message: String,
    target: String,
    file: String,
    line: u32,
}

impl LogEvent {
    pub(super) fn record(&self, level: Level) {
        let place = Place { level, target: &self.target, file: &self.file, line: self.line };
        place.record(&self.message, false, |_| ());
    }
}

impl Visit for LogEvent {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "log.line" {
            self.line = u32::try_from(value).unwrap_or_default();
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "log.target" => value.clone_into(&mut self.target),
            "log.file" => value.clone_into(&mut self.file),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}
