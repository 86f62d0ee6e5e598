//! How spans are told what they use.

use crate::pump::Prices;

/// Gives each span what it has used itself, without the spans inside it; see [`Config::resources`](crate::Config::resources).
///
/// | attribute | |
/// |---|---|
/// | `resource.cpu.micros` | CPU time in microseconds; of a future, that of its polls |
/// | `resource.cpu.source` | how it was found: `samples`, each of which stands for the time since the one before it |
/// | `resource.memory.bytes` | bytes that were allocated while the span was current |
/// | `resource.memory.peak` | the most of them that was in use at a time, less what the span freed |
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
