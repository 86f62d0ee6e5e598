//! Holds a number of spans in a second by changing the share of traces that is kept.

/// Rounds of the controller in a second.
pub(crate) const STEPS_PER_SECOND: u32 = 10;

/// Changes the share so that the number of kept spans in a second comes to a target.
///
/// Each step estimates how many spans the program makes, and takes the share that would keep the target's number of
/// them. The estimate is an exponentially weighted average, which follows a burst within a second and forgets it more
/// slowly. What was kept too much or too little so far is made up for within a few seconds. In one step the share at
/// most halves or doubles.
#[derive(Debug)]
pub(crate) struct Controller {
    /// Spans to keep in a second.
    target: f64,
    share: f64,
    /// Spans that the program makes in a second.
    made: f64,
    /// Spans that were kept too little; negative for too much.
    owed: f64,
}

/// Seconds in which the estimate follows a burst, and then those in which it forgets one.
const RISE: f64 = 0.2;
const FALL: f64 = 0.5;
/// Seconds in which what is owed is made up for.
const MAKE_UP: f64 = 3.0;
/// The share changes at most by this factor in a step.
const MOST: f64 = 2.0;
/// The least share. It keeps the estimate of what is owed alive in any flood.
const LEAST: f64 = 1e-6;

impl Controller {
    pub(crate) fn new(target: f64, share: f64) -> Controller {
        Controller { target, share: share.clamp(LEAST, 1.0), made: 0.0, owed: 0.0 }
    }

    /// Keeps so many spans in a second from now on.
    pub(crate) fn aim(&mut self, target: f64) {
        self.target = target;
    }

    /// Takes what happened in the last `seconds`, and returns the share from now on.
    pub(crate) fn step(&mut self, seconds: f64, made: u64, kept: u64) -> f64 {
        let now = made as f64 / seconds;
        let time = if now > self.made { RISE } else { FALL };
        self.made += (now - self.made) * seconds / (seconds + time);
        let most = self.target * MAKE_UP;
        self.owed = (self.owed + self.target * seconds - kept as f64).clamp(-most, most);
        if self.share >= 1.0 {
            // More cannot be kept than is made, so nothing is owed for it later.
            self.owed = self.owed.min(0.0);
        }
        let goal = self.target + self.owed / MAKE_UP;
        let wanted = if self.made > goal { goal / self.made } else { 1.0 };
        self.share = wanted.clamp(self.share / MOST, self.share * MOST).clamp(LEAST, 1.0);
        self.share
    }
}

#[cfg(test)]
#[path = "simulation.rs"]
mod simulation;
