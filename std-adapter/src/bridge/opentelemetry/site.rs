//! The callsites that stand for the spans, events and log records of OpenTelemetry, which have none: one for each
//! instrumentation scope, name, kind and list of keys.

use crate::bridge::elsewhere::{MESSAGE, MESSAGE_FIELD};
use crate::bridge::table::{Table, add_number, add_text, spread};
use std::sync::atomic::{AtomicUsize, Ordering};
use throughline::adapter::bridge;
use throughline::adapter::callsite::{Callsite, CallsiteId, Kind, MAX_FIELDS, Meta};
use throughline::{Level, SpanKind};

/// The most callsites, so that names made at run time leave room for other bridges.
const MOST: usize = bridge::MOST_CALLSITES / 2;
/// The longest text that a callsite keeps whole.
const MOST_TEXT: usize = 512;

static SITES: Table<Site> = Table::new();
static MADE: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// How often there was no room for a callsite, so that a record carries its own names.
pub(crate) fn refused() -> usize {
    REFUSED.load(Ordering::Relaxed)
}

/// An instrumentation scope.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) version: String,
    hash: usize,
}

impl Scope {
    pub(super) fn new(scope: &opentelemetry::InstrumentationScope) -> Scope {
        let (name, version) = (scope.name().to_owned(), scope.version().unwrap_or_default().to_owned());
        let hash = add_text(add_text(0, &name), &version);
        Scope { name, version, hash }
    }

    pub(super) fn hash(&self) -> usize {
        self.hash
    }
}

/// What a record is, apart from its keys and values.
#[derive(Clone, Copy, Debug)]
pub(super) struct What<'a> {
    pub(super) kind: Kind,
    pub(super) span_kind: SpanKind,
    pub(super) level: Level,
    /// The name of a span or an event.
    pub(super) name: &'a str,
    /// Whether the first field is a message.
    pub(super) has_message: bool,
    pub(super) target: &'a str,
}

#[derive(Debug)]
struct Site {
    what: What<'static>,
    package: &'static str,
    version: &'static str,
    /// The keys, without the message.
    keys: Vec<&'static str>,
    callsite: &'static Callsite,
}

impl What<'_> {
    /// The callsite of records with these keys, of which those beyond the 15th are left out; `None` when there is no
    /// room for another. Cost: a hash of all texts, and a comparison with those found.
    pub(super) fn callsite<'k>(
        &self,
        scope: &Scope,
        keys: impl Iterator<Item = &'k str> + Clone,
    ) -> Option<&'static Callsite> {
        let keys = keys.take(MAX_FIELDS - usize::from(self.has_message));
        let mut hash = add_text(scope.hash, self.name);
        hash = add_number(hash, self.kind as u64 | (self.span_kind as u64) << 8 | (self.level as u64) << 16);
        hash = keys.clone().fold(add_text(hash, self.target), add_text);
        let is_it = |site: &Site| site.is(self, scope, keys.clone());
        let site = SITES.get_or_make(spread(hash), is_it, || self.site(scope, keys.clone()));
        if site.is_none() {
            REFUSED.fetch_add(1, Ordering::Relaxed);
        }
        Some(site?.callsite)
    }

    #[cold]
    fn site<'k>(&self, scope: &Scope, keys: impl Iterator<Item = &'k str> + Clone) -> Option<Site> {
        // What is cut would never be found again.
        let is_long = |text: &str| text.len() > MOST_TEXT;
        let is_too_long = [self.name, self.target, &scope.name, &scope.version].into_iter().any(is_long)
            || keys.clone().any(is_long);
        if is_too_long || MADE.fetch_add(1, Ordering::Relaxed) >= MOST {
            MADE.fetch_min(MOST, Ordering::Relaxed);
            return None;
        }
        let message = self.has_message.then_some(MESSAGE_FIELD);
        let fields: Vec<&str> = message.into_iter().chain(keys).collect();
        let callsite = bridge::callsite(&Meta {
            kind: self.kind,
            // Fields have no level of their own that could turn them off.
            level: if self.kind == Kind::Fields { Level::Error } else { self.level } as u8,
            span_kind: self.span_kind,
            name: match self.kind {
                Kind::Event if self.has_message => MESSAGE,
                Kind::Event => "",
                _ => self.name,
            },
            unit: if self.kind == Kind::Event { self.name } else { "" },
            target: self.target,
            package: &scope.name,
            version: &scope.version,
            fields: &fields,
            ..Meta::EMPTY
        })?;
        let blob = callsite.blob();
        let name = if self.kind == Kind::Event { blob.unit } else { blob.name };
        Some(Site {
            what: What { name, target: blob.target, ..*self },
            package: blob.package,
            version: blob.version,
            keys: blob.fields().skip(usize::from(self.has_message)).collect(),
            callsite,
        })
    }

    /// The callsite of a span for whose name there is no room; the span has it as a field.
    pub(super) fn elsewhere(&self) -> Option<CallsiteId> {
        macro_rules! of {
            ($($kind:ident)*) => {
                match self.span_kind {
                    $(SpanKind::$kind => throughline::__enabled!(Info, Meta {
                        kind: Kind::Span,
                        level: Level::Info as u8,
                        span_kind: SpanKind::$kind,
                        name: "span",
                        target: "throughline_std::elsewhere",
                        ..Meta::EMPTY
                    }),)*
                }
            };
        }
        of!(Internal Server Client Producer Consumer)
    }
}

impl Site {
    fn is<'k>(&self, what: &What<'_>, scope: &Scope, keys: impl Iterator<Item = &'k str>) -> bool {
        let own = &self.what;
        (own.kind, own.span_kind, own.level, own.has_message)
            == (what.kind, what.span_kind, what.level, what.has_message)
            && own.name == what.name
            && self.package == scope.name
            && self.version == scope.version
            && own.target == what.target
            && self.keys.iter().copied().eq(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::InstrumentationScope;

    fn span(name: &str) -> What<'_> {
        What {
            kind: Kind::Span,
            span_kind: SpanKind::Server,
            level: Level::Info,
            name,
            has_message: false,
            target: "shop",
        }
    }

    #[test]
    fn equal_descriptions_are_one_callsite_and_others_are_not() {
        let scope = Scope::new(&InstrumentationScope::builder("shop").with_version("1.0").build());
        let of = |name: &str, keys: &[&str]| span(name).callsite(&scope, keys.iter().copied()).unwrap();
        let first = of("checkout", &["item", "price"]);
        assert!(core::ptr::eq(first, of(&String::from("checkout"), &["item", "price"])));
        assert!(!core::ptr::eq(first, of("checkout", &["price", "item"])));
        let blob = first.blob();
        assert_eq!((blob.name, blob.package, blob.version), ("checkout", "shop", "1.0"));
        assert_eq!(
            (blob.fields().collect::<Vec<_>>(), blob.span_kind),
            (vec!["item", "price"], SpanKind::Server)
        );
        let many: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let many = span("many").callsite(&scope, many.iter().map(|key| &**key)).unwrap();
        assert_eq!(many.blob().fields().count(), MAX_FIELDS);
    }

    #[test]
    fn a_text_that_would_be_cut_has_no_callsite() {
        let before = refused();
        assert!(span(&"x".repeat(600)).callsite(&Scope::default(), std::iter::empty()).is_none());
        assert!(refused() > before);
    }
}
