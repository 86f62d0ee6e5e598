//! Maps a device's ticks to Unix time. The map improves while the stream runs, but a time that was given out
//! never changes.
//!
//! The map is piecewise linear. When a better offset becomes known (from a frame with less delay, or a newer
//! time from the device), the map stays as it is up to the newest tick seen. From there it runs slower or
//! faster than the device's clock until it has reached the new offset. Its slope is at least one half, so
//! times of one boot never run backwards.

use std::collections::VecDeque;

use crate::time::{Time, TimeOptions, TimeSource};

/// The clock of one boot of a device, mapped to Unix time.
#[derive(Clone, Debug)]
pub struct ClockMap {
    options: TimeOptions,
    tick_hz: Option<u64>,
    /// Unix time in nanoseconds that the device sent, and the tick at which it was valid.
    device: Option<(u64, u64)>,
    given: Option<(u64, u64)>,
    /// The present and the last window of arrivals.
    arrival: [Option<Window>; 2],
    /// The pieces of the map, oldest first.
    pieces: VecDeque<Piece>,
    /// The newest tick of any record seen. Times up to it may have been given out.
    newest: u64,
    /// The latest time computed from an arbitrary anchor. The next boot continues from there.
    latest: u64,
}

/// The smallest delay within an interval.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Device time at which the window began, in nanoseconds since boot.
    began_ns: i128,
    /// The smallest difference of arrival time and device time, in nanoseconds.
    offset_ns: i128,
}

/// The offset (Unix time less device time) from the device time `from` until the next piece.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: i128,
    /// The offset at `from`. From there it moves to `target` and then stays.
    offset: i128,
    target: i128,
    source: TimeSource,
}

/// Length of a window in nanoseconds. Older arrivals are dropped after one to two windows, so that the drift
/// of the device's oscillator does not add up.
const WINDOW_NS: i128 = 60_000_000_000;
/// Most pieces kept. A record older than the oldest piece gets that piece's first offset.
const MAX_PIECES: usize = 256;
/// A larger correction by the device, in nanoseconds, means that its clock was set: it is applied at once and
/// reported.
const STEP_NS: i128 = 1_000_000_000;
/// Towards an earlier time, the map corrects one nanosecond per this many nanoseconds of device time: slope
/// 1/2.
const SLOWER: i128 = 2;
/// The same towards a later time: slope 17/16. This is gentle, because a span that began before the
/// correction keeps its length, and its later children should not seem to outlast it.
const FASTER: i128 = 16;

impl ClockMap {
    /// A map for a device of which nothing is known yet.
    pub fn new(options: TimeOptions) -> ClockMap {
        ClockMap {
            options,
            tick_hz: None,
            device: None,
            given: None,
            arrival: [None; 2],
            pieces: VecDeque::new(),
            newest: 0,
            latest: 0,
        }
    }

    /// Ticks per second, if known.
    pub fn tick_hz(&self) -> Option<u64> {
        self.tick_hz
    }

    /// Converts ticks to nanoseconds. Returns the ticks while the tick rate is unknown.
    pub fn duration_ns(&self, ticks: u64) -> u64 {
        u64::try_from(self.ns(ticks)).unwrap_or(u64::MAX)
    }

    /// The time at `ticks` since boot, from the best source. It never decreases with `ticks`, unless the
    /// device's clock was set back by more than a second. Costs a 128-bit division.
    pub fn time(&self, ticks: u64) -> Time {
        let here = self.ns(ticks);
        let Some((offset, source)) = self.offset(here) else {
            return Time { unix_ns: clamp(here), error_ns: None, source: TimeSource::Boot };
        };
        // If a time was computed with another offset than the best one known now, its error includes the
        // difference.
        let off = |best: i128| (offset - best).abs();
        let error = match (source, self.device, self.best_window()) {
            (TimeSource::Device, Some((unix, at)), _) => {
                let away = here - self.ns(at);
                Some(self.tick_ns() + self.drift(away) + off(i128::from(unix) - self.ns(at)))
            }
            (TimeSource::Arrival, _, Some(window)) => self.options.max_latency_ns.map(|_| {
                let drift = self.drift(2 * WINDOW_NS).max(self.drift(here - window.began_ns));
                self.half_latency() + self.tick_ns() + drift + off(window.offset_ns - self.half_latency())
            }),
            _ => None,
        };
        Time { unix_ns: clamp(here + offset), error_ns: error.map(clamp), source }
    }

    pub(crate) fn set_tick_hz(&mut self, hz: u64) {
        let hz = (hz > 0).then_some(hz);
        if self.tick_hz != hz {
            self.tick_hz = hz;
            // The pieces were computed with the old rate.
            self.pieces.clear();
            self.refine();
        }
    }

    /// Takes the time that the device sent. Returns by how many nanoseconds the device set its clock, if this
    /// is a step and not a correction.
    pub(crate) fn set_device_anchor(&mut self, anchor: Option<(u64, u64)>) -> Option<i64> {
        self.device = anchor.or(self.device);
        self.refine()
    }

    /// Call this at a new boot: ticks start at 0 again, and no anchor of the last boot is valid.
    pub(crate) fn reboot(&mut self) {
        (self.device, self.given, self.arrival) = (None, None, [None; 2]);
        self.pieces.clear();
        self.newest = 0;
    }

    /// Notes that a batch begins at `ticks`. A given anchor applies to the first batch of the first boot. A
    /// later boot continues at the time where the last one ended, because it cannot have begun earlier.
    pub(crate) fn batch(&mut self, ticks: u64) {
        if self.given.is_none()
            && let Some(anchor) = self.options.anchor_unix_ns
        {
            self.given = Some((anchor.max(self.latest), ticks));
            self.refine();
        }
        if self.given.is_some() {
            self.latest = self.latest.max(self.time(ticks).unix_ns);
        }
    }

    /// Notes that a record with the time `ticks` is about to be given out.
    pub(crate) fn seen(&mut self, ticks: u64) {
        self.newest = self.newest.max(ticks);
    }

    /// Notes that a frame whose newest record has the time `ticks` arrived at `unix_ns`.
    pub(crate) fn arrived(&mut self, unix_ns: u64, ticks: u64) {
        let here = self.ns(ticks);
        let offset_ns = i128::from(unix_ns) - here;
        match &mut self.arrival[0] {
            Some(now) if here - now.began_ns < WINDOW_NS => now.offset_ns = now.offset_ns.min(offset_ns),
            full => {
                self.arrival[1] = *full;
                self.arrival[0] = Some(Window { began_ns: here, offset_ns });
            }
        }
        self.refine();
    }

    /// The best offset and its source; `None` if times count from boot.
    fn best(&self) -> Option<(i128, TimeSource)> {
        let anchored = |(unix, at): (u64, u64)| i128::from(unix) - self.ns(at);
        if self.tick_hz.is_some() {
            if let Some(anchor) = self.device {
                return Some((anchored(anchor), TimeSource::Device));
            }
            if let Some(window) = self.best_window() {
                // The true offset is between the observed one and the observed one less the longest delay;
                // take the middle.
                return Some((window.offset_ns - self.half_latency(), TimeSource::Arrival));
            }
        }
        self.given.map(|anchor| (anchored(anchor), TimeSource::Given))
    }

    /// Uses the best offset for times that are not given out yet. Returns the step if the device set its
    /// clock.
    fn refine(&mut self) -> Option<i64> {
        let (target, source) = self.best()?;
        let from = self.ns(self.newest);
        let Some(last) = self.pieces.back().copied().filter(|last| is_measured(last.source)) else {
            // Times from boot and times from a given anchor are on another scale, so the map starts anew.
            self.pieces = [Piece { from, offset: target, target, source }].into();
            return None;
        };
        if (last.target, last.source) == (target, source) {
            return None;
        }
        let now = self.offset(from).map_or(target, |(offset, _)| offset);
        let step = source == TimeSource::Device && (target - now).abs() > STEP_NS;
        if !step {
            // No time of a piece that begins here has been given out, so it can be replaced.
            self.pieces.pop_back_if(|last| last.from == from);
        }
        self.pieces.push_back(Piece { from, offset: if step { target } else { now }, target, source });
        if self.pieces.len() > MAX_PIECES {
            self.pieces.pop_front();
        }
        step.then(|| i64::try_from(target - now).unwrap_or(if target > now { i64::MAX } else { i64::MIN }))
    }

    /// The offset at a device time, and its source.
    fn offset(&self, here: i128) -> Option<(i128, TimeSource)> {
        let Some(piece) = self.pieces.iter().rev().find(|piece| piece.from < here) else {
            return self.pieces.front().map(|first| (first.offset, first.source));
        };
        let Piece { from, offset, target, source } = *piece;
        let since = here - from;
        let offset = if target < offset {
            target.max(offset - since / SLOWER)
        } else {
            target.min(offset + since / FASTER)
        };
        Some((offset, source))
    }

    fn best_window(&self) -> Option<Window> {
        self.arrival.iter().flatten().min_by_key(|w| w.offset_ns).copied()
    }

    fn half_latency(&self) -> i128 {
        i128::from(self.options.max_latency_ns.unwrap_or(0)) / 2
    }

    fn ns(&self, ticks: u64) -> i128 {
        i128::from(ticks) * 1_000_000_000 / i128::from(self.tick_hz.unwrap_or(1_000_000_000))
    }

    fn tick_ns(&self) -> i128 {
        (1_000_000_000 / i128::from(self.tick_hz.unwrap_or(1))).max(1)
    }

    fn drift(&self, ns: i128) -> i128 {
        ns.abs() * i128::from(self.options.drift_ppm) / 1_000_000
    }
}

fn is_measured(source: TimeSource) -> bool {
    matches!(source, TimeSource::Device | TimeSource::Arrival)
}

fn clamp(ns: i128) -> u64 {
    u64::try_from(ns.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn at_1_mhz(options: TimeOptions) -> ClockMap {
        let mut line = ClockMap::new(options);
        line.set_tick_hz(1_000_000);
        line
    }

    #[test]
    fn the_device_own_time_wins_and_its_error_grows_with_distance() {
        let mut line = at_1_mhz(TimeOptions { anchor_unix_ns: Some(5), ..TimeOptions::default() });
        line.batch(0);
        line.arrived(77 * S, 0);
        line.set_device_anchor(Some((1_000 * S, 2_000_000)));
        let near = line.time(2_000_000);
        assert_eq!(near, Time { unix_ns: 1_000 * S, error_ns: Some(1_000), source: TimeSource::Device });
        let far = line.time(12_000_000);
        assert_eq!((far.unix_ns, far.error_ns), (1_010 * S, Some(1_000 + S / 1_000)));
        assert_eq!(line.time(1_000_000).unix_ns, 999 * S, "before the anchor, too");
    }

    #[test]
    fn the_fastest_frame_tells_the_offset() {
        let options = TimeOptions { max_latency_ns: Some(2_000_000), ..TimeOptions::default() };
        let mut line = at_1_mhz(options);
        // The true offset is 500 s; the latencies are 9 ms, 1 ms and 5 ms.
        for (ticks, latency) in [(0, 9_000_000), (1_000_000, 1_000_000), (2_000_000, 5_000_000)] {
            line.arrived(500 * S + ticks * 1_000 + latency, ticks);
        }
        let time = line.time(2_000_000);
        assert_eq!(time.source, TimeSource::Arrival);
        let error = time.error_ns.unwrap();
        assert!(time.unix_ns.abs_diff(502 * S) <= error, "{time:?}");
        assert_eq!(time.unix_ns, 502 * S, "the middle of the interval");
        line.options.max_latency_ns = None;
        assert_eq!(line.time(2_000_000).error_ns, None, "a one-way link cannot tell its latency");
    }

    #[test]
    fn a_given_anchor_is_the_first_batch_and_a_reboot_goes_on_after() {
        let mut line = at_1_mhz(TimeOptions { anchor_unix_ns: Some(100 * S), ..TimeOptions::default() });
        line.batch(3_000_000);
        line.batch(9_000_000);
        assert_eq!(line.time(4_000_000).unix_ns, 101 * S);
        assert_eq!(line.time(4_000_000).source, TimeSource::Given);
        line.reboot();
        line.batch(0);
        assert_eq!(line.time(0).unix_ns, 106 * S, "not before what was seen");
    }

    #[test]
    fn nothing_known_says_so_and_nothing_overflows() {
        let line = ClockMap::new(TimeOptions::default());
        assert_eq!(line.time(5), Time { unix_ns: 5, error_ns: None, source: TimeSource::Boot });
        let mut line = ClockMap::new(TimeOptions { drift_ppm: u32::MAX, ..TimeOptions::default() });
        line.set_tick_hz(1);
        line.set_device_anchor(Some((u64::MAX, 0)));
        assert_eq!(line.time(u64::MAX).unix_ns, u64::MAX);
        assert_eq!(line.duration_ns(u64::MAX), u64::MAX);
    }
}
