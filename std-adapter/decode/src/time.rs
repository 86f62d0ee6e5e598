//! From device ticks to Unix time, each with what it is known by and how far it may be off.

/// What a Unix time is known by, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// The device knows the wall-clock time and said so in its preamble.
    Device,
    /// Frames were stamped by the host as they came in; the fastest of them tells the offset.
    Arrival,
    /// The time of the first frame was given by who decodes.
    Given,
    /// Nothing: the time counts from the device's boot, not from 1970.
    Boot,
}

/// A time on the host's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Nanoseconds since 1970, or since boot when the source is [`TimeSource::Boot`].
    pub unix_ns: u64,
    /// Half width of the interval that holds the true time, in nanoseconds; `None` is unknown.
    pub error_ns: Option<u64>,
    /// What it is known by.
    pub source: TimeSource,
}

/// What is known beside the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOptions {
    /// Nanoseconds since 1970 at the first batch of the capture; for captures without a better source.
    pub anchor_unix_ns: Option<u64>,
    /// How far the device's oscillator may be off, in parts per million.
    pub drift_ppm: u32,
    /// Longest time from a record to its arrival of the fastest frame, in nanoseconds. Without it the error of
    /// times by arrival is unknown, as a one-way link cannot tell it.
    pub max_latency_ns: Option<u64>,
}

impl Default for TimeOptions {
    /// No anchor, 100 ppm (a common crystal over its temperature range), unknown latency.
    fn default() -> Self {
        TimeOptions { anchor_unix_ns: None, drift_ppm: 100, max_latency_ns: None }
    }
}

/// The clock of one boot of a device, mapped to Unix time.
#[derive(Clone, Debug)]
pub struct Timeline {
    options: TimeOptions,
    tick_hz: Option<u64>,
    /// Unix nanoseconds, at which tick.
    device: Option<(u64, u64)>,
    given: Option<(u64, u64)>,
    /// Of the present and the last window: the least offset of arrival less device time, and where the window began.
    arrival: [Option<Window>; 2],
    /// Latest time handed out by an arbitrary anchor, from which a next boot goes on.
    latest: u64,
    boots: u32,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began_ns: i128,
    offset_ns: i128,
}

/// Offsets older than one to two windows are forgotten, so that drift does not add up.
const WINDOW_NS: i128 = 60_000_000_000;

impl Timeline {
    /// A timeline of a device of which nothing is known yet.
    pub fn new(options: TimeOptions) -> Timeline {
        Timeline {
            options,
            tick_hz: None,
            device: None,
            given: None,
            arrival: [None; 2],
            latest: 0,
            boots: 0,
        }
    }

    /// Ticks per second, once known.
    pub fn tick_hz(&self) -> Option<u64> {
        self.tick_hz
    }

    /// Ticks as nanoseconds; as they are while the tick rate is unknown.
    pub fn duration_ns(&self, ticks: u64) -> u64 {
        u64::try_from(self.ns(ticks)).unwrap_or(u64::MAX)
    }

    /// The time at `ticks` since boot, by the best source there is. Cost: two 128-bit divisions.
    pub fn time(&self, ticks: u64) -> Time {
        let clamp = |ns: i128| u64::try_from(ns.max(0)).unwrap_or(u64::MAX);
        let here = self.ns(ticks);
        if self.tick_hz.is_some() {
            if let Some((unix, at)) = self.device {
                let away = here - self.ns(at);
                let error = clamp(self.tick_ns() + self.drift(away));
                return Time {
                    unix_ns: clamp(i128::from(unix) + away),
                    error_ns: Some(error),
                    source: TimeSource::Device,
                };
            }
            if let Some(window) = self.best_window() {
                // The true offset lies between the fastest frame's and that less its latency.
                let half = i128::from(self.options.max_latency_ns.unwrap_or(0)) / 2;
                let drift = self.drift(2 * WINDOW_NS).max(self.drift(here - window.began_ns));
                return Time {
                    unix_ns: clamp(here + window.offset_ns - half),
                    error_ns: self.options.max_latency_ns.map(|_| clamp(half + self.tick_ns() + drift)),
                    source: TimeSource::Arrival,
                };
            }
        }
        match self.given {
            Some((unix, at)) => Time {
                unix_ns: clamp(i128::from(unix) + here - self.ns(at)),
                error_ns: None,
                source: TimeSource::Given,
            },
            None => Time { unix_ns: clamp(here), error_ns: None, source: TimeSource::Boot },
        }
    }

    pub(crate) fn set_tick_hz(&mut self, hz: u64) {
        self.tick_hz = (hz > 0).then_some(hz);
    }

    pub(crate) fn set_device_anchor(&mut self, anchor: Option<(u64, u64)>) {
        self.device = anchor.or(self.device);
    }

    /// A new boot: ticks begin again, and no anchor of the last boot holds.
    pub(crate) fn reboot(&mut self) {
        (self.device, self.given, self.arrival) = (None, None, [None; 2]);
        self.boots += 1;
    }

    /// A batch begins at `ticks`; the first of a boot is where a given anchor applies. A later boot in the same capture
    /// goes on where the last one was left, which is the earliest it can have been.
    pub(crate) fn batch(&mut self, ticks: u64) {
        if self.given.is_none()
            && let Some(anchor) = self.options.anchor_unix_ns
        {
            self.given = Some((anchor.max(self.latest), ticks));
        }
        if self.given.is_some() {
            self.latest = self.latest.max(self.time(ticks).unix_ns);
        }
    }

    /// A frame whose newest record is of `ticks` arrived at `unix_ns`.
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
    }

    fn best_window(&self) -> Option<Window> {
        self.arrival.iter().flatten().min_by_key(|w| w.offset_ns).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn at_1_mhz(options: TimeOptions) -> Timeline {
        let mut line = Timeline::new(options);
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
        // True offset 500 s; latencies 9 ms, 1 ms, 5 ms.
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
        let line = Timeline::new(TimeOptions::default());
        assert_eq!(line.time(5), Time { unix_ns: 5, error_ns: None, source: TimeSource::Boot });
        let mut line = Timeline::new(TimeOptions { drift_ppm: u32::MAX, ..TimeOptions::default() });
        line.set_tick_hz(1);
        line.set_device_anchor(Some((u64::MAX, 0)));
        assert_eq!(line.time(u64::MAX).unix_ns, u64::MAX);
        assert_eq!(line.duration_ns(u64::MAX), u64::MAX);
    }
}
