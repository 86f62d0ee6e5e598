//! What an exporter does, counted beside its records: requests, bytes, retries and the depth of its queue. Any thread
//! may count, with relaxed atomic additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use throughline::adapter::metrics::{bucket_count, position};

/// Counts of one exporter, or of one signal of OTLP.
#[derive(Debug, Default)]
pub struct Meter {
    queued_records: AtomicU64,
    queued_bytes: AtomicU64,
    batches: AtomicU64,
    bytes: AtomicU64,
    retries: AtomicU64,
    /// How long requests took, whether or not they were successful. For an exporter that sends no requests: its
    /// `flush`.
    pub requests: Times,
}

/// The counts of a [`Meter`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    /// Records in the queue and in the exporter's hands.
    pub queued_records: u64,
    /// The bytes of their batches.
    pub queued_bytes: u64,
    /// Batches that were delivered.
    pub batches: u64,
    /// Their bytes: of OTLP as they were sent, of other exporters before they were encoded.
    pub bytes: u64,
    /// Requests that repeated an earlier one.
    pub retries: u64,
}

impl Meter {
    pub(crate) fn queued(&self, records: u64, bytes: u64) {
        self.queued_records.fetch_add(records, Ordering::Relaxed);
        self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn unqueued(&self, records: u64, bytes: u64) {
        self.queued_records.fetch_sub(records, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn delivered(&self, bytes: u64) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// The current counts.
    pub fn read(&self) -> Metered {
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Metered {
            queued_records: load(&self.queued_records),
            queued_bytes: load(&self.queued_bytes),
            batches: load(&self.batches),
            bytes: load(&self.bytes),
            retries: load(&self.retries),
        }
    }
}

/// Four buckets for each doubling: at most 9 % off.
const SCALE: u32 = 2;

/// A histogram of durations, in units of 2^-20 s, or of other numbers, in units of 2^-20 of theirs. It has the buckets of the core's histograms.
#[derive(Debug)]
pub struct Times {
    buckets: Box<[AtomicU64]>,
    zeros: AtomicU64,
    sum: AtomicU64,
}

impl Times {
    /// The scale of its buckets.
    pub const SCALE: u8 = SCALE as u8;
    /// A second has 2 to the power of this many units.
    pub const FRACTION_BITS: u8 = 20;

    /// Counts one duration.
    pub fn add(&self, duration: Duration) {
        let units = (duration.as_nanos() << Self::FRACTION_BITS) / 1_000_000_000;
        self.add_units(u64::try_from(units).unwrap_or(u64::MAX));
    }

    /// Counts one number that is no duration, for a metric of another unit; one that is negative or not finite as 0.
    pub fn add_number(&self, number: f64) {
        // The cast saturates, and turns NaN into 0.
        let units = (number * f64::from(1_u32 << Self::FRACTION_BITS)) as u64;
        self.add_units(units);
    }

    fn add_units(&self, units: u64) {
        let bucket = position(units, SCALE).and_then(|position| self.buckets.get(position));
        bucket.unwrap_or(&self.zeros).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(units, Ordering::Relaxed);
    }

    /// The counts of all buckets, the count of durations below one unit, and the sum; `None` before the first.
    pub fn read(&self) -> Option<(Vec<u64>, u64, u64)> {
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let buckets: Vec<_> = self.buckets.iter().map(load).collect();
        let (zeros, sum) = (load(&self.zeros), load(&self.sum));
        (zeros > 0 || buckets.iter().any(|n| *n > 0)).then_some((buckets, zeros, sum))
    }
}

impl Default for Times {
    fn default() -> Times {
        let buckets = (0..bucket_count(SCALE)).map(|_| AtomicU64::new(0)).collect();
        Times { buckets, zeros: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_any_length_are_counted() {
        let times = Times::default();
        assert_eq!(times.read(), None);
        times.add_number(-1.0);
        times.add_number(f64::NAN);
        times.add_number(1.0);
        assert_eq!(
            times.read().map(|(buckets, zeros, sum)| (buckets.iter().sum(), zeros, sum)),
            Some((1, 2, 1 << 20))
        );
        let times = Times::default();
        for duration in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1), Duration::MAX] {
            times.add(duration);
        }
        let (buckets, zeros, _) = times.read().unwrap();
        assert_eq!((buckets.iter().sum::<u64>() + zeros, zeros >= 2), (4, true));
        assert_eq!(buckets[position(1 << 20, SCALE).unwrap()], 1);
    }
}
