//! Tells of rings that overflow: when that begins, and when it is over.

use std::sync::Arc;
use std::time::{Duration, Instant};
use throughline_export::Health;

/// How long nothing must have been lost before it counts as over.
const CALM: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Overflow {
    health: Arc<Health>,
    /// When records were last found lost, while it is not over.
    last: Option<Instant>,
}

impl Overflow {
    pub(super) fn new(health: Arc<Health>) -> Overflow {
        Overflow { health, last: None }
    }

    /// Notes records that were found lost in this round, and whether an earlier loss is over.
    pub(super) fn round(&mut self, lost: u64, now: Instant) {
        if lost > 0 {
            self.last = Some(now);
            self.health.too_slow(
                "a thread's ring is full: records are made faster than they are taken out; further ones are dropped and counted as ring_full; make rings larger with recording.ring_slots (Config::ring_slots), or record less",
            );
            self.health.lost(lost);
        } else if self.last.is_some_and(|last| now.duration_since(last) >= CALM) {
            self.last = None;
            self.health.recovered();
        }
    }
}
