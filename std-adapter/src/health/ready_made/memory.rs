//! Memory that is left.

use super::judged;
use crate::health::{Check, Finding};
use crate::room;

impl Check {
    /// Whether at least this share (0 to 1) of the memory is free, of the container's if it has a limit (cgroup v2), and of the machine's
    /// otherwise; degraded below twice as much. On Linux.
    pub fn memory(name: impl Into<String>, least: f64) -> Check {
        Check::new(name, move || match room::memory() {
            Ok((free, total)) => judged("the memory", free, total, least),
            Err(error) => Finding::degraded(format!("the memory cannot be read: {error}; is /proc there?")),
        })
    }
}
