//! The language of conditions: a part of PromQL, over the process's own metrics.
//!
//! An expression becomes a few [nodes](plan::Node) of a [`Plan`], which all rules share: what several rules ask for is
//! there once, and is computed once at each evaluation.

mod aggregate;
mod binary;
mod eval;
mod functions;
mod kept;
mod lexer;
mod over_time;
mod parse;
mod plan;
#[cfg(test)]
mod tests;

use eval::ByLabels;
pub(super) use eval::{ByHash, Outcome, evaluate};
pub(super) use kept::Memory;
pub(super) use parse::{Context, parse};
pub(super) use plan::{MetricName, NodeId, Plan, SelectorId};

use std::fmt;
use std::time::Duration;
use throughline_export::prometheus::label_name;

/// An expression as Prometheus takes it: with the value of `threshold`, and names of labels without dots.
pub(super) fn in_prometheus(text: &str, threshold: Option<f64>) -> String {
    let (mut out, mut copied) = (String::new(), 0);
    let tokens = lexer::tokens(text).unwrap_or_default();
    for pair in tokens.windows(2) {
        let [(lexer::Token::Name(name), at), (next, _)] = pair else { continue };
        let is_alone = !matches!(next, lexer::Token::Sign("{" | "[" | "(" | "=" | "!=" | "=~" | "!~"));
        let new = match threshold {
            Some(threshold) if name == "threshold" && is_alone => threshold.to_string(),
            _ if name.contains('.') => label_name(name).into_owned(),
            _ => continue,
        };
        out += &text[copied..*at];
        out += &new;
        copied = at + name.len();
    }
    out + &text[copied..]
}

/// Why a text is no expression, and the byte at which that shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) at: usize,
    pub(super) text: String,
}

impl SyntaxError {
    fn new(at: usize, text: impl Into<String>) -> SyntaxError {
        SyntaxError { at, text: text.into() }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads a duration in the notation of Prometheus, such as `90s` or `1h30m`. Units are y, w, d, h, m, s and ms, from the greatest to the least.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 7] = [
        ("ms", 1),
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ];
    let (mut rest, mut sum, mut last) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        let (name, unit) = UNITS.into_iter().find(|(name, _)| rest[digits..].starts_with(name))?;
        if unit >= last {
            return None;
        }
        last = unit;
        sum = sum.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[digits + name.len()..];
    }
    (!text.is_empty()).then_some(Duration::from_millis(sum))
}

/// Writes a duration in the notation of Prometheus.
pub(super) fn show_duration(time: Duration) -> String {
    let mut left = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (name, unit) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if left >= unit {
            out += &format!("{}{name}", left / unit);
            left %= unit;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}
