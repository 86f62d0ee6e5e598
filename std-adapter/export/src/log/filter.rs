//! Which log records an output takes: directives in the grammar of `RUST_LOG`.

use std::fmt;
use std::str::FromStr;
use throughline::Level;

/// Which log records an output takes, by their target and level.
///
/// Directives are separated by commas, as in `RUST_LOG` of `env_logger` and `tracing-subscriber`: `info` is a level for all targets, `shop::db=debug`
/// one for the targets that begin so, `shop` alone takes all levels of it, `hyper=off` none. Of the directives that fit a target, the longest one decides;
/// of two for the same target, the last. A target that no directive fits is not taken, and neither is anything where there is no directive at all.
///
/// ```
/// use throughline::Level;
/// use throughline_export::log::Filter;
/// let filter: Filter = "warn,shop=info,shop::db=off".parse()?;
/// assert!(filter.takes("shop::cart", Level::Info));
/// assert!(!filter.takes("shop::db", Level::Error));
/// assert!(!filter.takes("hyper::client", Level::Info));
/// # Ok::<(), throughline_export::log::FilterError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Filter {
    /// Target and level, the longest targets first.
    directives: Vec<(String, Option<Level>)>,
}

impl Filter {
    /// Takes records of this level and above, whatever their target; none at all for `None`.
    pub fn level(level: Option<Level>) -> Filter {
        Filter { directives: vec![(String::new(), level)] }
    }

    /// Takes everything.
    pub fn all() -> Filter {
        Filter::level(Some(Level::Trace))
    }

    /// Whether a record is taken. Costs a comparison of texts for each directive.
    pub fn takes(&self, target: &str, level: Level) -> bool {
        let decides = self.directives.iter().find(|(prefix, _)| target.starts_with(&**prefix));
        decides.is_some_and(|(_, least)| least.is_some_and(|least| level >= least))
    }

    /// The lowest level that any target is taken at: what need not be recorded at all is below it. `None` when nothing is taken.
    pub fn min_level(&self) -> Option<Level> {
        self.directives.iter().filter_map(|(_, level)| *level).min()
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        let mut directives: Vec<(String, Option<Level>)> = Vec::new();
        for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (target, level) = parse(directive)?;
            match directives.iter_mut().find(|(known, _)| *known == target) {
                Some(known) => known.1 = level,
                None => directives.push((target, level)),
            }
        }
        // Stable, so that targets of one length keep their order; they cannot both fit.
        directives.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Ok(Filter { directives })
    }
}

fn parse(directive: &str) -> Result<(String, Option<Level>), FilterError> {
    let error = |problem| FilterError { directive: directive.to_owned(), problem };
    if directive.contains('[') {
        return Err(error(Problem::Span));
    }
    if directive.contains('/') {
        return Err(error(Problem::Regex));
    }
    match directive.split_once('=') {
        Some((target, level)) => {
            let level = parse_level(level.trim()).ok_or_else(|| error(Problem::Level))?;
            Ok((target.trim().to_owned(), level))
        }
        None => match parse_level(directive) {
            Some(level) => Ok((String::new(), level)),
            None => Ok((directive.to_owned(), Some(Level::Trace))),
        },
    }
}

fn parse_level(text: &str) -> Option<Option<Level>> {
    if text.eq_ignore_ascii_case("off") {
        return Some(None);
    }
    text.parse().ok().map(Some)
}

/// As it was written, with the longest targets first.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (target, level)) in self.directives.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let equals = if target.is_empty() { "" } else { "=" };
            let level = level.map_or("off", Level::as_str);
            write!(f, "{comma}{target}{equals}{}", level.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({self})")
    }
}

/// A directive is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{directive}` is not a log directive: {problem}")]
pub struct FilterError {
    directive: String,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("after `=` comes a level; write trace, debug, info, warn, error or off")]
    Level,
    #[error("directives for spans and fields, in `[]`, are not supported; write `target=level`")]
    Span,
    #[error("regular expressions, after `/`, are not supported; write `target=level`")]
    Regex,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_target_decides_and_the_last_directive_of_a_target() {
        let filter = filter("a::b=trace, warn ,a=off,a=info,");
        assert_eq!(filter.to_string(), "a::b=trace,a=info,warn");
        for (target, level, taken) in [
            ("a::b::c", Level::Trace, true),
            ("a::c", Level::Debug, false),
            ("a", Level::Info, true),
            ("b", Level::Info, false),
            ("b", Level::Error, true),
        ] {
            assert_eq!(filter.takes(target, level), taken, "{target} {level}");
        }
        assert_eq!(filter.min_level(), Some(Level::Trace));
    }

    #[test]
    fn what_has_no_directive_is_not_taken() {
        assert!(!filter("").takes("a", Level::Error));
        assert!(!filter("b=info").takes("a", Level::Error));
        assert!(!filter("OFF").takes("a", Level::Error));
        assert_eq!(filter("off").min_level(), None);
        assert!(filter("a").takes("a::b", Level::Trace));
        assert!(Filter::all().takes("", Level::Trace));
    }

    #[test]
    fn every_error_says_what_to_write() {
        let error = |text: &str| text.parse::<Filter>().unwrap_err().to_string();
        assert_eq!(
            error("info,a=loud"),
            "`a=loud` is not a log directive: after `=` comes a level; write trace, debug, info, warn, error or off"
        );
        assert_eq!(
            error("[request]=info"),
            "`[request]=info` is not a log directive: directives for spans and fields, in `[]`, are not supported; write `target=level`"
        );
        assert_eq!(
            error("info/foo"),
            "`info/foo` is not a log directive: regular expressions, after `/`, are not supported; write `target=level`"
        );
    }
}
