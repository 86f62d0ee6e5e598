//! From keys to what runs: which exporters there are, and their own options. A new exporter is a section of keys in [`keys`](super::keys), a
//! function that makes it, and its line in [`EXPORTERS`].

mod otlp;
mod outputs;
mod prometheus;
mod rules;

pub(crate) use otlp::client;
pub(crate) use outputs::FACILITIES;
pub(super) use prometheus::prometheus;
pub(super) use rules::impossible;

use super::filter::Filters;
use super::problem::{LoadError, Problem};
use super::settings::Setting;
use super::value::Value;
use super::{Config, Queue, keys};
use crate::init::Named;
use std::fmt;
use std::str::FromStr;
use throughline_export::Exporter;
use throughline_export::otlp::{ClientConfig, Signal};

/// Where signals go.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    pub(crate) traces: Route,
    pub(crate) logs: Route,
    pub(crate) metrics: Route,
    pub(crate) metrics_on: bool,
}

/// The exporters of a signal by name; `None` when that is not said.
pub(crate) type Route = Option<Vec<String>>;

impl Default for Routes {
    fn default() -> Routes {
        Routes { traces: None, logs: None, metrics: None, metrics_on: true }
    }
}

impl Routes {
    /// The exporters of a signal, and whether it goes anywhere at all.
    fn of(&self, signal: Signal, filters: &Filters) -> (&Route, bool) {
        match signal {
            Signal::Traces => (&self.traces, filters.spans_on),
            Signal::Logs => (&self.logs, filters.logs_on),
            Signal::Metrics => (&self.metrics, self.metrics_on),
        }
    }
}

/// Which of the traces that begin here are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampling {
    All,
    None,
    /// The share that [`Config::sample_ratio`] says.
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

/// The keys as the exporters read them: what is said, or else the default.
pub(crate) struct Keys<'a> {
    config: &'a Config,
}

impl<'a> Keys<'a> {
    pub(crate) fn of(config: &'a Config) -> Keys<'a> {
        Keys { config }
    }

    /// What a file or the environment says.
    fn said(&self, path: &str) -> Option<&'a Setting> {
        self.config.settings.get(path)
    }

    /// What is said, or else the default.
    fn value(&self, path: &str) -> Option<Value> {
        let said = self.said(path).map(|setting| setting.value.clone());
        said.or_else(|| keys::find(path)?.default_value())
    }

    /// Names with texts; none when nothing is said.
    fn pairs(&self, path: &str) -> Vec<(String, String)> {
        self.said(path).map(|setting| setting.value.pairs().to_vec()).unwrap_or_default()
    }

    fn text(&self, path: &str) -> Option<String> {
        self.value(path).map(|value| value.text().to_owned())
    }

    /// A text without which a section makes no sense.
    fn needed(&self, path: &str) -> Result<String, Problem> {
        self.text(path).ok_or_else(|| {
            let section = path.rsplit_once('.').map_or("", |(section, _)| section);
            let asked = self.config.settings.first_in(section);
            let text = format!("wants {path} too; write it, or set {section}.enabled to false");
            asked.map_or_else(|| Problem::variable(path, "is missing"), |setting| setting.problem(text))
        })
    }

    /// Whether the section is asked for: it is turned on, or something is said in it and it is not turned off. Variables of other standards alone turn nothing on.
    fn asks_for(&self, section: &str) -> bool {
        match self.said(&format!("{section}.enabled")) {
            Some(enabled) => enabled.value.bool(),
            None => self.config.settings.first_in(section).is_some(),
        }
    }

    fn service(&self) -> &'a str {
        self.config.resource.get("service.name").unwrap_or_default()
    }

    /// That the value of a key cannot be used, where it was said.
    fn problem(&self, path: &str, error: &dyn fmt::Display) -> Problem {
        match self.said(path) {
            Some(setting) => setting.problem(format!("cannot be used: {error}")),
            None => Problem::variable(path, format!("cannot be used: {error}")),
        }
    }

    /// Whether logs are lines on standard output or error.
    fn has_log_lines(&self) -> bool {
        let wanted =
            self.config.routes.logs.as_ref().is_none_or(|names| names.iter().any(|name| name == "console"));
        let is_pretty = self.text("logging.format").is_none_or(|format| format == "pretty");
        wanted && !is_pretty && self.config.filters.logs_on
    }
}

/// Makes one exporter, if the keys ask for it.
type Make = fn(&Keys<'_>) -> Result<Option<Box<dyn Exporter>>, Problem>;

/// The exporters that keys alone describe, by their names in the ledger.
const EXPORTERS: [(&str, Make); 9] = [
    ("log", outputs::lines),
    ("log-file", outputs::file),
    ("syslog", outputs::syslog),
    ("journald", outputs::journald),
    ("loki", outputs::loki),
    ("elasticsearch", outputs::elasticsearch),
    ("zipkin", outputs::zipkin),
    ("chrome", outputs::chrome),
    ("pushgateway", prometheus::pushgateway),
];

/// Makes the exporters that the keys ask for. All that is wrong is told at once.
pub(crate) fn exporters(config: &Config) -> Result<Vec<Named>, LoadError> {
    let keys = Keys::of(config);
    let (mut made, mut problems) = (Vec::new(), Vec::new());
    for (name, make) in EXPORTERS {
        match make(&keys) {
            Ok(exporter) => made.extend(exporter.map(|exporter| (name.to_owned(), exporter))),
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(prometheus::missing(&keys));
    LoadError::check(problems)?;
    Ok(made)
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

/// OpenTelemetry's names of exporters in ours.
pub(crate) fn exporter_names(text: &str) -> Result<String, String> {
    Ok(text.split(',').map(|name| super::aliases::exporter(name.trim())).collect::<Vec<_>>().join(","))
}

/// OpenTelemetry's names of samplers in ours. All of ours follow a remote parent, so those that are called `parentbased_` are the plain ones.
pub(crate) fn sampler(text: &str) -> Result<String, String> {
    match text.trim_start_matches("parentbased_") {
        "always_on" => Ok("always_on".into()),
        "always_off" => Ok("always_off".into()),
        "traceidratio" => Ok("probability".into()),
        _ => Err("is not a sampler of ours; use always_on, always_off or traceidratio, or these with parentbased_ in front".into()),
    }
}

/// Where the terminal is drawn.
pub(crate) fn terminal_output(config: &mut Config, value: &Value) -> Result<(), String> {
    config.terminal_stdout = value.text() == "stdout";
    Ok(())
}

/// Which temporality sums have.
pub(crate) fn temporality(_: &mut Config, value: &Value) -> Result<(), String> {
    match value.text() {
        "cumulative" => Ok(()),
        other => Err(format!(
            "= `{other}` cannot be used: this build sends sums as cumulative; write \"cumulative\""
        )),
    }
}

/// How histograms are sent.
pub(crate) fn histograms(_: &mut Config, value: &Value) -> Result<(), String> {
    match value.text() {
        "exponential" => Ok(()),
        other => Err(format!(
            "= `{other}` cannot be used: this build sends histograms as exponential; write \"exponential\""
        )),
    }
}

/// OpenTelemetry's names of histograms in ours.
pub(crate) fn aggregation(text: &str) -> Result<String, String> {
    match text {
        "base2_exponential_bucket_histogram" => Ok("exponential".into()),
        "explicit_bucket_histogram" => Ok("explicit".into()),
        _ => Err("is not explicit_bucket_histogram or base2_exponential_bucket_histogram".into()),
    }
}

/// How many batches may wait for an exporter.
pub(crate) fn queue_batches(config: &Config) -> usize {
    match config.queue {
        Queue::Batches(batches) => batches,
        Queue::Records(records) => records.saturating_mul(1024).div_ceil(config.batch_bytes).max(1),
    }
}

impl Config {
    /// Whether the terminal is on: when the program or a key says so, else when there is nowhere else to send to.
    pub(crate) fn draws(&self, has_exporters: bool) -> bool {
        let lines = Keys::of(self).has_log_lines();
        let routes = [&self.routes.traces, &self.routes.metrics, &self.routes.logs];
        // Logs that are lines are on the console already.
        let to_draw = if lines { &routes[..2] } else { &routes };
        let named = to_draw.iter().copied().flatten().flatten().any(|name| name == "console");
        let automatic =
            !has_exporters && self.exporters.is_empty() && routes.iter().any(|route| route.is_none());
        self.terminal.unwrap_or(named || automatic)
    }

    /// What is recorded and goes nowhere though other signals go somewhere, in words.
    pub(crate) fn unsent(&self, client: Option<&ClientConfig>, draws: bool) -> Vec<String> {
        let keys = Keys::of(self);
        if draws || client.is_none() || !self.exporters.is_empty() {
            return Vec::new();
        }
        let elsewhere = |signal| match signal {
            Signal::Traces => keys.asks_for("tracing.chrome") || keys.asks_for("tracing.zipkin"),
            Signal::Logs => {
                let sections = ["file", "syslog", "journald", "loki", "elasticsearch"];
                keys.has_log_lines() || sections.iter().any(|name| keys.asks_for(&format!("logging.{name}")))
            }
            Signal::Metrics => prometheus::is_on(self),
        };
        let unsent = |signal: &Signal| {
            let (route, on) = self.routes.of(*signal, &self.filters);
            on && route.is_none()
                && !client.is_some_and(|client| client.sends(*signal))
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

    /// The resource with what was found out about the process.
    pub(crate) fn detected_resource(&self) -> throughline_export::Resource {
        super::detect::detect(self.resource.clone(), self.detectors, &self.variables)
    }
}
