//! How spans are told what they use.

use crate::pump::Prices;

/// Gives each span what it has used itself, without the spans inside it; see [`Config::resources_of_spans`](crate::Config::resources_of_spans).
///
/// | attribute | |
/// |---|---|
/// | `resource.cpu.micros` | CPU time in microseconds; of a future, that of its polls |
/// | `resource.cpu.source` | how it was found: `switches` or `samples` |
/// | `resource.memory.bytes` | bytes that were allocated while the span was current |
/// | `resource.memory.peak` | the most of them that was in use at a time, less what the span freed |
///
/// Where the kernel permits it (`perf_event_paranoid` of 2 or less), CPU time is exact: the time during which a span was current, less that during which its
/// thread was not on a CPU, which the kernel's records of context switches tell. These take 20 KiB for each thread, of the memory that a user may lock. A
/// span that is held across an `await` without [`Instrument`](throughline::Instrument) counts all that its thread does meanwhile outside other spans.
/// Elsewhere CPU time is sampled, and each sample stands for the time since the one before it, 10 ms at 99 Hz.
///
/// The whole process has gauges beside them: `memory.current.bytes` and `memory.peak.bytes`, what of it is in physical memory now and was at most, and
/// `cpu.utilization.percent`, its CPU time since the last reading, of all CPUs that it may use; a reading within a second gives the one before.
///
/// Memory needs [`Allocator`](super::Allocator) as the program's allocator. A span without samples or without allocations lacks these attributes.
/// Spans below one that is not sampled are not told.
///
/// ```
/// use throughline_std::Config;
/// use throughline_std::profiling::ResourceOptions;
/// let options = ResourceOptions::default().by("agent.name").by("session_id").price_per_cpu_second(0.00001);
/// let config = Config::new("agents").resources_of_spans(options);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ResourceOptions {
    pub(crate) by: Vec<String>,
    pub(crate) prices: Prices,
    pub(crate) samples_only: bool,
}

impl ResourceOptions {
    /// Sums up by the values of this field too, as the counters `resource.cpu.seconds`, `resource.memory.allocated` and
    /// `resource.memory.gb_seconds`, with the field as their label. A span counts for the nearest span above that has the field, itself first. Up to
    /// 1000 values have series of their own; the others share one with the label `otel.metric.overflow`. What has no such span above has the label
    /// `resource.without`.
    #[must_use]
    pub fn by(mut self, field: impl Into<String>) -> ResourceOptions {
        self.by.push(field.into());
        self
    }

    /// Samples CPU time, also where context switches would tell it.
    #[must_use]
    pub fn samples_only(mut self) -> ResourceOptions {
        self.samples_only = true;
        self
    }

    /// What a second of CPU time costs, in any currency, for the counter `resource.cost`.
    #[must_use]
    pub fn price_per_cpu_second(mut self, price: f64) -> ResourceOptions {
        self.prices.cpu_second = price;
        self
    }

    /// What a gigabyte (10⁹ bytes) of memory costs for a second. The memory of a span is its peak, for as long as the span lasts.
    #[must_use]
    pub fn price_per_gb_second(mut self, price: f64) -> ResourceOptions {
        self.prices.gb_second = price;
        self
    }
}
