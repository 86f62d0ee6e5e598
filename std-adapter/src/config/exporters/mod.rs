//! Creates the exporters that the keys ask for, with their options. A new exporter needs a section of keys in
//! [`keys`](super::keys), a function that creates it, and a line in [`EXPORTERS`].

#[cfg(feature = "admin")]
mod admin;
#[cfg(feature = "alerts")]
mod alerts;
mod also;
mod doubts;
#[cfg(feature = "events")]
mod events;
mod findings;
#[cfg(feature = "health")]
mod health;
#[cfg(feature = "insights")]
mod insights;
#[cfg(feature = "observers")]
mod observers;
mod otlp;
mod outputs;
mod preset;
mod prometheus;
mod rules;
#[cfg(any(feature = "alerts", feature = "events", feature = "observers"))]
mod secret;
#[cfg(any(feature = "alerts", feature = "events", feature = "observers"))]
mod webhook;
mod wrong;

#[cfg(feature = "admin")]
pub(crate) use admin::admin;
#[cfg(feature = "alerts")]
pub(crate) use alerts::alerts;
pub(super) use also::groups;
pub(crate) use also::{Group, Item};
pub(super) use doubts::doubts;
#[cfg(feature = "health")]
pub(crate) use health::health;
#[cfg(feature = "insights")]
pub(crate) use insights::insights;
#[cfg(feature = "observers")]
pub(crate) use observers::observers;
pub(super) use otlp::section;
pub(crate) use otlp::{client, further};
pub(crate) use outputs::FACILITIES;
pub(super) use preset::PRESETS;
pub(super) use prometheus::prometheus;
pub(super) use rules::impossible;
#[cfg(any(feature = "alerts", feature = "events"))]
use secret::needed_secret;
#[cfg(any(feature = "alerts", feature = "events", feature = "observers"))]
use secret::secret;

use super::filter::Filters;
use super::problem::{LoadError, Problem, Problems};
use super::settings::{Setting, Settings};
use super::value::{Kind, Value};
use super::{Config, LogBatches, Queue, keys};
use crate::init::Named;
use findings::Fault;
use std::str::FromStr;
use std::sync::Arc;
use throughline_export::log::{Filter, FilterError};
use throughline_export::otlp::{ClientConfig, ConfigError, Histograms, Signal};
use throughline_export::{Exporter, Limits, Mask};
use wrong::Wrong;

/// The exporters that each signal goes to.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    pub(crate) traces: Route,
    pub(crate) logs: Route,
    pub(crate) metrics: Route,
    pub(crate) metrics_on: bool,
}

/// The names of a signal's exporters; `None` if no key names them.
pub(crate) type Route = Option<Vec<String>>;

impl Default for Routes {
    fn default() -> Routes {
        Routes { traces: None, logs: None, metrics: None, metrics_on: true }
    }
}

impl Routes {
    /// The exporters of a signal, and whether the signal is on at all.
    fn of(&self, signal: Signal, filters: &Filters) -> (&Route, bool) {
        match signal {
            Signal::Traces => (&self.traces, filters.spans_on),
            Signal::Logs => (&self.logs, filters.logs_on),
            Signal::Metrics => (&self.metrics, self.metrics_on),
        }
    }
}

/// Selects which of the traces that begin here are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampling {
    All,
    None,
    /// The share given by [`Config::sample_ratio`].
    Share,
}

impl FromStr for Sampling {
    type Err = String;

    fn from_str(text: &str) -> Result<Sampling, String> {
        Ok(match text {
            "always_on" => Sampling::All,
            "always_off" => Sampling::None,
            _ => Sampling::Share,
        })
    }
}

/// Looks up the values of keys for the exporters.
pub(crate) struct Keys<'a> {
    config: &'a Config,
    /// The settings of the configuration, or of a further collector.
    settings: &'a Settings,
    /// Whether nothing is to be changed outside of the process: files are tried, not opened.
    dry: bool,
}

impl<'a> Keys<'a> {
    pub(crate) fn of(config: &'a Config) -> Keys<'a> {
        Keys { config, settings: &config.settings, dry: false }
    }

    /// The setting from a file or the environment, if there is one.
    fn said(&self, path: &str) -> Option<&'a Setting> {
        self.settings.get(path)
    }

    /// The value from a file or the environment, or else the default.
    fn value(&self, path: &str) -> Option<Value> {
        let said = self.said(path).map(|setting| setting.value.clone());
        said.or_else(|| keys::find(path).or_else(|| keys::of_observer(path))?.default_value())
    }

    /// Whether a key is true.
    pub(super) fn is(&self, path: &str) -> bool {
        self.value(path).is_some_and(|value| value.bool())
    }

    /// The names and texts of a map; empty if no file and no variable sets it.
    pub(super) fn pairs(&self, path: &str) -> Vec<(String, String)> {
        self.said(path).map(|setting| setting.value.pairs().to_vec()).unwrap_or_default()
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.value(path).map(|value| value.text().to_owned())
    }

    /// A text that its section requires. The error points to the first setting of that section. If the text is there and wrong, that is the error.
    fn needed(&self, path: &str) -> Result<String, Problem> {
        self.text(path).ok_or_else(|| {
            if let Some(known) = self.config.problems.iter().find(|problem| problem.key == path) {
                return known.clone();
            }
            let section = path.rsplit_once('.').map_or("", |(section, _)| section);
            let asked = self.settings.first_in(section);
            let text = format!("wants {path} too; write it, or set {section}.enabled to false");
            asked.map_or_else(|| Problem::variable(path, "is missing"), |setting| setting.problem(text))
        })
    }

    /// Whether the section is asked for. It is if `enabled` is true, or if `enabled` is not set and another
    /// key of the section is. Variables of other standards count only for `enabled`.
    fn asks_for(&self, section: &str) -> bool {
        match self.said(&format!("{section}.enabled")) {
            Some(enabled) => enabled.value.bool(),
            None => self.settings.first_in(section).is_some(),
        }
    }

    /// The filter of an output.
    fn filter(&self, path: &str) -> Result<Filter, Problem> {
        match self.text(path) {
            Some(text) => text.parse().map_err(|error: FilterError| self.problem(path, &error)),
            None => Ok(Filter::all()),
        }
    }

    /// The items of a list.
    fn list(&self, path: &str) -> Vec<String> {
        self.value(path).map(|value| value.list().to_vec()).unwrap_or_default()
    }

    /// The signals that a list names.
    fn signals(&self, path: &str) -> Vec<Signal> {
        let list = self.list(path);
        Signal::ALL.into_iter().filter(|signal| list.iter().any(|name| name == signal.as_str())).collect()
    }

    /// How OTLP's histograms are sent.
    fn histograms(&self) -> Histograms {
        match self.text("metrics.histograms").as_deref() {
            Some("explicit") => Histograms::Explicit,
            _ => Histograms::Exponential,
        }
    }

    pub(super) fn service(&self) -> &'a str {
        self.config.resource.get("service.name").unwrap_or_default()
    }

    /// What sends over TLS, with `trust` if there is a file of certificates at `path`.
    pub(super) fn trusting<T>(
        &self,
        path: &str,
        sender: T,
        trust: impl FnOnce(T, &str) -> Result<T, ConfigError>,
    ) -> Result<T, Problem> {
        match self.text(path) {
            Some(file) => trust(sender, &file).map_err(|error| self.problem(path, &error)),
            None => Ok(sender),
        }
    }

    /// Reports that the value of a key cannot be used, with the place that set it.
    pub(super) fn problem(&self, path: &str, error: &impl Fault) -> Problem {
        let text = format!("cannot be used: {error}");
        let problem = match self.said(path) {
            Some(setting) => setting.problem(text),
            None => Problem::variable(path, text),
        };
        let is_of_file = keys::find(path).is_some_and(|key| key.kind == Kind::Path);
        Problem { is_of_file, ..problem }.wants_feature(error.feature())
    }

    /// Whether logs are written as lines to standard output or standard error.
    fn has_log_lines(&self) -> bool {
        let wanted = self.config.routes.logs.as_ref().is_none_or(|names| names.iter().any(is_console));
        let is_pretty = self.text("logging.format").is_none_or(|format| format == "pretty");
        wanted && !is_pretty && self.config.filters.logs_on
    }
}

/// Whether an exporter of this name draws or writes on the console.
fn is_console(name: &String) -> bool {
    name == "console" || name == "stdout"
}

/// An exporter, if the keys ask for it, or everything that is wrong with its section.
type Made = Result<Option<Box<dyn Exporter>>, Problems>;
/// Creates one exporter.
type Make = fn(&Keys<'_>) -> Made;

/// The exporters that are configured entirely by keys: the name in the ledger, the section that asks for it (log
/// lines have none of their own), and how it is created.
const EXPORTERS: &[(&str, Option<&str>, Make)] = &[
    ("log", None, outputs::lines),
    ("log-file", Some("logging.file"), outputs::file),
    ("syslog", Some("logging.syslog"), outputs::syslog),
    ("journald", Some("logging.journald"), outputs::journald),
    ("loki", Some("logging.loki"), outputs::loki),
    ("elasticsearch", Some("logging.elasticsearch"), outputs::elasticsearch),
    ("zipkin", Some("tracing.zipkin"), outputs::zipkin),
    ("chrome", Some("tracing.chrome"), outputs::chrome),
    ("otlp-file", Some("otlp.file"), outputs::otlp_file),
    ("pushgateway", Some("metrics.pushgateway"), prometheus::pushgateway),
    ("remote-write", Some("metrics.remote_write"), prometheus::remote_write),
    #[cfg(feature = "events")]
    ("events.webhook", Some("events.webhook"), events::webhook),
    #[cfg(feature = "events-kafka")]
    ("events.kafka", Some("events.kafka"), events::kafka),
];

/// Creates the exporters that the keys ask for. The error lists everything that is wrong.
pub(crate) fn exporters(config: &Config) -> Result<Vec<Named>, LoadError> {
    let (made, problems) = made(&Keys::of(config));
    LoadError::check(problems)?;
    Ok(made)
}

/// The exporters that the keys ask for, and everything that is wrong with the others.
fn made(keys: &Keys<'_>) -> (Vec<Named>, Vec<Problem>) {
    let (mut made, mut problems) = (Vec::new(), Vec::new());
    for (name, _, make) in EXPORTERS {
        match make(keys) {
            Ok(exporter) => made.extend(exporter.map(|exporter| ((*name).to_owned(), exporter))),
            Err(wrong) => problems.extend(wrong),
        }
    }
    problems.extend(prometheus::missing(keys));
    #[cfg(feature = "admin")]
    problems.extend(admin(keys.config).err());
    #[cfg(feature = "alerts")]
    problems.extend(alerts::alerts(keys.config).err().into_iter().flatten());
    #[cfg(feature = "insights")]
    problems.extend(insights::insights(keys.config).err());
    #[cfg(feature = "observers")]
    problems.extend(observers::observers(keys.config).err().into_iter().flatten());
    #[cfg(feature = "health")]
    problems.extend(health::health(keys.config).err().into_iter().flatten());
    (made, problems)
}

/// Sets the exporters of a signal.
pub(crate) fn set_route(route: &mut Route, value: &Value) -> Result<(), String> {
    let list = value.list();
    if list.len() > 1 && list.iter().any(|name| name == "none") {
        return Err("has none beside others; write either none or the others".into());
    }
    *route = Some(list.iter().filter(|name| *name != "none").cloned().collect());
    Ok(())
}

/// Converts OpenTelemetry's names of exporters to those of this library.
pub(crate) fn exporter_names(text: &str) -> Result<String, String> {
    // OpenTelemetry's console is standard output.
    let name = |text: &str| match text.trim() {
        "console" => "stdout".to_owned(),
        name => super::aliases::exporter(name).to_owned(),
    };
    Ok(text.split(',').map(name).collect::<Vec<_>>().join(","))
}

/// Converts OpenTelemetry's names of samplers to those of this library. All samplers here follow a remote
/// parent's decision, so the prefix `parentbased_` makes no difference.
pub(crate) fn sampler(text: &str) -> Result<String, String> {
    match text.trim_start_matches("parentbased_") {
        "always_on" => Ok("always_on".into()),
        "always_off" => Ok("always_off".into()),
        "traceidratio" => Ok("probability".into()),
        _ => Err("is not a sampler of ours; use always_on, always_off or traceidratio, or these with parentbased_ in front".into()),
    }
}

/// Sets where the terminal is drawn.
pub(crate) fn terminal_output(config: &mut Config, value: &Value) -> Result<(), String> {
    config.terminal_stdout = value.text() == "stdout";
    Ok(())
}

/// Converts OpenTelemetry's names of histograms to those of this library.
pub(crate) fn aggregation(text: &str) -> Result<String, String> {
    match text {
        "base2_exponential_bucket_histogram" => Ok("exponential".into()),
        "explicit_bucket_histogram" => Ok("explicit".into()),
        _ => Err("is not explicit_bucket_histogram or base2_exponential_bucket_histogram".into()),
    }
}

/// Converts OpenTelemetry's filters of exemplars to whether there are any: those here are of sampled traces.
pub(crate) fn exemplar_filter(text: &str) -> Result<String, String> {
    match &*text.to_ascii_lowercase() {
        "trace_based" => Ok("true".into()),
        "always_off" => Ok("false".into()),
        _ => Err("is not trace_based or always_off; exemplars here are of sampled traces".into()),
    }
}

/// The number of batches that may wait for an exporter.
pub(crate) fn queue_batches(config: &Config) -> usize {
    match config.queue {
        Queue::Batches(batches) => batches,
        Queue::Records(records) => batches(records, config.batch_bytes),
    }
}

/// How many batches have this many records, each taken for 1 KiB.
fn batches(records: usize, batch_bytes: usize) -> usize {
    records.saturating_mul(1024).div_ceil(batch_bytes).max(1)
}

impl Config {
    /// Whether the terminal is on. The program or a key decides; otherwise it is on if there is no other
    /// exporter and at least one signal has no exporters named.
    pub(crate) fn draws(&self, has_exporters: bool) -> bool {
        let lines = Keys::of(self).has_log_lines();
        let routes = [&self.routes.traces, &self.routes.metrics, &self.routes.logs];
        // Logs that are written as lines are on the console already.
        let to_draw = if lines { &routes[..2] } else { &routes };
        let named = to_draw.iter().copied().flatten().flatten().any(is_console);
        let automatic =
            !has_exporters && self.exporters.is_empty() && routes.iter().any(|route| route.is_none());
        self.terminal.unwrap_or(named || automatic)
    }

    /// Whether the terminal is drawn on standard output, because a key says so or a signal's exporters do.
    pub(crate) fn draws_on_stdout(&self) -> bool {
        let routes = [&self.routes.traces, &self.routes.metrics, &self.routes.logs];
        let is_said =
            ["terminal.output", "logging.output"].iter().any(|path| self.settings.get(path).is_some());
        let named = routes.into_iter().flatten().flatten().any(|name| name == "stdout");
        self.terminal_stdout || named && !is_said
    }

    /// The limits of batches: of traces and everything else, and of logs.
    pub(crate) fn limits(&self) -> (Limits, Limits) {
        let queue = queue_batches(self);
        let all = Limits { batch_bytes: self.batch_bytes, interval: self.batch_interval, queue };
        let LogBatches { bytes, interval, queue } = self.log_batches;
        let batch_bytes = bytes.unwrap_or(all.batch_bytes);
        let logs = Limits {
            batch_bytes,
            interval: interval.unwrap_or(all.interval),
            queue: queue.map_or(all.queue, |records| batches(records, batch_bytes)),
        };
        (all, logs)
    }

    /// Warnings for signals that are recorded but sent nowhere, although OTLP is in use for other signals.
    pub(crate) fn unsent(&self, client: Option<&ClientConfig>, draws: bool) -> Vec<String> {
        let keys = Keys::of(self);
        let further: Vec<ClientConfig> =
            otlp::further(self).into_iter().flatten().map(|(_, client)| client).collect();
        if draws || client.is_none() && further.is_empty() || !self.exporters.is_empty() {
            return Vec::new();
        }
        let elsewhere = |signal| {
            let is_of = |section: &&str| section.starts_with(otlp::section(signal));
            let sections = EXPORTERS.iter().filter_map(|(_, section, _)| *section);
            let in_file = || keys.signals("otlp.file.signals").contains(&signal);
            sections.filter(is_of).any(|section| keys.asks_for(section))
                || keys.asks_for("otlp.file") && in_file()
                || match signal {
                    Signal::Traces => false,
                    Signal::Logs => keys.has_log_lines(),
                    Signal::Metrics => prometheus::is_on(self),
                }
        };
        let unsent = |signal: &Signal| {
            let (route, on) = self.routes.of(*signal, &self.filters);
            on && route.is_none()
                && !client.into_iter().chain(&further).any(|client| client.sends(*signal))
                && !elsewhere(*signal)
        };
        let words = |signal: Signal| {
            let section = otlp::section(signal);
            format!(
                "{} go nowhere: give {section}.otlp.endpoint or otlp.endpoint, or set {section}.exporters to none",
                signal.as_str()
            )
        };
        Signal::ALL.into_iter().filter(unsent).map(words).collect()
    }

    /// The resource with the attributes that were detected, and without the values of secret ones and secrets within values.
    pub(crate) fn detected_resource(&self) -> throughline_export::Resource {
        let resource = super::detect::detect(self.resource.clone(), self.detectors, &self.variables);
        let mut mask = Mask::new(Arc::clone(&self.redaction));
        let masked = |(key, value): (&str, &str)| Some((key.to_owned(), mask.shown(key, value)?));
        let masked: Vec<(String, String)> = resource.attributes().filter_map(masked).collect();
        masked.into_iter().fold(resource, |resource, (key, value)| resource.with(key, value))
    }
}
