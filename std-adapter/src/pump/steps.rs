//! Steps of the wall clock: counts them, and reports them on standard error at most once a minute.

use super::metrics::{self, Point};
use std::fmt;
use std::time::{Duration, Instant};
use throughline_export::diagnostics;

/// Shortest time between two reports, so that a clock that is set again and again does not fill a log.
const QUIET: Duration = Duration::from_secs(60);

/// The steps found so far.
#[derive(Debug, Default)]
pub(super) struct Steps {
    count: u64,
    last_ns: i64,
    told: Option<Instant>,
}

impl Steps {
    /// Notes that the wall clock was set by `step_ns`; positive means forward.
    pub(super) fn found(&mut self, step_ns: i64, now: Instant, report: bool) {
        self.count += 1;
        self.last_ns = step_ns;
        if report && self.told.is_none_or(|told| now.duration_since(told) >= QUIET) {
            self.told = Some(now);
            diagnostics::tell(&self);
        }
    }

    /// The steps as metrics, if there were any.
    pub(super) fn points(&self) -> Option<[Point; 2]> {
        (self.count > 0).then(|| metrics::of_clock(self.count, self.last_ns))
    }
}

/// The report of the last step.
impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = if self.last_ns < 0 { "back" } else { "forward" };
        let seconds = self.last_ns.unsigned_abs() as f64 / 1e9;
        write!(
            f,
            "the wall clock was set {direction} by {seconds:.1} s; open spans keep their times, and what begins from now on follows the clock"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_says_which_way() {
        let mut steps = Steps::default();
        assert_eq!(steps.points(), None);
        let now = Instant::now();
        steps.found(5_000_000_000, now, false);
        assert!(steps.to_string().contains("set forward by 5.0 s"));
        steps.found(-3_600_000_000_000, now, false);
        assert!(steps.to_string().contains("set back by 3600.0 s"));
        assert_eq!(steps.points(), Some(metrics::of_clock(2, -3_600_000_000_000)));
    }
}
