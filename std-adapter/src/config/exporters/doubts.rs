//! Finds what is likely a mistake, but does no harm. Each depends on all layers together, so it is found anew after each of them.

use super::{Keys, otlp};
use crate::config::problem::Problem;
use crate::config::settings::{Origin, Setting, Settings};
use crate::config::units::show_size;
use crate::config::value::Value;
use crate::config::{Config, Otlp, keys};
use std::fs::File;
use throughline_export::otlp::Signal;

/// Warnings of the configuration as a whole.
pub(in crate::config) fn doubts(config: &Config) -> Vec<Problem> {
    let groups = config.also.iter().map(|group| &group.settings);
    let mut all: Vec<Problem> = unread_filter(config).into_iter().collect();
    for settings in std::iter::once(&config.settings).chain(groups) {
        all.extend(settings.iter().filter_map(no_token));
        all.extend(settings.iter().filter_map(empty_header));
        all.extend(settings.iter().filter_map(almost_a_level));
        all.extend(appended_twice(settings));
        all.extend(small_spool(config, settings));
    }
    all.extend(idle_spool(config));
    all.extend(rules_of_none(config));
    all
}

/// What holds instead of a filter of logs of which no part can be used.
fn unread_filter(config: &Config) -> Option<Problem> {
    let name = config.none_of?;
    let text = match config.filters.logs_on {
        true => format!("has no part that can be used: `{}` holds for logs", config.filters.logs),
        false => "has no part that can be used, and logs are off".into(),
    };
    Some(Problem::variable(name, text))
}

/// A filter with a word that is almost a level, and so is taken for a target.
fn almost_a_level(setting: &Setting) -> Option<Problem> {
    if setting.key.name() != "filter" {
        return None;
    }
    setting.value.text().split(',').map(str::trim).find_map(|word| {
        let small = word.to_ascii_lowercase();
        let level = keys::LEVELS.iter().find(|level| strsim::damerau_levenshtein(level, &small) == 1)?;
        Some(setting.problem(format!(
            "has `{word}`, which is no level and so holds for targets that begin like that; did you mean {level}? If not, write {word}=trace"
        )))
    })
}

/// A file with a token that cannot be read now. It may come later, so this is no error.
fn no_token(setting: &Setting) -> Option<Problem> {
    if !setting.key.path.ends_with("token.file") {
        return None;
    }
    let error = File::open(setting.value.text()).err()?;
    let text =
        format!("names a file that cannot be read: {error}; until it can be read, requests are not sent");
    Some(setting.problem(text))
}

/// A header whose token is not there, as when the variable that holds it is empty.
fn empty_header(setting: &Setting) -> Option<Problem> {
    let Value::SecretMap(headers) = &setting.value else { return None };
    let is_empty = |text: &str| ["", "bearer", "basic"].contains(&text.trim().to_ascii_lowercase().as_str());
    let (name, text) = headers.iter().find(|(_, text)| is_empty(text))?;
    let what = if text.trim().is_empty() { "value" } else { "token" };
    Some(setting.problem(format!(
        "has a header `{name}` without a {what}; if a variable holds it, set that, or remove the header"
    )))
}

/// An endpoint for all signals that has the path of one, which is then there twice.
fn appended_twice(settings: &Settings) -> Option<Problem> {
    let endpoint = settings.get("otlp.endpoint")?;
    let url = endpoint.value.text().trim_end_matches('/');
    let is_grpc = settings.get("otlp.protocol").is_some_and(|protocol| protocol.value.text() == "grpc");
    let ends = |signal: &Signal| url.ends_with(&format!("/v1/{}", signal.as_str()));
    let signal = Signal::ALL.into_iter().find(ends).filter(|_| !is_grpc)?;
    let name = signal.as_str();
    let own = match &endpoint.origin {
        Origin::Variable(variable) if variable.starts_with("OTEL_") => {
            format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", name.to_uppercase())
        }
        _ => format!("{}.otlp.endpoint", otlp::section(signal)),
    };
    Some(endpoint.problem(format!(
        "ends in /v1/{name}, to which /v1/traces and so on are appended; leave that out, or write it in {own}, which is used as it is"
    )))
}

/// A spool in which no full batch has room.
fn small_spool(config: &Config, settings: &Settings) -> Option<Problem> {
    let size = settings.get("otlp.spool.max_size")?;
    let (all, logs) = config.limits();
    let batch = all.batch_bytes.max(logs.batch_bytes) as u64;
    // A batch is full with the record with which it reaches its size, so it may be larger.
    let least = batch.saturating_mul(2);
    (size.value.int() < least).then(|| {
        size.problem(format!(
            "= {} has not room for two batches, which have up to {} each (tracing.batch.max_export_batch_size); batches that find no room are dropped and counted: give {} or more",
            show_size(size.value.int()),
            show_size(batch),
            show_size(least)
        ))
    })
}

/// A spool that nothing can come into.
fn idle_spool(config: &Config) -> Option<Problem> {
    let spool = config.settings.get("otlp.spool.directory")?;
    let is_idle = Keys::of(config).asks_for(otlp::SPOOL)
        && matches!(config.otlp, Otlp::Keys)
        && matches!(otlp::client(config), Ok(None));
    is_idle.then(|| {
        spool.problem("has no effect, as nothing is sent by OTLP; give otlp.endpoint too, or remove this")
    })
}

/// Rules of sampling beside a strategy that seems to turn all of it off.
fn rules_of_none(config: &Config) -> Option<Problem> {
    let strategy = config.settings.get("tracing.sampling.strategy")?;
    if strategy.value.text() != "always_off" {
        return None;
    }
    let rules = ["tracing.sampling.rules", "tracing.sampling.critical_paths"];
    let rule = rules.into_iter().find_map(|path| config.settings.get(path))?;
    Some(strategy.problem(format!(
        "= always_off does not hold for traces that fit {}, which are kept all the same; remove those for no traces at all, or write strategy = \"probability\" and probability = 0.0 if that is meant",
        rule.written
    )))
}
