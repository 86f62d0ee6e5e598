//! Checks of what most services depend on.

#[cfg(unix)]
mod disk;
#[cfg(target_os = "linux")]
mod memory;
mod network;
mod pool;
mod telemetry;

pub use pool::{Heartbeat, PoolUse};
pub(super) use telemetry::telemetry;

#[cfg(unix)]
use super::Finding;

/// Compares what is left of something with the least that must be: below it, it is unhealthy; below twice as much, degraded.
#[cfg(unix)]
fn judged(what: &str, left: u64, of: u64, least: f64) -> Finding {
    let share = if of == 0 { 0.0 } else { left as f64 / of as f64 };
    let text = format!("{:.1} % of {what} is free", share * 100.0);
    let finding = match share {
        share if share < least => {
            Finding::unhealthy(format!("{text}, less than {:.1} %; free some", least * 100.0))
        }
        share if share < 2.0 * least => {
            Finding::degraded(format!("{text}; at {:.1} % it fails", least * 100.0))
        }
        _ => Finding::healthy(text),
    };
    finding.detail("free_bytes", left).detail("total_bytes", of)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::health::Status;

    #[test]
    fn the_bounds_are_the_least_and_twice_as_much() {
        let status = |left| judged("it", left, 1000, 0.1).status;
        let (healthy, degraded, unhealthy) = (Status::Healthy, Status::Degraded, Status::Unhealthy);
        assert_eq!(
            [1000, 200, 199, 100, 99, 0].map(status),
            [healthy, healthy, degraded, degraded, unhealthy, unhealthy]
        );
        assert_eq!(judged("it", 0, 0, 0.1).status, unhealthy);
    }
}
