//! What profiles cost: how long a sample of CPU time keeps the thread that it interrupts, and what counting adds to an allocation, next to pprof-rs.
//!
//! `cargo bench -p throughline-benches --features profile --bench profile` prints a table in Markdown.
//!
//! A thread sends itself the signals that its timer would send, 36 functions deep, and takes the time of each: the handler runs before the call
//! returns. The same call with an empty handler is the least that a signal can cost.

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use throughline_benches::Machine;
use throughline_profile::{Allocator, CpuOptions, CpuProfiler, HeapOptions, HeapProfiler};

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
    ("pprof-rs 0.15", pprof_rs),
];

fn main() -> Done {
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    if let Some((_, subject)) = SUBJECTS.iter().find(|(name, _)| std::env::args().any(|arg| arg == *name)) {
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
    println!("\n| an allocation of 64 bytes and its free | time |\n|---|--:|");
    allocations()
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
    // The system tells what the timer of this thread sends.
    let timers = std::fs::read_to_string("/proc/self/timers")?;
    // SAFETY: asks the system for a number.
    let thread = format!("notify: signal/tid.{}", unsafe { libc::gettid() });
    let mut value = None;
    for (signal, notify) in timers.lines().zip(timers.lines().skip(1)) {
        if notify == thread {
            value = signal.rsplit_once('/').and_then(|(_, value)| usize::from_str_radix(value, 16).ok());
        }
    }
    let times = signals(DEPTH, value.ok_or("/proc/self/timers has no timer of this thread")?);
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

fn allocations() -> Done {
    println!("| the system's allocator | {:.2} ns |", pair(&System));
    println!("| **throughline**: counted | {:.2} ns |", pair(&ALLOCATOR));
    let profiler = HeapProfiler::start(HeapOptions::default())?;
    println!("| **throughline**: counted, one sample in 512 KiB | {:.2} ns |", pair(&ALLOCATOR));
    drop(profiler);
    Ok(())
}

/// The least time of an allocation and its free, in nanoseconds, of many rounds.
fn pair(allocator: &impl GlobalAlloc) -> f64 {
    const LAYOUT: Layout = Layout::new::<[u64; 8]>();
    const PAIRS: u32 = 200_000;
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
