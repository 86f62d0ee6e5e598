//! What the keys say about profiles.

use super::exporters::Keys;
use super::problem::Problem;
use super::{Config, keys};
use crate::profiling::{CpuOptions, CpuSource, HeapOptions, ProfileFolder, ProfilingOptions};
use std::path::Path;
use throughline_export::log::RollingFile;
use throughline_export::otlp::{ClientConfig, Protocol, TokenSource};
use throughline_export::profiles::{CloudProfiler, CloudProfilerError, ProfileClient};

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
            let is_perf = value("profiling.cpu.source").is_some_and(|source| source.text() == "perf");
            let source = if is_perf { CpuSource::Perf } else { CpuSource::Timer };
            options = options.cpu(CpuOptions::default().frequency(frequency as u32).source(source));
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
        if let Ok(Some(cloud)) = self.cloud_profiler() {
            options = options.cloud_profiler(cloud);
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
        folder.into_iter().chain(self.profile_backend().err()).chain(self.cloud_profiler().err()).collect()
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
                    .map_err(|error| keys.problem(ENDPOINT, &error))?
            }
            Some("otlp") => {
                let grpc = keys.text(PROTOCOL).as_deref() == Some("grpc");
                let (protocol, port) =
                    if grpc { (Protocol::Grpc, 4317) } else { (Protocol::default(), 4318) };
                let endpoint = endpoint.unwrap_or_else(|| format!("http://localhost:{port}"));
                let config = ClientConfig::new(&endpoint).map_err(|error| keys.problem(ENDPOINT, &error))?;
                let config = config.protocol(protocol).and_then(ProfileClient::otlp_with);
                config.map_err(|error| keys.problem(PROTOCOL, &error))?
            }
            _ => return Ok(None),
        };
        let client = keys.trusting(CERTIFICATE, client, |client, path| client.ca_certificate(path))?;
        let headers = keys.pairs("profiling.exporter.headers");
        Ok(Some(headers.into_iter().fold(client, |client, (name, value)| client.header(name, value))))
    }

    /// Google Cloud Profiler, if the keys name it.
    fn cloud_profiler(&self) -> Result<Option<CloudProfiler>, Problem> {
        let keys = Keys::of(self);
        if keys.text(KIND).as_deref() != Some("gcp") {
            return Ok(None);
        }
        let project = keys.text(PROJECT).unwrap_or_default();
        let service = keys.text(SERVICE);
        let service = service.as_deref().unwrap_or_else(|| keys.service());
        let mut profiler = CloudProfiler::new(&project, service).map_err(|error| match error {
            CloudProfilerError::Service(_) => keys.problem(SERVICE, &error),
            _ => keys.problem(PROJECT, &error),
        })?;
        if let Some(endpoint) = keys.text(ENDPOINT) {
            profiler = profiler.endpoint(&endpoint).map_err(|error| keys.problem(ENDPOINT, &error))?;
        }
        profiler = keys.trusting(CERTIFICATE, profiler, |profiler, path| profiler.ca_certificate(path))?;
        let zone = keys.text("profiling.exporter.gcp_zone");
        let labels = [("zone", zone.as_deref()), ("version", self.resource.get("service.version"))];
        for (name, value) in labels.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            profiler = profiler.label(name, value).map_err(|error| keys.problem(PROJECT, &error))?;
        }
        let token = match keys.text("profiling.exporter.token.file") {
            Some(file) => TokenSource::file(file),
            None => {
                let command = self.settings.get(COMMAND).map(|setting| setting.value.list().to_vec());
                let usual = || ["gcloud", "auth", "print-access-token"].map(str::to_owned).to_vec();
                TokenSource::command(command.unwrap_or_else(usual))
            }
        };
        Ok(Some(profiler.token(token)))
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
const PROTOCOL: &str = "profiling.exporter.protocol";
const CERTIFICATE: &str = "profiling.exporter.certificate";
const PROJECT: &str = "profiling.exporter.gcp_project_id";
const SERVICE: &str = "profiling.exporter.gcp_service_name";
const COMMAND: &str = "profiling.exporter.token.command";
