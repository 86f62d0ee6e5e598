//! A deadline that another thread may draw nearer, and that wakes whoever waits for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// By when an export must be done. Shared between the thread that exports and the one that shuts down: drawing the deadline nearer ends
/// pauses between retries and shortens the requests to come.
#[derive(Debug, Default)]
pub struct Deadline {
    at: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Deadline {
    /// No deadline yet.
    pub const fn never() -> Deadline {
        Deadline { at: Mutex::new(None), changed: Condvar::new() }
    }

    /// A deadline `within` from now.
    pub fn within(within: Duration) -> Deadline {
        let deadline = Deadline::never();
        deadline.draw_to(Instant::now() + within);
        deadline
    }

    /// Moves the deadline to `at`, unless it is nearer already.
    pub fn draw_to(&self, at: Instant) {
        let mut current = self.lock();
        if current.is_none_or(|c| at < c) {
            *current = Some(at);
            self.changed.notify_all();
        }
    }

    /// When it is.
    pub fn at(&self) -> Option<Instant> {
        *self.lock()
    }

    /// What is left of `wanted` before the deadline; `None` when that is nothing.
    pub fn left_of(&self, wanted: Duration) -> Option<Duration> {
        let left = match self.at() {
            Some(at) => wanted.min(at.saturating_duration_since(Instant::now())),
            None => wanted,
        };
        (!left.is_zero()).then_some(left)
    }

    /// Waits for `pause`, or less when the deadline is nearer or is drawn nearer meanwhile. Whether the whole pause passed.
    pub fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut current = self.lock();
        loop {
            let now = Instant::now();
            if current.is_some_and(|at| at < until) {
                return false;
            }
            let Some(left) = until.checked_duration_since(now).filter(|left| !left.is_zero()) else {
                return true;
            };
            current = self.changed.wait_timeout(current, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ever_nearer() {
        let deadline = Deadline::never();
        let now = Instant::now();
        deadline.draw_to(now + Duration::from_secs(5));
        deadline.draw_to(now + Duration::from_secs(9));
        assert_eq!(deadline.at(), Some(now + Duration::from_secs(5)));
        assert!(!deadline.pause(Duration::from_secs(6)), "a pause beyond the deadline is not begun");
    }

    #[test]
    fn drawing_it_nearer_wakes_a_pause() {
        let deadline = Deadline::never();
        std::thread::scope(|scope| {
            let pause = scope.spawn(|| deadline.pause(Duration::from_secs(3600)));
            deadline.draw_to(Instant::now());
            assert!(!pause.join().unwrap());
        });
    }
}
