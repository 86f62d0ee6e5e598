//! What the keys say about profiles.

use super::exporters::Keys;
use super::problem::Problem;
use super::settings::Settings;
use super::{Config, keys};
use crate::profiling::{CpuOptions, HeapOptions, ProfileFolder, ProfilingOptions};
use std::path::Path;
use throughline_export::log::RollingFile;
use throughline_export::profiles::ProfileClient;

impl Config {
    /// The label of the memory's metrics; `None` if they are not wanted.
    pub(crate) fn memory_metrics_component(&self) -> Option<String> {
        let value = |path: &str| {
            let said = self.settings.get(path).map(|setting| setting.value.clone());
            said.or_else(|| keys::find(path)?.default_value())
        };
        let wanted = value("profiling.memory.metrics").is_some_and(|wanted| wanted.bool());
        let component = || Some(value("profiling.memory.component")?.text().to_owned());
        self.memory_metrics.clone().or_else(|| wanted.then(component).flatten())
    }

    /// What the keys say: how the process is profiled, and whether it is from the start.
    pub(crate) fn profiling_of_keys(&self) -> (ProfilingOptions, bool) {
        let said = |path: &str| self.settings.get(path).map(|setting| setting.value.clone());
        let value = |path: &str| said(path).or_else(|| keys::find(path)?.default_value());
        let is = |path: &str| value(path).is_some_and(|value| value.bool());
        let size = |path: &str| value(path).map(|value| value.size());
        let off = said("profiling.enabled").is_some_and(|enabled| !enabled.bool());
        let cpu = said("profiling.cpu.enabled").map_or(is("profiling.enabled"), |enabled| enabled.bool());
        let memory = is("profiling.memory.enabled");

        let mut folder = ProfileFolder::new(self.profile_folder());
        if let Some(keep) = size("profiling.exporter.keep") {
            folder = folder.keep(keep);
        }
        if let Some(age) = value("profiling.exporter.max_age") {
            folder = folder.max_age(age.duration());
        }
        if let Some(bytes) = size("profiling.exporter.max_bytes") {
            folder = folder.max_bytes(bytes as u64);
        }
        let mut options = ProfilingOptions::new(folder);
        if let Some(frequency) = size("profiling.cpu.frequency") {
            options = options.cpu(CpuOptions::default().frequency(frequency as u32));
        }
        if memory && !cpu {
            options = options.without_cpu();
        }
        if let Some(interval) = size("profiling.memory.interval").filter(|_| memory) {
            options = options.memory(HeapOptions::default().interval(interval as u64));
        }
        if let Some(labels) = value("profiling.labels") {
            options = options.labels(labels.list().iter().cloned());
        }
        if let Some(duration) = value("profiling.cpu.duration") {
            options = options.window(duration.duration());
        }
        if !is("profiling.cpu.continuous") {
            options = options.once();
        }
        if let Ok(Some(backend)) = self.profile_backend() {
            options = options.exporter(backend);
        }
        (options, !off && (cpu || memory))
    }

    /// What is wrong with where profiles go, if the keys ask for profiles.
    pub(super) fn unusable_profiles(&self) -> Vec<Problem> {
        if self.profiling.is_some() || !self.profiling_of_keys().1 {
            return Vec::new();
        }
        let folder = RollingFile::new(Path::new(&self.profile_folder()).join("profile")).check().err();
        let folder = folder.map(|error| Keys::of(self).problem(FOLDER, &error));
        folder.into_iter().chain(self.profile_backend().err()).collect()
    }

    /// Where the keys send profiles beside the files.
    fn profile_backend(&self) -> Result<Option<ProfileClient>, Problem> {
        let keys = Keys::of(self);
        let endpoint = keys.text(ENDPOINT);
        let kind = keys.text(KIND).or_else(|| endpoint.is_some().then(|| "pyroscope".into()));
        let client = match kind.as_deref() {
            Some("pyroscope") => {
                let endpoint = endpoint.as_deref().unwrap_or("http://localhost:4040");
                let application = keys.text("profiling.exporter.application_name");
                let application = application.as_deref().unwrap_or_else(|| keys.service());
                let labels = [("environment", "deployment.environment.name"), ("version", "service.version")];
                let labels =
                    labels.into_iter().filter_map(|(label, key)| Some((label, self.resource.get(key)?)));
                ProfileClient::pyroscope(endpoint, application, labels)
            }
            Some("otlp") => ProfileClient::otlp(endpoint.as_deref().unwrap_or("http://localhost:4318")),
            _ => return Ok(None),
        };
        let client = client.map_err(|error| keys.problem(ENDPOINT, &error))?;
        let headers = keys.pairs("profiling.exporter.headers");
        Ok(Some(headers.into_iter().fold(client, |client, (name, value)| client.header(name, value))))
    }

    /// Whether pages with profiles are served.
    #[cfg(feature = "admin")]
    pub(crate) fn wants_profile_pages(&self) -> bool {
        self.profile_pages || Keys::of(self).is("profiling.pages.enabled")
    }

    fn profile_folder(&self) -> String {
        Keys::of(self).text(FOLDER).unwrap_or_default()
    }
}

const FOLDER: &str = "profiling.exporter.file_output_dir";
const KIND: &str = "profiling.exporter.type";
const ENDPOINT: &str = "profiling.exporter.endpoint";

/// The warning for a place where profiles do not go yet.
pub(super) fn elsewhere(settings: &Settings) -> Option<Problem> {
    let is_off = settings.get("profiling.enabled").is_some_and(|enabled| !enabled.value.bool());
    let kind = settings.get(KIND).filter(|kind| kind.value.text() == "gcp" && !is_off)?;
    Some(kind.problem(format!("= gcp is not built yet: profiles are written to files, into {FOLDER}")))
}
