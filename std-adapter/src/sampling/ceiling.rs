//! How many spans may be kept in a second so that tracing takes at most a part of the machine's CPU time.

use std::thread::available_parallelism;
use std::time::Duration;

/// What recording a span costs the program's thread, in seconds: an upper bound of what `cargo xtask bench` measures for a span with fields.
const RECORD: f64 = 1e-7;
/// What a kept span costs in all before anything is known, in seconds.
const FIRST: f64 = 2e-6;
/// Seconds after which what was measured has faded to its e-th part.
const MEMORY: f64 = 3.0;
/// Below this part of the budget nothing is learned: what the threads use without any span would count as the cost of a few spans.
const SIGNAL: f64 = 0.25;

/// Turns what the library's threads use into a number of spans in a second.
#[derive(Debug)]
pub(crate) struct Ceiling {
    /// Seconds of CPU time in a second.
    budget: f64,
    /// Seconds of CPU time, spans kept, and seconds; all fade.
    used: f64,
    kept: f64,
    time: f64,
    /// Seconds of CPU time for a kept span.
    cost: f64,
    last: Option<Duration>,
}

impl Ceiling {
    /// `share` is that of the CPU time of all processors that the process may use.
    pub(crate) fn new(share: f64) -> Ceiling {
        Ceiling::of_budget(share * available_parallelism().map_or(1.0, |cpus| cpus.get() as f64))
    }

    fn of_budget(budget: f64) -> Ceiling {
        // As if the budget had been used up so far, so that a busy start counts for no more than it is.
        let used = budget * MEMORY;
        Ceiling { budget, used, kept: used / FIRST, time: MEMORY, cost: FIRST, last: None }
    }

    /// Takes what the library's threads have used since the process began and how many spans were kept in the last `seconds`, and returns the
    /// number of spans to keep in a second.
    pub(crate) fn step(&mut self, seconds: f64, used: Duration, kept: u64) -> f64 {
        let since = used.saturating_sub(self.last.replace(used).unwrap_or(used));
        let fade = (-seconds / MEMORY).exp();
        let kept = kept as f64;
        self.used = self.used * fade + since.as_secs_f64() + kept * RECORD;
        self.kept = self.kept * fade + kept;
        self.time = self.time * fade + seconds;
        if self.used >= self.time * self.budget * SIGNAL {
            self.cost = self.used / self.kept.max(1.0);
        }
        (self.budget / self.cost).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::{Controller, STEPS_PER_SECOND};

    /// Seconds of CPU time that the threads use in a second without any span.
    const IDLE: f64 = 0.001;
    const BUDGET: f64 = 0.02;

    /// Spans made in a second, and what one costs the library's threads, in seconds.
    fn load(second: usize) -> (f64, f64) {
        match second {
            0..60 => (5.0, 2e-6),
            60..180 => (100_000.0, 2e-6),
            180..240 => (2_000.0, 2e-6),
            240..360 => (40_000.0 + 30_000.0 * (second % 4) as f64, 2e-6),
            // A collector that is slower to talk to.
            _ => (100_000.0, 6e-6),
        }
    }

    #[test]
    fn the_budget_is_held_in_bursts_and_when_costs_change() {
        let step = 1.0 / f64::from(STEPS_PER_SECOND);
        let mut ceiling = Ceiling::of_budget(BUDGET);
        let (mut controller, mut share, mut used) = (Controller::new(f64::MAX, 1.0), 1.0, 0.0);
        let (mut each, mut shares) = (Vec::new(), Vec::new());
        for second in 0..480 {
            let (made, cost) = load(second);
            let before = used;
            let mut recording = 0.0;
            for _ in 0..STEPS_PER_SECOND {
                let kept = made * share * step;
                used += IDLE * step + kept * cost;
                recording += kept * RECORD;
                let allowed = ceiling.step(step, Duration::from_secs_f64(used), kept as u64);
                controller.aim(allowed);
                share = controller.step(step, (made * step) as u64, kept as u64);
            }
            each.push(used - before + recording);
            shares.push(share);
        }
        let mean = |from: usize, to: usize| each[from..to].iter().sum::<f64>() / (to - from) as f64;
        // The first seconds of a burst are in the mean.
        for (from, to) in [(60, 120), (120, 180), (240, 300), (300, 360), (360, 420), (420, 480)] {
            let part = mean(from, to) / BUDGET;
            assert!((0.9..1.1).contains(&part), "{part} of the budget from second {from} on");
        }
        assert!(shares[..60].iter().all(|share| *share == 1.0), "nothing is dropped while there is enough");
        assert!(shares[190..240].iter().all(|share| *share == 1.0));
    }

    #[test]
    fn a_budget_that_the_idle_threads_exceed_leaves_a_span_a_second() {
        let mut ceiling = Ceiling::of_budget(1e-6);
        let allowed = (1..=600).map(|n| ceiling.step(0.1, Duration::from_millis(n), 1)).last();
        assert_eq!(allowed, Some(1.0));
        assert!(Ceiling::of_budget(0.0).step(0.1, Duration::ZERO, 0) >= 1.0);
    }
}
