//! Keys of what other APIs report.

use crate::config::key::Key;
use crate::config::value::Kind::Bool;

const fn key(
    path: &'static str,
    feature: &'static str,
    is_built: bool,
    doc: &'static str,
    apply: super::Apply,
) -> Key {
    Key::new(path, Bool, "", doc, apply).example("true").of_feature(feature, is_built)
}

macro_rules! bridge {
    ($name:ident, $feature:literal, $doc:literal) => {
        key(concat!("bridges.", $feature), $feature, cfg!(feature = $feature), $doc, |config, value| {
            config.bridges.$name = Some(value.bool());
            Ok(())
        })
    };
}

pub(super) const KEYS: &[Key] = &[
    key(
        "bridges.enabled",
        "tracing or log or metrics or opentelemetry",
        cfg!(any(feature = "log", feature = "metrics", feature = "opentelemetry", feature = "tracing")),
        "Whether all of them are recorded that this build has and that are not turned off below; with false, none.",
        |config, value| {
            config.bridges.all = Some(value.bool());
            Ok(())
        },
    ),
    bridge!(
        tracing,
        "tracing",
        "Whether spans and events of the crate tracing are recorded. Unless given: as bridges.enabled says."
    ),
    bridge!(
        log,
        "log",
        "Whether records of the crate log are recorded. Unless given: as bridges.enabled says."
    ),
    bridge!(
        metrics,
        "metrics",
        "Whether metrics of the crate metrics are recorded. Unless given: as bridges.enabled says."
    ),
    bridge!(
        opentelemetry,
        "opentelemetry",
        "Whether what the API of OpenTelemetry reports is recorded. Unless given: as bridges.enabled says."
    ),
];
