//! Everything that `init` would refuse, found without starting anything.

use super::preset::Preset;
use super::{Keys, made, otlp};
use crate::config::problem::Problem;
use crate::config::settings::{Setting, Settings};
use crate::config::value::{Kind, Value};
use crate::config::{Config, LoadError, Otlp};
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use throughline_export::log::{FilterError, RollingFile, SyslogTargetError};
use throughline_export::otlp::{ClientConfig, ConfigError};
use throughline_export::profiles::CloudProfilerError;
use throughline_export::{PushUrlError, reserve_spool};

/// An error of an exporter's settings.
pub(in crate::config) trait Fault: Display {
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

impl Fault for CloudProfilerError {
    fn feature(&self) -> Option<&'static str> {
        matches!(self, CloudProfilerError::Url(PushUrlError::NoTls(_))).then_some("tls")
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
    /// by line; empty if it would begin. Only whether a port is free,
    /// and whether another program uses a spool, is found by `init` alone.
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
        let groups = self.also.iter().flat_map(|group| group.settings.iter());
        let (unread, paths): (Vec<Problem>, Vec<&str>) =
            self.settings.iter().chain(groups).filter_map(unreadable).unzip();
        for settings in std::iter::once(&self.settings).chain(self.also.iter().map(|group| &group.settings)) {
            all.extend(Preset::of(&Keys { settings, ..Keys::of(self) }).err().into_iter().flatten());
        }
        let mut of_exporters: Vec<Problem> = otlp::client(self).err().into_iter().flatten().collect();
        of_exporters.extend(otlp::further(self).into_iter().filter_map(Result::err).flatten());
        of_exporters.extend(made(&keys).1);
        // Those that would have read a file say the same.
        of_exporters.retain(|problem| !paths.iter().any(|path| problem.text.contains(&format!("`{path}`"))));
        all.extend(of_exporters);
        all.extend(unread);
        // Only whether the lock can be written: a service that runs with this file holds the lock.
        let try_lock = |folder: &Path| RollingFile::new(folder.join("lock")).check();
        all.extend(self.each_spool(try_lock));
        all.extend(same_files(&keys));
        #[cfg(profiled)]
        all.extend(self.unusable_profiles());
        let mut unique: Vec<Problem> = Vec::new();
        for problem in all {
            if !unique.contains(&problem) {
                unique.push(problem);
            }
        }
        unique.sort_by_key(|problem| problem.line);
        unique
    }

    /// Fails with the [`findings`](Config::findings), if there are any, or if another program uses a spool.
    pub(crate) fn usable(&self) -> Result<(), LoadError> {
        let check =
            |problems| LoadError::check(problems).map_err(|error| error.with_warnings(&self.warnings));
        check(self.findings())?;
        check(self.each_spool(reserve_spool))
    }

    /// Calls `check` with the folder of each spool that the keys ask for. At most one error for each directory.
    fn each_spool(&self, check: impl Fn(&Path) -> io::Result<()>) -> Vec<Problem> {
        let first = otlp::client(self).ok().flatten().filter(|_| matches!(self.otlp, Otlp::Keys));
        let first = first.map(|client| (String::from("otlp"), client, &self.settings));
        let further = otlp::further(self).into_iter().flatten().filter_map(|(name, client)| {
            let group = self.also.iter().find(|group| group.name == name)?;
            Some((name, client, &group.settings))
        });
        let problem = |(name, client, settings): (String, ClientConfig, &Settings)| {
            let keys = Keys { settings, ..Keys::of(self) };
            let error = client.spool_folders(&name).iter().find_map(|folder| check(folder).err())?;
            Some(keys.problem("otlp.spool.directory", &error))
        };
        first.into_iter().chain(further).filter_map(problem).collect()
    }
}

/// Sections that write to a file, and the key of its path.
pub(super) const WRITTEN: &[(&str, &str)] = &[
    ("logging.file", "logging.file.path"),
    ("otlp.file", "otlp.file.path"),
    ("tracing.chrome", "tracing.chrome.path"),
];

/// Errors for outputs that would write to the file of another one.
fn same_files(keys: &Keys<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut known: Vec<(PathBuf, &Setting)> = Vec::new();
    for (section, path) in WRITTEN {
        let Some(setting) = keys.said(path).filter(|_| keys.asks_for(section)) else { continue };
        let file = std::path::absolute(setting.value.text()).unwrap_or_default();
        match known.iter().find(|(other, _)| *other == file) {
            Some((_, other)) => {
                let text = format!("names the same file as {}; each needs a file of its own", other.written);
                problems.push(setting.problem(text));
            }
            None => known.push((file, setting)),
        }
    }
    problems
}

/// The error for a certificate or key in a file that cannot be read, and the path of the file. A build without TLS finds it too.
fn unreadable(setting: &Setting) -> Option<(Problem, &str)> {
    let is_read = setting.key.path.ends_with("certificate") || setting.key.path.ends_with("_key");
    let Value::Text(path) = &setting.value else { return None };
    if setting.key.kind != Kind::Path || !is_read {
        return None;
    }
    let error = File::open(path).err()?;
    let text = format!(
        "cannot be used: `{path}` cannot be read: {error}; give a PEM file that this program may read"
    );
    Some((Problem { is_of_file: true, ..setting.problem(text) }, path))
}
