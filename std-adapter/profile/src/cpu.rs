//! CPU profiles: every thread is interrupted each time it has used so much CPU time, and the place where it is, with
//! its callers and the current span, is counted.

mod collect;
mod handler;
mod perf;
mod ring;
mod table;
mod threads;
mod timer;

use crate::profile::Profile;
use crate::{ProfileError, unwind};
use std::ops::RangeInclusive;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

pub(crate) use handler::{lost_samples_of_spans, read_spans, tell_spans};
pub(crate) use threads::{begin_current, current_id, end_current};

/// Samples per second of CPU time that can be asked for.
pub const FREQUENCIES: RangeInclusive<u32> = 19..=999;

/// Gets each profile of a profiler that runs in windows.
type Sink = Box<dyn FnMut(Profile) + Send>;

enum Control {
    Frequency(u32),
    Take(Sender<Profile>),
    Stop(Sender<Profile>),
}

/// How CPU time is sampled.
#[derive(Clone, Copy, Debug)]
pub struct CpuOptions {
    frequency: u32,
    source: CpuSource,
}

/// What interrupts a thread each time it has used so much CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CpuSource {
    /// A timer on the thread's CPU clock (`timer_create`), which any process may have. The kernel looks at it at its own ticks.
    #[default]
    Timer,
    /// The kernel's clock for profilers (`perf_event_open`), where `perf_event_paranoid` is 2 or less and the sandbox permits it. Its
    /// frequency does not depend on the kernel's ticks, and a sample stands for exactly the CPU time since the one before it. It takes a file
    /// for each thread. A thread that ends within its first period has no sample.
    Perf,
}

impl Default for CpuOptions {
    /// 99 samples per second of CPU time.
    fn default() -> CpuOptions {
        CpuOptions { frequency: 99, source: CpuSource::Timer }
    }
}

impl CpuOptions {
    /// Samples per second of CPU time that a thread uses, 19 to 999. The kernel looks at these timers at its own ticks:
    /// with 250 ticks per second (`CONFIG_HZ`), no thread is interrupted more often than that. A sample then stands for
    /// the expirations that had no signal of their own, and [`Profile::delivered_frequency`] tells the true rate.
    pub fn frequency(mut self, samples_per_second: u32) -> CpuOptions {
        self.frequency = samples_per_second;
        self
    }

    /// What interrupts threads; a timer if nothing else is said.
    pub fn source(mut self, source: CpuSource) -> CpuOptions {
        self.source = source;
        self
    }
}

fn check_frequency(frequency: u32) -> Result<u32, ProfileError> {
    if FREQUENCIES.contains(&frequency) { Ok(frequency) } else { Err(ProfileError::Frequency(frequency)) }
}

static RUNNING: AtomicBool = AtomicBool::new(false);
static FORKED: AtomicBool = AtomicBool::new(false);

/// A running CPU profiler; there can be one in a process. Dropping it stops it.
///
/// ```no_run
/// use throughline_profile::{CpuOptions, CpuProfiler};
/// # fn work() {}
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let profiler = CpuProfiler::start(CpuOptions::default())?;
/// work();
/// let profile = profiler.stop();
/// std::fs::write("work.pb.gz", profile.symbolize().pprof())?;
/// # Ok(())
/// # }
/// ```
///
/// Cost: 8 µs for a sample 36 functions deep, 0.08 % of the CPU at 99 Hz (AMD EPYC; `benches/results`); about 130 KiB of memory for each thread,
/// reused for later ones.
#[derive(Debug)]
pub struct CpuProfiler {
    /// `None` after the end.
    controls: Option<Sender<Control>>,
    process: u32,
}

impl CpuProfiler {
    /// Samples all threads of the process from now on, and threads that begin later within a tenth of a second.
    ///
    /// # Errors
    ///
    /// [`ProfileError`] says what stands in the way and what can be done.
    pub fn start(options: CpuOptions) -> Result<CpuProfiler, ProfileError> {
        CpuProfiler::start_with(options, None)
    }

    /// The same, and each time that a window of this length has passed, hands its profile to `sink`, on the profiler's
    /// own thread. A window is lengthened to the next tenth of a second.
    ///
    /// # Errors
    ///
    /// As for [`CpuProfiler::start`].
    pub fn continuous(
        options: CpuOptions,
        window: Duration,
        sink: impl FnMut(Profile) + Send + 'static,
    ) -> Result<CpuProfiler, ProfileError> {
        CpuProfiler::start_with(options, Some((window, Box::new(sink))))
    }

    fn start_with(
        options: CpuOptions,
        windows: Option<(Duration, Sink)>,
    ) -> Result<CpuProfiler, ProfileError> {
        let frequency = check_frequency(options.frequency)?;
        watch_forks();
        if is_forked() {
            return Err(ProfileError::Forked);
        }
        unwind::is_permitted().map_err(ProfileError::Memory)?;
        // Samples of this thread take less time then.
        unwind::own_stack();
        if options.source == CpuSource::Perf {
            perf::PerfClock::is_permitted().map_err(ProfileError::Perf)?;
        }
        if RUNNING.swap(true, Ordering::AcqRel) {
            return Err(ProfileError::AlreadyRunning);
        }
        let (controls, receiver) = mpsc::channel();
        let started = handler::install().map_err(ProfileError::Signal).and_then(|()| {
            let run = move || {
                throughline::adapter::recorder::mute_thread();
                // Dropped also when a sink panics.
                let running = Running;
                let last = collect::Collector::new(frequency, options.source, windows).run(&receiver);
                drop(running);
                // Another profiler can be started by now.
                if let Some((to, profile)) = last {
                    let _ = to.send(profile);
                }
            };
            let thread = std::thread::Builder::new().name("throughline-cpu".into());
            thread.spawn(run).map_err(ProfileError::Thread)
        });
        match started {
            Ok(_) => {
                let profiler = CpuProfiler { controls: Some(controls), process: std::process::id() };
                // All threads have timers when the first answer is there; that window is almost empty.
                let _ = profiler.take();
                Ok(profiler)
            }
            Err(error) => {
                RUNNING.store(false, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Samples with another frequency from now on.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Frequency`] unless it is within [`FREQUENCIES`].
    pub fn set_frequency(&self, samples_per_second: u32) -> Result<(), ProfileError> {
        let frequency = check_frequency(samples_per_second)?;
        if let Some(controls) = self.here() {
            let _ = controls.send(Control::Frequency(frequency));
        }
        Ok(())
    }

    /// The profile since the start or the last call, with at most a few milliseconds' delay. With windows: since the
    /// last window.
    pub fn take(&self) -> Profile {
        self.ask(Control::Take)
    }

    /// Stops, and returns the profile since the start or the last [`take`](CpuProfiler::take).
    pub fn stop(mut self) -> Profile {
        self.end()
    }

    fn end(&mut self) -> Profile {
        let profile = self.ask(Control::Stop);
        self.controls = None;
        profile
    }

    fn ask(&self, control: impl FnOnce(Sender<Profile>) -> Control) -> Profile {
        let (sender, receiver) = mpsc::channel();
        let asked = self.here().and_then(|controls| controls.send(control(sender)).ok());
        asked.and_then(|()| receiver.recv().ok()).unwrap_or_default()
    }

    /// The way to the profiler's thread, which a forked process does not have.
    fn here(&self) -> Option<&Sender<Control>> {
        self.controls.as_ref().filter(|_| self.process == std::process::id())
    }
}

impl Drop for CpuProfiler {
    fn drop(&mut self) {
        if self.here().is_some() {
            self.end();
        }
        // A forked process has no thread to tell, and the channel's state is that of its parent.
        std::mem::forget(self.controls.take());
    }
}

/// The profiler runs, until this is dropped.
struct Running;

impl Drop for Running {
    fn drop(&mut self) {
        threads::lock().stop();
        RUNNING.store(false, Ordering::Release);
    }
}

/// Samples the process for this long and returns the profile. It waits on the calling thread.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let profile = throughline_profile::profile_for(std::time::Duration::from_secs(30), Default::default())?;
/// std::fs::write("shop.svg", profile.symbolize().flame_graph("shop"))?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As for [`CpuProfiler::start`].
pub fn profile_for(duration: Duration, options: CpuOptions) -> Result<Profile, ProfileError> {
    let profiler = CpuProfiler::start(options)?;
    std::thread::sleep(duration);
    Ok(profiler.stop())
}

/// A forked process has none of the timers and no profiler's thread, and copies of locks that may be held.
pub(crate) fn watch_forks() {
    static WATCHED: Once = Once::new();
    extern "C" fn child() {
        FORKED.store(true, Ordering::Release);
    }
    WATCHED.call_once(|| {
        // SAFETY: the handler is a function of this program that only stores an atomic. The call fails only without
        // memory.
        unsafe { libc::pthread_atfork(None, None, Some(child)) };
    });
}

/// Whether this process was forked from one that could profile.
pub(crate) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}
