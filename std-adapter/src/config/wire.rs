//! From keys to what runs: which exporters there are, and their own options. An exporter that comes is a section of keys in [`keys`](super::keys) and a
//! function here.

use super::problem::Problem;
use super::settings::{Origin, Settings};
use super::value::Value;
use super::{Config, Otlp, Queue};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use throughline_export::otlp::{ClientConfig, ConfigError};

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

/// What the keys of OTLP say.
#[derive(Clone, Debug, Default)]
pub(crate) struct OtlpKeys {
    pub(crate) all: Target,
    pub(crate) traces: Target,
    pub(crate) logs: Target,
    pub(crate) metrics: Target,
}

/// What they say of one signal, or of all.
#[derive(Clone, Default)]
pub(crate) struct Target {
    pub(crate) endpoint: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) headers: Option<Vec<(String, String)>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) compression: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) client_certificate: Option<String>,
    pub(crate) client_key: Option<String>,
}

/// Endpoints and headers may hold secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

/// The client of OTLP that the keys ask for, if they do.
pub(crate) fn client(config: &Config) -> Result<Option<ClientConfig>, ConfigError> {
    let keys = match &config.otlp {
        Otlp::Off => return Ok(None),
        Otlp::To(client) => return Ok(Some(client.clone())),
        Otlp::Keys => &config.otlp_keys,
    };
    let routes = [&config.routes.traces, &config.routes.logs, &config.routes.metrics];
    let named = |name: &str| {
        routes.iter().any(|route| route.as_ref().is_some_and(|list| list.iter().any(|n| n == name)))
    };
    let signals = [&keys.traces, &keys.logs, &keys.metrics];
    let has_endpoint = keys.all.endpoint.is_some() || signals.iter().any(|signal| signal.endpoint.is_some());
    let wanted = routes.iter().any(|route| route.is_none()) && has_endpoint || named("otlp");
    if !wanted {
        return Ok(None);
    }
    if config.settings.only_standard_otlp() {
        return ClientConfig::from_env();
    }
    let base = keys.all.endpoint.as_deref().unwrap_or("http://localhost:4318");
    let mut client = ClientConfig::new(base)?;
    for (name, value) in keys.all.headers.iter().flatten() {
        client = client.header(name, value);
    }
    if let Some(timeout) = keys.all.timeout {
        client = client.timeout(timeout);
    }
    Ok(Some(client))
}

/// Sets the exporters of a signal.
pub(crate) fn exporters(route: &mut Route, value: &Value) -> Result<(), String> {
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

/// How logs are written for people.
pub(crate) fn log_format(_: &mut Config, value: &Value) -> Result<(), String> {
    match value.text() {
        "pretty" => Ok(()),
        other => Err(format!(
            "= `{other}` cannot be used: this build has no exporter of logs as {other}; write \"pretty\", or send logs to OTLP"
        )),
    }
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

/// Keys of one file, or of the environment, that cannot hold together. Of different origins the later one holds.
pub(crate) fn impossible(settings: &Settings) -> Vec<Problem> {
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

/// How many batches may wait for an exporter.
pub(crate) fn queue_batches(config: &Config) -> usize {
    match config.queue {
        Queue::Batches(batches) => batches,
        Queue::Records(records) => records.saturating_mul(1024).div_ceil(config.batch_bytes).max(1),
    }
}

impl Config {
    /// Whether the terminal is on: when the program or a key says so, else when there is no exporter and no signal is kept from it.
    pub(crate) fn draws(&self, has_client: bool) -> bool {
        let routes = [&self.routes.traces, &self.routes.logs, &self.routes.metrics];
        let mut named = routes.into_iter().flatten().flatten();
        let automatic = || {
            named.any(|name| name == "console")
                || !has_client && self.exporters.is_empty() && routes.iter().any(|route| route.is_none())
        };
        self.terminal.unwrap_or_else(automatic)
    }

    /// The resource with what was found out about the process.
    pub(crate) fn detected_resource(&self) -> throughline_export::Resource {
        super::detect::detect(self.resource.clone(), self.detectors, &self.variables)
    }
}
