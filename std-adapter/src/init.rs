//! Starts recording with one call, and ends it with a guard, within a deadline.

use crate::config::reload::{Reload, Watch};
use crate::config::{Config, LoadError, TerminalOut, exporters as configured, filter};
use crate::published::Published;
use crate::pump::{Control, FanOut, Farewell, Pump, Readings, Settings};
use crate::{clock, ended, fork, panic, thread, versions};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use throughline::adapter::{IdKey, recorder};
use throughline_export::ledger::{Cells, DropReason, Ledger};
use throughline_export::otlp::{ClientConfig, ConfigError, Options, OtlpExporter};
use throughline_export::terminal::{Style, Terminal};
use throughline_export::{AnyLane, Attached, Deadline, Exporter, Health, Host, Launch, Limits, ReadMetrics};

/// How long a shutdown waits after its deadline for the pump to count the records that are left.
const COUNTING: Duration = Duration::from_millis(100);

static BEGUN: AtomicBool = AtomicBool::new(false);
static LEDGER: Published<Arc<Cells>> = Published::new();

/// Resets this module in a forked process, where recording has not begun.
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
    if BEGUN.swap(true, Ordering::AcqRel) {
        return Err(InitError::AlreadyBegun);
    }
    let running = begin(config, client);
    if running.is_err() {
        BEGUN.store(false, Ordering::Release);
    }
    running.map(|running| Guard::of(Some(running)))
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

/// Why recording did not begin.
#[derive(Debug, thiserror::Error)]
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
    /// Metrics cannot be served or pushed like this.
    #[cfg(feature = "prometheus")]
    #[error(transparent)]
    Prometheus(#[from] throughline_export::prometheus::PrometheusError),
    /// A thread could not be started.
    #[error("the thread `{name}` could not be started: {source}; raise the limit of threads or memory")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
}

fn begin(config: &Config, client: Option<ClientConfig>) -> Result<Running, InitError> {
    // Create the exporters first, so that an error such as a port in use is found before anything has started.
    let own = configured::exporters(config)?;
    let draws = config.draws(client.is_some() || !config.further_otlp.is_empty() || !own.is_empty());
    #[cfg(feature = "prometheus")]
    let own = own.into_iter().chain(crate::prometheus::exporters(config)?).collect();
    let (clock, wall_time) = clock::best_clock(config.wall_clock);
    let key = IdKey::new(seed(), 0);
    recorder::set_id_key(key);
    match config.sampler {
        Some(sampler) => throughline::sampler::set_sampler(sampler.0),
        None => recorder::set_sample_ratio(config.share()),
    }
    throughline::set_min_level(config.min_level);
    filter::install(&config.filters);

    // Install this before our own threads start, because they have recorders too, although they record nothing.
    thread::install(thread::Settings {
        slots: config.ring_slots,
        cells: config.metric_cells,
        threads: config.max_threads,
        clock,
    });

    fork::watch(config.report_errors);
    panic::watch(clock);
    if config.report_errors {
        versions::tell();
        config.tell(&config.unsent(client.as_ref(), draws));
    }
    let cells = Arc::<Cells>::default();
    LEDGER.set(Arc::clone(&cells));
    let deadline = Arc::new(Deadline::never());
    let options = config.options;
    let (controls, receiver) = mpsc::channel();
    let pump = controls.clone();
    let launch = Launch {
        cells: &cells,
        deadline: &deadline,
        report: config.report_errors,
        spawn: &spawn,
        // Sending fails only if the pump has ended; then there is nothing to wake.
        wake: Arc::new(move || _ = pump.send(Control::Room)),
    };
    let readings =
        Arc::new(Readings::new(clock, Arc::clone(&cells), Arc::clone(&config.redaction), wall_time.clone()));
    let fan_out = exporters(config, draws, own, client, options, &launch, &readings)?;
    let (lanes, mut healths) = (fan_out.lanes(), fan_out.healths());
    let health = Arc::new(Health::new("pump", config.report_errors));
    healths.push(Arc::clone(&health));
    let reload = Reload::of(config);
    let watch = reload.as_ref().zip(config.reload_every).map(|(reload, every)| Watch::new(reload, every));
    let settings = Settings {
        clock,
        watch,
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
    };
    let pump = Pump::new(settings, fan_out, Arc::clone(&cells), readings, Arc::clone(&health));
    spawn("pump", Box::new(move || pump.run(&receiver)))
        .map_err(|source| InitError::Thread { name: "pump".into(), source })?;
    Ok(Running {
        controls,
        deadline,
        cells,
        lanes,
        healths,
        drop_deadline: config.drop_deadline,
        begun: Instant::now(),
        report: config.report_errors,
        reload,
    })
}

/// An exporter and its name.
pub(crate) type Named = (String, Box<dyn Exporter>);

/// Starts the configured exporters, and the terminal if `draws` is set. `own` are this library's exporters that are started in the same way as a
/// program's own.
fn exporters(
    config: &Config,
    draws: bool,
    own: Vec<Named>,
    client: Option<ClientConfig>,
    options: Options,
    launch: &Launch<'_>,
    readings: &Arc<Readings>,
) -> Result<FanOut, InitError> {
    let limits = Limits {
        batch_bytes: config.batch_bytes,
        interval: config.batch_interval,
        queue: configured::queue_batches(config),
    };
    let thread = |name: &str| {
        let name = name.to_owned();
        move |source| InitError::Thread { name, source }
    };
    let mut fan_out = FanOut::default();
    if draws {
        let (out, style): (Box<dyn Write + Send>, Style) = match &config.terminal_out {
            Some(TerminalOut { out, style }) => (Box::new(Shared(Arc::clone(out))), *style),
            None if config.terminal_stdout => (Box::new(std::io::stdout()), Style::of(&std::io::stdout())),
            None => (Box::new(std::io::LineWriter::new(std::io::stderr())), Style::of(&std::io::stderr())),
        };
        let terminal = Box::new(Terminal::new(out, style, config.terminal_records));
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
        fan_out.attached.push(Attached::start(name, exporter, limits, launch).map_err(thread(name))?);
        Ok::<_, InitError>(())
    };
    for (name, exporter) in own.into_iter().chain(config.take_exporters()) {
        attach(&name, exporter)?;
    }
    let first = client.map(|client| ("otlp".to_owned(), client));
    let mut otlp = Vec::new();
    for (name, client) in first.into_iter().chain(config.further_otlp.iter().cloned()) {
        let started = OtlpExporter::start(&name, &resource, options, &client, limits, launch);
        otlp.push(started.map_err(thread(&name))?);
    }
    let mut otlp = otlp.into_iter();
    (fan_out.otlp, fan_out.further_otlp) = (otlp.next(), otlp.collect());
    Ok(fan_out)
}

/// Starts a thread that records nothing. Otherwise a library that it calls, such as an HTTP client that logs, would create new records for every
/// export.
fn spawn(name: &str, run: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    let run = move || {
        recorder::mute_thread();
        run();
    };
    // The thread is detached, because joining it could take longer than any deadline.
    std::thread::Builder::new().name(format!("throughline-{name}")).spawn(run).map(drop)
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

/// Ends recording when it is dropped: it delivers the remaining records for up to [`Config::drop_deadline`]. `std::process::exit` drops nothing, so
/// call [`Guard::shutdown`] before it. If the guard is dropped before anything was recorded, the first later record causes a warning on standard
/// error.
#[derive(Debug)]
#[must_use = "dropping the guard ends recording, and `let _ = …` drops it at once: bind it to a variable such as `_guard`, for as long as `main` runs"]
pub struct Guard {
    running: Option<Running>,
    /// The process that created the guard. A forked process has a copy of the guard, but no pump.
    process: u32,
}

#[derive(Debug)]
struct Running {
    controls: Sender<Control>,
    deadline: Arc<Deadline>,
    cells: Arc<Cells>,
    lanes: Vec<Arc<dyn AnyLane>>,
    healths: Vec<Arc<Health>>,
    drop_deadline: Duration,
    begun: Instant,
    report: bool,
    /// Present if the configuration came from a file.
    reload: Option<Reload>,
}

/// How a shutdown went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Whether everything was delivered, or found to be undeliverable, within the deadline. If not, the rest is counted as
    /// [`DropReason::Shutdown`](crate::DropReason::Shutdown), and exporter threads that are still trying are not waited for.
    pub complete: bool,
    /// The counts of all records.
    pub ledger: Ledger,
    /// The last error of an exporter that still fails.
    pub last_error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Guard {
    fn of(running: Option<Running>) -> Guard {
        Guard { running, process: std::process::id() }
    }

    /// In a forked process, forgets the parent's state without dropping it, because its locks may be held for ever here.
    fn leave_to_parent(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.running.take());
        }
    }

    /// Delivers everything recorded before the call, including metrics, and waits for it at most this long. Returns whether it was done in time.
    pub fn flush(&self, within: Duration) -> bool {
        let of_this_process = |_: &&Running| self.process == std::process::id();
        let Some(running) = self.running.as_ref().filter(of_this_process) else { return true };
        let (done, wait) = mpsc::channel();
        running.controls.send(Control::Flush(done)).is_ok() && all_dropped(&wait, within)
    }

    /// Reads the configuration's file again, and the environment if it was read after the file, and applies their levels, filters and sampling from
    /// now on. Other changes in the file take effect when the program is started again. Does nothing if the configuration did not come from a file.
    /// With the key `reload.interval` the file is checked for changes without a call.
    ///
    /// # Errors
    ///
    /// All errors in the file; in that case everything stays as it was.
    pub fn reload(&self) -> Result<(), LoadError> {
        let running = self.running.as_ref().filter(|_| self.process == std::process::id());
        running.and_then(|running| running.reload.as_ref()).map_or(Ok(()), Reload::now)
    }

    /// Ends recording and delivers the remaining records within the deadline. Records that are left then are counted as dropped, which takes at most
    /// another 0.1 s. It uses no async runtime and waits for no thread beyond that time, so it may be called anywhere, even in a `Drop`.
    pub fn shutdown(mut self, within: Duration) -> ShutdownReport {
        self.end(within)
    }

    /// The counts of all records so far.
    pub fn ledger(&self) -> Ledger {
        self.running.as_ref().map_or_else(Ledger::default, |running| running.cells.read())
    }

    /// The last error of an exporter that still fails.
    pub fn last_error(&self) -> Option<String> {
        self.running.as_ref()?.last_error()
    }

    fn end(&mut self, within: Duration) -> ShutdownReport {
        let begun = Instant::now();
        self.leave_to_parent();
        let Some(running) = self.running.take() else {
            return ShutdownReport {
                complete: true,
                ledger: Ledger::default(),
                last_error: None,
                took: Duration::ZERO,
            };
        };
        running.deadline.draw_within(within);
        let (drained, wait_drained) = mpsc::channel();
        let (delivered, wait_delivered) = mpsc::channel();
        let told = running.controls.send(Control::Shutdown(Farewell { drained, delivered })).is_ok();
        if !told {
            // The pump has panicked, but its exporters may still be delivering.
            let (delivered, wait_delivered) = mpsc::channel();
            running.lanes.iter().for_each(|lane| lane.mark(delivered.clone()));
            drop(delivered);
            all_dropped(&wait_delivered, within);
        }
        let complete = told && all_dropped(&wait_delivered, within) && all_dropped(&wait_drained, COUNTING);
        if !complete {
            all_dropped(&wait_drained, COUNTING);
        }
        running.lanes.iter().for_each(|lane| lane.give_up(DropReason::Shutdown));
        ended::count();
        let ledger = running.cells.read();
        ShutdownReport {
            complete: complete && ledger.is_settled(),
            ledger,
            last_error: running.last_error(),
            took: begun.elapsed(),
        }
    }
}

impl Running {
    fn last_error(&self) -> Option<String> {
        self.healths.iter().find_map(|health| health.last_error())
    }
}

/// Waits at most this long until all senders have been dropped. Returns whether they have.
fn all_dropped(wait: &Receiver<()>, within: Duration) -> bool {
    wait.recv_timeout(within) == Err(RecvTimeoutError::Disconnected)
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.leave_to_parent();
        let Some(running) = &self.running else { return };
        let (after, within, report) = (running.begun.elapsed(), running.drop_deadline, running.report);
        if self.end(within).ledger.ring.input == 0 && report {
            ended::unused(after);
        }
    }
}
