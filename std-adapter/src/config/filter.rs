//! Selects which spans and events are recorded, by level and module path.

use crate::published::Published;
use throughline::Level;
use throughline::adapter::callsite::registry::set_filter;
use throughline::adapter::callsite::{Blob, Kind};
use throughline_export::log::Filter;

/// The spans and events that are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filters {
    pub(crate) logs_on: bool,
    pub(crate) logs: Filter,
    pub(crate) spans_on: bool,
    pub(crate) spans: Filter,
}

impl Default for Filters {
    fn default() -> Filters {
        Filters { logs_on: true, logs: Filter::all(), spans_on: true, spans: Filter::all() }
    }
}

impl Filters {
    fn let_through(&self, blob: &Blob<'_>) -> bool {
        let level = blob.level.unwrap_or(Level::Error);
        self.take(blob.kind, blob.target, level)
    }

    fn take(&self, kind: Kind, target: &str, level: Level) -> bool {
        let (on, filter) = match kind {
            Kind::Span => (self.spans_on, &self.spans),
            Kind::Event => (self.logs_on, &self.logs),
            // Fields belong to their span, and metrics have no level.
            _ => return true,
        };
        on && filter.takes(target, level)
    }
}

/// Whether the filters in use take this, for those who ask before there is a callsite.
#[cfg(any(feature = "log", feature = "tracing"))]
pub(crate) fn takes(kind: Kind, target: &str, level: Level) -> bool {
    FILTERS.get().is_none_or(|filters| filters.take(kind, target, level))
}

static FILTERS: Published<Filters> = Published::new();

/// Applies these filters from now on. This visits all callsites seen so far, and takes some memory that is
/// never freed.
pub(crate) fn install(filters: &Filters) {
    // Without a filter, no callsite costs a check.
    if *filters == Filters::default() {
        set_filter(None);
        if FILTERS.get().is_some() {
            FILTERS.set(filters.clone());
        }
        return;
    }
    FILTERS.set(filters.clone());
    set_filter(Some(|blob: &Blob<'_>| FILTERS.get().is_none_or(|filters| filters.let_through(blob))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline::adapter::callsite::Meta;

    const fn meta(kind: Kind) -> Meta<'static> {
        Meta { kind, level: Level::Info as u8, target: "shop::cart", name: "x", ..Meta::EMPTY }
    }

    fn passes(filters: &Filters, kind: Kind) -> bool {
        const LEN: usize = meta(Kind::Span).encoded_len();
        filters.let_through(&Blob::parse(&meta(kind).blob::<LEN>()).unwrap())
    }

    #[test]
    fn spans_and_events_are_apart() {
        let filters = Filters { logs: Filter::level(Some(Level::Error)), ..Filters::default() };
        assert!(passes(&filters, Kind::Span) && !passes(&filters, Kind::Event));
        let filters = Filters { logs: "error,shop=info".parse().unwrap(), ..filters };
        assert!(passes(&filters, Kind::Event));
        let filters = Filters { spans_on: false, logs_on: false, ..filters };
        assert!(!passes(&filters, Kind::Span) && !passes(&filters, Kind::Event));
        assert!(passes(&filters, Kind::Fields) && passes(&filters, Kind::Counter));
    }
}
