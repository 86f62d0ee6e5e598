//! Writes the profiles of a session into files, sends them to backends, and counts what becomes of them.

use super::change::Change;
use super::cycle::Cycle;
use crate::Config;
use crate::init::counts;
use crate::published::Published;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::ledger::{DropReason, HopCells};
use throughline_export::profiles::{CloudProfileKind, CloudProfiler, ProfileClient, ProfileFormat};
use throughline_export::{Deadline, ExportError, diagnostics};
use throughline_profile::{Profile, ProfileFolder};

/// What files are called in the ledger.
const FILES: &str = "profiles.file";
/// Longest time for which a profile is sent.
const LONGEST: Duration = Duration::from_secs(10);

/// The attributes of the service.
static RESOURCE: Published<Vec<(String, String)>> = Published::new();

/// Takes the attributes of the service from the configuration.
pub(super) fn begin(config: &Config) {
    let resource = config.detected_resource();
    RESOURCE.set(resource.attributes().map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
}

/// Where the profiles of a session go.
pub(super) struct Send {
    folder: ProfileFolder,
    /// What becomes of the files, once there is a ledger.
    written: Option<Arc<HopCells>>,
    /// With their counts, once there is a ledger.
    clients: Vec<(ProfileClient, Option<Arc<HopCells>>)>,
    cloud: Option<Cloud>,
    within: Duration,
}

/// Google Cloud Profiler, which asks for what it wants.
struct Cloud {
    profiler: CloudProfiler,
    cycle: Cycle,
    counts: Option<Arc<HopCells>>,
}

impl Send {
    /// Sends for at most as long as a window.
    pub(super) fn new(folder: ProfileFolder, clients: &[ProfileClient], window: Duration) -> Send {
        let clients = clients.iter().map(|it| (it.clone(), None)).collect();
        Send { folder, written: None, clients, cloud: None, within: window.min(LONGEST) }
    }

    /// Begins to ask Google Cloud Profiler what it wants of these kinds.
    pub(super) fn ask(&mut self, profiler: CloudProfiler, kinds: Vec<CloudProfileKind>) -> io::Result<()> {
        let cycle = Cycle::begin(profiler.clone(), kinds)?;
        self.cloud = Some(Cloud { profiler, cycle, counts: None });
        Ok(())
    }

    /// Writes the profile into the folder. Returns the path of the file for pprof.
    pub(super) fn write(&mut self, profile: &Profile) -> io::Result<PathBuf> {
        self.file(|folder| folder.write(profile))
    }

    /// Writes a picture of what changed to this profile.
    pub(super) fn change(&mut self, change: &Change, profile: &Profile) {
        let Change { at, before, title } = change;
        let _ = self.file(|folder| folder.write_change(*at, before, profile, title));
    }

    /// Counts pictures whose window did not come.
    pub(super) fn lose(&mut self, pictures: usize) {
        if pictures > 0 {
            let cells = cells(&mut self.written, FILES);
            cells.input(pictures as u64);
            cells.dropped(DropReason::Shutdown, pictures as u64);
        }
    }

    /// Writes a file and counts it.
    fn file(&mut self, write: impl FnOnce(&ProfileFolder) -> io::Result<PathBuf>) -> io::Result<PathBuf> {
        let cells = cells(&mut self.written, FILES);
        cells.input(1);
        let written = write(&self.folder);
        match &written {
            Ok(_) => cells.output(1),
            Err(error) => {
                cells.dropped(DropReason::WriteError, 1);
                diagnostics::tell(format_args!("a profile could not be written: {error}"));
            }
        }
        written
    }

    pub(super) fn send(&mut self, profile: &Profile) {
        let kind = if profile.is_cpu() { CloudProfileKind::Cpu } else { CloudProfileKind::Heap };
        let wanted = self.cloud.as_mut().and_then(|it| Some((it.cycle.take(kind, profile.started())?, it)));
        if self.clients.is_empty() && wanted.is_none() {
            return;
        }
        let report = profile.symbolize();
        if let Some((wanted, Cloud { profiler, cycle, counts })) = wanted {
            let instance = ["service.instance.id", "host.name"].into_iter().find_map(attribute);
            let labels: Vec<_> = instance.map(|instance| ("instance", instance)).into_iter().collect();
            let deadline = Deadline::within(self.within);
            let sent = profiler.update(&wanted, &report.pprof(), &labels, &deadline);
            cycle.done();
            count(&cells(counts, "profiles.gcp"), sent);
        }
        for (client, counts) in &mut self.clients {
            let body = match client.format() {
                ProfileFormat::Pprof => report.pprof(),
                ProfileFormat::Otlp => report.otlp(RESOURCE.get().map_or(&[], Vec::as_slice)),
            };
            let deadline = Deadline::within(self.within);
            let sent = client.send(&body, profile.started(), profile.duration(), &deadline);
            count(&cells(counts, client.name()), sent);
        }
    }
}

/// An attribute of the service.
fn attribute(key: &str) -> Option<&'static str> {
    RESOURCE.get()?.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
}

fn count(cells: &HopCells, sent: Result<(), ExportError>) {
    cells.input(1);
    match sent {
        Ok(()) => cells.output(1),
        Err(error) => {
            cells.dropped(error.reason, 1);
            diagnostics::tell(format_args!("a profile was not sent: {}", error.message));
        }
    }
}

/// The counts of a hop. A session may begin before there is a ledger, and what it does then is not counted.
fn cells(known: &mut Option<Arc<HopCells>>, name: &str) -> Arc<HopCells> {
    if known.is_none() {
        *known = counts().map(|counts| counts.exporter_named(name));
    }
    known.clone().unwrap_or_default()
}
