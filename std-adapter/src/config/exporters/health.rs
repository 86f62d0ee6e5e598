//! Configures checks and the pages of health from keys.

use super::findings::Fault;
use super::{Keys, Wrong};
use crate::config::Config;
use crate::config::problem::Problems;
use crate::health::{Check, HealthError, HealthOptions};
use throughline_export::PushUrlError;
use throughline_export::text::{masked_url, with_small_scheme};

impl Fault for HealthError {}

/// A kind of check, with its key.
type Kind = (&'static str, fn(&Keys<'_>, String, String) -> Check);

const KINDS: &[Kind] = &[
    ("health.tcp", |_, name, address| Check::tcp(name, address)),
    ("health.http", |_, name, url| Check::http(name, url)),
    ("health.dns", |_, name, host| Check::dns(name, host)),
    #[cfg(unix)]
    ("health.disk", |keys, name, path| {
        let least = keys.value("health.disk_free").map_or(0.05, |least| least.float());
        Check::disk(name, path, least)
    }),
];

/// The keys, on top of the options that were set by code; `None` if health is not asked for.
pub(crate) fn health(config: &Config) -> Result<Option<HealthOptions>, Problems> {
    let keys = Keys::of(config);
    let off = keys.said("health.enabled").is_some_and(|enabled| !enabled.value.bool());
    if off || config.health.is_none() && !keys.asks_for("health") {
        return Ok(None);
    }
    let (mut options, mut wrong) = (config.health.clone().unwrap_or_default(), Wrong::default());
    let (host, port) = (keys.said("health.host"), keys.said("health.port"));
    if host.is_some() || port.is_some() {
        let listen = wrong.take(options.listen.take().map_or_else(|| super::admin(config), Ok));
        if let Some(mut listen) = listen {
            if let Some(host) = host {
                listen = listen.host(host.value.text());
            }
            if let Some(port) = port {
                listen = listen.port(u16::try_from(port.value.int()).unwrap_or_default());
            }
            options = options.listen(listen);
        }
    }
    #[cfg(feature = "grpc")]
    if let Some(port) = keys.said("health.grpc_port") {
        options = options.grpc_port(u16::try_from(port.value.int()).unwrap_or_default());
    }
    if let Some(path) = keys.said("health.path") {
        options = options.path(path.value.text());
    }
    if let Some(timeout) = keys.said("health.timeout") {
        options = options.timeout(timeout.value.duration());
    }
    if let Some(interval) = keys.said("health.interval") {
        options = options.interval(interval.value.duration());
    }
    if let Some(on) = keys.said("health.telemetry") {
        options = options.telemetry(on.value.bool());
    }
    let optional = keys.value("health.optional").map(|names| names.list().to_vec()).unwrap_or_default();
    let marked = |check: Check| match optional.contains(&check.name) {
        true => check.optional(),
        false => check,
    };
    for (path, make) in KINDS {
        for (name, value) in keys.pairs(path) {
            if options.checks.iter().any(|check| check.name == name) {
                wrong.note(keys.problem(path, &HealthError::Twice { name: name.clone() }));
            }
            if *path == "health.http"
                && with_small_scheme(&value).starts_with("https://")
                && !cfg!(feature = "tls")
            {
                wrong.note(keys.problem(path, &PushUrlError::NoTls(masked_url(&value))));
            }
            options = options.check(marked(make(&keys, name, value)));
        }
    }
    #[cfg(target_os = "linux")]
    if let Some(least) = keys.said("health.memory_free") {
        options = options.check(marked(Check::memory("memory", least.value.float())));
    }
    for name in optional.iter().filter(|name| !options.checks.iter().any(|check| check.name == **name)) {
        let text = format!(
            "there is no check `{name}`; name one of health.tcp, health.http, health.dns or health.disk"
        );
        wrong.note(keys.problem("health.optional", &text));
    }
    wrong.or(Some(Some(options)))
}
