//! Backends whose endpoints and headers are known: the key `otlp.preset`.

use super::Keys;
use crate::config::problem::Problem;
use crate::config::settings::Setting;
use throughline_export::otlp::{ClientConfig, Signal, TokenSource};

/// The names of the presets.
pub(in crate::config) const PRESETS: &[&str] =
    &["jaeger", "tempo", "datadog", "honeycomb", "newrelic", "grafana_cloud", "gcp"];

/// The keys that have a meaning only beside a preset.
pub(super) const OF_PRESETS: &[&str] =
    &["otlp.api_key", "otlp.region", "otlp.dataset", "otlp.instance_id", "otlp.project"];

/// Whether the backend of the preset takes this signal; true without a preset.
pub(super) fn takes(keys: &Keys<'_>, signal: Signal) -> bool {
    let of_traces = |name: &str| matches!(name, "jaeger" | "tempo");
    signal == Signal::Traces
        || !keys.said("otlp.preset").is_some_and(|setting| of_traces(setting.value.text()))
}

/// What a preset says of its backend.
#[derive(Default)]
pub(super) struct Preset {
    pub(super) endpoint: String,
    headers: Vec<(&'static str, String)>,
    /// User and password.
    basic: Option<(String, String)>,
    pub(super) token: Option<TokenSource>,
    /// Whether the backend wants sums and histograms as deltas.
    pub(super) wants_delta: bool,
}

impl Preset {
    /// The preset that the keys name, or everything that is wrong with it.
    pub(super) fn of(keys: &Keys<'_>) -> Result<Option<Preset>, Vec<Problem>> {
        let Some(setting) = keys.said("otlp.preset") else { return Ok(None) };
        let mut problems = Vec::new();
        let preset = Preset::read(keys, setting, &mut problems);
        if problems.is_empty() { Ok(Some(preset)) } else { Err(problems) }
    }

    fn read(keys: &Keys<'_>, setting: &Setting, problems: &mut Vec<Problem>) -> Preset {
        let name = setting.value.text();
        let mut needed = |path: &str, example: &str| {
            let text = keys.text(path).unwrap_or_default();
            if text.is_empty() {
                let key = path.trim_start_matches("otlp.");
                let text = format!("= {name} wants {path} too; write {key} = \"{example}\" beside it");
                problems.push(setting.problem(text));
            }
            text
        };
        let local = || Preset { endpoint: "http://localhost:4318".into(), ..Preset::default() };
        match name {
            "datadog" => Preset { wants_delta: true, ..local() },
            "honeycomb" => {
                let key = ("x-honeycomb-team", needed("otlp.api_key", "${HONEYCOMB_API_KEY}"));
                let dataset = keys.text("otlp.dataset").map(|dataset| ("x-honeycomb-dataset", dataset));
                let is_eu = is_eu(keys, setting, problems);
                let host = if is_eu { "api.eu1.honeycomb.io" } else { "api.honeycomb.io" };
                Preset { headers: [key].into_iter().chain(dataset).collect(), ..at(host) }
            }
            "newrelic" => {
                let key = ("api-key", needed("otlp.api_key", "${NEW_RELIC_LICENSE_KEY}"));
                let is_eu = is_eu(keys, setting, problems);
                let host = if is_eu { "otlp.eu01.nr-data.net" } else { "otlp.nr-data.net" };
                Preset { headers: vec![key], wants_delta: true, ..at(host) }
            }
            "grafana_cloud" => {
                let user = needed("otlp.instance_id", "123456");
                let password = needed("otlp.api_key", "${GRAFANA_CLOUD_TOKEN}");
                let endpoint = match keys.said("otlp.endpoint") {
                    Some(endpoint) => endpoint.value.text().to_owned(),
                    None => {
                        let zone = needed("otlp.region", "prod-us-east-0");
                        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-';
                        if !zone.chars().all(is_good) {
                            problems.push(setting.problem("wants otlp.region to be the zone in the name of your OTLP gateway, such as prod-us-east-0"));
                        }
                        format!("https://otlp-gateway-{zone}.grafana.net/otlp")
                    }
                };
                Preset { endpoint, basic: Some((user, password)), ..Preset::default() }
            }
            "gcp" => {
                let project = ("x-goog-user-project", needed("otlp.project", "my-project"));
                let token = TokenSource::command(["gcloud", "auth", "print-access-token"]).prefix("Bearer ");
                Preset { headers: vec![project], token: Some(token), ..at("telemetry.googleapis.com") }
            }
            // Jaeger and Tempo on this machine.
            _ => local(),
        }
    }

    /// Adds the preset's headers, except for those that the keys give.
    pub(super) fn headers(self, mut client: ClientConfig, given: &[(String, String)]) -> ClientConfig {
        let is_given = |name: &str| given.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        for (name, value) in self.headers.into_iter().filter(|(name, _)| !is_given(name)) {
            client = client.header(name, value);
        }
        match self.basic.filter(|_| !is_given("authorization")) {
            Some((user, password)) => client.basic_auth(&user, &password),
            None => client,
        }
    }
}

fn at(host: &str) -> Preset {
    Preset { endpoint: format!("https://{host}"), ..Preset::default() }
}

fn is_eu(keys: &Keys<'_>, setting: &Setting, problems: &mut Vec<Problem>) -> bool {
    let region = keys.text("otlp.region");
    if let Some("us" | "eu") | None = region.as_deref() {
        return region.as_deref() == Some("eu");
    }
    let text = format!("has no such region of {}; write us or eu", setting.value.text());
    problems.push(keys.said("otlp.region").unwrap_or(setting).problem(text));
    false
}
