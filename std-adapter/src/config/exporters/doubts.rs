//! Finds what is likely a mistake, but does no harm. Each depends on all layers together, so it is found anew after each of them.

use crate::config::Config;
use crate::config::problem::Problem;

/// Warnings of the configuration as a whole.
pub(in crate::config) fn doubts(config: &Config) -> Vec<Problem> {
    unread_filter(config).into_iter().collect()
}

/// What holds instead of a filter of logs of which no part can be used.
fn unread_filter(config: &Config) -> Option<Problem> {
    let name = config.none_of?;
    let text = match config.filters.logs_on {
        true => format!("has no part that can be used: `{}` holds for logs", config.filters.logs),
        false => "has no part that can be used, and logs are off".into(),
    };
    Some(Problem::variable(name, text))
}
