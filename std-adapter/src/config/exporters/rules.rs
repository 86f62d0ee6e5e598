//! Finds keys that contradict each other.

use crate::config::problem::Problem;
use crate::config::settings::{Origin, Settings};

/// Errors for sampling keys of one file, or of the environment, that contradict each other; if they come from
/// different places, the later one wins. Also errors for TLS keys that are incomplete or have no effect.
pub(in crate::config) fn impossible(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let both = |one: &str, other: &str| {
        let (one, other) = (settings.get(one)?, settings.get(other)?);
        let same = match (&one.origin, &other.origin) {
            (Origin::File { path, .. }, Origin::File { path: other, .. }) => path == other,
            (Origin::Variable(_), Origin::Variable(_)) => true,
            _ => false,
        };
        same.then_some((one, other))
    };
    if let Some((strategy, probability)) = both("tracing.sampling.strategy", "tracing.sampling.probability")
        && let whole @ ("always_on" | "always_off") = strategy.value.text()
    {
        problems.push(probability.problem(format!(
            "has no meaning beside {} = {whole}; remove it, or write \"probability\" there",
            strategy.written
        )));
    }
    for section in ["otlp", "tracing.otlp", "logging.otlp", "metrics.otlp"] {
        let get = |name: &str| settings.get(&format!("{section}.{name}"));
        match (get("client_certificate"), get("client_key")) {
            (Some(alone), None) => {
                problems.push(alone.problem("wants client_key too, the file with its key"))
            }
            (None, Some(alone)) => {
                problems.push(alone.problem("wants client_certificate too, whose key it is"))
            }
            _ => {}
        }
        let Some(endpoint) = get("endpoint") else { continue };
        let Some(tls) = get("certificate").or(get("client_certificate")) else { continue };
        if endpoint.value.text().starts_with("http://") {
            problems.push(tls.problem(format!(
                "has no meaning, as {} is http://; write https:// there, or remove this",
                endpoint.written
            )));
        }
    }
    problems
}
