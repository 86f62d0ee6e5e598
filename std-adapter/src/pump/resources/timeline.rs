//! The CPU time of spans on one thread, from the times during which they were current and those during which the thread was
//! not on a CPU.
//!
//! All these times nest: a span inside another one, and a time away inside the span that was current. So the time of a span is its
//! length less the lengths of what lies directly in it. They come in the order of their ends.

use std::collections::VecDeque;

/// Most times that are kept because a span around them may still end. Beyond that, neighbours become one.
const MOST: usize = 1024;

/// What has ended on one thread, and what is known of its future. All times are ticks.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// When its thread's switches were last read.
    pub(super) round: u64,
    /// Times that no ended span lies around: when each begins, and how long it is, in order.
    ended: Vec<(u64, u64)>,
    /// Times away that are not among them yet, by begin and end.
    away: VecDeque<(u64, u64)>,
}

impl Timeline {
    /// Adds a time away, the later ones later.
    pub(super) fn away(&mut self, from: u64, to: u64) {
        self.away.push_back((from, to.max(from)));
    }

    /// A span was current from `begin` to `end`. Returns how long it was on a CPU, without what is inside it.
    pub(super) fn close(&mut self, begin: u64, end: u64) -> u64 {
        while let Some((from, to)) = self.away.pop_front_if(|(_, to)| *to <= end) {
            self.push(from, to - from);
        }
        let mut inside = 0;
        while let Some((_, length)) = self.ended.pop_if(|(from, _)| *from >= begin) {
            inside += length;
        }
        let length = end.saturating_sub(begin);
        self.push(begin, length);
        length.saturating_sub(inside)
    }

    fn push(&mut self, begin: u64, length: u64) {
        if self.ended.len() >= MOST {
            let merged =
                self.ended.chunks(2).map(|pair| (pair[0].0, pair.iter().map(|(_, length)| length).sum()));
            self.ended = merged.collect();
        }
        self.ended.push((begin, length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moment_counts_for_the_innermost_span_and_none_away_counts() {
        let mut line = Timeline::default();
        line.away(10, 20);
        line.away(130, 150);
        line.away(160, 165);
        line.away(300, 400);
        assert_eq!(line.close(5, 30), 15);
        assert_eq!(line.close(120, 170), 25);
        assert_eq!(line.close(110, 180), 20);
        assert_eq!(line.close(100, 200), 30);
        // The one around them has what is left: 0..5, 30..100 and 200..210.
        assert_eq!(line.close(0, 210), 85);
        assert_eq!(line.close(250, 500), 150);
    }

    #[test]
    fn what_is_kept_is_bounded_and_adds_up() {
        let mut line = Timeline::default();
        let mut sum = 0;
        for n in 0..100_000 {
            line.away(n * 10 + 2, n * 10 + 3);
            sum += line.close(n * 10 + 1, n * 10 + 6);
        }
        assert!(line.ended.len() <= MOST + 1);
        assert_eq!(sum, 400_000);
        assert_eq!(line.close(0, 1_000_000), 500_000);
    }
}
