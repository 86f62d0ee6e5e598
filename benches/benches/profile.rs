//! What profiles cost: how long a sample of CPU time keeps the thread that it interrupts, and what counting adds to an allocation, next to pprof-rs.
//!
//! `cargo bench -p throughline-benches --features profile --bench profile` prints a table in Markdown.
//!
//! A thread looks without a pause at the clock of its own CPU time, 36 functions deep. When it is interrupted, that clock jumps. The kernel's ticks
//! make it jump too, less far than a sample does, so of a run with N samples the N longest jumps are those of the samples. The median of them is given,
//! less that of a look at the clock. Turns of other programs on the processor are not part of this clock.

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
/// CPU time for which each profiler runs.
const TIME: Duration = Duration::from_secs(4);
/// Samples per second that are asked for.
const FREQUENCY: u32 = 997;

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
    println!("{FREQUENCY} samples per second of CPU time are asked for, {DEPTH} functions deep.\n");
    println!(
        "| a sample of CPU time | samples per second | keeps the thread | of the CPU at 99 Hz | whole stacks |"
    );
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

fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The jumps of the clock that a thread sees, longest first, less the usual one.
#[inline(never)]
fn jumps(depth: u32) -> Vec<Duration> {
    if depth > 0 {
        let jumps = jumps(depth - 1);
        black_box(depth);
        return jumps;
    }
    let mut jumps = Vec::with_capacity(1 << 25);
    let begun = thread_cpu();
    let mut before = begun;
    while before - begun < TIME && jumps.len() < jumps.capacity() {
        let now = thread_cpu();
        jumps.push(now - before);
        before = now;
    }
    jumps.sort_unstable_by(|a, b| b.cmp(a));
    let usual = jumps[jumps.len() / 2];
    jumps.iter().map(|jump| jump.saturating_sub(usual)).collect()
}

fn row(jumps: &[Duration], samples: u64, complete: Option<f64>) -> String {
    let of_samples = &jumps[..jumps.len().min(samples as usize)];
    let median = of_samples.get(of_samples.len() / 2).copied().unwrap_or_default().as_secs_f64();
    let per_second = samples as f64 / TIME.as_secs_f64();
    let complete = complete.map_or(String::new(), |share| format!("{:.1} %", 100.0 * share));
    format!("{per_second:.0} | {:.1} µs | {:.3} % | {complete}", median * 1e6, median * 99.0 * 100.0)
}

fn empty() -> Result<String, Box<dyn Error>> {
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn handle(_: libc::c_int) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    let every = libc::timeval { tv_sec: 0, tv_usec: 1_000_000 / i64::from(FREQUENCY) };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the handler only adds to an atomic.
    unsafe { libc::signal(libc::SIGPROF, handle as *const () as usize) };
    // SAFETY: the pointers are valid.
    unsafe { libc::setitimer(libc::ITIMER_PROF, &timer, std::ptr::null_mut()) };
    let jumps = jumps(DEPTH);
    Ok(row(&jumps, HANDLED.load(Ordering::Relaxed), None))
}

fn throughline() -> Result<String, Box<dyn Error>> {
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(FREQUENCY))?;
    let jumps = jumps(DEPTH);
    let profile = profiler.stop();
    Ok(row(&jumps, profile.signals(), profile.complete_stacks()))
}

fn pprof_rs() -> Result<String, Box<dyn Error>> {
    let guard = pprof::ProfilerGuard::new(FREQUENCY as i32)?;
    let jumps = jumps(DEPTH);
    let report = guard.report().build()?;
    let (mut all, mut complete) = (0, 0);
    for (frames, count) in &report.data {
        let has = |name: &str| frames.frames.iter().flatten().any(|symbol| symbol.name().contains(name));
        all += count;
        complete += if has("main") { *count } else { 0 };
    }
    let share = (all > 0).then(|| complete as f64 / all as f64);
    Ok(row(&jumps, all.max(0) as u64, share))
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
