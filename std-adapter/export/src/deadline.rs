//! A deadline that another thread may bring forward, which wakes every thread that waits for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time by which an export must end. The exporting thread and the one that shuts down share it: bringing
/// the deadline forward ends pauses between retries and shortens later requests.
#[derive(Debug, Default)]
pub struct Deadline {
    at: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Deadline {
    /// A deadline that is not set yet.
    pub const fn never() -> Deadline {
        Deadline { at: Mutex::new(None), changed: Condvar::new() }
    }

    /// A deadline `within` from now. It is not set if that is beyond the range of [`Instant`].
    pub fn within(within: Duration) -> Deadline {
        let deadline = Deadline::never();
        deadline.draw_within(within);
        deadline
    }

    /// Moves the deadline to `within` from now, unless it is earlier already.
    pub fn draw_within(&self, within: Duration) {
        if let Some(at) = Instant::now().checked_add(within) {
            self.draw_to(at);
        }
    }

    /// Moves the deadline to `at`, unless it is earlier already.
    pub fn draw_to(&self, at: Instant) {
        let mut current = self.lock();
        if current.is_none_or(|c| at < c) {
            *current = Some(at);
            self.changed.notify_all();
        }
    }

    /// The time of the deadline, if it is set.
    pub fn at(&self) -> Option<Instant> {
        *self.lock()
    }

    /// Whether the deadline is at least `wait` from now.
    pub fn is_after(&self, wait: Duration) -> bool {
        self.at().is_none_or(|at| Instant::now().checked_add(wait).is_some_and(|then| then <= at))
    }

    /// The time left until the deadline, at most `wanted`; `None` if it has passed.
    pub fn left_of(&self, wanted: Duration) -> Option<Duration> {
        let left = match self.at() {
            Some(at) => wanted.min(at.saturating_duration_since(Instant::now())),
            None => wanted,
        };
        (!left.is_zero()).then_some(left)
    }

    /// Waits for `pause`, but not beyond the deadline. Returns false if the deadline is earlier than the end
    /// of the pause, at once or when it is brought forward.
    pub fn pause(&self, pause: Duration) -> bool {
        // `None` when the end of the pause is beyond the range of `Instant`.
        let until = Instant::now().checked_add(pause);
        let mut current = self.lock();
        loop {
            if current.is_some_and(|at| until.is_none_or(|until| at < until)) {
                return false;
            }
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return true;
            }
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
    fn durations_beyond_any_clock_are_for_ever_02() {
        assert_eq!(Deadline::within(Duration::MAX).at(), None);
        assert_eq!(Deadline::within(Duration::MAX).left_of(Duration::MAX), Some(Duration::MAX));
        let deadline = Deadline::within(Duration::from_secs(60));
        assert!(!deadline.pause(Duration::MAX), "beyond the deadline");
        let deadline = Deadline::never();
        std::thread::scope(|scope| {
            let pause = scope.spawn(|| deadline.pause(Duration::MAX));
            deadline.draw_within(Duration::ZERO);
            assert!(!pause.join().unwrap());
        });
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
