//! What a server's binary chooses: where records go, how much memory they may take, how often they are looked for. From code here, from files and the
//! environment by the table of keys in `keys`.

mod aliases;
mod detect;
mod environment;
mod expand;
mod explain;
pub(crate) mod exporters;
pub(crate) mod filter;
mod key;
mod keys;
mod load;
mod node;
mod problem;
mod read;
mod reference;
pub(crate) mod reload;
mod schema;
mod settings;
#[cfg(feature = "toml")]
mod toml;
mod units;
mod url;
mod value;
mod variables;
#[cfg(feature = "yaml")]
mod yaml;

pub use explain::Explained;
pub use problem::{LoadError, Problem};
pub use reference::reference;
pub use schema::json_schema;
pub use settings::Origin;

use crate::clock::WallClock;
use detect::Detectors;
use exporters::{Routes, Sampling};
use filter::Filters;
use settings::Settings;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use throughline::Level;
use throughline::sampler::Sampler;
use throughline_export::otlp::{ClientConfig, ConfigError, Options};
use throughline_export::terminal::Style;
use throughline_export::{Exporter, Redaction, Resource};
use variables::Variables;

/// Configuration of [`init`](crate::init). Everything but the service's name has a default.
///
/// ```
/// use throughline_std::Config;
/// let config = Config::new("shop").otlp("http://localhost:4318")?.sample_ratio(0.1);
/// # Ok::<(), throughline_std::otlp::ConfigError>(())
/// ```
///
/// Without [`Config::otlp`], OpenTelemetry's environment variables decide (see [`ClientConfig::from_env`]); when they name no endpoint either,
/// traces are drawn on standard error.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) resource: Resource,
    pub(crate) otlp: Otlp,
    pub(crate) further_otlp: Vec<(String, ClientConfig)>,
    routes: Routes,
    detectors: Detectors,
    pub(crate) filters: Filters,
    pub(crate) disabled: bool,
    pub(crate) terminal: Option<bool>,
    pub(crate) terminal_stdout: bool,
    pub(crate) terminal_out: Option<TerminalOut>,
    sampling: Sampling,
    sample_ratio: f64,
    pub(crate) sampler: Option<SharedSampler>,
    pub(crate) min_level: Option<Level>,
    pub(crate) ring_slots: usize,
    pub(crate) metric_cells: usize,
    pub(crate) max_threads: usize,
    pub(crate) late_fields: usize,
    pub(crate) remote_parents: usize,
    pub(crate) terminal_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_interval: Duration,
    queue: Queue,
    pub(crate) idle_poll: Duration,
    pub(crate) metrics_every: Option<Duration>,
    pub(crate) drop_deadline: Duration,
    pub(crate) options: Options,
    pub(crate) redaction: Arc<Redaction>,
    pub(crate) logs_per_second: Option<u32>,
    pub(crate) report_errors: bool,
    pub(crate) wall_clock: WallClock,
    pub(crate) exporters: Vec<Given>,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: Option<throughline_export::prometheus::PrometheusOptions>,
    #[cfg(feature = "prometheus")]
    pub(crate) pushgateway: Option<throughline_export::prometheus::PushgatewayOptions>,
    pub(crate) reload_every: Option<Duration>,
    settings: Settings,
    variables: Variables,
    source: Option<reload::Source>,
    /// What is wrong, for `init` to tell.
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// How much may wait for an exporter.
#[derive(Clone, Copy, Debug)]
enum Queue {
    Batches(usize),
    /// Each taken for 1 KiB.
    Records(usize),
}

/// An exporter that the program brings, until `init` takes it.
#[derive(Clone)]
pub(crate) struct Given {
    name: String,
    exporter: Arc<Mutex<Option<Box<dyn Exporter>>>>,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Otlp {
    /// As the keys say.
    Keys,
    Off,
    To(ClientConfig),
}

/// Where the terminal exporter writes.
#[derive(Clone)]
pub(crate) struct TerminalOut {
    pub(crate) out: Arc<Mutex<dyn Write + Send>>,
    pub(crate) style: Style,
}

impl fmt::Debug for TerminalOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TerminalOut").field("style", &self.style).finish_non_exhaustive()
    }
}

/// A sampler for the rest of the process.
#[derive(Clone, Copy)]
pub(crate) struct SharedSampler(pub(crate) &'static &'static dyn Sampler);

impl std::fmt::Debug for SharedSampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sampler")
    }
}

impl Config {
    /// Defaults, for a service of this name, amended by the environment. What is called on it afterwards goes before the environment;
    /// [`with_env`](Config::with_env) at the end turns that round.
    pub fn new(service_name: &str) -> Config {
        let mut config = Config::bare(service_name, Variables::of_process());
        let reading = environment::read(&config.variables);
        config.take(reading);
        config
    }

    /// Defaults alone, in this environment.
    fn bare(service_name: &str, variables: Variables) -> Config {
        Config {
            resource: Resource::new(service_name),
            otlp: Otlp::Keys,
            further_otlp: Vec::new(),
            routes: Routes::default(),
            detectors: Detectors::default(),
            filters: Filters::default(),
            disabled: false,
            terminal: None,
            terminal_stdout: false,
            terminal_out: None,
            sampler: None,
            sampling: Sampling::Share,
            sample_ratio: 1.0,
            min_level: Some(Level::Trace),
            ring_slots: 8192,
            metric_cells: 32_768,
            max_threads: 4096,
            late_fields: 16_384,
            remote_parents: 1 << 16,
            terminal_records: 10_000,
            batch_bytes: 512 * 1024,
            batch_interval: Duration::from_secs(1),
            queue: Queue::Batches(16),
            idle_poll: Duration::from_millis(50),
            metrics_every: None,
            drop_deadline: Duration::from_secs(2),
            options: Options::default(),
            redaction: Arc::default(),
            logs_per_second: None,
            report_errors: true,
            wall_clock: SystemTime::now,
            exporters: Vec::new(),
            #[cfg(feature = "prometheus")]
            prometheus: None,
            #[cfg(feature = "prometheus")]
            pushgateway: None,
            reload_every: None,
            settings: Settings::default(),
            variables,
            source: None,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Sends to the collector at this address, such as `http://localhost:4318`.
    pub fn otlp(self, endpoint: &str) -> Result<Config, ConfigError> {
        let client = ClientConfig::new(endpoint)?;
        Ok(self.otlp_client(client))
    }

    /// Sends to a collector with all settings of the client given.
    #[must_use]
    pub fn otlp_client(mut self, client: ClientConfig) -> Config {
        self.otlp = Otlp::To(client);
        self
    }

    /// Sends to this collector too, beside that of [`Config::otlp`] or the environment, with threads, queues and counts of its own; in the ledger its signals are
    /// `name.traces` and so on. Each collector costs the encoding once more: about 30 ns for a span.
    ///
    /// ```
    /// use throughline_std::{Config, otlp::ClientConfig};
    /// let archive = ClientConfig::new("http://archive:4318")?;
    /// let config = Config::new("shop").otlp("http://localhost:4318")?.also_otlp("archive", archive);
    /// # Ok::<(), throughline_std::otlp::ConfigError>(())
    /// ```
    #[must_use]
    pub fn also_otlp(mut self, name: &str, client: ClientConfig) -> Config {
        self.further_otlp.push((name.into(), client));
        self
    }

    /// Sends to no collector but those of [`Config::also_otlp`], whatever the environment says.
    #[must_use]
    pub fn without_otlp(mut self) -> Config {
        self.otlp = Otlp::Off;
        self
    }

    /// Draws traces on standard error, or does not. By default only when there is no collector.
    #[must_use]
    pub fn terminal(mut self, on: bool) -> Config {
        self.terminal = Some(on);
        self
    }

    /// Draws traces to `out`.
    #[must_use]
    pub fn terminal_to(mut self, out: Arc<Mutex<dyn Write + Send>>, style: Style) -> Config {
        self.terminal = Some(true);
        self.terminal_out = Some(TerminalOut { out, style });
        self
    }

    /// Adds an exporter of the program's own, which gets a thread, a queue and counts of its own, under this name. It may be given beside OTLP and the
    /// terminal; with it alone, nothing is drawn by default. A clone of the configuration shares it: the first `init` takes it.
    ///
    /// ```
    /// use throughline_std::{Config, Deadline, ExportError, Exporter};
    /// struct Nowhere;
    /// impl Exporter for Nowhere {
    ///     fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
    ///         Ok(())
    ///     }
    /// }
    /// let config = Config::new("shop").exporter("nowhere", Nowhere);
    /// ```
    #[must_use]
    pub fn exporter(mut self, name: &str, exporter: impl Exporter + 'static) -> Config {
        let exporter: Box<dyn Exporter> = Box::new(exporter);
        self.exporters.push(Given { name: name.into(), exporter: Arc::new(Mutex::new(Some(exporter))) });
        self
    }

    /// The exporters that nobody has taken yet, with their names.
    pub(crate) fn take_exporters(&self) -> impl Iterator<Item = (String, Box<dyn Exporter>)> {
        self.exporters.iter().filter_map(|given| {
            let exporter = given.exporter.lock().unwrap_or_else(PoisonError::into_inner).take()?;
            Some((given.name.clone(), exporter))
        })
    }

    /// Adds an attribute to the resource, such as `deployment.environment.name`.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Config {
        self.resource = self.resource.with(key, value);
        self
    }

    /// Has a sampler decide which traces are recorded, in place of [`Config::sample_ratio`]. It is asked about every trace that begins here, and about spans
    /// directly below a remote parent. It lives for the rest of the process.
    #[must_use]
    pub fn sampler(mut self, sampler: impl Sampler + 'static) -> Config {
        self.sampler = Some(SharedSampler(Box::leak(Box::new(Box::leak(Box::new(sampler)) as &dyn Sampler))));
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

    /// Records only this share of the traces that begin here, 0.0 to 1.0, chosen by the trace's id, so that processes with the same share choose the same
    /// traces. A remote parent's decision is followed. Events and metrics are recorded all the same.
    #[must_use]
    pub fn sample_ratio(mut self, ratio: f64) -> Config {
        (self.sampling, self.sample_ratio) = (Sampling::Share, ratio);
        self
    }

    /// Records only spans and events at `level` or above; `None` for metrics alone. May be changed later with
    /// [`throughline::set_min_level`].
    #[must_use]
    pub fn min_level(mut self, level: Option<Level>) -> Config {
        self.min_level = level;
        self
    }

    /// Slots in each thread's ring, 64 bytes each; made a power of two, at least 8. A span without fields takes one, one with up to two
    /// small fields one, long text up to eight. Default 8192.
    #[must_use]
    pub fn ring_slots(mut self, slots: usize) -> Config {
        self.ring_slots = slots.clamp(8, 1 << 30).next_power_of_two();
        self
    }

    /// Metric cells that each thread has of its own, 8 bytes each; a counter takes one, a histogram of scale 3 takes 515. Metrics beyond them share one
    /// atomic among threads. Default 32,768; untouched ones take no memory.
    #[must_use]
    pub fn metric_cells(mut self, cells: usize) -> Config {
        self.metric_cells = cells;
        self
    }

    /// Most threads that may record at a time; what others record is counted as lost. Default 4096.
    #[must_use]
    pub fn max_threads(mut self, threads: usize) -> Config {
        self.max_threads = threads;
        self
    }

    /// A batch is sent when its records take this many bytes or the first of them is this old. Defaults 512 KiB, 1 s.
    #[must_use]
    pub fn batch(mut self, bytes: usize, age: Duration) -> Config {
        (self.batch_bytes, self.batch_interval) = (bytes.max(1), age);
        self
    }

    /// Most batches that wait for a slow exporter, for each exporter and each signal of OTLP; what comes while its queue is full is dropped and counted.
    /// Default 16.
    #[must_use]
    pub fn queue(mut self, batches: usize) -> Config {
        self.queue = Queue::Batches(batches.max(1));
        self
    }

    /// Longest pause between two looks at the rings when nothing happens. Default 50 ms.
    #[must_use]
    pub fn idle_poll(mut self, pause: Duration) -> Config {
        self.idle_poll = pause.max(Duration::from_millis(1));
        self
    }

    /// How often metrics are sent. Default 10 s, or `OTEL_METRIC_EXPORT_INTERVAL` (milliseconds).
    #[must_use]
    pub fn metrics_every(mut self, interval: Duration) -> Config {
        self.metrics_every = Some(interval);
        self
    }

    /// How long dropping the [`Guard`](crate::Guard) may take. Default 2 s.
    #[must_use]
    pub fn drop_deadline(mut self, deadline: Duration) -> Config {
        self.drop_deadline = deadline;
        self
    }

    /// Whether spans and logs carry module, file and line. Default true.
    #[must_use]
    pub fn code_location(mut self, on: bool) -> Config {
        self.options.code_location = on;
        self
    }

    /// Sets the most characters of a text attribute and the most bytes of a byte string, of spans and logs. What is
    /// cut has `<key>.truncated = true` beside it. The default is what `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` says.
    ///
    /// Neither can raise the limit of the record, which holds 400 bytes of all its fields together (190 on a 32-bit
    /// host). Longer text arrives whole if it is recorded in parts, each with a [`record!`](throughline::record) of
    /// its own.
    #[must_use]
    pub fn attribute_value_length(mut self, characters: usize) -> Config {
        self.options.spans.value_length = characters;
        self.options.logs.value_length = characters;
        self
    }

    /// Most attributes of a span or log; more are left out and counted in OTLP's `dropped_attributes_count`. By default what
    /// `OTEL_ATTRIBUTE_COUNT_LIMIT` says, else 128.
    #[must_use]
    pub fn attribute_count(mut self, attributes: usize) -> Config {
        self.options.spans.count = attributes;
        self.options.logs.count = attributes;
        self
    }

    /// Which attributes and metric labels are secret: their values are replaced by `[REDACTED]` before any exporter sees them. By default those of [`Redaction::default`].
    ///
    /// ```
    /// use throughline_std::{Config, Redaction};
    /// let config = Config::new("shop").redact(Redaction::default().with("*iban*"));
    /// ```
    #[must_use]
    pub fn redact(mut self, redaction: Redaction) -> Config {
        self.redaction = Arc::new(redaction);
        self
    }

    /// Lets each callsite make at most this many log records in a second; 0 for no limit, which is the default. What is beyond it is counted as
    /// `dropped[rate_limited]`, and a log record with the callsite's level and place says how many there were, in its attribute `held_back`.
    #[must_use]
    pub fn log_rate_limit(mut self, per_second: u32) -> Config {
        self.logs_per_second = (per_second > 0).then_some(per_second);
        self
    }

    /// Whether what goes wrong is told on standard error, a line each: an exporter that begins to fail and one that works again, a wall clock that was set, a
    /// guard that was dropped before anything was recorded. Default true.
    #[must_use]
    pub fn report_errors(mut self, on: bool) -> Config {
        self.report_errors = on;
        self
    }

    /// Reads the time of day from `source` instead of [`SystemTime::now`]: a clock disciplined by other means, or a test's own. It is called
    /// by `init` and then about once a second, on the pump's thread; records themselves are stamped with the processor's counter.
    #[must_use]
    pub fn wall_clock(mut self, source: fn() -> SystemTime) -> Config {
        self.wall_clock = source;
        self
    }

    pub(crate) fn metrics_interval(&self) -> Duration {
        self.metrics_every.unwrap_or(Duration::from_secs(10)).max(Duration::from_millis(1))
    }

    /// The share of traces that is recorded.
    pub(crate) fn share(&self) -> f64 {
        match self.sampling {
            Sampling::All => 1.0,
            Sampling::None => 0.0,
            Sampling::Share => self.sample_ratio,
        }
    }
}

#[cfg(all(test, feature = "toml", feature = "yaml"))]
#[path = "config/tests/mod.rs"]
mod table_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_made_possible() {
        let config =
            Config::new("x").ring_slots(100).batch(0, Duration::ZERO).queue(0).idle_poll(Duration::ZERO);
        assert_eq!((config.ring_slots, config.batch_bytes, exporters::queue_batches(&config)), (128, 1, 1));
        assert_eq!(config.idle_poll, Duration::from_millis(1));
        assert_eq!(Config::new("x").ring_slots(0).ring_slots, 8);
    }
}
