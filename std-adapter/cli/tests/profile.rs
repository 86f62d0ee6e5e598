//! `throughline profile` and `throughline pgo` on the profiles of a program with two spans.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use std::path::Path;
use std::process::{Command, Output};
use throughline::adapter::ring::{Mode, Slot};
use throughline::adapter::{metrics, recorder};
use throughline::{Clock, Recorder};
use throughline_profile::{CpuOptions, CpuProfiler};

/// A recorder whose records nobody reads: spans have ids.
fn hook() -> Option<&'static Recorder> {
    recorder::acquire_thread(|| {
        let slots = Vec::leak((0..1 << 8).map(|_| Slot::new()).collect());
        let cells = Vec::leak((0..64).map(|_| metrics::Cell::new(0)).collect());
        Some(Box::leak(Box::new(Recorder::for_thread(slots, Mode::LocalNewest, Clock::mock(), cells))))
    })
}

/// Computes until a profile that is taken meanwhile has its samples.
#[inline(always)]
fn compute(rounds: u64) {
    for round in 0..rounds * 1_000_000 {
        std::hint::black_box(round);
    }
}

#[inline(never)]
fn slow_tool(rounds: u64) {
    compute(rounds);
}

#[inline(never)]
fn quick_tool(rounds: u64) {
    compute(rounds);
}

/// Profiles both tools, and returns the pprof file and the trace of the slow one.
fn profile(slow: u64, quick: u64) -> (Vec<u8>, String) {
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(199)).unwrap();
    let trace = {
        let _span = throughline::span!("tool.slow");
        slow_tool(slow);
        throughline::current().unwrap().trace_id.to_string()
    };
    {
        let _span = throughline::span!("tool.quick");
        quick_tool(quick);
    }
    (profiler.stop().symbolize().pprof(), trace)
}

fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    let Output { status, stdout, stderr } = command.args(args).current_dir(folder).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_trace_has_a_flame_graph_of_its_own_and_two_profiles_a_difference() {
    recorder::set_thread_hook(hook);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    std::fs::create_dir(folder.path().join("after")).unwrap();
    let (before, slow) = profile(10, 4);
    let (after, fixed) = profile(4, 4);
    write("before.pb.gz", &before);
    write("after/cpu-1.pb.gz", &after);
    write("after/notes.txt", b"mine");
    write("after/other.pb.gz", b"not a profile");
    let run = |args: &[&str]| run(folder.path(), args);

    let (code, folded, err) = run(&["profile", "--trace", &slow, "--folded", "before.pb.gz", "after"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.starts_with("throughline: cannot read after/other.pb.gz: it cannot be decompressed"),
        "{err}"
    );
    assert!(folded.contains("slow_tool") && !folded.contains("quick_tool"), "{folded}");
    let (_, svg, _) = run(&["profile", "--trace", &slow, "--svg", "before.pb.gz"]);
    assert!(svg.contains("slow_tool") && svg.contains(&slow), "{svg}");
    let (_, text, _) = run(&["profile", "before.pb.gz"]);
    assert!(text.contains("slow_tool") && text.contains("quick_tool"), "{text}");
    for format in ["chrome", "speedscope"] {
        let (_, json, _) = run(&["profile", "--format", format, "before.pb.gz"]);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(value.is_object() && json.contains("slow_tool"), "{json}");
    }

    // What is fixed takes a smaller share than before.
    let (code, change, err) = run(&["profile", "--diff", "before.pb.gz", "--folded", "after/cpu-1.pb.gz"]);
    assert_eq!(code, 0, "{err}");
    let sum = |name: &str| {
        let lines = change.lines().filter(|line| line.contains(name)).map(|line| {
            let mut values = line.rsplit(' ').map(|value| value.parse::<u64>().unwrap());
            [values.next().unwrap(), values.next().unwrap()]
        });
        lines.fold([0, 0], |sum, [new, old]| [sum[0] + new, sum[1] + old])
    };
    let ([new, old], [quick, quick_before]) = (sum("slow_tool"), sum("quick_tool"));
    assert!(new < old && quick > quick_before, "{change}");
    let args =
        ["profile", "--diff", "before.pb.gz", "--diff-trace", &slow, "--trace", &fixed, "after/cpu-1.pb.gz"];
    let (code, svg, err) = run(&args);
    assert!(code == 0 && svg.contains("red: a larger share"), "{err}");

    let (code, _, err) = run(&["profile", "--trace", &"ab".repeat(16), "before.pb.gz"]);
    assert!(
        code == 1 && err.contains("no sample in the profile of before.pb.gz is of that trace, span or label"),
        "{err}"
    );
    let (code, _, err) = run(&["profile", "--memory", "before.pb.gz"]);
    assert!(code == 1 && err.contains("there is no memory profile in before.pb.gz"), "{err}");
    let (code, _, err) = run(&["profile", "--measure", "bytes", "before.pb.gz"]);
    assert!(code == 1 && err.contains("`bytes` is not measured; the profile has samples, cpu"), "{err}");

    // Lines are counted from the function's first one.
    let this = std::env::current_exe().unwrap();
    let (code, pgo, err) = run(&["pgo", "--executable", this.to_str().unwrap(), "before.pb.gz"]);
    assert_eq!(code, 0, "{err}");
    let tool = pgo.split_once("slow_tool").unwrap().1;
    assert!(tool.contains("\n 1: ") && tool.contains("compute"), "{pgo}");
}
