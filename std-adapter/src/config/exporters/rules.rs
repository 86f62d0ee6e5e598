//! Finds keys that contradict each other.

use super::preset::OF_PRESETS;
use crate::config::problem::Problem;
use crate::config::settings::{Origin, Setting, Settings};
use crate::propagation::is_token;
use throughline_export::text::escaped;

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
    problems.extend(settings.iter().filter_map(no_header));
    if settings.get("otlp.preset").is_none() {
        let alone = OF_PRESETS.iter().filter_map(|path| settings.get(path));
        let text = "has no meaning without otlp.preset, the backend that wants it; name one, or remove this";
        problems.extend(alone.map(|setting| setting.problem(text)));
    }
    if let Some((command, file)) = both("otlp.token.command", "otlp.token.file") {
        problems.push(file.problem(format!("has no meaning beside {}; remove one of them", command.written)));
    }
    for section in ["otlp", "tracing.otlp", "logging.otlp", "metrics.otlp", "logging.syslog", "events.kafka"]
    {
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
        let (scheme, instead) = match endpoint.value.text().split_once(':') {
            Some((scheme @ "http", _)) => (scheme, "https"),
            Some((scheme @ ("unix" | "udp" | "tcp"), _)) => (scheme, "tls"),
            _ => continue,
        };
        problems.push(tls.problem(format!(
            "has no meaning, as {} is {scheme}://; write {instead}:// there, or remove this",
            endpoint.written
        )));
    }
    problems
}

/// Keys whose whole value is sent as a header.
const SENT_AS_HEADER: &[&str] = &["logging.loki.tenant", "logging.elasticsearch.api_key"];

/// The error for a header that HTTP cannot carry. It shows no value.
fn no_header(setting: &Setting) -> Option<Problem> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_token);
    if setting.key.name() == "headers" {
        let pairs = setting.value.pairs();
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !is_name(name)) {
            let name = escaped(name);
            return Some(setting.problem(format!(
                "has `{name}`, which is no name of a header; write letters, digits and hyphens, such as x-api-key"
            )));
        }
        let own = pairs.iter().find(|(name, _)| OWN_HEADERS.contains(&&*name.to_ascii_lowercase()));
        if let Some((name, _)) = own {
            return Some(setting.problem(format!(
                "has {}, which is set for each request by itself; remove it (the same holds for {})",
                escaped(name),
                OWN_HEADERS.join(", ")
            )));
        }
        let wrong = pairs.iter().find_map(|(name, value)| Some((name, unfit(value)?)));
        return wrong.map(|(name, why)| {
            setting.problem(format!("has {why} in the value of {name}, which no header can carry; {REMEDY}"))
        });
    }
    if !SENT_AS_HEADER.contains(&setting.key.path) {
        return None;
    }
    let why = unfit(setting.value.text())?;
    Some(setting.problem(format!("has {why}, which no header can carry; {REMEDY}")))
}

/// Headers that belong to a request's own connection, address or body. With another value, requests fail.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const REMEDY: &str = "remove it (a value that was read from a file often ends with a line break)";

/// What a header cannot carry.
fn unfit(value: &str) -> Option<&'static str> {
    match value.chars().find(|c| c.is_control() && *c != '\t' || !c.is_ascii())? {
        '\n' | '\r' => Some("a line break"),
        c if c.is_control() => Some("a control character"),
        _ => Some("a character beyond ASCII"),
    }
}
