//! Configures alerts from keys.

use super::Keys;
use crate::alert::AlertOptions;
use crate::config::Config;
use crate::config::problem::Problem;

/// The keys, on top of the options that were set by code; `None` if alerts are not asked for.
pub(crate) fn alerts(config: &Config) -> Result<Option<AlertOptions>, Problem> {
    let keys = Keys::of(config);
    let off = keys.said("alerts.enabled").is_some_and(|enabled| !enabled.value.bool());
    if off || config.alerts.is_none() && !keys.asks_for("alerts") {
        return Ok(None);
    }
    let mut options = config.alerts.clone().unwrap_or_default();
    if let Some(file) = keys.text("alerts.rules_file") {
        options = options.rules_file(file);
    } else if !options.has_rules() {
        keys.needed("alerts.rules_file")?;
    }
    Ok(Some(options))
}
