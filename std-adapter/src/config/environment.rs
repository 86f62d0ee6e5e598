//! Reads the environment: a `THROUGHLINE_…` variable for every key, and the variables of other standards.

use super::key::{Key, Standard};
use super::keys;
use super::problem::Problem;
use super::read::Reading;
use super::settings::{Origin, Setting};
use super::value::Kind;
use super::variables::Variables;
use throughline_export::log::{Filter, FilterError};

/// Variables of OpenTelemetry and of other tools that are known but not honoured, and what to do instead.
const NOT_HONOURED: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "requests to Zipkin have 10 s"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "events are logs of their own, and are not limited"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "links are not limited"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "events are logs: set OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "links have no attributes"),
    ("OTEL_LOG_LEVEL", "what goes wrong is always told; set RUST_LOG for the program's own logs"),
    ("OTEL_CONFIG_FILE", "its schema is another one; set THROUGHLINE_CONFIG to a file of ours"),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "its schema is another one; set THROUGHLINE_CONFIG to a file of ours"),
    ("OTEL_ENTITIES", "set OTEL_RESOURCE_ATTRIBUTES"),
    ("OTEL_EXPORTER_OTLP_INSECURE", SCHEME),
    ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", SCHEME),
    ("OTEL_EXPORTER_OTLP_METRICS_INSECURE", SCHEME),
    ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", SCHEME),
    ("OTEL_EXPORTER_OTLP_SPAN_INSECURE", SCHEME),
    ("OTEL_EXPORTER_OTLP_METRIC_INSECURE", SCHEME),
    ("OTEL_EXPORTER_JAEGER_ENDPOINT", JAEGER),
    ("OTEL_EXPORTER_JAEGER_AGENT_HOST", JAEGER),
    ("OTEL_EXPORTER_JAEGER_AGENT_PORT", JAEGER),
    ("OTEL_EXPORTER_JAEGER_PROTOCOL", JAEGER),
    ("OTEL_EXPORTER_JAEGER_TIMEOUT", "set OTEL_EXPORTER_OTLP_TIMEOUT"),
    ("OTEL_EXPORTER_JAEGER_USER", "set OTEL_EXPORTER_OTLP_HEADERS, with the credentials that it wants"),
    ("OTEL_EXPORTER_JAEGER_PASSWORD", "set OTEL_EXPORTER_OTLP_HEADERS, with the credentials that it wants"),
    ("ENABLE_PROFILING", "set THROUGHLINE_PROFILING_ENABLED=true"),
    ("CHROME_TRACING", "set THROUGHLINE_TRACING_CHROME_PATH=trace.json"),
    ("JAEGER_ENDPOINT", JAEGER),
    ("JAEGER_AGENT_HOST", JAEGER),
    ("JAEGER_EXPORTER", "Jaeger takes OTLP: set OTEL_TRACES_EXPORTER=otlp"),
    (
        "JAEGER_GRPC_ENDPOINT",
        "Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4317 and OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
    ),
    ("JAEGER_BATCH_SIZE", "set OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
    ("JAEGER_EXPORT_TIMEOUT_MS", "set OTEL_EXPORTER_OTLP_TIMEOUT"),
];

const SCHEME: &str = "write http:// or https:// in the endpoint";
const JAEGER: &str = "Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318";

/// How the variables of this library begin.
const OUR: &str = "THROUGHLINE_";
/// Those that do not belong to a key.
const OURS: &[&str] = &["THROUGHLINE_CONFIG", "THROUGHLINE_LEVEL"];

/// Reads the environment. A wrong value in a variable of another standard is a warning, as those standards
/// require. A wrong endpoint is an error, because records would be sent to the wrong place.
pub(crate) fn read(variables: &Variables) -> Reading {
    let mut reading = Reading::default();
    for key in keys::all() {
        for standard in key.standard {
            of_standard(key, standard, variables, &mut reading);
        }
        let name = key.variable();
        if let Some(text) = variables.set(&name) {
            match key.kind.read(text) {
                Ok(value) => reading.settings.push(setting(key, value, &name)),
                Err(error) => reading.problems.push(bad(&name, key.kind, text, &error)),
            }
        }
    }
    for (name, instead) in NOT_HONOURED {
        // A switch that is off asks for nothing.
        let is_set =
            variables.set(name).is_some_and(|value| !matches!(value.trim(), "0" | "false" | "off" | "no"));
        if is_set {
            reading.warnings.push(Problem::variable(name, format!("is not honoured: {instead}")));
        }
    }
    mistyped(variables, &mut reading);
    unknown(variables, &mut reading);
    reading
}

fn of_standard(key: &'static Key, standard: &Standard, variables: &Variables, reading: &mut Reading) {
    let Some(text) = variables.set(standard.name) else { return };
    // OpenTelemetry's words may be written in capitals.
    let is_word = matches!(key.kind, Kind::OneOf(_) | Kind::List([_, ..]));
    let text = if is_word { &*text.trim().to_ascii_lowercase() } else { text.trim() };
    let read = |text: &str| (standard.translate)(text).and_then(|text| key.kind.read(&text));
    if is_of_parts(key) {
        let wrong = |text: &str| read(text).err();
        let (good, bad): (Vec<&str>, Vec<&str>) = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .partition(|part| wrong(part).is_none());
        let rest = if good.is_empty() { "; it is not honoured" } else { "; the other parts hold" };
        let told = bad.iter().filter_map(|part| Some(Problem::variable(standard.name, wrong(part)? + rest)));
        reading.warnings.extend(told);
        match read(&good.join(",")) {
            Ok(value) if !good.is_empty() => reading.settings.push(setting(key, value, standard.name)),
            _ if key.path == FILTER => reading.none_of = Some(standard.name),
            _ => {}
        }
        return;
    }
    match read(text) {
        Ok(value) => reading.settings.push(setting(key, value, standard.name)),
        Err(error) if key.kind == Kind::Url => {
            reading.problems.push(bad(standard.name, key.kind, text, &error));
        }
        Err(error) => {
            let mut problem = bad(standard.name, key.kind, text, &error);
            problem.text += "; it is not honoured";
            reading.warnings.push(problem);
        }
    }
}

/// Whether a standard's variable for the key has parts, with commas between them, that stand each for itself: a wrong one does not spoil the others.
fn is_of_parts(key: &Key) -> bool {
    matches!(key.kind, Kind::List(_)) || key.path == FILTER
}

/// The key of `RUST_LOG`.
const FILTER: &str = "logging.filter";

/// Checks a directive of `RUST_LOG`.
pub(super) fn directives(text: &str) -> Result<String, String> {
    let parsed: Result<Filter, FilterError> = text.parse();
    parsed.map(|_| text.to_owned()).map_err(|error| format!("has a wrong part: {error}"))
}

/// Warns of names that begin with `OTEL_` and are almost those of variables that are known. Others belong to other tools.
fn mistyped(variables: &Variables, reading: &mut Reading) {
    let standards = keys::all().flat_map(|key| key.standard).map(|standard| standard.name);
    let known: Vec<&str> = standards.chain(NOT_HONOURED.iter().map(|(name, _)| *name)).collect();
    for name in variables.beginning("OTEL_").filter(|name| !known.contains(name)) {
        let letters = |known: &&&str| strsim::damerau_levenshtein(known, name);
        let near = known.iter().min_by_key(letters).filter(|near| letters(near) <= 2);
        if let Some(near) = near {
            let text = format!("is not a variable of OpenTelemetry that is known here; did you mean {near}?");
            reading.warnings.push(Problem::variable(name, text));
        }
    }
}

/// Warns of names that begin with `THROUGHLINE_` and are not those of keys. They may be almost those of keys: by their letters, by their first word,
/// which is a section's, or because only sections are missing.
fn unknown(variables: &Variables, reading: &mut Reading) {
    let keys: Vec<String> = keys::all().map(Key::variable).collect();
    for name in variables.beginning(OUR) {
        let is_known = OURS.contains(&name) || keys.iter().any(|key| key == name);
        if is_known || is_of_kubernetes(name, variables.get(name).unwrap_or_default()) {
            continue;
        }
        let rest = &name[OUR.len()..];
        let section = rest.split('_').next().unwrap_or_default();
        let by_letters = |known: &&String| strsim::damerau_levenshtein(known, name);
        let of_section = |known: &&String| {
            known[OUR.len()..].strip_prefix(section).is_some_and(|rest| rest.starts_with('_'))
        };
        let near = keys
            .iter()
            .min_by_key(by_letters)
            .filter(|near| by_letters(near) <= 3)
            .or_else(|| keys.iter().find(|known| known.ends_with(&name[OUR.len() - 1..])))
            .or_else(|| keys.iter().filter(of_section).min_by_key(by_letters));
        let text = match near {
            Some(near) => format!("is not a variable of ours; did you mean {near}?"),
            None => "is not a variable of ours, so it has no effect here; `throughline config reference` lists the keys that variables are named after".into(),
        };
        reading.warnings.push(Problem::variable(name, text));
    }
}

/// Whether Kubernetes sets this variable, for a service whose name is `throughline` or begins with it.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    let begins_with_digit = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT") && value.contains("://")
        || name.split("_PORT_").skip(1).any(begins_with_digit)
}

fn setting(key: &'static Key, value: super::value::Value, name: &str) -> Setting {
    let origin = Origin::Variable(name.into());
    Setting { key, value, origin, written: name.into(), tainted: false }
}

fn bad(name: &str, kind: Kind, text: &str, error: &str) -> Problem {
    // The error for a list names the item.
    let shown =
        kind.shown(text).filter(|_| !matches!(kind, Kind::List(_))).map(|text| format!("= `{text}` "));
    Problem::variable(name, format!("{}{error}", shown.unwrap_or_default()))
}
