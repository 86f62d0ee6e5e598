//! CPU profiles of programs whose CPU time is known: what the profile says agrees within the error of sampling.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

#[path = "cpu/perf.rs"]
mod perf;
#[path = "cpu/perf_clock.rs"]
mod perf_clock;
mod support;

use perf_clock::perf_cpu;
use std::sync::mpsc;
use std::time::Duration;
use support::{Library, Random, alone, assert_share, record, thread_cpu, use_cpu};
use throughline::{SpanId, TraceId, span};
use throughline_profile::{CpuOptions, CpuProfiler, CpuSource, Profile, ProfileError, Report};

const MS: Duration = Duration::from_millis(1);

#[inline(never)]
fn seven_tenths(time: Duration) -> Duration {
    use_cpu(time)
}

#[inline(never)]
fn two_tenths(time: Duration) -> Duration {
    use_cpu(time) + Duration::ZERO
}

#[inline(never)]
fn one_tenth(time: Duration) -> Duration {
    std::hint::black_box(use_cpu(time))
}

/// Values of the folded stacks that contain a name, in microseconds.
fn with(report: &Report, name: &str) -> u64 {
    let value = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    report.folded().lines().filter(|line| line.contains(name)).map(value).sum()
}

/// Work in slices of random length, 70 % in one function and span, 20 % in another and 10 % in a third, so that no
/// rhythm of the work can agree with that of the timers.
struct Split {
    used: [Duration; 3],
    /// By the clock that was asked for.
    total: Duration,
    places: [(TraceId, SpanId); 3],
}

fn split(total: Duration, clock: fn() -> Duration) -> Split {
    let at_first = clock();
    let traces: [_; 3] = ["seven", "two", "one"].map(|_| span!(root: true, "part"));
    let contexts = traces.each_ref().map(|span| span.context());
    let places = contexts.map(|context| {
        let ids = context.trace_context().expect("the recorder gives ids");
        (ids.trace_id, ids.span_id)
    });
    drop(traces);
    let mut random = Random(11);
    let (mut used, begun) = ([Duration::ZERO; 3], thread_cpu());
    while thread_cpu() - begun < total {
        let part = [0, 0, 0, 0, 0, 0, 0, 1, 1, 2][(random.next() % 10) as usize];
        let time = MS / 2 + Duration::from_nanos(random.next() % 3_000_000);
        let _place = contexts[part].enter();
        used[part] += [seven_tenths, two_tenths, one_tenth][part](time);
    }
    Split { used, total: clock() - at_first, places }
}

#[test]
fn a_known_split_over_functions_and_spans_is_found() {
    let _alone = alone();
    record();
    assert_split(499, CpuSource::Timer, thread_cpu, tick(), 67.0);
}

#[test]
fn the_kernel_s_clock_for_profilers_finds_it_too_and_is_not_bound_to_ticks() {
    let _alone = alone();
    record();
    let options = CpuOptions::default().frequency(999).source(CpuSource::Perf);
    if let Err(error @ ProfileError::Perf(_)) = CpuProfiler::start(options) {
        return println!("skipped: {error}");
    }
    // No timer gives more than the kernel's ticks, of which there are 1000 at most and usually 250.
    assert_split(999, CpuSource::Perf, || perf_cpu().unwrap(), Duration::ZERO, 600.0);
    // The next one gets the same files' numbers.
    let profiler = CpuProfiler::start(options).unwrap();
    use_cpu(200 * MS);
    profiler.set_frequency(99).unwrap();
    use_cpu(200 * MS);
    let profile = profiler.stop();
    assert!((180..300).contains(&profile.samples()), "{}", profile.samples());
    assert_eq!(profile.signals(), profile.samples() + profile.losses().total());
    let missing = 0.4 - profile.cpu_time().as_secs_f64();
    assert!(missing < 0.025, "{missing} s are missing");
}

/// Profiles a program with a known split, with the profiler's clock beside it.
fn profile_split(options: CpuOptions, clock: fn() -> Duration) -> (Split, Profile) {
    let profiler = CpuProfiler::start(options).unwrap();
    let work = std::thread::Builder::new().name("split".into()).spawn(move || {
        throughline_profile::adapter::begin_thread();
        split(1500 * MS, clock)
    });
    let split = work.unwrap().join().unwrap();
    let profile = profiler.stop();
    assert_eq!(profile.signals(), profile.samples() + profile.losses().total());
    assert_eq!(profile.losses().total(), 0);
    (split, profile.of_thread("split"))
}

/// The time from one tick of the kernel to the next.
fn tick() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid.
    assert_eq!(unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The split that is found is the true one. There is a sample with each tick, if the clock is bound to ticks. A virtual machine
/// that is kept from its interrupts for a while gets fewer; if there are not at least so many per second of CPU time, the split is
/// profiled again.
fn assert_split(frequency: u32, source: CpuSource, clock: fn() -> Duration, tick: Duration, least: f64) {
    let options = CpuOptions::default().frequency(frequency).source(source);
    let mut tries = (0..10).map(|_| profile_split(options, clock));
    let is_enough = |(_, profile): &(_, Profile)| profile.delivered_frequency().unwrap() >= least;
    let (Split { used, total, places }, profile) =
        tries.find(is_enough).unwrap_or_else(|| panic!("there were never {least} samples per second"));
    let period = tick.as_secs_f64().max(1.0 / f64::from(frequency));
    let samples = profile.samples();
    // The time that samples stand for is exact but for the first period and for what comes after the last sample, which is no more
    // than what all samples lack of a period each.
    let missing = total.as_secs_f64() - profile.cpu_time().as_secs_f64();
    let bound = 0.015 + (total.as_secs_f64() - samples as f64 * period).max(0.0);
    assert!(missing.abs() < bound, "{missing} s of {total:?} are missing, of which {bound} s may be");
    let complete = profile.complete_stacks().unwrap();
    assert!(complete >= 0.99, "{complete} of the stacks are complete");

    let report = profile.symbolize();
    let names = ["cpu::seven_tenths", "cpu::two_tenths", "cpu::one_tenth"];
    let all = with(&report, "");
    let all_used = used.iter().sum::<Duration>();
    for ((name, used), (trace, span)) in names.into_iter().zip(used).zip(places) {
        let truth = used.as_secs_f64() / all_used.as_secs_f64();
        assert_share(name, with(&report, name) as f64 / all as f64, truth, samples);
        let within = |profile: throughline_profile::Profile| profile.cpu_time().as_secs_f64();
        let share = within(profile.clone().of_trace(trace)) / within(profile.clone());
        assert_share(&format!("trace of {name}"), share, truth, samples);
        let share = within(profile.clone().of_span(span)) / within(profile.clone());
        assert_share(&format!("span of {name}"), share, truth, samples);
    }
    // Function and span agree in every sample but those that fall between entering and calling.
    let seven = profile.clone().of_trace(places[0].0).symbolize();
    assert!(with(&seven, names[0]) as f64 >= 0.98 * with(&seven, "") as f64, "{}", seven.folded());
}

const SHORT: u32 = 40;

#[test]
fn a_known_split_over_threads_is_found_and_short_threads_have_their_share() {
    let _alone = alone();
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(199)).unwrap();
    let run = |name: &str, time| {
        std::thread::Builder::new().name(name.into()).spawn(move || use_cpu(time)).unwrap()
    };
    let threads = [run("seven", 700 * MS), run("two", 200 * MS), run("one", 100 * MS)];
    let used = threads.map(|thread| thread.join().unwrap());
    // Threads that say that they begin and end are sampled from the start, at any phase of the period, so that many short
    // ones have their share together.
    let mut of_short = Duration::ZERO;
    for _ in 0..SHORT {
        let short = std::thread::Builder::new().name("short".into()).spawn(|| {
            throughline_profile::adapter::begin_thread();
            let used = use_cpu(12 * MS);
            throughline_profile::adapter::end_thread();
            used
        });
        of_short += short.unwrap().join().unwrap();
    }
    let profile = profiler.stop();
    for (name, used) in ["seven", "two", "one"].into_iter().zip(used) {
        let found = profile.clone().of_thread(name).cpu_time().as_secs_f64();
        // A thread that does not say that it begins is found in the next round, a tenth of a second later at most, and
        // a machine with much to do may run the round later.
        assert!(found <= used.as_secs_f64() + 0.015, "{name}: {found} of {used:?}");
        assert!(found >= used.as_secs_f64() * 0.5 - 0.1, "{name}: {found} of {used:?}");
    }
    // What falls between the last tick of the kernel and the end of a thread has no signal: at most 10 ms where there are
    // 100 ticks per second. A thread's samples differ from its time by less than a period, evenly distributed.
    let found = profile.of_thread("short").cpu_time().as_secs_f64();
    let (period, truth) = (1.0 / 199.0, of_short.as_secs_f64());
    let deviation = period * (f64::from(SHORT) / 12.0).sqrt();
    assert!(found < truth + 4.0 * deviation, "{found} of {truth}, deviation {deviation}");
    assert!(
        found > truth - f64::from(SHORT) * 0.010 - 4.0 * deviation,
        "{found} of {truth}, deviation {deviation}"
    );
}

#[test]
fn a_profiler_counts_its_own_signals_only() {
    let _alone = alone();
    for _ in 0..3 {
        let profiler = CpuProfiler::start(CpuOptions::default().frequency(499)).unwrap();
        // The thread begins after the profiler, with what an earlier thread of an earlier profiler has left.
        let work = std::thread::spawn(|| {
            throughline_profile::adapter::begin_thread();
            use_cpu(500 * MS);
            throughline_profile::adapter::end_thread();
        });
        work.join().unwrap();
        let profile = profiler.stop();
        assert!(profile.signals() > 0);
        assert_eq!(profile.signals(), profile.samples() + profile.losses().total());
    }
}

#[inline(never)]
fn recursive(depth: usize, time: Duration) -> Duration {
    let used = if depth == 0 { use_cpu(time) } else { recursive(depth - 1, time) };
    std::hint::black_box(used)
}

#[inline(always)]
fn inlined_into_its_caller(time: Duration) -> Duration {
    use_cpu(time)
}

#[inline(never)]
fn caller_of_an_inlined_function(time: Duration) -> Duration {
    inlined_into_its_caller(time) * 2
}

#[test]
fn deep_stacks_are_whole_and_inlined_functions_have_their_names() {
    let _alone = alone();
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(299)).unwrap();
    let work = std::thread::Builder::new().name("deep".into()).stack_size(8 << 20);
    let work = work.spawn(|| {
        throughline_profile::adapter::begin_thread();
        recursive(400, 400 * MS);
        recursive(700, 400 * MS);
        caller_of_an_inlined_function(500 * MS);
    });
    work.unwrap().join().unwrap();
    let profile = profiler.stop().of_thread("deep");
    let report = profile.symbolize();
    let folded = report.folded();
    let whole = folded.lines().find(|line| line.matches("cpu::recursive").count() == 401);
    assert!(whole.is_some_and(|line| !line.contains("[cut")), "{folded}");
    // 512 frames are kept; the missing ones are marked, so such a stack is not taken for one that began there.
    let cut = folded.lines().find(|line| line.contains("[cut: too deep]"));
    assert!(cut.is_some_and(|line| line.matches("cpu::recursive").count() > 500), "{folded}");
    let names = "cpu::caller_of_an_inlined_function;cpu::inlined_into_its_caller;cpu::support::use_cpu";
    assert!(folded.contains(names), "{folded}");
}

#[test]
fn a_library_that_is_loaded_while_the_profiler_runs_is_seen() {
    let _alone = alone();
    let library = Library::build();
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(199)).unwrap();
    let loaded = library.load();
    let begun = thread_cpu();
    while thread_cpu() - begun < 600 * MS {
        loaded.work(1_000_000);
    }
    drop(loaded);
    let report = profiler.stop().symbolize();
    // What the first tenth of a second finds is cut at the unknown library; later stacks go through it to this test.
    let folded = report.folded();
    assert!(with(&report, "Loaded::work;enter_library;work_in_a_library") >= 300_000, "{folded}");
    // A sample that is taken while the library becomes known may be cut and have its name.
    let cut = folded.lines().filter(|line| line.contains("work_in_a_library") && line.contains("[cut"));
    let cut: u64 = cut.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert!(cut <= 2 * 1_000_000 / 199, "{folded}");
}

#[test]
fn the_frequency_changes_while_it_runs_and_windows_follow_one_another() {
    let _alone = alone();
    let (sender, windows) = mpsc::channel();
    let every = 200 * MS;
    let profiler = CpuProfiler::continuous(CpuOptions::default().frequency(19), every, move |profile| {
        sender.send(profile).unwrap();
    });
    let profiler = profiler.unwrap();
    assert!(matches!(CpuProfiler::start(CpuOptions::default()), Err(ProfileError::AlreadyRunning)));
    assert!(matches!(profiler.set_frequency(1000), Err(ProfileError::Frequency(1000))));
    use_cpu(500 * MS);
    profiler.set_frequency(199).unwrap();
    use_cpu(500 * MS);
    let last = profiler.stop();
    let windows: Vec<_> = windows.iter().chain([last]).collect();
    assert!(windows.len() >= 4, "{} windows", windows.len());
    for pair in windows.windows(2) {
        assert!(pair[0].started() < pair[1].started());
    }
    let count: u64 = windows.iter().map(|window| window.samples()).sum();
    // 500 ms at 19 Hz and 500 ms at 199 Hz are some 9 and 99 samples, or 50 where the kernel has 100 ticks per second.
    let late: u64 = windows[windows.len() / 2..].iter().map(|window| window.samples()).sum();
    assert!(count >= 40 && late * 10 > count * 6, "{late} of {count}");
    // Another one can be started at once.
    CpuProfiler::start(CpuOptions::default()).unwrap().stop();
}

#[test]
fn frequencies_out_of_range_are_refused_with_the_range() {
    for wrong in [0, 18, 1000] {
        let error = CpuProfiler::start(CpuOptions::default().frequency(wrong)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{wrong} samples per second cannot be taken; ask for 19 to 999, for example 99")
        );
    }
}

/// A handler of the program's own for the same signal is still called when others send it.
#[test]
fn signals_that_are_not_of_our_timers_reach_the_handler_that_was_there() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static GOT: AtomicU32 = AtomicU32::new(0);
    extern "C" fn own(_: libc::c_int) {
        GOT.fetch_add(1, Ordering::Relaxed);
    }
    if std::env::var_os("THROUGHLINE_PROFILE_SIGNAL").is_none() {
        // In a process of its own, where no test has started a profiler before.
        let name = "signals_that_are_not_of_our_timers_reach_the_handler_that_was_there";
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        let status = process.args(["--exact", name]).env("THROUGHLINE_PROFILE_SIGNAL", "1").status();
        assert!(status.unwrap().success());
        return;
    }
    // SAFETY: the handler only adds to an atomic.
    unsafe { libc::signal(libc::SIGPROF, own as *const () as usize) };
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(99)).unwrap();
    for _ in 0..3 {
        // SAFETY: sends a signal to this thread.
        assert_eq!(unsafe { libc::raise(libc::SIGPROF) }, 0);
    }
    use_cpu(500 * MS);
    let profile = profiler.stop();
    assert_eq!(GOT.load(Ordering::Relaxed), 3);
    assert!(profile.samples() > 0);
    assert_eq!(profile.signals(), profile.samples());
}

/// Run by `cargo xtask test --only pprof`, which sees to it that there is Go.
#[test]
#[ignore = "needs Go: run `cargo test -p throughline-profile --test cpu -- --include-ignored go_tool`"]
fn go_tool_pprof_reads_the_samples_with_their_labels() {
    let _alone = alone();
    record();
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(499)).unwrap();
    let work =
        std::thread::Builder::new().name("split".into()).spawn(|| split(800 * MS, thread_cpu)).unwrap();
    let Split { places, .. } = work.join().unwrap();
    let profile = profiler.stop();
    let report = profile.symbolize();
    let file = std::env::temp_dir().join(format!("throughline-{}.pb.gz", std::process::id()));
    std::fs::write(&file, report.pprof()).unwrap();
    let pprof = |arguments: &[&str]| {
        let output =
            std::process::Command::new("go").args(["tool", "pprof"]).args(arguments).arg(&file).output();
        let output = output.expect("`go` runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let raw = pprof(&["-raw"]);
    assert!(raw.contains("PeriodType: cpu nanoseconds"), "{raw}");
    assert!(raw.contains("Period: 2004008"), "{raw}");
    assert!(raw.contains("samples/count cpu/nanoseconds"), "{raw}");
    assert!(raw.contains("thread:[split]"), "{raw}");
    for (trace, span) in places {
        assert!(raw.contains(&format!("trace_id:[{trace}]")), "{trace} in {raw}");
        assert!(raw.contains(&format!("span_id:[{span}]")), "{span} in {raw}");
    }
    assert!(raw.contains("cpu::seven_tenths") && raw.contains("tests/cpu.rs"), "{raw}");
    // The sums that Go makes are ours.
    let top = pprof(&["-top", "-unit=us", "-nodecount=1000", "-show=cpu::seven_tenths"]);
    let ours = with(&report, "cpu::seven_tenths");
    let line = top
        .lines()
        .find(|line| line.contains('%') && line.ends_with("cpu::seven_tenths"))
        .unwrap_or_else(|| panic!("{top}"));
    let theirs: f64 = line.split_whitespace().nth(3).unwrap().trim_end_matches("us").parse().unwrap();
    assert!(
        (theirs - ours as f64).abs() <= 0.001 * theirs + 2000.0,
        "Go has {theirs}, we have {ours} µs: {top}"
    );
    let tagged = pprof(&["-top", "-unit=us", &format!("-tagfocus=trace_id={}", places[1].0)]);
    assert!(tagged.contains("cpu::two_tenths") && !tagged.contains("cpu::seven_tenths"), "{tagged}");
    std::fs::remove_file(&file).unwrap();
}
