//! Creates the OTLP client that the keys ask for.

use super::preset::{self, Preset};
use super::{Keys, Wrong};
use crate::config::problem::Problems;
use crate::config::{Config, Otlp, url};
use std::time::Duration;
use throughline_export::SpoolConfig;
use throughline_export::otlp::{ClientConfig, ConfigError, Protocol, Signal, Temporality, TokenSource};

/// The section of the spool.
pub(super) const SPOOL: &str = "otlp.spool";

/// The OTLP client with the signals that it sends; `None` if it would send nothing.
pub(crate) fn client(config: &Config) -> Result<Option<ClientConfig>, Problems> {
    match &config.otlp {
        Otlp::Off => return Ok(None),
        Otlp::To(client) => return Ok(Some(client.clone())),
        Otlp::Keys => {}
    }
    let keys = Keys::of(config);
    let sent = Signal::ALL.into_iter().filter(|signal| is_sent(config, &keys, *signal));
    of_signals(&keys, sent)
}

/// The clients of the further collectors, with their names.
pub(crate) fn further(config: &Config) -> Vec<Result<(String, ClientConfig), Problems>> {
    let of_code = config.further_otlp.iter().cloned().map(Ok);
    let groups = config.also.iter().filter(|_| !matches!(config.otlp, Otlp::Off));
    let of_keys = groups.filter_map(|group| {
        let is_on = |signal: &Signal| config.routes.of(*signal, &config.filters).1;
        let keys = Keys { settings: &group.settings, ..Keys::of(config) };
        let takes =
            |signal: &Signal| keys.said("otlp.also.signals").is_some() || preset::takes(&keys, *signal);
        let sent = group.signals.iter().copied().filter(is_on).filter(takes);
        let client = of_signals(&keys, sent).transpose()?;
        Some(client.map(|client| (group.name.clone(), client)))
    });
    of_code.chain(of_keys).collect()
}

/// The client for these signals; `None` if there are none.
fn of_signals(
    keys: &Keys<'_>,
    signals: impl Iterator<Item = Signal>,
) -> Result<Option<ClientConfig>, Problems> {
    let (mut all, mut wrong, mut signals) = (None::<ClientConfig>, Wrong::default(), signals.peekable());
    if signals.peek().is_none() {
        return Ok(None);
    }
    for signal in signals {
        let Some(one) = wrong.take(of_signal(keys, signal)) else { continue };
        all = Some(match all {
            Some(all) => all.with_signal(signal, &one),
            // The other signals stay off until the loop reaches them.
            None => Signal::ALL
                .into_iter()
                .filter(|other| *other != signal)
                .fold(one, ClientConfig::without_signal),
        });
    }
    // These keys are the same for all collectors.
    let shared = Keys::of(keys.config);
    let path = "metrics.temporality";
    let wants_delta = Preset::of(keys).ok().flatten().is_some_and(|preset| preset.wants_delta);
    let temporality = match shared.said(path) {
        None if wants_delta => Some(Temporality::Delta),
        _ => {
            let parsed = shared.text(path).unwrap_or_default().parse();
            wrong.take(parsed.map_err(|error: ConfigError| keys.problem(path, &error)))
        }
    };
    let filters =
        ["logging.otlp.filter", "otlp.also.filter"].into_iter().filter(|path| keys.said(path).is_some());
    let filter = filters.filter_map(|path| wrong.take(keys.filter(path))).last();
    let spool = keys.asks_for(SPOOL).then(|| wrong.take(keys.needed("otlp.spool.directory"))).flatten();
    let (mut all, temporality) = wrong.or(all.zip(temporality))?;
    all = filter.into_iter().fold(all, ClientConfig::log_filter);
    if let Some(directory) = spool {
        let bytes = keys.value("otlp.spool.max_size");
        let spool = SpoolConfig::new(directory);
        all = all.spool(bytes.iter().fold(spool, |spool, bytes| spool.max_bytes(bytes.int())));
    }
    Ok(Some(all.temporality(temporality).histograms(shared.histograms())))
}

/// The token that the keys describe.
fn token(keys: &Keys<'_>) -> Option<TokenSource> {
    let command = keys.said("otlp.token.command").map(|setting| TokenSource::command(setting.value.list()));
    let source = command.or_else(|| keys.text("otlp.token.file").map(TokenSource::file))?;
    let every = keys.value("otlp.token.every").map(|every| every.duration()).unwrap_or_default();
    Some(source.prefix(keys.text("otlp.token.prefix").unwrap_or_default()).every(every))
}

/// The section of a signal's keys.
pub(in crate::config) const fn section(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "tracing",
        Signal::Logs => "logging",
        Signal::Metrics => "metrics",
    }
}

/// Whether a signal goes to OTLP. It does if its exporters include `otlp`, or if no exporters are named and
/// it has an endpoint: its own, or that of all signals, unless the preset's backend does not take it.
fn is_sent(config: &Config, keys: &Keys<'_>, signal: Signal) -> bool {
    let (route, on) = config.routes.of(signal, &config.filters);
    let own = format!("{}.otlp.endpoint", section(signal));
    let said = |path: &str| keys.said(path).is_some();
    let has_endpoint =
        said(&own) || preset::takes(keys, signal) && (said("otlp.endpoint") || said("otlp.preset"));
    on && route.as_ref().map_or(has_endpoint, |names| names.iter().any(|name| name == "otlp"))
}

/// How long the delivery of a batch may take, all attempts together. Zero is no limit of its own. All collectors share it.
fn export_timeout(keys: &Keys<'_>, signal: Signal) -> Option<Duration> {
    let path = match signal {
        Signal::Traces => "tracing.batch.export_timeout",
        Signal::Logs => "logging.batch.export_timeout",
        Signal::Metrics => "metrics.export_timeout",
    };
    let limit = Keys::of(keys.config).value(path)?.duration();
    (!limit.is_zero()).then_some(limit)
}

/// The settings of one signal. Each is the signal's own, or else the one for all signals.
fn of_signal(keys: &Keys<'_>, signal: Signal) -> Result<ClientConfig, Problems> {
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

    let mut mistakes = Wrong::default();
    let protocol = text("protocol").unwrap_or_default().parse::<Protocol>().map_err(wrong("protocol"));
    let protocol = mistakes.take(protocol);
    let own_endpoint = keys.text(&format!("{section}.otlp.endpoint"));
    let preset = mistakes.take(Preset::of(keys)).flatten();
    let of_preset = || preset.as_ref().map(|preset| preset.endpoint.clone());
    let given = own_endpoint.clone().or_else(|| keys.text("otlp.endpoint")).or_else(of_preset);
    let endpoint = given.unwrap_or_else(|| {
        let port = if protocol == Some(Protocol::Grpc) { 4317 } else { 4318 };
        format!("http://localhost:{port}")
    });
    let as_it_is = own_endpoint.is_some() && !url::has_no_path(&endpoint);
    let client = if as_it_is { ClientConfig::at(&endpoint) } else { ClientConfig::new(&endpoint) };
    let client = mistakes.take(client.map_err(wrong("endpoint")));
    let Some((mut client, protocol)) = client.zip(protocol) else { return mistakes.or(None) };
    client = mistakes.with(client, |client| client.protocol(protocol).map_err(wrong("protocol")));

    let headers = keys.pairs(&path("headers"));
    let mut source = token(keys);
    if let Some(mut preset) = preset {
        source = source.or(preset.token.take());
        client = preset.headers(client, &headers);
    }
    for (name, value) in &headers {
        client = client.header(name, value);
    }
    if let Some(source) = source {
        client = client.header_from(keys.text("otlp.token.header").unwrap_or_default(), source);
    }
    if let Some(timeout) = keys.value(&path("timeout")) {
        client = client.timeout(timeout.duration());
    }
    if let Some(limit) = keys.value("otlp.retry_for") {
        client = client.retry_for(limit.duration());
    }
    if let Some(limit) = export_timeout(keys, signal) {
        let attempt = keys.value(&path("timeout")).map_or(limit, |timeout| timeout.duration().min(limit));
        client = client.retry_for(limit).timeout(attempt);
    }
    if let Some(compression) = text("compression") {
        let compressed = |client: ClientConfig| client.compression(compression.parse()?);
        client = mistakes.with(client, |client| compressed(client).map_err(wrong("compression")));
    }
    if !endpoint.starts_with("https:") {
        return mistakes.or(Some(client));
    }
    const ROOTS: &str = "otlp.system_roots";
    if keys.is(ROOTS) {
        let roots = |client: ClientConfig| client.system_roots().map_err(|error| keys.problem(ROOTS, &error));
        client = mistakes.with(client, roots);
    }
    if let Some(path) = text("certificate") {
        client = mistakes.with(client, |client| client.ca_certificate(path).map_err(wrong("certificate")));
    }
    if let (Some(certificate), Some(key)) = (text("client_certificate"), text("client_key")) {
        let identity = |client: ClientConfig| client.client_certificate(certificate, key);
        client = mistakes.with(client, |client| identity(client).map_err(wrong("client_certificate")));
    }
    mistakes.or(Some(client))
}
