//! Configuration of a server's binary: where records go, how much memory they may use, and how often the rings are read. Code sets it with the
//! methods here; files and the environment set it through the table of keys in `keys`.

mod aliases;
mod bridges;
mod context;
mod detect;
mod environment;
mod expand;
mod explain;
pub(crate) mod exporters;
pub(crate) mod filter;
mod key;
mod keys;
mod limits;
mod listeners;
mod load;
pub(crate) mod node;
mod parts;
mod places;
mod problem;
#[cfg(profiled)]
mod profiling;
mod read;
mod reference;
pub(crate) mod reload;
#[cfg_attr(not(profiled), allow(unused))]
mod resources;
mod sampling_rules;
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

use crate::bridge::Bridges;
use crate::clock::WallClock;
use crate::{propagation, sampling};
use detect::Detectors;
use exporters::{Routes, Sampling};
use filter::Filters;
pub(crate) use parts::{Given, Otlp, SharedSampler, TerminalOut};
use parts::{LogBatches, Queue};
use settings::Settings;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use throughline::Level;
use throughline::sampler::Sampler;
use throughline_export::log::Filter;
use throughline_export::otlp::{ClientConfig, ConfigError, Options};
use throughline_export::terminal::Style;
use throughline_export::{Exporter, Redaction, Resource};
use variables::Variables;

/// Configuration of [`init`](crate::init). Everything except the service's name has a default.
///
/// ```
/// use throughline_std::Config;
/// let config = Config::new("shop").otlp("http://localhost:4318")?.sample_ratio(0.1);
/// # Ok::<(), throughline_std::otlp::ConfigError>(())
/// ```
///
/// Without [`Config::otlp`], the environment variables decide where OTLP goes, such as `OTEL_EXPORTER_OTLP_ENDPOINT`. If they name no endpoint and
/// there is no other exporter, traces are drawn on standard error.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) resource: Resource,
    pub(crate) otlp: Otlp,
    pub(crate) further_otlp: Vec<(String, ClientConfig)>,
    /// Further collectors of a file.
    also: Vec<exporters::Group>,
    /// Observers of a file.
    pub(crate) listeners: Vec<listeners::Listener>,
    routes: Routes,
    detectors: Detectors,
    pub(crate) filters: Filters,
    pub(crate) disabled: bool,
    pub(crate) terminal: Option<bool>,
    pub(crate) terminal_stdout: bool,
    pub(crate) terminal_out: Option<TerminalOut>,
    pub(crate) terminal_filter: Filter,
    sampling: Sampling,
    sample_ratio: f64,
    pub(crate) sampler: Option<SharedSampler>,
    pub(crate) min_level: Option<Level>,
    pub(crate) ring_slots: usize,
    pub(crate) metric_cells: usize,
    pub(crate) exemplars: bool,
    pub(crate) max_threads: usize,
    pub(crate) late_fields: usize,
    pub(crate) remote_parents: usize,
    pub(crate) propagation: propagation::Settings,
    pub(crate) sampling_rules: sampling::Settings,
    pub(crate) terminal_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_interval: Duration,
    queue: Queue,
    log_batches: LogBatches,
    pub(crate) idle_poll: Duration,
    pub(crate) metrics_every: Option<Duration>,
    pub(crate) drop_deadline: Duration,
    #[cfg_attr(not(unix), allow(dead_code, reason = "only Unix has these signals"))]
    pub(crate) flush_on_signals: bool,
    pub(crate) options: Options,
    pub(crate) redaction: Arc<Redaction>,
    pub(crate) logs_per_second: Option<u32>,
    pub(crate) report_errors: bool,
    pub(crate) wall_clock: WallClock,
    pub(crate) exporters: Vec<Given>,
    #[cfg(feature = "admin")]
    pub(crate) admin: throughline_export::admin::AdminOptions,
    #[cfg(feature = "admin")]
    pub(crate) pages: Vec<throughline_export::admin::Route>,
    #[cfg(feature = "alerts")]
    pub(crate) alerts: Option<crate::alert::AlertOptions>,
    #[cfg(feature = "insights")]
    pub(crate) insights: Option<crate::insights::InsightOptions>,
    #[cfg(feature = "observers")]
    pub(crate) observers: Option<crate::observers::Observers>,
    #[cfg(feature = "health")]
    pub(crate) health: Option<crate::health::HealthOptions>,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: Option<throughline_export::prometheus::PrometheusOptions>,
    #[cfg(feature = "prometheus")]
    pub(crate) pushgateway: Option<throughline_export::prometheus::PushgatewayOptions>,
    pub(crate) bridges: Bridges,
    #[cfg(profiled)]
    pub(crate) profiling: Option<crate::profiling::ProfilingOptions>,
    #[cfg(all(profiled, feature = "admin"))]
    pub(crate) profile_pages: bool,
    pub(crate) resources: Option<crate::profiling::ResourceOptions>,
    #[cfg_attr(not(profiled), expect(dead_code, reason = "only a profiler knows them"))]
    pub(crate) memory_metrics: Option<String>,
    pub(crate) reload_every: Option<Duration>,
    settings: Settings,
    variables: Variables,
    source: Option<reload::Source>,
    /// Errors found so far; `init` returns them.
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    /// Those of `warnings` that depend on all layers together.
    doubts: Vec<Problem>,
    /// The variable for the filter of logs, if it is set but no part of it can be used.
    none_of: Option<&'static str>,
}

impl Config {
    /// The defaults for a service of this name, changed by the environment. Methods called afterwards override the environment; call
    /// [`with_env`](Config::with_env) last to let the environment override them.
    pub fn new(service_name: &str) -> Config {
        Config::bare(service_name, Variables::of_process()).reading_env()
    }

    /// The defaults alone. `variables` is kept, but not read yet.
    fn bare(service_name: &str, variables: Variables) -> Config {
        Config {
            resource: Resource::new(service_name),
            otlp: Otlp::Keys,
            further_otlp: Vec::new(),
            also: Vec::new(),
            listeners: Vec::new(),
            routes: Routes::default(),
            detectors: Detectors::default(),
            filters: Filters::default(),
            disabled: false,
            terminal: None,
            terminal_stdout: false,
            terminal_out: None,
            terminal_filter: Filter::all(),
            sampler: None,
            sampling: Sampling::Share,
            sample_ratio: 1.0,
            min_level: Some(Level::Trace),
            ring_slots: 8192,
            metric_cells: 32_768,
            exemplars: true,
            max_threads: 4096,
            late_fields: 16_384,
            remote_parents: 1 << 16,
            propagation: propagation::Settings::default(),
            sampling_rules: sampling::Settings::default(),
            terminal_records: 10_000,
            batch_bytes: 512 * 1024,
            batch_interval: Duration::from_secs(1),
            queue: Queue::Batches(16),
            log_batches: LogBatches::default(),
            idle_poll: Duration::from_millis(50),
            metrics_every: None,
            drop_deadline: Duration::from_secs(2),
            flush_on_signals: false,
            options: Options::default(),
            redaction: Arc::default(),
            logs_per_second: None,
            report_errors: true,
            wall_clock: SystemTime::now,
            exporters: Vec::new(),
            #[cfg(feature = "admin")]
            admin: Default::default(),
            #[cfg(feature = "admin")]
            pages: Vec::new(),
            #[cfg(feature = "alerts")]
            alerts: None,
            #[cfg(feature = "insights")]
            insights: None,
            #[cfg(feature = "observers")]
            observers: None,
            #[cfg(feature = "health")]
            health: None,
            #[cfg(feature = "prometheus")]
            prometheus: None,
            #[cfg(feature = "prometheus")]
            pushgateway: None,
            bridges: Bridges::default(),
            #[cfg(profiled)]
            profiling: None,
            #[cfg(all(profiled, feature = "admin"))]
            profile_pages: false,
            resources: None,
            memory_metrics: None,
            reload_every: None,
            settings: Settings::default(),
            variables,
            source: None,
            problems: Vec::new(),
            warnings: Vec::new(),
            doubts: Vec::new(),
            none_of: None,
        }
    }

    /// Sends to the collector at this address, such as `http://localhost:4318`.
    pub fn otlp(self, endpoint: &str) -> Result<Config, ConfigError> {
        let client = ClientConfig::new(endpoint)?;
        Ok(self.otlp_client(client))
    }

    /// Sends to the collector that `client` describes, with all of its settings.
    #[must_use]
    pub fn otlp_client(mut self, client: ClientConfig) -> Config {
        self.otlp = Otlp::To(client);
        self
    }

    /// Sends to this collector too, in addition to that of [`Config::otlp`] or the environment. It has its own threads, queues and counts; in the
    /// ledger its signals are `name.traces` and so on. Each collector encodes every record again, which costs about 30 ns for a span.
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

    /// Sends only to the collectors of [`Config::also_otlp`], whatever the environment says.
    #[must_use]
    pub fn without_otlp(mut self) -> Config {
        self.otlp = Otlp::Off;
        self
    }

    /// Sets whether traces are drawn on standard error. By default they are drawn only if there is no other exporter.
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

    /// Adds an exporter of the program's own. It has its own thread, queue and counts, under this name. It can be combined with OTLP and the
    /// terminal; if it is the only exporter, nothing is drawn by default. Clones of the configuration share it, and the first `init` takes it.
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

    /// Takes the exporters that no `init` has taken yet, with their names.
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

    /// Lets a sampler decide which traces are recorded, instead of [`Config::sample_ratio`]. It is called for every trace that begins here and for
    /// every span directly below a remote parent. It lives as long as the process.
    #[must_use]
    pub fn sampler(mut self, sampler: impl Sampler + 'static) -> Config {
        self.sampler = Some(SharedSampler(Box::leak(Box::new(Box::leak(Box::new(sampler)) as &dyn Sampler))));
        self
    }

    /// Records only this share of the traces that begin here, from 0.0 to 1.0. The choice depends on the trace's id, so processes with the same share
    /// choose the same traces. A remote parent's decision is followed. Events and metrics are always recorded.
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

    /// Sets how often metrics are sent. Default 10 s, or `OTEL_METRIC_EXPORT_INTERVAL` (milliseconds).
    #[must_use]
    pub fn metrics_every(mut self, interval: Duration) -> Config {
        self.metrics_every = Some(interval);
        self
    }

    /// Sets whether SIGTERM and SIGINT deliver what was recorded, for at most [`Config::drop_deadline`], before they do what they did before `init`:
    /// end the process, or run the handler that was set then. It needs no async runtime. A signal that is ignored stays ignored. Call `init` after the
    /// program's own handlers are set; if one is set later, it is not changed, and nothing is delivered by this. Unix only. Default false.
    #[must_use]
    pub fn flush_on_signals(mut self, on: bool) -> Config {
        self.flush_on_signals = on;
        self
    }

    /// Sets how long dropping the [`Guard`](crate::Guard) may take, and delivering the rest when the process exits without that. Default 2 s.
    #[must_use]
    pub fn drop_deadline(mut self, deadline: Duration) -> Config {
        self.drop_deadline = deadline;
        self
    }

    /// Sets whether spans and logs carry module, file and line. Default true.
    #[must_use]
    pub fn code_location(mut self, on: bool) -> Config {
        self.options.code_location = on;
        self
    }

    /// Sets which attributes and metric labels are secret. Their values are replaced by `[REDACTED]` before any exporter sees them. The default is
    /// [`Redaction::default`].
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

    /// Sets whether problems are reported on standard error, one line each: an exporter that begins to fail or works again, a wall clock that was
    /// set, a guard that was dropped before anything was recorded. Default true.
    #[must_use]
    pub fn report_errors(mut self, on: bool) -> Config {
        self.report_errors = on;
        self
    }

    /// Reads the time of day from `source` instead of [`SystemTime::now`], such as a clock that is synchronised by other means, or a test's own
    /// clock. `init` calls it, and then the pump's thread calls it about once a second; records are stamped with the processor's counter.
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
