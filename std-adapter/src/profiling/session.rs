//! A session of profiling: its thread takes profiles and writes them into a folder until it is stopped.

use super::change::{Change, Changes};
use super::send::{self, Send};
use super::{ResourceOptions, memory, process, used};
use crate::Config;
use crate::published::Published;
use crate::pump::labels;
use crate::spawn::spawn;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
#[cfg(feature = "alerts")]
use std::time::SystemTime;
use std::time::{Duration, Instant};
use throughline_export::diagnostics;
use throughline_export::profiles::{CloudProfileKind, CloudProfiler, ProfileClient};
use throughline_profile::{
    CpuOptions, CpuProfiler, HeapOptions, HeapProfiler, Profile, ProfileError, ProfileFolder,
};

/// The fields of spans that become labels of samples, unless others are named.
const LABELS: [&str; 2] = ["agent.name", "invocation_id"];

/// What is profiled, and where the profiles go. Without further settings: CPU time, 99 samples per second, and a profile every 30 s.
///
/// ```
/// use throughline_std::Config;
/// use throughline_std::profiling::{CpuOptions, HeapOptions, ProfilingOptions};
/// let options = ProfilingOptions::new("profiles").cpu(CpuOptions::default().frequency(49)).memory(HeapOptions::default());
/// let config = Config::new("shop").profiling(options);
/// ```
#[derive(Clone, Debug)]
pub struct ProfilingOptions {
    cpu: Option<CpuOptions>,
    memory: Option<HeapOptions>,
    window: Duration,
    once: bool,
    folder: ProfileFolder,
    labels: Vec<String>,
    exporters: Vec<ProfileClient>,
    cloud: Option<CloudProfiler>,
}

impl ProfilingOptions {
    /// Writes profiles into this folder; see [`ProfileFolder`], which may be given too.
    pub fn new(folder: impl Into<ProfileFolder>) -> ProfilingOptions {
        let window = Duration::from_secs(30);
        let cpu = Some(CpuOptions::default());
        ProfilingOptions {
            cpu,
            memory: None,
            window,
            once: false,
            folder: folder.into(),
            labels: LABELS.map(String::from).to_vec(),
            exporters: Vec::new(),
            cloud: None,
        }
    }

    /// How CPU time is sampled.
    pub fn cpu(mut self, options: CpuOptions) -> ProfilingOptions {
        self.cpu = Some(options);
        self
    }

    /// Does not sample CPU time.
    pub fn without_cpu(mut self) -> ProfilingOptions {
        self.cpu = None;
        self
    }

    /// Samples memory too. The program's global allocator must be an [`Allocator`](super::Allocator).
    pub fn memory(mut self, options: HeapOptions) -> ProfilingOptions {
        self.memory = Some(options);
        self
    }

    /// Writes a profile each time that so much time has passed; at least a second. A memory profile is always of everything since the start.
    pub fn window(mut self, window: Duration) -> ProfilingOptions {
        self.window = window.max(Duration::from_secs(1));
        self
    }

    /// Gives samples in spans the values of these fields as labels, instead of `agent.name` and `invocation_id`: those of the nearest span, itself first,
    /// that has the field and has ended. A label is called as the field, with `_` for `.`.
    pub fn labels(mut self, fields: impl IntoIterator<Item = impl Into<String>>) -> ProfilingOptions {
        self.labels = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Sends each profile there too, on the session's own thread: for at most as long as a window, and at most 10 s. A profile that cannot be sent in this
    /// time is counted in the ledger, as `profiles.pyroscope` or `profiles.otlp`, and its files stay.
    pub fn exporter(mut self, client: ProfileClient) -> ProfilingOptions {
        self.exporters.push(client);
        self
    }

    /// Gives profiles to Google Cloud Profiler too, as it asks for them: some once a minute, over all processes of the service. A thread of its own waits
    /// for that, and the next whole window is what it gets, on the session's thread. They are counted in the ledger as `profiles.gcp`.
    pub fn cloud_profiler(mut self, profiler: CloudProfiler) -> ProfilingOptions {
        self.cloud = Some(profiler);
        self
    }

    /// Ends after the first window.
    pub fn once(mut self) -> ProfilingOptions {
        self.once = true;
        self
    }
}

impl Config {
    /// Profiles the process from [`init`](crate::init) to the end of the guard. If that is not possible, a line on standard error says why, and the
    /// service runs without.
    #[must_use]
    pub fn profiling(mut self, options: ProfilingOptions) -> Config {
        self.profiling = Some(options);
        self
    }
}

impl Config {
    /// Makes the process's memory, its allocations and its leaks metrics, `memory.…`, whose label `component` this is. Allocations and leaks need
    /// [`Allocator`](super::Allocator) as the program's allocator.
    #[must_use]
    pub fn memory_metrics(mut self, component: impl Into<String>) -> Config {
        self.memory_metrics = Some(component.into());
        self
    }

    /// Gives each span the CPU time and the memory that it has used; [`ResourceOptions`] has the attributes. CPU time is sampled for that, also where no
    /// profiles are wanted.
    #[must_use]
    pub fn resources_of_spans(mut self, options: ResourceOptions) -> Config {
        self.resources = Some(options);
        self
    }
}

/// What [`start_profiling`] does: that of the configuration, if there is one.
static OPTIONS: Published<ProfilingOptions> = Published::new();
static SESSION: Mutex<Option<Session>> = Mutex::new(None);
/// The process that has begun a session; 0 if none was begun.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// A running session.
struct Session {
    orders: Sender<Order>,
    #[cfg_attr(not(feature = "alerts"), allow(dead_code, reason = "only alerts want pictures of changes"))]
    changes: Option<Changes>,
}

/// Profiles the process from now on, in one window until [`stop_profiling`]. CPU time and memory are sampled as [`Config::profiling`] or the file says;
/// without either, CPU time is, and the files go to the folder `profiles`.
///
/// # Errors
///
/// As for [`CpuProfiler::start`] and [`HeapProfiler::start`]; [`ProfileError::AlreadyRunning`] also if the configuration has begun a session.
pub fn start_profiling() -> Result<(), ProfileError> {
    let options = OPTIONS.get().cloned().unwrap_or_else(|| ProfilingOptions::new("profiles"));
    // Without a window the profile is written when it is stopped.
    start(&options, Duration::MAX)
}

/// Stops a session, whoever has begun it, and writes its last profile. Returns the file for `go tool pprof`: that of CPU time, or that of memory if CPU
/// time was not sampled. A flame graph, `.svg`, is beside it. Cost: names are looked up, which takes up to seconds.
///
/// # Errors
///
/// An error of the file system, or [`io::ErrorKind::NotFound`] if no session runs.
pub fn stop_profiling() -> io::Result<PathBuf> {
    let (answer, wait) = mpsc::channel();
    ask_to_stop(answer);
    wait.recv().unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::NotFound, "no profiler runs here; call start_profiling first"))
    })
}

/// Takes the session and sends it the request. Without one the sender is dropped.
fn ask_to_stop(answer: Sender<io::Result<PathBuf>>) {
    // In a forked process the lock may be held for ever.
    if PROCESS.load(Ordering::Acquire) == std::process::id() {
        let session = SESSION.lock().unwrap_or_else(PoisonError::into_inner).take();
        session.map(|session| session.orders.send(Order::Stop(answer)));
    }
}

fn start(options: &ProfilingOptions, window: Duration) -> Result<(), ProfileError> {
    let process = PROCESS.load(Ordering::Acquire);
    if process != 0 && process != std::process::id() {
        return Err(ProfileError::Forked);
    }
    let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    if session.is_some() {
        return Err(ProfileError::AlreadyRunning);
    }
    PROCESS.store(std::process::id(), Ordering::Release);
    if options.cpu.is_some() {
        used::sample_no_more();
    }
    let cpu = options.cpu.map(CpuProfiler::start).transpose()?;
    let memory = options.memory.map(HeapProfiler::start).transpose()?;
    let (orders, received) = mpsc::channel();
    // Without windows there is no profile before.
    let has_changes = cpu.is_some() && window != Duration::MAX && !options.once;
    let changes = has_changes.then(|| Changes::new(options.folder.clone(), window));
    let mut send = Send::new(options.folder.clone(), &options.exporters, window);
    if let Some(profiler) = &options.cloud {
        let kinds = [(cpu.is_some(), CloudProfileKind::Cpu), (memory.is_some(), CloudProfileKind::Heap)];
        let kinds = kinds.into_iter().filter_map(|(is_taken, kind)| is_taken.then_some(kind)).collect();
        send.ask(profiler.clone(), kinds).map_err(ProfileError::Thread)?;
    }
    let work = Work { cpu, memory, send, wanted: Vec::new(), written: None };
    let once = options.once;
    spawn("profiles", Box::new(move || work.run(window, once, &received))).map_err(ProfileError::Thread)?;
    *session = Some(Session { orders, changes });
    Ok(())
}

/// Has a flame graph made of what changed between the last window before `since` and the next whole one. Returns its path, at which it is when that window has
/// ended; `None` if no session samples CPU time in windows, or none had ended before. Calls of one window share one picture.
#[cfg(feature = "alerts")]
pub(crate) fn change(title: &str, since: SystemTime) -> Option<PathBuf> {
    if PROCESS.load(Ordering::Acquire) != std::process::id() {
        return None;
    }
    let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    let Session { orders, changes } = session.as_mut()?;
    let (path, new) = changes.as_mut()?.find(title, since)?;
    if let Some(new) = new {
        orders.send(Order::Change(new)).ok()?;
    }
    Some(path)
}

/// What the thread of a session is told.
enum Order {
    /// It ends, and answers with the last profile.
    Stop(Sender<io::Result<PathBuf>>),
    /// It makes this picture of the next whole window.
    #[cfg_attr(not(feature = "alerts"), allow(dead_code, reason = "only alerts want pictures of changes"))]
    Change(Change),
}

/// What the thread of a session has.
struct Work {
    cpu: Option<CpuProfiler>,
    memory: Option<HeapProfiler>,
    send: Send,
    /// Pictures that wait for their window.
    wanted: Vec<Change>,
    /// The profile that was written last, or why it could not be.
    written: Option<io::Result<PathBuf>>,
}

/// The last CPU profile of a session; pages serve it while the session has the profiler.
static LAST: Mutex<Option<Profile>> = Mutex::new(None);
static IS_LAST_KEPT: AtomicBool = AtomicBool::new(false);

/// Keeps the last profile from now on.
#[cfg(feature = "admin")]
pub(super) fn keep_last() {
    IS_LAST_KEPT.store(true, Ordering::Relaxed);
}

/// Reads the last profile, if there is one.
#[cfg(feature = "admin")]
pub(super) fn last_profile<R>(read: impl FnOnce(&Profile) -> R) -> Option<R> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(read)
}

/// How the configuration samples CPU time.
#[cfg(feature = "admin")]
pub(super) fn cpu_options() -> Option<CpuOptions> {
    OPTIONS.get()?.cpu
}

impl Work {
    fn run(mut self, window: Duration, once: bool, orders: &Receiver<Order>) {
        let mut begun = Instant::now();
        // `Duration::MAX` is later than any time that can be waited for.
        let wait = |ended: bool, begun: Instant| match ended || window == Duration::MAX {
            true => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => orders.recv_timeout(window.saturating_sub(begun.elapsed())),
        };
        loop {
            let ended = self.cpu.is_none() && self.memory.is_none();
            match wait(ended, begun) {
                Err(RecvTimeoutError::Timeout) if !once => {
                    self.write();
                    begun = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => self.end(),
                Ok(Order::Change(change)) => self.wanted.push(change),
                Ok(Order::Stop(answer)) => {
                    if !ended {
                        self.end();
                    }
                    let nothing = || Err(io::Error::new(io::ErrorKind::NotFound, "nothing is profiled"));
                    let _ = answer.send(self.written.take().unwrap_or_else(nothing));
                    return;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes the profiles of a window.
    fn write(&mut self) {
        let memory = self.memory.as_ref().map(HeapProfiler::profile);
        let cpu = self.cpu.as_ref().map(CpuProfiler::take);
        self.keep(memory, cpu);
    }

    /// Writes the last profiles. Nothing is sampled afterwards.
    fn end(&mut self) {
        let memory = self.memory.take().map(|profiler| profiler.profile());
        let cpu = self.cpu.take().map(CpuProfiler::stop);
        used::sample();
        self.keep(memory, cpu);
        self.send.lose(self.wanted.drain(..).len());
    }

    fn keep(&mut self, mut memory: Option<Profile>, mut cpu: Option<Profile>) {
        for profile in [&mut memory, &mut cpu].into_iter().flatten() {
            profile.label_spans(|_, span| labels::of(span));
        }
        for profile in [&memory, &cpu].into_iter().flatten() {
            self.written = Some(self.send.write(profile));
            self.send.send(profile);
        }
        if let Some(profile) = &cpu {
            let is_ready = |change: &mut Change| change.at <= profile.started();
            self.wanted.extract_if(.., is_ready).for_each(|change| self.send.change(&change, profile));
        }
        if cpu.is_some() && IS_LAST_KEPT.load(Ordering::Relaxed) {
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = cpu;
        }
    }
}

impl Config {
    /// Whether CPU time may be sampled: by a session that the configuration begins, or for a page.
    pub(crate) fn is_profiled(&self) -> bool {
        #[cfg(feature = "admin")]
        if self.wants_profile_pages() {
            return true;
        }
        match &self.profiling {
            Some(options) => options.cpu.is_some(),
            None => {
                let (options, on) = self.profiling_of_keys();
                on && options.cpu.is_some()
            }
        }
    }
}

/// Profiles that were removed from the configuration's folder: beyond the number, the age and the bytes that it may have.
pub(crate) fn removed() -> [u64; 3] {
    let removed = OPTIONS.get().map(|options| options.folder.removed()).unwrap_or_default();
    [removed.count, removed.age, removed.bytes]
}

/// Begins what the configuration asks for.
pub(crate) fn begin(config: &Config) {
    let (options, on) = match &config.profiling {
        Some(options) => (options.clone(), true),
        None => config.profiling_of_keys(),
    };
    send::begin(config);
    if config.is_profiled() || on {
        labels::begin(options.labels.clone());
    }
    if on && let Err(error) = start(&options, options.window) {
        diagnostics::tell(format_args!("the process is not profiled: {error}"));
    }
    let cpu = options.cpu.unwrap_or_default();
    OPTIONS.set(options);
    memory::begin(config.memory_metrics_component());
    let resources = config.resources();
    let switches = resources.as_ref().is_some_and(|resources| !resources.samples_only);
    process::begin(resources.is_some());
    used::want(resources.map(|_| cpu), switches);
}

/// Begins to end the session, if there is one.
pub(crate) fn end() -> Ending {
    used::want(None, false);
    memory::end();
    let (answer, wait) = mpsc::channel();
    ask_to_stop(answer);
    Ending(wait)
}

/// A session that ends.
pub(crate) struct Ending(Receiver<io::Result<PathBuf>>);

impl Ending {
    /// Waits at most this long until the last profile is written.
    pub(crate) fn wait(self, within: Duration) {
        let _ = self.0.recv_timeout(within);
    }
}
