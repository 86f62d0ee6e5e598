//! Everything that `init` would refuse, found without starting anything.

use super::{Keys, made, otlp};
use crate::config::problem::Problem;
use crate::config::settings::Setting;
use crate::config::value::{Kind, Value};
use crate::config::{Config, LoadError};
use std::fmt::Display;
use std::fs::File;
use throughline_export::PushUrlError;
use throughline_export::log::{FilterError, SyslogTargetError};
use throughline_export::otlp::ConfigError;

/// An error of an exporter's settings.
pub(super) trait Fault: Display {
    /// The feature that this build lacks, if that is the only fault.
    fn feature(&self) -> Option<&'static str> {
        None
    }
}

impl Fault for String {}
impl Fault for std::io::Error {}
impl Fault for FilterError {}
impl Fault for SyslogTargetError {}

impl Fault for ConfigError {
    fn feature(&self) -> Option<&'static str> {
        match self {
            ConfigError::NotBuilt { feature, .. } => Some(feature),
            ConfigError::NoTls { .. } => Some("tls"),
            _ => None,
        }
    }
}

impl Fault for PushUrlError {
    fn feature(&self) -> Option<&'static str> {
        matches!(self, PushUrlError::NoTls(_)).then_some("tls")
    }
}

#[cfg(feature = "prometheus")]
impl Fault for throughline_export::prometheus::PrometheusError {
    fn feature(&self) -> Option<&'static str> {
        matches!(self, Self::NoTls { .. }).then_some("tls")
    }
}

impl Config {
    /// Everything that [`init`](crate::init) would refuse because of files, the environment and this build, sorted
    /// by line; empty if it would begin. Only whether a port is free is found by `init` alone.
    ///
    /// Nothing is started or sent. To learn whether a file can be written, it is created and removed again if it
    /// does not exist.
    ///
    /// ```
    /// use throughline_std::Config;
    /// for problem in Config::new("shop").findings() {
    ///     println!("{problem}");
    /// }
    /// ```
    pub fn findings(&self) -> Vec<Problem> {
        let keys = Keys { dry: true, ..Keys::of(self) };
        let mut all = self.problems.clone();
        all.extend(self.settings.iter().filter_map(unreadable));
        all.extend(otlp::client(self).err());
        all.extend(made(&keys).1);
        let mut unique: Vec<Problem> = Vec::new();
        for problem in all {
            if !unique.contains(&problem) {
                unique.push(problem);
            }
        }
        unique.sort_by_key(|problem| problem.line);
        unique
    }

    /// Fails with the [`findings`](Config::findings), if there are any.
    pub(crate) fn usable(&self) -> Result<(), LoadError> {
        LoadError::check(self.findings())
    }
}

/// The error for a certificate or key in a file that cannot be read. A build without TLS finds it too.
fn unreadable(setting: &Setting) -> Option<Problem> {
    let is_read = setting.key.path.ends_with("certificate") || setting.key.path.ends_with("client_key");
    let Value::Text(path) = &setting.value else { return None };
    if setting.key.kind != Kind::Path || !is_read {
        return None;
    }
    let error = File::open(path).err()?;
    Some(setting.problem(format!(
        "cannot be used: `{path}` cannot be read: {error}; give a PEM file that this program may read"
    )))
}
