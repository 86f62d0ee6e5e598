//! Creates the OTLP client that the keys ask for.

use super::Keys;
use crate::config::problem::Problem;
use crate::config::{Config, Otlp, url};
use throughline_export::otlp::{ClientConfig, ConfigError, Histograms, Protocol, Signal, Temporality};

/// The OTLP client with the signals that it sends; `None` if it would send nothing.
pub(crate) fn client(config: &Config) -> Result<Option<ClientConfig>, Problem> {
    match &config.otlp {
        Otlp::Off => return Ok(None),
        Otlp::To(client) => return Ok(Some(client.clone())),
        Otlp::Keys => {}
    }
    let keys = Keys::of(config);
    let mut all: Option<ClientConfig> = None;
    for signal in Signal::ALL {
        if !is_sent(config, &keys, signal) {
            continue;
        }
        let one = of_signal(&keys, signal)?;
        all = Some(match all {
            Some(all) => all.with_signal(signal, &one),
            // The other signals stay off until the loop reaches them.
            None => Signal::ALL
                .into_iter()
                .filter(|other| *other != signal)
                .fold(one, ClientConfig::without_signal),
        });
    }
    let Some(all) = all else { return Ok(None) };
    let path = "metrics.temporality";
    let temporality = keys.text(path).unwrap_or_default().parse::<Temporality>();
    let temporality = temporality.map_err(|error| keys.problem(path, &error))?;
    let histograms = match keys.text("metrics.histograms").as_deref() {
        Some("explicit") => Histograms::Explicit,
        _ => Histograms::Exponential,
    };
    Ok(Some(all.temporality(temporality).histograms(histograms)))
}

/// The section of a signal's keys.
pub(super) const fn section(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "tracing",
        Signal::Logs => "logging",
        Signal::Metrics => "metrics",
    }
}

/// Whether a signal goes to OTLP. It does if its exporters include `otlp`, or if no exporters are named and
/// it has an endpoint.
fn is_sent(config: &Config, keys: &Keys<'_>, signal: Signal) -> bool {
    let (route, on) = config.routes.of(signal, &config.filters);
    let has_endpoint =
        keys.said("otlp.endpoint").or(keys.said(&format!("{}.otlp.endpoint", section(signal)))).is_some();
    on && route.as_ref().map_or(has_endpoint, |names| names.iter().any(|name| name == "otlp"))
}

/// The settings of one signal. Each is the signal's own, or else the one for all signals.
fn of_signal(keys: &Keys<'_>, signal: Signal) -> Result<ClientConfig, Problem> {
    let section = section(signal);
    let path = |name: &str| {
        let own = format!("{section}.otlp.{name}");
        if keys.said(&own).is_some() { own } else { format!("otlp.{name}") }
    };
    let text = |name: &str| keys.text(&path(name));
    let wrong = |name: &'static str| {
        let path = path(name);
        move |error: ConfigError| keys.problem(&path, &error)
    };

    let protocol = text("protocol").unwrap_or_default().parse::<Protocol>().map_err(wrong("protocol"))?;
    let own_endpoint = keys.text(&format!("{section}.otlp.endpoint"));
    let given = own_endpoint.clone().or_else(|| keys.text("otlp.endpoint"));
    let endpoint = given.unwrap_or_else(|| {
        let port = if protocol == Protocol::Grpc { 4317 } else { 4318 };
        format!("http://localhost:{port}")
    });
    let as_it_is = own_endpoint.is_some() && !url::has_no_path(&endpoint);
    let client = if as_it_is { ClientConfig::at(&endpoint) } else { ClientConfig::new(&endpoint) };
    let mut client = client.map_err(wrong("endpoint"))?.protocol(protocol).map_err(wrong("protocol"))?;

    for (name, value) in keys.value(&path("headers")).iter().flat_map(|value| value.pairs()) {
        client = client.header(name, value);
    }
    if let Some(timeout) = keys.value(&path("timeout")) {
        client = client.timeout(timeout.duration());
    }
    if let Some(limit) = keys.value("otlp.retry_for") {
        client = client.retry_for(limit.duration());
    }
    if let Some(compression) = text("compression") {
        let compression = compression.parse().map_err(wrong("compression"))?;
        client = client.compression(compression).map_err(wrong("compression"))?;
    }
    if !endpoint.starts_with("https:") {
        return Ok(client);
    }
    if keys.value("otlp.system_roots").is_some_and(|on| on.bool()) {
        client = client.system_roots().map_err(|error| keys.problem("otlp.system_roots", &error))?;
    }
    if let Some(path) = text("certificate") {
        client = client.ca_certificate(path).map_err(wrong("certificate"))?;
    }
    if let (Some(certificate), Some(key)) = (text("client_certificate"), text("client_key")) {
        client = client.client_certificate(certificate, key).map_err(wrong("client_certificate"))?;
    }
    Ok(client)
}
