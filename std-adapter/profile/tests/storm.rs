//! Samples at the highest frequency while threads do what has made profilers crash or hang: they allocate, fight for locks,
//! load and unload a library, fork, unwind panics, and end.
//!
//! It takes two seconds, or as many as `THROUGHLINE_STORM_SECONDS` says: before a release,
//! `THROUGHLINE_STORM_SECONDS=600 cargo test --release -p throughline-profile --test storm`.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

mod support;

use std::alloc::System;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};
use support::{Library, Random, record};
use throughline::span;
use throughline_profile::{Allocator, CpuOptions, CpuProfiler, HeapOptions, HeapProfiler, adapter};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::new(System);

static STOP: AtomicBool = AtomicBool::new(false);

/// Repeats `f` until the end of the storm. Returns how often.
fn storm(mut f: impl FnMut(u64)) -> u64 {
    let mut rounds = 0;
    while !STOP.load(Ordering::Relaxed) {
        f(rounds);
        rounds += 1;
    }
    rounds
}

/// Allocates and frees blocks of all sizes, in a span.
fn allocate() -> u64 {
    let (mut random, mut blocks) = (Random(5), Vec::<Vec<u8>>::new());
    storm(|_| {
        let _span = span!("allocate");
        let size = 1 << (random.next() % 17);
        match random.next() % 4 {
            0 => blocks.clear(),
            1 => blocks.iter_mut().for_each(|block| block.push(1)),
            _ => blocks.push(vec![7; size as usize]),
        }
        if blocks.len() > 100 {
            blocks.drain(..50);
        }
    })
}

/// Two threads wake each other up in turn; a wake-up that was lost would stop them. Returns the turns.
fn take_turns(turn: &(Mutex<u64>, Condvar), which: u64) -> u64 {
    let (turn, changed) = turn;
    let mut turns = 0;
    let mut now = turn.lock().unwrap();
    loop {
        if STOP.load(Ordering::Relaxed) {
            changed.notify_all();
            return turns;
        }
        if *now % 2 == which {
            *now += 1;
            turns += 1;
            changed.notify_one();
            continue;
        }
        let waited = changed.wait_timeout_while(now, Duration::from_secs(60), |now| {
            *now % 2 != which && !STOP.load(Ordering::Relaxed)
        });
        let (guard, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "a wake-up was lost");
        now = guard;
    }
}

fn load_and_unload(library: &Library) -> u64 {
    storm(|_| {
        let loaded = library.load();
        loaded.work(10_000);
    })
}

/// Forks; the child allocates, as its program may, and must end by itself.
fn fork() -> u64 {
    storm(|_| {
        // SAFETY: the child calls only the allocator, whose state the C library sees to, and `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            // SAFETY: ends the child if it hangs.
            unsafe { libc::alarm(30) };
            let blocks: Vec<_> = (1..200).map(|n| std::hint::black_box(vec![1_u8; n * 7])).collect();
            let whole = CpuProfiler::start(CpuOptions::default()).is_err() && blocks.len() == 199;
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(if whole { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: the pointer is valid. A signal may interrupt the call.
        while unsafe { libc::waitpid(child, &mut status, 0) } != child {}
        assert_eq!(status, 0, "the child ended with status {status:#x}");
    })
}

#[inline(never)]
fn panic_at(depth: u64) {
    if depth == 0 {
        std::panic::resume_unwind(Box::new("over"));
    }
    let guard = vec![depth; 3];
    panic_at(depth - 1);
    drop(guard);
}

fn unwind() -> u64 {
    storm(|round| {
        let unwound = std::panic::catch_unwind(|| panic_at(round % 40));
        assert_eq!(unwound.unwrap_err().downcast_ref::<&str>(), Some(&"over"));
    })
}

/// Starts threads that end soon. Half of them say so.
fn end_threads(ended: &AtomicU64) -> u64 {
    storm(|round| {
        let thread = std::thread::spawn(move || {
            if round % 2 == 0 {
                adapter::begin_thread();
            }
            let _span = span!("short");
            support::use_cpu(Duration::from_micros(round % 3000));
            if round % 2 == 0 {
                adapter::end_thread();
            }
        });
        thread.join().unwrap();
        ended.fetch_add(1, Ordering::Relaxed);
    })
}

#[test]
fn nothing_crashes_or_hangs_and_every_signal_is_a_sample_or_a_counted_loss() {
    let seconds =
        std::env::var("THROUGHLINE_STORM_SECONDS").map_or(2, |text| text.parse().expect("a number"));
    record();
    let library = Library::build();
    let heap = HeapProfiler::start(HeapOptions::default().interval(64 * 1024)).unwrap();
    let cpu = CpuProfiler::start(CpuOptions::default().frequency(997)).unwrap();
    adapter::tell_used();
    let (mut sampled_in_spans, mut allocated_in_spans) = (0, 0);
    let turn = (Mutex::new(0), Condvar::new());
    let ended = AtomicU64::new(0);
    let [mut signals, mut samples, mut lost] = [0; 3];
    let mut complete = 0.0;
    std::thread::scope(|scope| {
        let workers = [
            ("allocate", scope.spawn(allocate)),
            ("first turn", scope.spawn(|| take_turns(&turn, 0))),
            ("second turn", scope.spawn(|| take_turns(&turn, 1))),
            ("load", scope.spawn(|| load_and_unload(&library))),
            ("fork", scope.spawn(fork)),
            ("unwind", scope.spawn(unwind)),
            ("end threads", scope.spawn(|| end_threads(&ended))),
        ];
        let begun = Instant::now();
        let mut frequency = 997;
        while begun.elapsed() < Duration::from_secs(seconds) {
            // Also while it runs: another frequency, a profile, and a look at the memory.
            std::thread::sleep(Duration::from_millis(150));
            frequency = if frequency == 997 { 499 } else { 997 };
            cpu.set_frequency(frequency).unwrap();
            let profile = cpu.take();
            signals += profile.signals();
            samples += profile.samples();
            lost += profile.losses().total();
            complete += profile.complete_stacks().unwrap_or(0.0) * profile.samples() as f64;
            heap.profile();
            adapter::read_used(|_, used| match used {
                adapter::Used::Sample(_) => sampled_in_spans += 1,
                adapter::Used::Memory(part) => allocated_in_spans += part.bytes,
            });
        }
        STOP.store(true, Ordering::Relaxed);
        turn.1.notify_all();
        for (name, worker) in workers {
            let rounds = worker.join().unwrap();
            assert!(rounds > 0, "{name} did nothing");
            println!("{name}: {rounds} rounds");
        }
    });
    let last = cpu.stop();
    signals += last.signals();
    samples += last.samples();
    lost += last.losses().total();
    println!(
        "{signals} signals, {samples} samples, {lost} lost, {:.1} % complete",
        100.0 * complete / samples as f64
    );
    assert_eq!(signals, samples + lost);
    assert!(samples > 100, "{samples} samples");
    assert!(lost * 100 <= signals, "{lost} of {signals} were lost");
    println!(
        "in spans: {sampled_in_spans} samples, {allocated_in_spans} bytes; not read in time: {:?}",
        adapter::lost_used()
    );
    assert!(heap.profile().samples() > 0 && sampled_in_spans > 0 && allocated_in_spans > 0);
}
