//! Sends the profiles of a session to backends, and counts what becomes of them.

use crate::Config;
use crate::init::counts;
use crate::published::Published;
use std::sync::Arc;
use std::time::Duration;
use throughline_export::ledger::HopCells;
use throughline_export::profiles::{ProfileClient, ProfileFormat};
use throughline_export::{Deadline, diagnostics};
use throughline_profile::Profile;

/// Longest time for which a profile is sent.
const LONGEST: Duration = Duration::from_secs(10);

/// The attributes of the service.
static RESOURCE: Published<Vec<(String, String)>> = Published::new();

/// Takes the attributes of the service from the configuration.
pub(super) fn begin(config: &Config) {
    let resource = config.detected_resource();
    RESOURCE.set(resource.attributes().map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
}

/// The backends of a session.
pub(super) struct Send {
    /// With their counts, once there is a ledger.
    clients: Vec<(ProfileClient, Option<Arc<HopCells>>)>,
    within: Duration,
}

impl Send {
    /// Sends for at most as long as a window.
    pub(super) fn new(clients: &[ProfileClient], window: Duration) -> Send {
        Send { clients: clients.iter().map(|it| (it.clone(), None)).collect(), within: window.min(LONGEST) }
    }

    pub(super) fn send(&mut self, profile: &Profile) {
        if self.clients.is_empty() {
            return;
        }
        let report = profile.symbolize();
        for (client, cells) in &mut self.clients {
            // A session may begin before there is a ledger.
            let cells = match cells {
                Some(cells) => Arc::clone(cells),
                None => {
                    *cells = counts().map(|counts| counts.exporter(client.name()));
                    cells.clone().unwrap_or_default()
                }
            };
            cells.input(1);
            let body = match client.format() {
                ProfileFormat::Pprof => report.pprof(),
                ProfileFormat::Otlp => report.otlp(RESOURCE.get().map_or(&[], Vec::as_slice)),
            };
            let deadline = Deadline::within(self.within);
            match client.send(&body, profile.started(), profile.duration(), &deadline) {
                Ok(()) => cells.output(1),
                Err(error) => {
                    cells.dropped(error.reason, 1);
                    diagnostics::tell(format_args!("a profile was not sent: {}", error.message));
                }
            }
        }
    }
}
