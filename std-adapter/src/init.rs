//! Starts recording with one call, and ends it with a guard, within a deadline.

use crate::config::reload::{Reload, Watch};
use crate::config::{Config, LoadError, TerminalOut, exporters as configured, filter};
use crate::guard::{Guard, Parts, Running};
use crate::published::Published;
use crate::pump::{Control, FanOut, Pump, Readings, Rings, Settings};
use crate::spawn::spawn;
use crate::{clock, ended, exit, panic, propagation, sampling, thread, versions};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};
use throughline::adapter::{IdKey, recorder};
use throughline_export::ledger::{Cells, Ledger};
use throughline_export::otlp::{ClientConfig, ConfigError, OtlpExporter};
use throughline_export::terminal::{Style, Terminal};
use throughline_export::{Attached, Deadline, Exporter, Health, Host, Launch, Limits, ReadMetrics};

static BEGUN: AtomicBool = AtomicBool::new(false);
static LEDGER: Published<Arc<Cells>> = Published::new();

/// Resets this module in a forked process, where recording has not begun.
#[cfg(unix)]
pub(crate) fn forget() {
    LEDGER.clear();
    BEGUN.store(false, Ordering::Release);
}

/// Begins recording. From now on every thread of the program records, and a thread of this library exports the records. Call it once per process.
///
/// Keep the guard until the end of `main`. With `OTEL_SDK_DISABLED=true` nothing is started, and the guard does nothing.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let _guard = throughline_std::init(&throughline_std::Config::new("shop"))?;
/// throughline::info!("ready");
/// # Ok(())
/// # }
/// ```
///
/// Cost: 5 ms to measure the processor's clock, and threads: one for the pump, three for OTLP (one for each signal) and one for each other exporter.
pub fn init(config: &Config) -> Result<Guard, InitError> {
    if config.disabled {
        return Ok(Guard::of(None));
    }
    config.usable()?;
    let client = configured::client(config).map_err(LoadError::of)?;
    let further =
        configured::further(config).into_iter().collect::<Result<Vec<_>, _>>().map_err(LoadError::of)?;
    if BEGUN.swap(true, Ordering::AcqRel) {
        return Err(InitError::AlreadyBegun);
    }
    let running = begin(config, client, further).map(Arc::new);
    let running = running.and_then(|running| {
        watch_signals(config, &running)?;
        exit::watch(&running);
        Ok(running)
    });
    if running.is_err() {
        BEGUN.store(false, Ordering::Release);
    }
    running.map(|running| Guard::of(Some(running)))
}

#[cfg(unix)]
fn watch_signals(config: &Config, running: &Arc<Running>) -> Result<(), InitError> {
    if config.flush_on_signals {
        let name = "signals".into();
        crate::signals::watch(running).map_err(|source| InitError::Thread { name, source })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn watch_signals(_: &Config, _: &Arc<Running>) -> Result<(), InitError> {
    Ok(())
}

/// Begins recording with the configuration of the environment and of the file that `THROUGHLINE_CONFIG` names, if it is set. This is
/// [`Config::from_env`], followed by [`init`].
///
/// # Errors
///
/// The errors of these two functions.
pub fn init_from_env() -> Result<Guard, InitError> {
    init(&Config::from_env()?)
}

/// The counts of all records so far; all zeros before [`init`]. Records in the rings are counted once the pump has read them. Records made after the
/// guard ended recording count as [`DropReason::Ended`](crate::DropReason::Ended).
pub fn ledger() -> Ledger {
    ended::count();
    LEDGER.get().map(|cells| cells.read()).unwrap_or_default()
}

/// The counts of the process; `None` before [`init`].
#[cfg_attr(not(profiled), allow(unused))]
pub(crate) fn counts() -> Option<Arc<Cells>> {
    LEDGER.get().map(Arc::clone)
}

/// Why recording did not begin.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// `init` was called before in this process.
    #[error("throughline_std::init was called before; call it once, in main, and pass its guard on")]
    AlreadyBegun,
    /// The file or the environment has errors.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An exporter cannot be configured like this.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Pages cannot be served like this.
    #[cfg(feature = "admin")]
    #[error(transparent)]
    Admin(#[from] throughline_export::admin::AdminError),
    /// Alerts cannot work like this.
    #[cfg(feature = "alerts")]
    #[error(transparent)]
    Alerts(#[from] crate::alert::AlertError),
    /// Insights cannot be shown like this.
    #[cfg(feature = "insights")]
    #[error(transparent)]
    Insights(#[from] crate::insights::InsightError),
    /// Observers cannot work like this.
    #[cfg(feature = "observers")]
    #[error(transparent)]
    Observers(#[from] crate::observers::ObserverError),
    /// Health cannot be checked like this.
    #[cfg(feature = "health")]
    #[error(transparent)]
    Health(#[from] crate::health::HealthError),
    /// Metrics cannot be served or pushed like this.
    #[cfg(feature = "prometheus")]
    #[error(transparent)]
    Prometheus(#[from] throughline_export::prometheus::PrometheusError),
    /// Another library has the place of a bridge.
    #[error(
        "`{of}` has a global {what} already: install throughline_std::{instead} there, in place of Config's method for it"
    )]
    Taken {
        /// The crate whose calls are to be recorded.
        of: &'static str,
        /// What it has only one of.
        what: &'static str,
        /// What can be installed in the other way.
        instead: &'static str,
    },
    /// A thread could not be started.
    #[error("the thread `{name}` could not be started: {source}; raise the limit of threads or memory")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
}

throughline_export::__debug_as_display!(InitError);

fn begin(
    config: &Config,
    client: Option<ClientConfig>,
    further: Vec<(String, ClientConfig)>,
) -> Result<Running, InitError> {
    config.bridges.install()?;
    // Create the exporters first, so that an error such as a port in use is found before anything has started.
    let own = configured::exporters(config)?;
    let draws = config.draws(client.is_some() || !further.is_empty() || !own.is_empty());
    #[cfg(feature = "admin")]
    #[allow(unused_mut, reason = "features add their pages")]
    let mut pages = crate::admin::Pages::new(config)?;
    #[cfg(all(profiled, feature = "admin"))]
    crate::profiling::pages::add(config, &mut pages)?;
    #[cfg(feature = "health")]
    let checks = crate::health::Prepared::new(config, &mut pages)?;
    #[cfg(feature = "prometheus")]
    let own: Vec<Named> = own.into_iter().chain(crate::prometheus::exporters(config, &mut pages)?).collect();
    #[cfg(feature = "insights")]
    let own: Vec<Named> = own.into_iter().chain(crate::insights::prepared(config, &mut pages)?).collect();
    let (controls, receiver) = mpsc::channel();
    #[cfg(feature = "alerts")]
    let (own, alerts) = match crate::alert::Prepared::new(config, &mut pages)? {
        Some(prepared) => {
            (own.into_iter().chain([prepared.exporter]).collect(), Some((prepared.alerts, prepared.healths)))
        }
        None => (own, None),
    };
    #[cfg(feature = "observers")]
    let (own, of_observers) = match crate::observers::Prepared::new(config, &controls)? {
        Some(prepared) => (own.into_iter().chain([prepared.exporter]).collect(), prepared.healths),
        None => (own, Vec::new()),
    };
    let (clock, wall_time) = clock::best_clock(config.wall_clock);
    let key = IdKey::new(seed(), 0);
    recorder::set_id_key(key);
    sampling::install(&config.sampling_rules, config.share(), config.sampler);
    propagation::configure(config.propagation.clone());
    throughline::set_min_level(config.min_level);
    filter::install(&config.filters);

    // Install this before our own threads start, because they have recorders too, although they record nothing.
    thread::install(thread::Settings {
        slots: config.ring_slots,
        cells: config.metric_cells,
        threads: config.max_threads,
        exemplars: config.exemplars,
        clock,
    });

    #[cfg(unix)]
    crate::fork::watch(config.report_errors);
    panic::watch(clock);
    crate::profiling::begin(config);
    crate::outside::begin(|| config.detected_resource(), config.report_errors);
    if config.report_errors {
        versions::tell();
        config.tell(&config.unsent(client.as_ref(), draws));
    }
    let cells = Arc::<Cells>::default();
    LEDGER.set(Arc::clone(&cells));
    let deadline = Arc::new(Deadline::never());
    let options = config.options;
    let pump = controls.clone();
    let launch = Launch {
        cells: &cells,
        deadline: &deadline,
        report: config.report_errors,
        spawn: &spawn,
        // Sending fails only if the pump has ended; then there is nothing to wake.
        wake: Arc::new(move || _ = pump.send(Control::Room)),
    };
    #[cfg(feature = "tower")]
    crate::tower::configure(Arc::clone(&config.redaction));
    let (redaction, exemplars) = (Arc::clone(&config.redaction), config.exemplars);
    let readings =
        Readings::new(clock, Arc::clone(&cells), redaction, exemplars, wall_time.clone(), config.roll_up());
    let readings = Arc::new(readings);
    let clients = client.map(|client| ("otlp".to_owned(), client)).into_iter().chain(further);
    let fan_out = exporters(config, draws, own, clients, &launch, &readings)?;
    #[cfg(feature = "admin")]
    pages.start().map_err(|source| InitError::Thread { name: "pages".into(), source })?;
    let (lanes, mut healths) = (fan_out.lanes(), fan_out.healths());
    let health = Arc::new(Health::new("pump", config.report_errors));
    healths.push(Arc::clone(&health));
    #[cfg(feature = "alerts")]
    let alerts = alerts.map(|(alerts, of_receivers)| {
        healths.extend(of_receivers);
        alerts
    });
    #[cfg(feature = "observers")]
    healths.extend(of_observers);
    #[cfg(feature = "health")]
    let checks = checks.map(|checks| checks.start(&cells, &healths)).transpose()?;
    let reload = Reload::of(config);
    let watch = reload.as_ref().zip(config.reload_every).map(|(reload, every)| Watch::new(reload, every));
    let settings = Settings {
        clock,
        watch,
        deadline: Arc::clone(&deadline),
        wall_clock: config.wall_clock,
        wall_time,
        key,
        options,
        redaction: Arc::clone(&config.redaction),
        logs_per_second: config.logs_per_second,
        late_fields: config.late_fields,
        remote_parents: config.remote_parents,
        idle: config.idle_poll,
        report: config.report_errors,
        metrics_every: config.metrics_interval(),
        resources: config.wanted_of_spans(),
        labels: config.is_profiled(),
    };
    let rings = Arc::new(Rings::default());
    let pump =
        Pump::new(settings, fan_out, Arc::clone(&cells), Arc::clone(&rings), readings, Arc::clone(&health));
    spawn("pump", Box::new(move || pump.run(&receiver)))
        .map_err(|source| InitError::Thread { name: "pump".into(), source })?;
    let parts = Parts {
        controls,
        deadline,
        cells,
        rings,
        lanes,
        healths,
        reload,
        #[cfg(feature = "admin")]
        pages,
        #[cfg(feature = "alerts")]
        alerts,
        #[cfg(feature = "health")]
        checks,
    };
    Ok(Running::new(parts, config))
}

/// An exporter and its name.
pub(crate) type Named = (String, Box<dyn Exporter>);

/// Starts the configured exporters, and the terminal if `draws` is set. `own` are this library's exporters that are started in the same way as a
/// program's own.
fn exporters(
    config: &Config,
    draws: bool,
    own: Vec<Named>,
    clients: impl Iterator<Item = (String, ClientConfig)>,
    launch: &Launch<'_>,
    readings: &Arc<Readings>,
) -> Result<FanOut, InitError> {
    let (limits, of_logs) = config.limits();
    let thread = |name: &str| {
        let name = name.to_owned();
        move |source| InitError::Thread { name, source }
    };
    let mut fan_out = FanOut::default();
    if draws {
        let (out, style): (Box<dyn Write + Send>, Style) = match &config.terminal_out {
            Some(TerminalOut { out, style }) => (Box::new(Shared(Arc::clone(out))), *style),
            None if config.draws_on_stdout() => (Box::new(std::io::stdout()), Style::of(&std::io::stdout())),
            None => (Box::new(std::io::LineWriter::new(std::io::stderr())), Style::of(&std::io::stderr())),
        };
        let terminal = Box::new(
            Terminal::new(out, style, config.terminal_records).filter(config.terminal_filter.clone()),
        );
        // Hand over a batch in every round, so that the terminal shows records at once.
        let limits = Limits { interval: Duration::ZERO, ..limits };
        let terminal = Attached::start("terminal", terminal, limits, launch).map_err(thread("terminal"))?;
        fan_out.attached.push(terminal);
    }
    let readings = Arc::clone(readings);
    let metrics = ReadMetrics::new(move |look| readings.read(look));
    let resource = config.detected_resource();
    let host = Host::new(&resource, &spawn).with_metrics(&metrics);
    let mut attach = |name: &str, mut exporter: Box<dyn Exporter>| {
        exporter.begin(&host).map_err(thread(name))?;
        let wants = exporter.wants();
        let limits = if wants.logs && !wants.spans { of_logs } else { limits };
        fan_out.attached.push(Attached::start(name, exporter, limits, launch).map_err(thread(name))?);
        Ok::<_, InitError>(())
    };
    for (name, exporter) in own.into_iter().chain(config.take_exporters()) {
        attach(&name, exporter)?;
    }
    let mut otlp = Vec::new();
    for (name, client) in clients {
        let started =
            OtlpExporter::start(&name, &resource, config.options, &client, [limits, of_logs, limits], launch);
        otlp.push(started.map_err(thread(&name))?);
    }
    let mut otlp = otlp.into_iter();
    (fan_out.otlp, fan_out.further_otlp) = (otlp.next(), otlp.collect());
    Ok(fan_out)
}

/// The part of the ids that differs between processes: 64 bits from the operating system's random source, by way of the random keys of std's hash
/// tables.
fn seed() -> u64 {
    RandomState::new().hash_one((std::process::id(), SystemTime::now()))
}

/// Writes to an output that others may write to as well.
struct Shared(Arc<std::sync::Mutex<dyn Write + Send>>);

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
