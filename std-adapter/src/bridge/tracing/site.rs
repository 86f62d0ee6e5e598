//! What is prepared for a callsite of `tracing`.

use crate::bridge::elsewhere::{self, MESSAGE, MESSAGE_FIELD};
use crate::bridge::table::{Table, spread};
use crate::bridge::would_record;
use std::sync::OnceLock;
use throughline::adapter::bridge;
use throughline::adapter::callsite::{Callsite, CallsiteId, Kind, MAX_FIELDS, Meta};
use throughline::{Level, SpanKind};
use tracing::Metadata;
use tracing::field::Field;

/// A callsite of `tracing` and those that stand for it here.
#[derive(Debug)]
pub(super) struct Site {
    /// `None` for the site of all callsites for which there is no room.
    metadata: Option<&'static Metadata<'static>>,
    /// What each field is, by its index.
    roles: Vec<Role>,
    /// How many fields have a place in records.
    pub(super) plain: usize,
    /// For a span: a callsite for each span kind, made when it is first needed.
    spans: [OnceLock<Option<&'static Callsite>>; SPAN_KINDS],
    /// For a span: the callsite of fields that are recorded later. For an event: its callsite.
    other: Option<&'static Callsite>,
    /// Whether its events are records of the crate `log`, which have their place in fields.
    pub(super) is_of_log: bool,
    /// Whether its events have a field `error` and no message.
    pub(super) is_error: bool,
}

const SPAN_KINDS: usize = SpanKind::Consumer as usize + 1;

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A field with this position in records.
    Plain(usize),
    /// A field for which a record has no place.
    Further,
    /// `otel.name`
    Name,
    /// `otel.kind`
    Kind,
    /// `otel.status_code`
    Status,
    /// `otel.status_description`
    Description,
}

static SITES: Table<Site> = Table::new();
/// Stands for callsites for which there is no room.
static ELSEWHERE: Site = Site {
    metadata: None,
    roles: Vec::new(),
    plain: 1,
    spans: [const { OnceLock::new() }; SPAN_KINDS],
    other: None,
    is_of_log: false,
    is_error: false,
};

fn hash(metadata: &Metadata<'_>) -> usize {
    spread(core::ptr::from_ref(metadata).addr())
}

/// Whether anything of this callsite would be recorded. For one that was never used, as those of `enabled!` never are,
/// the configuration's level and filters decide.
pub(super) fn is_enabled(metadata: &Metadata<'_>) -> bool {
    let address = core::ptr::from_ref(metadata).addr();
    let is_it = |site: &Site| site.metadata.is_some_and(|own| core::ptr::from_ref(own).addr() == address);
    match SITES.get_or_make(hash(metadata), is_it, || None) {
        Some(site) => site.is_enabled(),
        None => is_of_log(metadata) || would_be(metadata),
    }
}

fn would_be(metadata: &Metadata<'_>) -> bool {
    let takes = |kind| would_record(kind, metadata.target(), super::level(metadata));
    // `enabled!` may ask for both.
    !metadata.is_event() && takes(Kind::Span) || !metadata.is_span() && takes(Kind::Event)
}

/// Whether the event is a record of the crate `log`, whose own target and level are in its fields.
fn is_of_log(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.name() == "log event"
}

impl Site {
    /// The site of a callsite. Cost: a hash of the address, and a load.
    #[inline]
    pub(super) fn of(metadata: &'static Metadata<'static>) -> &'static Site {
        let is_it = |site: &Site| site.metadata.is_some_and(|own| core::ptr::eq(own, metadata));
        SITES.get_or_make(hash(metadata), is_it, || Site::new(metadata)).unwrap_or(&ELSEWHERE)
    }

    /// `None` if there is no room for its callsites.
    fn new(metadata: &'static Metadata<'static>) -> Option<Site> {
        let mut names = Vec::new();
        let roles = metadata.fields().iter().map(|field| role(field.name(), metadata.is_span(), &mut names));
        let roles = roles.collect();
        let mut site = Site {
            metadata: Some(metadata),
            roles,
            plain: names.len(),
            spans: [const { OnceLock::new() }; SPAN_KINDS],
            other: None,
            is_of_log: is_of_log(metadata),
            is_error: metadata.is_event() && names.contains(&"error") && !names.contains(&MESSAGE_FIELD),
        };
        if metadata.is_span() {
            site.spans[0] =
                OnceLock::from(Some(bridge::callsite(&site.meta(Kind::Span, SpanKind::Internal, &names))?));
        }
        let kind = if metadata.is_span() { Kind::Fields } else { Kind::Event };
        site.other = Some(bridge::callsite(&site.meta(kind, SpanKind::Internal, &names))?);
        Some(site)
    }

    fn meta<'a>(&self, kind: Kind, span_kind: SpanKind, fields: &'a [&'a str]) -> Meta<'a> {
        let Some(metadata) = self.metadata else { return Meta::EMPTY };
        let has_message = fields.first() == Some(&MESSAGE_FIELD);
        // Unless it is given, the name of an event only says where it is.
        let event_name = Some(metadata.name()).filter(|name| !name.starts_with("event "));
        Meta {
            kind,
            // Fields have no level of their own that could turn them off.
            level: if kind == Kind::Fields { Level::Error } else { super::level(metadata) } as u8,
            span_kind,
            name: match kind {
                Kind::Event if has_message => MESSAGE,
                Kind::Event => "",
                _ => metadata.name(),
            },
            target: metadata.target(),
            file: metadata.file().unwrap_or_default(),
            line: metadata.line().unwrap_or_default(),
            unit: if kind == Kind::Event { event_name.unwrap_or_default() } else { "" },
            fields,
            ..Meta::EMPTY
        }
    }

    /// What a field of this callsite is.
    #[inline]
    pub(super) fn role(&self, field: &Field) -> Role {
        match self.roles.get(field.index()) {
            Some(role) => *role,
            None if field.name() == MESSAGE_FIELD => Role::Plain(0),
            None => Role::Further,
        }
    }

    /// The callsite of spans of this kind, if it is enabled.
    #[inline]
    pub(super) fn span(&self, kind: SpanKind) -> Option<CallsiteId> {
        if self.is_elsewhere() {
            return throughline::__enabled!(
                Info,
                Meta {
                    kind: Kind::Span,
                    level: Level::Info as u8,
                    name: "span",
                    target: "throughline_std::elsewhere",
                    ..Meta::EMPTY
                }
            );
        }
        let of_kind = self.spans[kind as usize].get_or_init(|| self.of_kind(kind));
        // If there is no room for another kind, the span is recorded as internal.
        of_kind.or(*self.spans[0].get()?)?.enabled()
    }

    #[cold]
    fn of_kind(&self, kind: SpanKind) -> Option<&'static Callsite> {
        let internal = (*self.spans[0].get()?)?.blob();
        let names: Vec<&str> = internal.fields().collect();
        bridge::callsite(&self.meta(Kind::Span, kind, &names))
    }

    /// The callsite of fields that are recorded after the span began.
    pub(super) fn late(&self) -> Option<CallsiteId> {
        self.other?.enabled()
    }

    /// The callsite of its events, if it is enabled.
    #[inline]
    pub(super) fn event(&self) -> Option<CallsiteId> {
        match self.other {
            Some(callsite) => callsite.enabled(),
            None => elsewhere::elsewhere(Level::Info),
        }
    }

    pub(super) fn is_elsewhere(&self) -> bool {
        self.metadata.is_none()
    }

    /// Whether anything of it would be recorded, as far as its callsite alone decides.
    #[inline]
    pub(super) fn is_enabled(&self) -> bool {
        self.is_of_log
            || self.is_elsewhere()
            || match self.spans[0].get() {
                Some(_) => self.span(SpanKind::Internal).is_some(),
                None => self.event().is_some(),
            }
    }
}

/// What a field of this name is; `names` are those of the fields before it that have a place in records.
fn role(name: &'static str, is_span: bool, names: &mut Vec<&'static str>) -> Role {
    match name {
        "otel.name" if is_span => Role::Name,
        "otel.kind" if is_span => Role::Kind,
        "otel.status_code" if is_span => Role::Status,
        "otel.status_description" if is_span => Role::Description,
        _ if names.len() == MAX_FIELDS => Role::Further,
        name => {
            names.push(name);
            Role::Plain(names.len() - 1)
        }
    }
}
