//! Configures insights from keys.

use super::Keys;
use super::findings::{Fault, WRITTEN};
use crate::config::Config;
use crate::config::problem::Problem;
use crate::insights::{InsightError, InsightOptions};
use std::path::Path;

impl Fault for InsightError {}

/// Keys of folders that are written to.
const FOLDERS: [&str; 4] = [
    "otlp.spool.directory",
    "events.kafka.spool.directory",
    "events.webhook.spool.directory",
    "profiling.exporter.file_output_dir",
];

/// The keys, on top of the options that were set by code; `None` if insights are not asked for.
pub(crate) fn insights(config: &Config) -> Result<Option<InsightOptions>, Problem> {
    let keys = Keys::of(config);
    let off = keys.said("insights.enabled").is_some_and(|enabled| !enabled.value.bool());
    if off || config.insights.is_none() && !keys.asks_for("insights") {
        return Ok(None);
    }
    let mut options = config.insights.clone().unwrap_or_default();
    if let Some(path) = keys.said("insights.path") {
        options = options.path(path.value.text());
    }
    let number = |path: &str| keys.said(path).map(|setting| setting.value.size());
    let time = |path: &str| keys.said(path).map(|setting| setting.value.duration());
    options = time("insights.window").into_iter().fold(options, InsightOptions::window);
    options = number("insights.windows").into_iter().fold(options, InsightOptions::windows);
    options = number("insights.operations").into_iter().fold(options, InsightOptions::operations);
    options = number("insights.evidence").into_iter().fold(options, InsightOptions::evidence);
    options = time("insights.horizon").into_iter().fold(options, InsightOptions::horizon);
    options = keys.list("insights.folders").into_iter().fold(options, InsightOptions::folder);
    let said = |path: &&str| keys.said(path).map(|setting| setting.value.text().to_owned());
    options = FOLDERS.iter().filter_map(said).fold(options, InsightOptions::folder);
    let files: Vec<String> = WRITTEN.iter().filter_map(|(_, path)| said(path)).collect();
    let folders = files.iter().filter_map(|path| Path::new(path).parent());
    Ok(Some(folders.fold(options, InsightOptions::folder)))
}
