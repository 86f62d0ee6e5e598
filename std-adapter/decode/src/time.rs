//! Times on the host's scale, each with its source and a bound of its error; [`crate::clock`] computes them.

/// What a time was computed from, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSource {
    /// The device knows the wall-clock time and sent it in its preamble.
    Device,
    /// The host noted when each frame arrived; the frame with the least delay gives the offset.
    Arrival,
    /// The user gave the time of the first record.
    Given,
    /// There is no source: the time counts from the device's boot, not from 1970.
    Boot,
}

/// A time on the host's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Nanoseconds since 1970, or since boot when the source is [`TimeSource::Boot`].
    pub unix_ns: u64,
    /// Half width of the interval that holds the true time, in nanoseconds; `None` is unknown.
    pub error_ns: Option<u64>,
    /// What it was computed from.
    pub source: TimeSource,
}

/// What the user knows of the device's clock beside what the stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOptions {
    /// Nanoseconds since 1970 at the first batch of the capture; for captures without a better source.
    pub anchor_unix_ns: Option<u64>,
    /// How far the device's oscillator may be off, in parts per million.
    pub drift_ppm: u32,
    /// Upper bound of the delay from a record to its arrival, for the frame with the least delay, in nanoseconds. Without it
    /// the error of times by arrival is unknown, because a one-way link cannot measure its own delay.
    pub max_latency_ns: Option<u64>,
}

impl Default for TimeOptions {
    /// No anchor, 100 ppm (a common crystal over its temperature range), unknown latency.
    fn default() -> Self {
        TimeOptions { anchor_unix_ns: None, drift_ppm: 100, max_latency_ns: None }
    }
}
