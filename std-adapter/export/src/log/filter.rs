//! Selects the log records of an output, with directives in the syntax of `RUST_LOG`.

use crate::text::masked_url;
use std::fmt;
use std::str::FromStr;
use throughline::Level;

/// Selects the log records of an output by target and level.
///
/// Directives are separated by commas, as in `RUST_LOG` of `env_logger` and `tracing-subscriber`: `info` is a
/// level for all targets, `shop::db=debug` a level for targets with this prefix, `shop` takes all levels of
/// these targets, and `hyper=off` takes none. If several directives match a target, the longest one decides;
/// of two for the same target, the last one. A target without a matching directive is not taken, and without
/// directives nothing is taken. Targets that no code has, such as `svc*` or `a;b`, are errors.
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
    /// Pairs of target and level, longest targets first.
    directives: Vec<(String, Option<Level>)>,
}

impl Filter {
    /// Takes records of this level and above for all targets; `None` takes none.
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

    /// The lowest level that is taken for any target, below which nothing needs to be recorded. `None` if
    /// nothing is taken.
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
        if directives.is_empty() && !text.trim().is_empty() {
            return Err(FilterError { directive: masked_url(text.trim()), problem: Problem::Nothing });
        }
        // The sort is stable, but two different targets of the same length cannot both match.
        directives.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Ok(Filter { directives })
    }
}

fn parse(directive: &str) -> Result<(String, Option<Level>), FilterError> {
    let error = |problem| FilterError { directive: masked_url(directive), problem };
    if directive.contains('[') {
        return Err(error(Problem::Span));
    }
    if directive.contains('/') {
        return Err(error(Problem::Regex));
    }
    let target = directive.split('=').next().unwrap_or_default();
    if let Some(c) = target.trim().chars().find(|c| is_of_no_target(*c)) {
        return Err(error(if c == '*' { Problem::Star } else { Problem::Character(c) }));
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

/// Whether a target never has this character: what is left of it is most likely another way to separate directives, or a pattern.
fn is_of_no_target(c: char) -> bool {
    c.is_whitespace() || c.is_control() || ";*?\"'`{}()<>|&".contains(c)
}

fn parse_level(text: &str) -> Option<Option<Level>> {
    if text.eq_ignore_ascii_case("off") {
        return Some(None);
    }
    text.parse().ok().map(Some)
}

/// The directives as they were written, with the longest targets first.
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

/// A text that is not a directive.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{directive}` is not a log directive: {problem}")]
pub struct FilterError {
    directive: String,
    problem: Problem,
}

crate::__debug_as_display!(FilterError);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("after `=` comes a level; write trace, debug, info, warn, error or off")]
    Level,
    #[error("there is no directive in it; write a level, such as info, or `target=level`")]
    Nothing,
    #[error("no target has a {0:?}; write `target=level`, with commas between directives")]
    Character(char),
    #[error(
        "patterns are not supported; a level alone holds for all targets, and `svc=info` for all that begin with svc"
    )]
    Star,
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
        assert_eq!(
            error("warn,info;debug"),
            "`info;debug` is not a log directive: no target has a ';'; write `target=level`, with commas between directives"
        );
        assert_eq!(
            error("hyper=warn,svc*=info"),
            "`svc*=info` is not a log directive: patterns are not supported; a level alone holds for all targets, and `svc=info` for all that begin with svc"
        );
        assert_eq!(
            error(" , "),
            "`,` is not a log directive: there is no directive in it; write a level, such as info, or `target=level`"
        );
        for wrong in ["*=info", "*", "info debug", "a=info b=warn", "\"info\"", "{level}", "a|b=info"] {
            assert!(wrong.parse::<Filter>().is_err(), "{wrong}");
        }
        for right in ["my-crate=info", "http.client=warn", "a::b@c=off"] {
            assert!(right.parse::<Filter>().is_ok(), "{right}");
        }
    }
}
