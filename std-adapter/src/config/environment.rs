//! Reads the environment: a `THROUGHLINE_…` variable for every key, and the variables of other standards.

use super::key::{Key, Standard};
use super::keys;
use super::problem::Problem;
use super::read::Reading;
use super::settings::{Origin, Setting};
use super::value::Kind;
use super::variables::Variables;

/// Variables of OpenTelemetry and of other tools that are known but not honoured, and what to do instead.
const NOT_HONOURED: &[(&str, &str)] = &[
    ("OTEL_BSP_EXPORT_TIMEOUT", "set OTEL_EXPORTER_OTLP_TRACES_TIMEOUT, the time for one attempt"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "set OTEL_EXPORTER_OTLP_LOGS_TIMEOUT, the time for one attempt"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "set OTEL_EXPORTER_OTLP_METRICS_TIMEOUT, the time for one attempt"),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "requests to Zipkin have 10 s"),
    (
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "exemplars are of sampled traces; metrics.exemplars = false turns them off",
    ),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "events are logs of their own, and are not limited"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "links are not limited"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "events are logs: set OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "links have no attributes"),
    ("OTEL_LOG_LEVEL", "what goes wrong is always told; set RUST_LOG for the program's own logs"),
    ("OTEL_CONFIG_FILE", "its schema is another one; set THROUGHLINE_CONFIG to a file of ours"),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "its schema is another one; set THROUGHLINE_CONFIG to a file of ours"),
    ("OTEL_EXPORTER_OTLP_INSECURE", "write http:// or https:// in the endpoint"),
    ("OTEL_EXPORTER_JAEGER_ENDPOINT", "Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318"),
    (
        "OTEL_EXPORTER_JAEGER_AGENT_HOST",
        "Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318",
    ),
    (
        "OTEL_EXPORTER_JAEGER_AGENT_PORT",
        "Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318",
    ),
    ("ENABLE_PROFILING", "set THROUGHLINE_PROFILING_ENABLED=true"),
    ("CHROME_TRACING", "set THROUGHLINE_TRACING_CHROME_PATH=trace.json"),
    ("JAEGER_ENDPOINT", "Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318"),
    ("JAEGER_AGENT_HOST", "Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318"),
    ("JAEGER_EXPORTER", "Jaeger takes OTLP: set OTEL_TRACES_EXPORTER=otlp"),
    (
        "JAEGER_GRPC_ENDPOINT",
        "Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4317 and OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
    ),
    ("JAEGER_BATCH_SIZE", "set OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
    ("JAEGER_EXPORT_TIMEOUT_MS", "set OTEL_EXPORTER_OTLP_TIMEOUT"),
];

/// `THROUGHLINE_` variables that do not belong to a key.
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
    unknown(variables, &mut reading);
    reading
}

fn of_standard(key: &'static Key, standard: &Standard, variables: &Variables, reading: &mut Reading) {
    let Some(text) = variables.set(standard.name) else { return };
    let text = text.trim();
    let value = (standard.translate)(text).and_then(|text| key.kind.read(&text));
    match value {
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

/// Warns of names that begin with `THROUGHLINE_` and are almost those of keys. They are probably misspelt.
fn unknown(variables: &Variables, reading: &mut Reading) {
    for name in variables.beginning("THROUGHLINE_") {
        let known = OURS.contains(&name) || keys::all().any(|key| key.variable() == name);
        // Kubernetes sets these variables for a service named `throughline`.
        let kubernetes = ["SERVICE_HOST", "SERVICE_PORT", "PORT"]
            .iter()
            .any(|what| name["THROUGHLINE_".len()..].starts_with(what));
        if known || kubernetes {
            continue;
        }
        let near = keys::all()
            .map(Key::variable)
            .map(|known| (strsim::damerau_levenshtein(&known, name), known))
            .min_by_key(|(distance, _)| *distance);
        if let Some((1..=3, near)) = near {
            reading
                .warnings
                .push(Problem::variable(name, format!("is not a variable of ours; did you mean {near}?")));
        }
    }
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
