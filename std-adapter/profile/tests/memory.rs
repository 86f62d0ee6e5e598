//! Memory profiles of a program whose allocations are known.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

mod support;

use std::alloc::System;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use support::alone;
use throughline_profile::{
    Allocator, HeapOptions, HeapProfiler, LeakFinder, LeakSeverity, ProcessMemory, ProfileError, Report,
    SizeCategory, allocation_counts,
};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::new(System);

type Blocks = Vec<Box<[u8]>>;

#[inline(never)]
fn many_small(n: usize) -> Blocks {
    (0..n).map(|_| std::hint::black_box(vec![1_u8; 256].into_boxed_slice())).collect()
}

#[inline(never)]
fn some_medium(n: usize) -> Blocks {
    (0..n).map(|_| std::hint::black_box(vec![2_u8; 4096].into_boxed_slice())).collect()
}

#[inline(never)]
fn few_large(n: usize) -> Blocks {
    (0..n).map(|_| std::hint::black_box(vec![3_u8; 200_000].into_boxed_slice())).collect()
}

/// Values of the stacks through a function.
fn with(report: &Report, name: &str) -> f64 {
    let value = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
    report.folded().lines().filter(|line| line.contains(name)).map(value).sum()
}

/// Asserts that what sampling found of `n` blocks of a size is the truth, within four standard deviations. A block that
/// is sampled with chance p stands for 1/p blocks, so the sum of its n blocks has the variance n (1 − p) / p.
#[track_caller]
fn assert_found(what: &str, found: f64, n: usize, size: usize, interval: u64) {
    let chance = 1.0 - (-(size as f64) / interval as f64).exp();
    let deviation = size as f64 * (n as f64 * (1.0 - chance) / chance).sqrt();
    // The vector of the blocks, which grows, is allocated by the same function.
    let (truth, of_vector) = ((n * size) as f64, (n * 16 * 4) as f64 + interval as f64);
    assert!(
        found >= truth - 4.0 * deviation && found <= truth + of_vector + 4.0 * deviation,
        "{what}: found {found}, true {truth}, deviation {deviation}"
    );
}

const INTERVAL: u64 = 16 * 1024;

#[test]
fn allocation_sites_are_found_with_what_they_allocated_and_what_is_in_use() {
    let _alone = alone();
    let profiler = HeapProfiler::start(HeapOptions::default().interval(INTERVAL)).unwrap();
    assert!(matches!(HeapProfiler::start(HeapOptions::default()), Err(ProfileError::AlreadyRunning)));
    let small = many_small(80_000);
    let medium = some_medium(2_000);
    let large = few_large(20);
    // Half of the small ones are freed, by another thread.
    let (sender, receiver) = mpsc::channel::<Blocks>();
    let other = std::thread::spawn(move || drop(receiver.recv()));
    let mut small = small;
    let kept = small.split_off(40_000);
    sender.send(small).unwrap();
    other.join().unwrap();
    drop(large);

    let profile = profiler.profile();
    // The threads of the test harness allocate too.
    assert!(profile.losses().total() * 100 <= profile.samples(), "{:?}", profile.losses());
    assert!(profile.samples() > 1000, "{}", profile.samples());
    assert!(profile.complete_stacks().unwrap() > 0.99);
    let names = ["memory::many_small", "memory::some_medium", "memory::few_large"];
    let report = profile.symbolize().measure("alloc_space");
    let read = Report::read_pprof(&report.pprof()).unwrap();
    assert!(read.samples().abs_diff(profile.samples()) * 100 <= profile.samples(), "{}", read.samples());
    for (name, (n, size)) in names.iter().zip([(80_000, 256), (2_000, 4096), (20, 200_000)]) {
        assert_found(name, with(&report, name), n, size, INTERVAL);
    }
    let report = report.measure("inuse_objects");
    let medium_objects = with(&report, names[1]);
    assert!((medium_objects - 2_000.0).abs() < 4.0 * (2_000.0_f64 * 3.5).sqrt() + 40.0, "{medium_objects}");
    let report = report.measure("inuse_space");
    assert_found(names[0], with(&report, names[0]), 40_000, 256, INTERVAL);
    assert_found(names[1], with(&report, names[1]), 2_000, 4096, INTERVAL);
    assert_eq!(with(&report, names[2]), 0.0, "all large blocks were freed");
    assert!(!report.folded().contains("throughline_profile::memory::sampler::due"), "{}", report.folded());

    drop((kept, medium));
    let after = profiler.profile().symbolize();
    assert_eq!((with(&after, names[0]), with(&after, names[1])), (0.0, 0.0), "{}", after.folded());
}

#[test]
fn sizes_are_told_by_category() {
    let _alone = alone();
    let profiler = HeapProfiler::start(HeapOptions::default().interval(INTERVAL)).unwrap();
    drop((many_small(40_000), some_medium(4_000), few_large(50)));
    let sizes = profiler.sizes();
    for (category, n, size) in [
        (SizeCategory::Small, 40_000, 256),
        (SizeCategory::Medium, 4_000, 4096),
        (SizeCategory::Large, 50, 200_000),
    ] {
        let chance = 1.0 - (-f64::from(size) / INTERVAL as f64).exp();
        let deviation = (f64::from(n) * (1.0 - chance) / chance).sqrt();
        let found = sizes.blocks(category) as f64;
        // The vectors of the blocks, and the test harness, allocate some too.
        assert!((found - f64::from(n)).abs() < 4.0 * deviation + 60.0, "{category:?}: {found} of {n}");
    }
    // A third of the bytes each, of which 256 bytes have 1 − 4/12, 4 KiB 1, and 200,000 bytes 0.87.
    let efficiency = sizes.efficiency().unwrap();
    assert!((0.75..0.92).contains(&efficiency), "{efficiency}");
}

#[inline(never)]
fn keep_more(kept: &mut Blocks) {
    kept.extend(some_medium(500));
}

#[test]
fn a_leak_is_found_at_its_place() {
    let _alone = alone();
    let profiler = HeapProfiler::start(HeapOptions::default().interval(INTERVAL)).unwrap();
    let (mut finder, mut kept) = (LeakFinder::default(), Blocks::new());
    for _ in 0..20 {
        keep_more(&mut kept);
        drop(many_small(2_000));
        finder.observe(profiler.profile());
    }
    let leaks = finder.leaks();
    let leaked: Vec<_> = leaks.iter().map(|leak| leak.place.symbolize().folded()).collect();
    assert!(leaked.iter().any(|place| place.contains("memory::keep_more")), "{leaked:?}");
    assert!(!leaked.iter().any(|place| place.contains("memory::many_small")), "{leaked:?}");
    let leak = &leaks[leaked.iter().position(|place| place.contains("memory::some_medium")).unwrap()];
    // 40 MB in much less than an hour.
    assert_eq!(leak.severity, LeakSeverity::Critical);
    assert!((30_000_000..50_000_000).contains(&leak.bytes_in_use), "{}", leak.bytes_in_use);
    assert!(leak.confidence > 0.9, "{}", leak.confidence);
}

#[test]
fn blocks_that_grow_and_shrink_are_followed() {
    let _alone = alone();
    let profiler = HeapProfiler::start(HeapOptions::default().interval(1)).unwrap();
    let mut vector = Vec::<u8>::with_capacity(1000);
    let sizes = [10_000, 1_000_000, 100_000];
    let profiles = sizes.map(|size| {
        vector.shrink_to(size);
        vector.reserve_exact(size);
        profiler.profile()
    });
    drop(vector);
    drop(profiler);
    // Names are looked up afterwards, so that what this allocates is in no profile.
    for (size, profile) in sizes.into_iter().zip(profiles) {
        let in_use = with(&profile.symbolize(), "blocks_that_grow_and_shrink_are_followed");
        // The profiles themselves are in use too.
        assert!(in_use >= size as f64 && in_use < size as f64 + 90_000.0, "{in_use} of {size}");
    }
}

/// Threads that allocate while profilers come and go are sampled by the interval of each of them: none goes on with a distance
/// that it has drawn for an earlier one.
#[test]
fn each_profiler_samples_by_its_own_interval_from_its_start() {
    let _alone = alone();
    /// Ends the other thread, also when an assertion fails.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (is_done, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _done = Done(&is_done);
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                drop(std::hint::black_box(Vec::<u8>::with_capacity(200_000)));
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        let limit = Instant::now() + Duration::from_secs(60);
        let until = |is_so: &dyn Fn() -> bool, what: &str| {
            while !is_so() {
                assert!(Instant::now() < limit, "{what}");
                std::thread::yield_now();
            }
        };
        for _ in 0..200 {
            // A distance that is never reached.
            let profiler = HeapProfiler::start(HeapOptions::default().interval(1 << 50)).unwrap();
            let begun = rounds.load(Ordering::Relaxed);
            until(&|| rounds.load(Ordering::Relaxed) > begun + 1, "the thread allocates");
            drop(profiler);
            let profiler = HeapProfiler::start(HeapOptions::default().interval(64)).unwrap();
            until(&|| profiler.sizes().blocks(SizeCategory::Large) > 0, "the thread is sampled");
        }
    });
}

#[test]
fn counts_are_exact_over_threads_that_come_and_go() {
    let _alone = alone();
    let before = allocation_counts();
    for _ in 0..20 {
        let thread = std::thread::spawn(|| {
            for n in 0..1000_usize {
                drop(std::hint::black_box(vec![0_u8; 1 + n % 7]));
            }
            std::hint::black_box(vec![0_u8; 12_345])
        });
        drop(thread.join().unwrap());
    }
    let after = allocation_counts();
    let allocations = after.allocations - before.allocations;
    let bytes = after.allocated_bytes - before.allocated_bytes;
    let of_blocks = 20 * ((0..1000).map(|n| 1 + n % 7).sum::<u64>() + 12_345);
    assert!((20 * 1001..20 * 1101).contains(&allocations), "{allocations}");
    assert!(bytes >= of_blocks && bytes < of_blocks + 20 * 20_000, "{bytes}, of blocks {of_blocks}");
    // What the threads had is free again, but for what the test harness keeps of its own threads.
    let grown = after.bytes_in_use().saturating_sub(before.bytes_in_use());
    assert!(grown < 100_000, "{grown} bytes more are in use");
}

#[test]
fn the_process_s_memory_grows_with_what_is_used() {
    let _alone = alone();
    let before = ProcessMemory::read().unwrap();
    let block = std::hint::black_box(vec![1_u8; 64 << 20]);
    let after = ProcessMemory::read().unwrap();
    assert!(after.resident >= before.resident + (60 << 20), "{before:?} {after:?}");
    assert!(after.virtual_size >= before.virtual_size + (60 << 20));
    assert!(after.peak_resident >= after.resident && after.peak_virtual_size >= Some(after.virtual_size));
    drop(block);
}

/// Run by `cargo xtask test --only pprof`, which sees to it that there is Go.
#[test]
#[ignore = "needs Go: run `cargo test -p throughline-profile --test memory -- --include-ignored go_tool`"]
fn go_tool_pprof_reads_a_memory_profile() {
    let _alone = alone();
    let profiler = HeapProfiler::start(HeapOptions::default().interval(INTERVAL)).unwrap();
    let kept = some_medium(3_000);
    let report = profiler.profile().symbolize();
    let file = std::env::temp_dir().join(format!("throughline-heap-{}.pb.gz", std::process::id()));
    std::fs::write(&file, report.pprof()).unwrap();
    let output =
        std::process::Command::new("go").args(["tool", "pprof", "-raw"]).arg(&file).output().unwrap();
    std::fs::remove_file(&file).unwrap();
    let raw = String::from_utf8_lossy(&output.stdout);
    assert!(raw.contains("PeriodType: space bytes\nPeriod: 16384"), "{raw}");
    let types = "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes[dflt]";
    assert!(raw.contains(types), "{raw}");
    assert!(raw.contains("memory::some_medium"), "{raw}");
    drop(kept);
}
