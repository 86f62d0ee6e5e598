//! How much memory records may take on their way, and how much of a record is kept.

use super::Config;
use super::parts::Queue;
use std::time::Duration;

impl Config {
    /// Sets how many records of fields the pump keeps that came after the beginning of their spans, until these end;
    /// 512 bytes each. Above the limit the oldest are dropped and counted as `unclaimed`. A span has 128 of them at most:
    /// further ones are counted as `too_many_fields`, unless all their fields were there before. Default: 16,384.
    #[must_use]
    pub fn late_fields(mut self, records: usize) -> Config {
        self.late_fields = records;
        self
    }

    /// Sets how many other remote parents must come before the pump forgets one that is detached and current on
    /// no thread. Nothing is lost by that: when a future or context below it is entered later, the ids are
    /// recorded again, which takes one more record. Besides those that are attached, the pump keeps at most three
    /// times this many, of about 90 bytes each. Default: 65,536.
    #[must_use]
    pub fn remote_parents(mut self, others: usize) -> Config {
        self.remote_parents = others;
        self
    }

    /// Sets the number of slots in each thread's ring, 64 bytes each. It is rounded up to a power of two and is at least 8. A span with at most two
    /// small fields takes one slot; long text takes up to eight. Default 8192.
    #[must_use]
    pub fn ring_slots(mut self, slots: usize) -> Config {
        self.ring_slots = slots.clamp(8, 1 << 30).next_power_of_two();
        self
    }

    /// Sets how many metric cells each thread has, 8 bytes each. A counter takes one, a histogram of scale 3 takes 515. Metrics beyond that number
    /// share one atomic among all threads. Default 32,768; cells that are not used take no memory.
    #[must_use]
    pub fn metric_cells(mut self, cells: usize) -> Config {
        self.metric_cells = cells;
        self
    }

    /// Sets how many threads may record at the same time; what further threads record is counted as lost. Default 4096.
    #[must_use]
    pub fn max_threads(mut self, threads: usize) -> Config {
        self.max_threads = threads;
        self
    }

    /// Sends a batch when its records take this many bytes, or when the first of them is this old. Defaults: 512 KiB and 1 s. The first batch after a
    /// pause of that length is sent within 10 ms.
    #[must_use]
    pub fn batch(mut self, bytes: usize, age: Duration) -> Config {
        (self.batch_bytes, self.batch_interval) = (bytes.max(1), age);
        self
    }

    /// Sets how many batches may wait for a slow exporter. Each exporter and each signal of OTLP has its own queue; records that find it full are
    /// dropped and counted. Default 16.
    #[must_use]
    pub fn queue(mut self, batches: usize) -> Config {
        self.queue = Queue::Batches(batches.max(1));
        self
    }

    /// Sets the longest pause between two reads of the rings while nothing happens. Default 50 ms.
    #[must_use]
    pub fn idle_poll(mut self, pause: Duration) -> Config {
        self.idle_poll = pause.max(Duration::from_millis(1));
        self
    }

    /// Sets the most characters of a text attribute and the most bytes of a byte string, for spans and logs. A value that is cut is followed by
    /// `<key>.truncated = true`. The default is `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`, or no limit.
    ///
    /// This cannot raise the limit of a record, which holds 400 bytes of all its fields together (190 on a 32-bit host). Longer text arrives complete
    /// if it is recorded in parts, each with its own [`record!`](throughline::record).
    #[must_use]
    pub fn attribute_value_length(mut self, characters: usize) -> Config {
        self.options.spans.value_length = characters;
        self.options.logs.value_length = characters;
        self
    }

    /// Sets the most attributes of a span or log; further ones are left out and counted in OTLP's `dropped_attributes_count`. The default is
    /// `OTEL_ATTRIBUTE_COUNT_LIMIT`, or 128.
    #[must_use]
    pub fn attribute_count(mut self, attributes: usize) -> Config {
        self.options.spans.count = attributes;
        self.options.logs.count = attributes;
        self
    }

    /// Limits each callsite to this many log records per second; 0, the default, means no limit. Records beyond the limit are counted as
    /// `dropped[rate_limited]`, and a log record with the callsite's level and place reports their number in the attribute `held_back`.
    #[must_use]
    pub fn log_rate_limit(mut self, per_second: u32) -> Config {
        self.logs_per_second = (per_second > 0).then_some(per_second);
        self
    }
}
