//! Creates what sends events out.

use super::{Keys, secret};
use crate::config::problem::Problem;
use crate::events::{Events, Mode, Webhook};
use throughline_export::log::RollingFile;
use throughline_export::otlp::Signal;
use throughline_export::{Exporter, SpoolConfig, check_spool};

/// Size at which the file of dead letters is rolled, and how many old ones are kept.
const DEAD_BYTES: u64 = 64 << 20;
const DEAD_FILES: usize = 7;

pub(super) fn webhook(keys: &Keys<'_>) -> Result<Option<Box<dyn Exporter>>, Problem> {
    const URL: &str = "events.webhook.url";
    if !keys.asks_for("events.webhook") {
        return Ok(None);
    }
    let url = match secret(keys, URL)? {
        Some(url) => url,
        None => keys.needed(URL)?,
    };
    let mut webhook = Webhook::new(&url).map_err(|error| keys.problem(URL, &error))?;
    if keys.is("events.webhook.allow_private") {
        webhook = webhook.allow_private();
    }
    if let Some(secret) = secret(keys, "events.webhook.secret")? {
        webhook = webhook.secret(secret);
    }
    for (name, value) in keys.pairs("events.webhook.headers") {
        webhook = webhook.header(name, value);
    }
    let mode = match keys.text("events.webhook.mode").as_deref() {
        Some("structured") => Mode::Structured,
        Some("binary") => Mode::Binary,
        _ => Mode::Batch,
    };
    let signals = keys.signals("events.webhook.signals");
    let most = keys.value("events.webhook.batch_size").map_or(100, |events| events.size());
    let mut events = Events::new("events.webhook", webhook.mode(mode))
        .signals(signals.contains(&Signal::Traces), signals.contains(&Signal::Logs))
        .filter(keys.filter("events.webhook.filter")?)
        .batch(if mode == Mode::Batch { most } else { 1 });
    const FOLDER: &str = "events.webhook.spool.directory";
    if let Some(folder) = keys.text(FOLDER) {
        let spool = SpoolConfig::new(&folder);
        let folder = spool.dir().join("events.webhook");
        // A service that runs with this file holds the lock.
        let checked = match keys.dry {
            true => RollingFile::new(folder.join("lock")).check(),
            false => check_spool(&folder),
        };
        checked.map_err(|error| keys.problem(FOLDER, &error))?;
        let bytes = keys.value("events.webhook.spool.max_size");
        events = events.spool(bytes.iter().fold(spool, |spool, bytes| spool.max_bytes(bytes.int())));
    }
    const DEAD: &str = "events.webhook.dead_letters";
    if let Some(path) = keys.text(DEAD) {
        let file = RollingFile::new(path).max_bytes(DEAD_BYTES).keep(DEAD_FILES);
        file.check().map_err(|error| keys.problem(DEAD, &error))?;
        events = events.dead_letters(file);
    }
    Ok(Some(Box::new(events)))
}
