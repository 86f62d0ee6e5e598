//! The setting for exemplars.

use crate::Config;

impl Config {
    /// Whether histograms keep exemplars: a few values, with trace and span in which they were recorded, so that a
    /// slow request on a dashboard leads to its trace. The default is true.
    ///
    /// Of each histogram, a thread keeps values that are less or greater than all others since the last time
    /// metrics were read, at most 8, and only those in sampled traces. Counting a value costs the same
    /// with and without. A thread takes 3.5 KiB for them. They have the correlation fields of the code
    /// that recorded them, as far as a format has room: in OpenMetrics 128 characters together with the ids. They are sent over OTLP, and to Prometheus in
    /// OpenMetrics and protobuf.
    #[must_use]
    pub fn exemplars(mut self, on: bool) -> Config {
        self.exemplars = on;
        self
    }
}
