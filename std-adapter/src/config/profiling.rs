//! What the keys say about profiles.

use super::{Config, keys, value::Value};
use crate::profiling::{CpuOptions, HeapOptions, ProfileFolder, ProfilingOptions};

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
        let size = |path: &str, default: usize| value(path).map_or(default, |value| value.size());
        let off = said("profiling.enabled").is_some_and(|enabled| !enabled.bool());
        let cpu = said("profiling.cpu.enabled").map_or(is("profiling.enabled"), |enabled| enabled.bool());
        let memory = is("profiling.memory.enabled");

        let text = |value: Value| value.text().to_owned();
        let folder = value("profiling.exporter.file_output_dir").map_or("profiles".into(), text);
        let folder = ProfileFolder::new(folder).keep(size("profiling.exporter.keep", 20));
        let mut options = ProfilingOptions::new(folder);
        if let Some(frequency) = value("profiling.cpu.frequency") {
            options = options.cpu(CpuOptions::default().frequency(frequency.size() as u32));
        }
        if memory && !cpu {
            options = options.without_cpu();
        }
        if memory {
            let interval = size("profiling.memory.interval", 512 * 1024) as u64;
            options = options.memory(HeapOptions::default().interval(interval));
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
        (options, !off && (cpu || memory))
    }
}
