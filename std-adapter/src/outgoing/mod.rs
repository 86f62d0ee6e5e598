//! How news leave the process other than as telemetry: signed requests to a URL, commands, and files of state that survive a restart. Alerts,
//! observers and events share it.

#[cfg(any(feature = "alerts", feature = "observers"))]
pub(crate) mod command;
mod signed;
#[cfg(any(feature = "alerts", feature = "observers"))]
pub(crate) mod state_file;

pub(crate) use signed::SignedPost;

/// Whether a body is sent again after this status.
pub(crate) fn retried(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}
