//! Holds back log records of a callsite that makes too many of them, and reports how many.

/// Counts the log records of each callsite in each second.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// Most records of a callsite per second; `None` for no limit.
    most: Option<u32>,
    /// Counts by the number of the callsite.
    counts: Vec<Count>,
    /// Callsites with held back records that were not reported yet.
    untold: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Since 1970.
    second: u64,
    passed: u32,
    held: u64,
}

impl Throttle {
    pub(super) fn new(most: Option<u32>) -> Throttle {
        Throttle { most, ..Throttle::default() }
    }

    /// Whether a record of this callsite passes. Times of several threads are not in order, so a record of an
    /// earlier second counts for the present one.
    #[inline]
    pub(super) fn passes(&mut self, callsite: u32, unix_ns: impl FnOnce() -> u64) -> bool {
        self.most.is_none_or(|most| self.passes_of(most, callsite, unix_ns()))
    }

    fn passes_of(&mut self, most: u32, callsite: u32, unix_ns: u64) -> bool {
        let at = callsite as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, Count::default());
        }
        let (count, second) = (&mut self.counts[at], unix_ns / 1_000_000_000);
        if second > count.second {
            (count.second, count.passed) = (second, 0);
        }
        if count.passed < most {
            count.passed += 1;
            return true;
        }
        if count.held == 0 {
            self.untold.push(callsite);
        }
        count.held += 1;
        false
    }

    /// Calls `tell` for each callsite with records that were held back in a past second, or in any second for
    /// the `last` call, with their number.
    pub(super) fn tell(&mut self, unix_ns: u64, last: bool, mut tell: impl FnMut(u32, u64)) {
        let second = unix_ns / 1_000_000_000;
        let counts = &mut self.counts;
        self.untold.retain(|callsite| {
            let count = &mut counts[*callsite as usize];
            let is_over = last || count.second < second;
            if is_over {
                tell(*callsite, std::mem::take(&mut count.held));
            }
            !is_over
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn told(throttle: &mut Throttle, unix_ns: u64, last: bool) -> Vec<(u32, u64)> {
        let mut told = Vec::new();
        throttle.tell(unix_ns, last, |callsite, held| told.push((callsite, held)));
        told
    }

    #[test]
    fn each_callsite_has_its_share_of_each_second_and_the_rest_is_told_once() {
        let mut throttle = Throttle::new(Some(2));
        let passed = (0..5).filter(|i| throttle.passes(7, || 10 * SECOND + i)).count();
        assert_eq!(passed, 2);
        assert!(throttle.passes(3, || 10 * SECOND));
        assert_eq!(told(&mut throttle, 10 * SECOND + 9, false), []);
        assert_eq!(told(&mut throttle, 11 * SECOND, false), [(7, 3)]);
        assert_eq!(told(&mut throttle, 12 * SECOND, true), []);
        // A late record does not start a past second again.
        assert!(
            throttle.passes(7, || 11 * SECOND)
                && throttle.passes(7, || 10 * SECOND)
                && !throttle.passes(7, || 10 * SECOND)
        );
        assert_eq!(told(&mut throttle, 11 * SECOND, true), [(7, 1)]);
    }

    #[test]
    fn without_a_limit_everything_passes() {
        let mut throttle = Throttle::new(None);
        assert!((0..1000).all(|_| throttle.passes(1, || 0)));
        assert_eq!(told(&mut throttle, u64::MAX, true), []);
    }
}
