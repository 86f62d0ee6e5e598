//! Which spans and events are recorded, by level and module path: directives in the grammar of `RUST_LOG`, and the filter that goes by them.

use crate::published::Published;
use std::str::FromStr;
use throughline::Level;
use throughline::adapter::callsite::registry::set_filter;
use throughline::adapter::callsite::{Blob, Kind};

/// `info,shop::db=debug,hyper=off`: a level for everything, and levels by the beginning of the module path, of which the longest holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directives {
    /// Of what no target is given for; `None` inherits.
    default: Option<Floor>,
    /// The longest first.
    targets: Vec<(String, Floor)>,
}

/// The least level that is let through; `None` lets nothing through.
type Floor = Option<Level>;

impl FromStr for Directives {
    type Err = String;

    fn from_str(text: &str) -> Result<Directives, String> {
        let mut directives = Directives { default: None, targets: Vec::new() };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if part.contains(['[', '{', '/']) {
                return Err(format!(
                    "has `{part}`, and directives by span, field or regular expression are not honoured; give levels and module=level"
                ));
            }
            match part.split_once('=') {
                Some((target, level)) => {
                    let floor = floor(level.trim()).ok_or_else(|| no_level(level.trim()))?;
                    directives.targets.push((target.trim().to_owned(), floor));
                }
                // A word that is no level is a module of which everything is wanted.
                None => match floor(part) {
                    Some(floor) => directives.default = Some(floor),
                    None if is_module(part) => directives.targets.push((part.to_owned(), Some(Level::Trace))),
                    None => return Err(no_level(part)),
                },
            }
        }
        // Stable: of two for the same target, the last holds, as for EnvFilter.
        directives.targets.reverse();
        directives.targets.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Ok(directives)
    }
}

fn no_level(text: &str) -> String {
    format!("has `{text}`, which is no level; levels are trace, debug, info, warn, error and off")
}

fn is_module(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-' | b'.'))
}

fn floor(text: &str) -> Option<Floor> {
    match text.parse() {
        Ok(level) => Some(Some(level)),
        Err(_) if text.eq_ignore_ascii_case("off") => Some(None),
        Err(_) => None,
    }
}

/// What is let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filters {
    pub(crate) logs_on: bool,
    pub(crate) logs_level: Floor,
    pub(crate) logs: Option<Directives>,
    pub(crate) spans_on: bool,
    pub(crate) spans_level: Floor,
    pub(crate) spans: Option<Directives>,
}

impl Default for Filters {
    fn default() -> Filters {
        Filters {
            logs_on: true,
            logs_level: Some(Level::Trace),
            logs: None,
            spans_on: true,
            spans_level: Some(Level::Trace),
            spans: None,
        }
    }
}

impl Filters {
    fn lets_through(&self, kind: Kind, target: &str, level: Option<Level>) -> bool {
        let (on, least, directives) = match kind {
            Kind::Span => (self.spans_on, self.spans_level, &self.spans),
            Kind::Event => (self.logs_on, self.logs_level, &self.logs),
            // Fields go with their span, metrics with no level.
            _ => return true,
        };
        let of_target = directives.as_ref().and_then(|it| it.floor(target)).unwrap_or(least);
        on && of_target.is_some_and(|least| level.is_none_or(|level| level >= least))
    }
}

impl Directives {
    fn floor(&self, target: &str) -> Option<Floor> {
        let found = self.targets.iter().find(|(prefix, _)| target.starts_with(prefix.as_str()));
        found.map(|(_, floor)| *floor).or(self.default)
    }
}

static FILTERS: Published<Filters> = Published::new();

/// Goes by these filters from now on. Cost: a walk over the callsites seen so far; some memory, which is kept for ever.
pub(crate) fn install(filters: &Filters) {
    // Callsites are not asked about what lets everything through.
    if *filters == Filters::default() {
        set_filter(None);
        return;
    }
    FILTERS.set(filters.clone());
    set_filter(Some(|blob: &Blob<'_>| {
        FILTERS.get().is_none_or(|filters| filters.lets_through(blob.kind, blob.target, blob.level))
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_of_rust_log() {
        let directives: Directives =
            "warn, shop=info,shop::db=debug,shop::db=trace ,hyper=off,sqlx".parse().unwrap();
        for (target, floor) in [
            ("main", Some(Level::Warn)),
            ("shop", Some(Level::Info)),
            ("shop::db::pool", Some(Level::Trace)),
            ("hyper::client", None),
            ("sqlx", Some(Level::Trace)),
        ] {
            assert_eq!(directives.floor(target), Some(floor), "{target}");
        }
        assert_eq!("shop=debug".parse::<Directives>().unwrap().floor("other"), None);
        for (bad, word) in
            [("shop=loud", "loud"), ("a b", "a b"), ("shop[{id=1}]=info", "by span"), ("info/x", "regular")]
        {
            assert!(bad.parse::<Directives>().unwrap_err().contains(word), "{bad}");
        }
    }

    #[test]
    fn spans_and_events_are_apart() {
        let filters = Filters { logs_level: Some(Level::Error), ..Filters::default() };
        let passes = |filters: &Filters, kind| filters.lets_through(kind, "shop", Some(Level::Info));
        assert!(passes(&filters, Kind::Span) && !passes(&filters, Kind::Event));
        let filters = Filters { logs: Some("shop=info".parse().unwrap()), ..filters };
        assert!(passes(&filters, Kind::Event), "the directive goes before the level");
        let filters = Filters { spans_on: false, logs_on: false, ..filters };
        assert!(!passes(&filters, Kind::Span) && !passes(&filters, Kind::Event));
        assert!(passes(&filters, Kind::Fields) && passes(&filters, Kind::Counter));
    }
}
