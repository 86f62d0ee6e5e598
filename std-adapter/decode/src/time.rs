//! Times on the host's scale, each with its source and an error bound; [`crate::clock`] computes them.

/// The source of a time, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeSource {
    /// The device knows the wall-clock time and sent it in its preamble.
    Device,
    /// The host noted when each frame arrived, and the frame with the smallest delay gives the offset.
    Arrival,
    /// The user passed the time of the first record.
    Given,
    /// There is no source, so the time counts from the device's boot and not from 1970.
    Boot,
}

/// A time on the host's scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Nanoseconds since 1970, or since boot if the source is [`TimeSource::Boot`].
    pub unix_ns: u64,
    /// Half the width of the interval that contains the true time, in nanoseconds; `None` if it is not known.
    pub error_ns: Option<u64>,
    /// The source of the time.
    pub source: TimeSource,
}

/// What the user knows about the device's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOptions {
    /// Time of the first batch of the capture, in nanoseconds since 1970. It is used if the capture has no
    /// better source.
    pub anchor_unix_ns: Option<u64>,
    /// Largest error of the device's oscillator, in parts per million.
    pub drift_ppm: u32,
    /// Upper bound of the delay from a record to its arrival, in nanoseconds, for the frame with the smallest
    /// delay. Without it the error of times by arrival is unknown, because a one-way link cannot measure its
    /// own delay.
    pub max_latency_ns: Option<u64>,
}

impl Default for TimeOptions {
    /// No anchor, 100 ppm (a common crystal over its temperature range), and unknown latency.
    fn default() -> Self {
        TimeOptions { anchor_unix_ns: None, drift_ppm: 100, max_latency_ns: None }
    }
}
