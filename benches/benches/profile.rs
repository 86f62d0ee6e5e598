//! What profiles cost: how long a sample of CPU time keeps the thread that it interrupts, and what counting adds to an allocation, next to pprof-rs.
//!
//! `cargo bench -p throughline-benches --features profile-peers --bench profile` prints tables in Markdown; with the feature `profile` alone, they are without
//! jemalloc and dhat.
//!
//! A thread sends itself the signals that its timer would send, 36 functions deep, and takes the time of each: the handler runs before the call
//! returns. The same call with an empty handler is the least that a signal can cost.
//!
//! Allocations, spans and requests are measured in processes that take turns, and what one takes more than another is the median of the differences of
//! neighbours: on a machine whose speed changes from minute to minute, times that were taken minutes apart cannot be compared.

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use throughline::adapter::recorder;
use throughline::adapter::ring::{Mode, Slot};
use throughline::{Clock, Recorder};
use throughline_benches::Machine;
use throughline_profile::{Allocator, CpuOptions, CpuProfiler, HeapOptions, HeapProfiler, adapter};

/// How deep the functions are nested in which the thread is interrupted.
const DEPTH: u32 = 36;
/// Signals in a burst. A thread's ring has room for all of their samples.
const BURST: usize = 100;
const BURSTS: usize = 40;
/// Between two bursts, in which the profiler's thread empties the ring.
const PAUSE: Duration = Duration::from_millis(150);

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::new(System);

type Done = Result<(), Box<dyn Error>>;
type Subject = fn() -> Result<String, Box<dyn Error>>;

/// Each runs in a process of its own, because handlers of signals stay.
const SUBJECTS: &[(&str, Subject)] = &[
    ("a signal and an empty handler", empty),
    ("**throughline**", throughline),
    ("**throughline**, a thread that records nothing, so that its stack is not known", throughline_elsewhere),
    ("pprof-rs 0.15", pprof_rs),
];

fn main() -> Done {
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let mut subjects = SUBJECTS.iter().chain(STATES);
    if let Some((_, subject)) = subjects.find(|(name, _)| std::env::args().any(|arg| arg == *name)) {
        println!("{}", subject()?);
        return Ok(());
    }
    let machine = Machine::this();
    println!("# Profiles of {}\n\n{}, {}\n", machine.date, machine.cpu, machine.rustc);
    println!("{DEPTH} functions deep.\n");
    println!("| a sample of CPU time | median | least | of the CPU at 99 Hz | whole stacks |");
    println!("|---|--:|--:|--:|--:|");
    for (name, _) in SUBJECTS {
        let output = Command::new(std::env::current_exe()?).args([name, "--bench"]).output()?;
        let row = String::from_utf8(output.stdout)?;
        // A profiler that crashes is a result too.
        let row = if output.status.success() { row.trim() } else { "ended with a crash | | |" };
        println!("| {name} | {row} |");
    }
    compare()
}

/// What is turned on in a process of its own, because what is once on stays on. Each returns times in nanoseconds.
const STATES: &[(&str, Subject)] = &[
    ("state: nothing", nothing),
    ("state: sampled", sampled),
    ("state: told", told),
    ("state: told, CPU", told_and_cpu),
    ("state: told, CPU, memory", told_cpu_and_memory),
    #[cfg(feature = "profile-peers")]
    ("state: dhat", dhat_pairs),
    #[cfg(feature = "profile-peers")]
    ("state: jemalloc", jemalloc_pairs),
];

/// The number of a state, and that of one of its times.
type Figure = (usize, usize);

/// Rows of a table: what took the time, and what it is compared with.
type Rows = [(&'static str, Figure, Option<Figure>)];

const SYSTEM: Figure = (0, 0);
const ALLOCATIONS: &Rows = &[
    ("the system's allocator", SYSTEM, None),
    ("**throughline**: counted", (0, 1), Some(SYSTEM)),
    ("**throughline**: counted, one sample in 512 KiB", (1, 0), Some(SYSTEM)),
    ("**throughline**: counted, and told to the span", (2, 0), Some(SYSTEM)),
    #[cfg(feature = "profile-peers")]
    ("dhat 0.3, which looks at each", (5, 1), Some((5, 0))),
    #[cfg(feature = "profile-peers")]
    ("jemalloc, one sample in 512 KiB", (6, 1), Some((6, 0))),
];
const SPANS: &Rows = &[
    ("without allocations", (0, 2), None),
    ("the same, told what it uses", (2, 1), Some((0, 2))),
    ("with an allocation and its free, counted", (0, 3), None),
    ("the same, told what it uses", (2, 2), Some((0, 3))),
];
const REQUESTS: &Rows = &[
    ("the system's allocator, nothing profiled", (0, 4), None),
    ("allocations counted, and all told to spans", (2, 3), Some((0, 4))),
    ("… and CPU time sampled", (3, 0), Some((0, 4))),
    ("… and memory sampled, one sample in 512 KiB, some 12 requests", (4, 0), Some((0, 4))),
];

/// How often each state is measured, one after the other, so that what else the machine does hits all of them.
const ROUNDS: usize = 15;

/// Prints the tables of allocations, spans and requests.
fn compare() -> Done {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let round: Result<Vec<Vec<f64>>, Box<dyn Error>> =
            STATES.iter().map(|(name, _)| measured(name)).collect();
        rounds.push(round?);
    }
    let heads =
        ["an allocation of 64 bytes and its free", "a span", "a request of 11 spans and 30 allocations"];
    for (head, rows) in heads.into_iter().zip([ALLOCATIONS, SPANS, REQUESTS]) {
        println!("\n| {head} | median | least | more, median |\n|---|--:|--:|--:|");
        for (what, figure, base) in rows {
            let of = |(state, time): Figure| rounds.iter().map(move |round| round[state][time]);
            let times = sorted(of(*figure));
            let more = base.map(|base| {
                let more = sorted(of(*figure).zip(of(base)).map(|(time, base)| time - base))[ROUNDS / 2];
                format!("{more:+.1} ns ({:+.1} %)", 100.0 * more / sorted(of(base))[ROUNDS / 2])
            });
            let more = more.unwrap_or_default();
            println!("| {what} | {:.1} ns | {:.1} ns | {more} |", times[ROUNDS / 2], times[0]);
        }
    }
    Ok(())
}

fn sorted(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The times that a process finds in this state.
fn measured(state: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let conf = "prof:true,prof_active:true,lg_prof_sample:19";
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args([state, "--bench"]).env("_RJEM_MALLOC_CONF", conf).output()?;
    if !output.status.success() {
        return Err(format!("{state}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

fn times<const N: usize>(times: [f64; N]) -> Result<String, Box<dyn Error>> {
    Ok(times.map(|time| time.to_string()).join(" "))
}

/// The start of the system's description of a signal that a timer has sent.
#[repr(C)]
struct TimerSignal {
    signal: libc::c_int,
    error: libc::c_int,
    code: libc::c_int,
    _padding: libc::c_int,
    timer: libc::c_int,
    missed: libc::c_int,
    value: usize,
    _rest: [u64; 12],
}

/// Sends signals with this value to the running thread. Returns the times that they took, shortest first.
#[inline(never)]
fn signals(depth: u32, value: usize) -> Vec<Duration> {
    if depth > 0 {
        let times = signals(depth - 1, value);
        black_box(depth);
        return times;
    }
    let signal = TimerSignal {
        signal: libc::SIGPROF,
        error: 0,
        code: libc::SI_TIMER,
        _padding: 0,
        timer: 0,
        missed: 0,
        value,
        _rest: [0; 12],
    };
    // SAFETY: asks the system for a number.
    let process = unsafe { libc::getpid() };
    // SAFETY: asks the system for a number.
    let thread = unsafe { libc::gettid() };
    let mut times = Vec::new();
    for _ in 0..BURSTS {
        for _ in 0..BURST {
            let begun = Instant::now();
            // SAFETY: the description is as large as the system reads.
            unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, libc::SIGPROF, &signal) };
            times.push(begun.elapsed());
        }
        std::thread::sleep(PAUSE);
    }
    times.sort_unstable();
    times
}

fn row(times: &[Duration], complete: Option<f64>) -> String {
    let (least, median) = (times[0].as_secs_f64(), times[times.len() / 2].as_secs_f64());
    let complete = complete.map_or(String::new(), |share| format!("{:.1} %", 100.0 * share));
    format!("{:.1} µs | {:.1} µs | {:.3} % | {complete}", median * 1e6, least * 1e6, median * 99.0 * 100.0)
}

fn empty() -> Result<String, Box<dyn Error>> {
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn handle(_: libc::c_int) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler only adds to an atomic.
    unsafe { libc::signal(libc::SIGPROF, handle as *const () as usize) };
    let times = signals(DEPTH, 0);
    assert_eq!(HANDLED.load(Ordering::Relaxed) as usize, times.len());
    Ok(row(&times, None))
}

fn throughline() -> Result<String, Box<dyn Error>> {
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(19))?;
    sampled_by(profiler, signals_of_timer()?)
}

fn throughline_elsewhere() -> Result<String, Box<dyn Error>> {
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(19))?;
    let times = std::thread::spawn(|| {
        // Until the profiler has found this thread.
        std::thread::sleep(5 * PAUSE);
        signals_of_timer().map_err(|error| error.to_string())
    });
    sampled_by(profiler, times.join().expect("the thread has not panicked")?)
}

/// Sends the running thread what its timer would send; the system tells what that is.
fn signals_of_timer() -> Result<Vec<Duration>, Box<dyn Error>> {
    let timers = std::fs::read_to_string("/proc/self/timers")?;
    // SAFETY: asks the system for a number.
    let thread = format!("notify: signal/tid.{}", unsafe { libc::gettid() });
    let mut value = None;
    for (signal, notify) in timers.lines().zip(timers.lines().skip(1)) {
        if notify == thread {
            value = signal.rsplit_once('/').and_then(|(_, value)| usize::from_str_radix(value, 16).ok());
        }
    }
    Ok(signals(DEPTH, value.ok_or("/proc/self/timers has no timer of this thread")?))
}

fn sampled_by(profiler: CpuProfiler, times: Vec<Duration>) -> Result<String, Box<dyn Error>> {
    let profile = profiler.stop();
    assert!(
        profile.samples() as usize >= times.len(),
        "{} samples, {:?}",
        profile.samples(),
        profile.losses()
    );
    Ok(row(&times, profile.complete_stacks()))
}

fn pprof_rs() -> Result<String, Box<dyn Error>> {
    let guard = pprof::ProfilerGuard::new(19)?;
    let times = signals(DEPTH, 0);
    let report = guard.report().build()?;
    let (mut all, mut complete) = (0, 0);
    for (frames, count) in &report.data {
        let has = |name: &str| frames.frames.iter().flatten().any(|symbol| symbol.name().contains(name));
        all += count;
        complete += if has("main") { *count } else { 0 };
    }
    assert!(all as usize >= times.len(), "{all} samples");
    Ok(row(&times, Some(complete as f64 / all as f64)))
}

fn nothing() -> Result<String, Box<dyn Error>> {
    let (system, counted) = (pair(&System), pair(&ALLOCATOR));
    record();
    times([system, counted, span(), span_with_allocation(), request(&System)])
}

fn sampled() -> Result<String, Box<dyn Error>> {
    let _profiler = HeapProfiler::start(HeapOptions::default())?;
    times([pair(&ALLOCATOR)])
}

/// Begins to record, and to tell spans what they use.
fn tell() {
    record();
    adapter::tell_used();
    // Where the kernel does not permit it, samples tell what spans use.
    let _ = adapter::tell_switches();
}

fn told() -> Result<String, Box<dyn Error>> {
    tell();
    let counted = {
        let _span = throughline::span!("allocates");
        pair(&ALLOCATOR)
    };
    times([counted, span(), span_with_allocation(), request(&ALLOCATOR)])
}

fn told_and_cpu() -> Result<String, Box<dyn Error>> {
    tell();
    let _cpu = CpuProfiler::start(CpuOptions::default())?;
    times([request(&ALLOCATOR)])
}

fn told_cpu_and_memory() -> Result<String, Box<dyn Error>> {
    tell();
    let _cpu = CpuProfiler::start(CpuOptions::default())?;
    let _heap = HeapProfiler::start(HeapOptions::default())?;
    times([request(&ALLOCATOR)])
}

#[cfg(feature = "profile-peers")]
fn dhat_pairs() -> Result<String, Box<dyn Error>> {
    static DHAT: dhat::Alloc = dhat::Alloc;
    let _profiler = dhat::Profiler::builder().testing().build();
    times([pair(&System), pair(&DHAT)])
}

#[cfg(feature = "profile-peers")]
fn jemalloc_pairs() -> Result<String, Box<dyn Error>> {
    times([pair(&System), pair(&tikv_jemallocator::Jemalloc)])
}

/// Gives threads of this bench rings, as the server's adapter does.
fn record() {
    recorder::set_thread_hook(|| {
        recorder::acquire_thread(|| {
            let (slots, cells) = (Vec::leak((0..8192).map(|_| Slot::new()).collect()), &[]);
            let clock = Clock::processor(1_000_000_000);
            Some(Box::leak(Box::new(Recorder::for_thread(slots, Mode::LocalOldest, clock, cells))))
        })
    });
}

/// The least time of `work`, in nanoseconds, of so many rounds. Rings are emptied between them.
fn least(rounds: u32, mut work: impl FnMut()) -> f64 {
    const CALLS: u32 = 500;
    drop(throughline::span!("makes the ring"));
    let mut reader = None;
    recorder::for_each_thread(|recorder| reader = reader.take().or_else(|| recorder.ring().reader()));
    let mut reader = reader.expect("a ring");
    let round = |_| {
        let begun = Instant::now();
        (0..CALLS).for_each(|_| work());
        let took = begun.elapsed();
        reader.drain(|_| {});
        adapter::read_used(|_, _| {});
        took.as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}

fn span() -> f64 {
    least(3000, || drop(black_box(throughline::span!("empty"))))
}

fn span_with_allocation() -> f64 {
    const LAYOUT: Layout = Layout::new::<[u64; 8]>();
    least(3000, || {
        let _span = throughline::span!("allocates");
        // SAFETY: the layout is not empty.
        let block = black_box(unsafe { ALLOCATOR.alloc(LAYOUT) });
        // SAFETY: the block was allocated with this layout.
        unsafe { ALLOCATOR.dealloc(block, LAYOUT) };
    })
}

/// The same machine code for both allocators: a loop that lies elsewhere in memory takes another time.
fn request(allocator: &dyn GlobalAlloc) -> f64 {
    least(40, || {
        let _request = throughline::span!("request");
        for n in 0..10 {
            let _step = throughline::span!("step", n);
            let layouts = [64, 256, 4096].map(|size| Layout::from_size_align(size, 8).unwrap());
            // SAFETY: the layouts are not empty.
            let blocks = layouts.map(|layout| (black_box(unsafe { allocator.alloc(layout) }), layout));
            let mut x = 1_u64;
            (0..2000).for_each(|_| x = black_box(x.wrapping_mul(31) ^ 7));
            for (block, layout) in blocks {
                // SAFETY: each block was allocated with its layout.
                unsafe { allocator.dealloc(block, layout) };
            }
        }
    })
}

/// The least time of an allocation and its free, in nanoseconds, of many rounds.
fn pair(allocator: &impl GlobalAlloc) -> f64 {
    const LAYOUT: Layout = Layout::new::<[u64; 8]>();
    const PAIRS: u32 = 20_000;
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..PAIRS {
            // SAFETY: the layout is not empty.
            let block = black_box(unsafe { allocator.alloc(LAYOUT) });
            // SAFETY: the block was allocated with this layout.
            unsafe { allocator.dealloc(block, LAYOUT) };
        }
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS)
    };
    (0..100).map(round).fold(f64::INFINITY, f64::min)
}
