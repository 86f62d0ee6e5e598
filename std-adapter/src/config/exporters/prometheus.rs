//! Configures Prometheus's page, the Pushgateway and remote write from keys.

use super::{Keys, Made};
use crate::config::Config;
use crate::config::problem::Problem;

const SECTION: &str = "metrics.prometheus";
const PUSHGATEWAY: &str = "metrics.pushgateway";
const REMOTE_WRITE: &str = "metrics.remote_write";

/// Whether the keys ask for a page.
fn asked(keys: &Keys<'_>) -> bool {
    let named = keys.config.routes.metrics.iter().flatten().any(|name| name == "prometheus");
    let off = keys.said("metrics.prometheus.enabled").is_some_and(|enabled| !enabled.value.bool());
    keys.config.routes.metrics_on && !off && (named || keys.asks_for(SECTION))
}

/// Whether metrics are served on a page.
pub(super) fn is_on(config: &Config) -> bool {
    #[cfg(feature = "prometheus")]
    return config.prometheus.is_some();
    #[cfg(not(feature = "prometheus"))]
    asked(&Keys::of(config))
}

/// The error if a page is asked for in a build that cannot serve one.
pub(super) fn missing(keys: &Keys<'_>) -> Option<Problem> {
    if cfg!(feature = "prometheus") || !asked(keys) {
        return None;
    }
    let setting = keys.config.settings.first_in(SECTION).or(keys.said("metrics.exporters"))?;
    let text = "cannot be used: this build serves no page for Prometheus; build throughline-std with the feature `prometheus`";
    Some(setting.problem(text).wants_feature(Some("prometheus")))
}

/// Pushes metrics to a Pushgateway.
#[cfg(feature = "prometheus")]
pub(super) fn pushgateway(keys: &Keys<'_>) -> Made {
    use throughline_export::prometheus::{PageOptions, Pushgateway, PushgatewayOptions};

    if !keys.config.routes.metrics_on || !keys.asks_for(PUSHGATEWAY) {
        return Ok(None);
    }
    const ENDPOINT: &str = "metrics.pushgateway.endpoint";
    let options = PushgatewayOptions::new(&keys.needed(ENDPOINT)?);
    let mut options = options.map_err(|error| keys.problem(ENDPOINT, &error))?;
    if let Some(job) = keys.text("metrics.pushgateway.job") {
        options = options.job(job);
    }
    for (label, value) in keys.pairs("metrics.pushgateway.grouping") {
        options = options.grouping(label, value);
    }
    for (name, value) in keys.pairs("metrics.pushgateway.headers") {
        options = options.header(name, value);
    }
    if let Some(interval) = keys.value("metrics.pushgateway.interval") {
        options = options.interval(interval.duration());
    }
    if let Some(timeout) = keys.value("metrics.pushgateway.timeout") {
        options = options.timeout(timeout.duration());
    }
    if let Some(namespace) = keys.text("metrics.namespace") {
        options = options.page(PageOptions::default().namespace(namespace));
    }
    options = options.delete_on_exit(keys.is("metrics.pushgateway.delete_on_exit"));
    let made =
        Pushgateway::new(&options).map_err(|error| keys.problem("metrics.pushgateway.grouping", &error))?;
    const CERTIFICATE: &str = "metrics.pushgateway.certificate";
    Ok(Some(Box::new(keys.trusting(CERTIFICATE, made, |made, path| made.ca_certificate(path))?)))
}

/// Sends metrics by remote write.
#[cfg(feature = "prometheus")]
pub(super) fn remote_write(keys: &Keys<'_>) -> Made {
    use throughline_export::prometheus::{PageOptions, RemoteWrite, RemoteWriteVersion};

    if !keys.config.routes.metrics_on || !keys.asks_for(REMOTE_WRITE) {
        return Ok(None);
    }
    const ENDPOINT: &str = "metrics.remote_write.endpoint";
    let writer = RemoteWrite::new(&keys.needed(ENDPOINT)?);
    let mut writer = writer.map_err(|error| keys.problem(ENDPOINT, &error))?;
    for (name, value) in keys.pairs("metrics.remote_write.headers") {
        writer = writer.header(&name, &value);
    }
    const CERTIFICATE: &str = "metrics.remote_write.certificate";
    writer = keys.trusting(CERTIFICATE, writer, |writer, path| writer.ca_certificate(path))?;
    if let Some(interval) = keys.value("metrics.remote_write.interval") {
        writer = writer.interval(interval.duration());
    }
    if let Some(namespace) = keys.text("metrics.namespace") {
        writer = writer.page(PageOptions::default().namespace(namespace));
    }
    if keys.text("metrics.remote_write.version").as_deref() == Some("2.0") {
        writer = writer.version(RemoteWriteVersion::V2);
    }
    Ok(Some(Box::new(writer.native_histograms(keys.is("metrics.remote_write.native_histograms")))))
}

/// Returns an error if the keys ask for a Pushgateway, because this build has none.
#[cfg(not(feature = "prometheus"))]
pub(super) fn pushgateway(keys: &Keys<'_>) -> Made {
    unsupported(keys, PUSHGATEWAY, "pushes to no Pushgateway")
}

/// Returns an error if the keys ask for remote write, because this build has none.
#[cfg(not(feature = "prometheus"))]
pub(super) fn remote_write(keys: &Keys<'_>) -> Made {
    unsupported(keys, REMOTE_WRITE, "has no remote write")
}

#[cfg(not(feature = "prometheus"))]
fn unsupported(keys: &Keys<'_>, section: &str, what: &str) -> Made {
    match keys.config.settings.first_in(section) {
        Some(setting) if keys.asks_for(section) => Err(setting
            .problem(format!(
                "cannot be used: this build {what}; build throughline-std with the feature `prometheus`"
            ))
            .wants_feature(Some("prometheus"))
            .into()),
        _ => Ok(None),
    }
}

/// Applies the keys on top of the options that were set by code.
#[cfg(feature = "prometheus")]
pub(in crate::config) fn prometheus(config: &mut Config) {
    use throughline_export::prometheus::PageOptions;

    let keys = Keys::of(config);
    if !asked(&keys) {
        let off = keys.said("metrics.prometheus.enabled").is_some() || !config.routes.metrics_on;
        if off {
            config.prometheus = None;
        }
        return;
    }
    let mut options = config.prometheus.clone().unwrap_or_default();
    if let Some(host) = keys.said("metrics.prometheus.host") {
        options = options.host(host.value.text());
    }
    if let Some(port) = keys.said("metrics.prometheus.port") {
        options = options.port(u16::try_from(port.value.int()).unwrap_or_default());
    }
    if let Some(path) = keys.said("metrics.prometheus.path") {
        options = options.path(path.value.text());
    }
    let namespace = keys.said("metrics.namespace").map(|namespace| namespace.value.text());
    let utf8 = keys.said("metrics.prometheus.utf8_names").map(|on| on.value.bool());
    if namespace.is_some() || utf8.is_some() {
        let page = PageOptions::default().namespace(namespace.unwrap_or_default());
        options = options.page(page.utf8_names(utf8.unwrap_or_default()));
    }
    config.prometheus = Some(options);
}

/// Does nothing, because [`missing`] reports the error.
#[cfg(not(feature = "prometheus"))]
pub(in crate::config) fn prometheus(_: &mut Config) {}
