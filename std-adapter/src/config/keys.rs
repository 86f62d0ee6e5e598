//! Lists all keys and looks them up. A new option is an entry in one of these tables; no other place lists
//! keys.

/// Sets a field of the configuration to the value, read as this type: `set!(detectors.host, bool)`.
macro_rules! set {
    ($($field:ident).+, $as:ident) => {
        |config, value| {
            config.$($field).+ = value.$as();
            Ok(())
        }
    };
}

/// Sets an optional field.
macro_rules! set_some {
    ($($field:ident).+, $as:ident) => {
        |config, value| {
            config.$($field).+ = Some(value.$as().into());
            Ok(())
        }
    };
}

/// Sets an attribute of the resource.
macro_rules! attribute {
    ($name:literal) => {
        |config, value| {
            config.resource = config.resource.clone().with($name, value.text());
            Ok(())
        }
    };
}

mod admin;
mod alerts;
mod bridges;
mod events;
mod health;
mod insights;
mod logging;
mod metrics;
mod observers;
mod otlp;
mod process;
mod profiling;
mod propagation;
mod service;
mod tracing;

use super::key::{Apply, Key};
pub(crate) use logging::LEVELS;
#[cfg(feature = "observers")]
pub(crate) use observers::ACTIONS;
pub(crate) use observers::OBSERVER;
pub(crate) use otlp::ALSO;

/// All keys. The order decides in which order their values are applied.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> + Clone {
    const TABLES: &[&[Key]] = &[
        service::KEYS,
        otlp::SHARED,
        otlp::MORE,
        otlp::FILE,
        logging::KEYS,
        otlp::LOGS,
        tracing::KEYS,
        otlp::TRACES,
        propagation::KEYS,
        bridges::KEYS,
        metrics::KEYS,
        otlp::METRICS,
        process::KEYS,
        profiling::KEYS,
        admin::KEYS,
        health::KEYS,
        insights::KEYS,
        alerts::KEYS,
        observers::KEYS,
        events::KEYS,
        events::KAFKA,
    ];
    TABLES.iter().copied().flatten()
}

/// All sections, with descriptions, in the order of the reference file.
pub(crate) const SECTIONS: &[(&str, &str)] = &[
    ("service", "What is observed: attributes of the resource, which every backend shows with every record."),
    ("service.detect", "What is found out about the process by itself and added to the resource."),
    (
        "otlp",
        "Where OTLP goes, for all signals. With an endpoint here or in a signal's own section, OTLP is on.",
    ),
    ("otlp.token", "A header of OTLP whose value is renewed, such as a token that expires."),
    (
        "otlp.spool",
        "What OTLP cannot deliver waits on the disk, and is delivered in order when the collector is back, by the next run if need be.",
    ),
    (
        "otlp.file",
        "Traces, logs and metrics to a file of OTLP JSON lines, as the Collector's file exporter writes and its otlpjsonfile receiver reads them.",
    ),
    (
        "terminal",
        "Traces, logs and metrics drawn for people. On by itself when there is nowhere else to send to.",
    ),
    ("logging", "Events, which are logs."),
    ("logging.otlp", "OTLP for logs, where it differs from the section otlp."),
    ("logging.file", "Logs to files that are rolled."),
    ("logging.loki", "Logs to Loki."),
    ("logging.elasticsearch", "Logs to Elasticsearch, by its _bulk API."),
    ("logging.syslog", "Logs to syslog, RFC 5424."),
    ("logging.journald", "Logs to systemd's journal."),
    ("logging.redaction", "What is never put out, whatever the output."),
    ("logging.batch", "How logs are put into batches, where it differs from tracing.batch."),
    ("logging.limits", "Limits of the attributes of logs."),
    ("tracing", "Spans."),
    (
        "tracing.sampling",
        "Which traces are kept. A remote parent's decision is followed, unless a rule fits.",
    ),
    ("tracing.sampling.adaptive", "A share that changes with the load."),
    ("tracing.sampling.buffer", "Limits of the spans that wait until their traces end."),
    ("tracing.intelligent_sampling", "A short way to usual rules of tracing.sampling."),
    ("tracing.batch", "How records are put into batches, for all signals and exporters."),
    ("tracing.limits", "Limits of the attributes of spans."),
    ("tracing.otlp", "OTLP for traces, where it differs from the section otlp."),
    ("tracing.zipkin", "Traces to Zipkin, as its v2 JSON."),
    ("tracing.chrome", "Traces to a file for Perfetto or chrome://tracing."),
    ("propagation", "Context that comes in with requests and goes out with them: traces and baggage."),
    (
        "bridges",
        "What other libraries' APIs report. Each needs the feature of its name, and takes that library's global place. `bridges = true` is short for enabled.",
    ),
    ("metrics", "Counters, gauges and histograms."),
    ("metrics.otlp", "OTLP for metrics, where it differs from the section otlp."),
    ("metrics.prometheus", "A page of metrics that Prometheus scrapes."),
    (
        "metrics.remote_write",
        "Metrics sent to a Prometheus, Mimir or another server that takes remote write.",
    ),
    ("metrics.pushgateway", "Metrics pushed to a Pushgateway, for jobs that end before they are scraped."),
    ("limits", "Limits of attributes, of spans and logs alike."),
    ("recording", "Memory that recording may take, and how the program ends."),
    (
        "reload",
        "Reading the file again while the program runs: levels, filters and sampling change, the rest stays.",
    ),
    (
        "profiling",
        "Profiles of the process. They need the feature `profile`, and Linux on x86-64 or AArch64.",
    ),
    ("profiling.cpu", "Which functions use the CPU, in which spans."),
    ("profiling.memory", "Which functions allocate, and what is in use."),
    ("profiling.resources", "What each span uses."),
    ("profiling.exporter", "Where profiles go."),
    ("profiling.exporter.token", "The access token for Google Cloud Profiler."),
    ("profiling.pages", "Profiles on a local page."),
    (
        "admin",
        "Local pages: their clients' rights and limits. Pages at the same host and port share a server.",
    ),
    ("health", "Checks of what the service depends on, and pages that say whether it is well."),
    (
        "insights",
        "A page of the service's own bottlenecks, and of when its memory, disks and open files run out.",
    ),
    ("alerts", "Rules over the service's own metrics, and who is told of what they find."),
    ("alerts.notification.slack", "Alerts to Slack."),
    ("alerts.notification.webhook", "Alerts to a program that takes JSON over HTTP."),
    ("alerts.notification.alertmanager", "Alerts to Prometheus's Alertmanager."),
    ("alerts.notification.command", "Alerts to a command."),
    ("alerts.notification.email", "Alerts by mail. They need the feature `alerts-email`."),
    ("events.webhook", "Events out, as CloudEvents to a URL. They need the feature `events`."),
    (
        "events.webhook.spool",
        "Batches of events on the disk, which the next run goes on with if they were not taken.",
    ),
    ("events.kafka", "Events out, as CloudEvents to a topic of Kafka. They need the feature `events-kafka`."),
    (
        "events.kafka.spool",
        "Batches of events on the disk, which the next run goes on with if they were not taken.",
    ),
    ("observing", "What all observers share. They need the feature `observers`."),
];

/// Finds the key with this path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path == path)
}

/// Finds the key of an observer with this path: `observers.when`.
pub(crate) fn of_observer(path: &str) -> Option<&'static Key> {
    OBSERVER.iter().find(|key| key.path == path)
}

/// Whether there are keys below this path.
pub(crate) fn is_section(path: &str) -> bool {
    all().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The key that was most likely meant: one with a similar path, or else one with the same name in another
/// section.
pub(crate) fn nearest(path: &str) -> Option<&'static str> {
    let path = path.to_ascii_lowercase().replace('-', "_");
    let (section, name) = path.rsplit_once('.').unwrap_or(("", &path));
    // Prefer a similar path, because most mistakes are one wrong letter; then try the right name in a wrong
    // section.
    let here = all().map(|key| key.path).chain(SECTIONS.iter().map(|(path, _)| *path));
    let near = here
        .map(|known| (strsim::damerau_levenshtein(known, &path), known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 2.max(name.len() / 3));
    let same_name = all().filter(|key| key.name() == name);
    let same_name = same_name.max_by_key(|key| {
        let common = key.path.split('.').zip(section.split('.')).take_while(|(a, b)| a == b).count();
        (common, std::cmp::Reverse(key.path.len()))
    });
    near.map(|(_, known)| known).or(same_name.map(|key| key.path))
}
