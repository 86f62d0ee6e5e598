//! Profiles of a process that records: written by the configuration and from one call to another, with the ids of its spans.
#![cfg(profiled)]

#[cfg(feature = "alerts")]
#[path = "profiling/changes.rs"]
mod changes;
#[path = "profiling/cloud.rs"]
mod cloud;
#[path = "profiling/otlp.rs"]
mod otlp;
#[cfg(feature = "admin")]
#[path = "profiling/pages.rs"]
mod pages;
#[path = "profiling/push.rs"]
mod push;
#[path = "profiling/resources.rs"]
mod resources;
#[path = "support/servers.rs"]
mod servers;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use throughline_std::profiling::{
    Allocator, CpuOptions, CpuProfiler, ProfilingOptions, start_profiling, stop_profiling,
};
use throughline_std::view::{PointData, PointView};
use throughline_std::{Config, Deadline, ExportError, Exporter, init};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new(std::alloc::System);

/// Names the folder that a process of this test writes its profiles into.
const FOLDER: &str = "TEST_FOLDER_OF_PROFILES";

/// The CPU time that the running thread has used.
fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Computes for this much CPU time, however long that takes.
#[inline(never)]
fn price(time: Duration) -> u64 {
    let begun = thread_cpu();
    let mut x = 1_u64;
    while thread_cpu() - begun < time {
        for _ in 0..10_000 {
            x = std::hint::black_box(x.wrapping_mul(31) ^ 7);
        }
    }
    x
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("throughline-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn picture(pprof: &Path) -> String {
    let path = pprof.to_str().unwrap().replace(".pb.gz", ".svg");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_profile_lasts_from_start_to_stop_and_knows_the_spans() {
    let folder = Folder::new("profiling-calls");
    assert_eq!(stop_profiling().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    let options =
        ProfilingOptions::new(folder.0.join("first")).cpu(CpuOptions::default().frequency(499)).once();
    let config = Config::new("shop").without_otlp().terminal(false).profiling(options);
    let guard = init(&config).unwrap();
    // The configuration's session runs.
    let error = start_profiling().unwrap_err().to_string();
    assert!(error.contains("already runs"), "{error}");
    let first = stop_profiling().unwrap();
    assert!(first.starts_with(folder.0.join("first")) && first.exists(), "{}", first.display());

    start_profiling().unwrap();
    price(Duration::from_millis(400));
    let second = stop_profiling().unwrap();
    assert!(picture(&second).contains("profiling::price"), "{}", picture(&second));

    // A thread is sampled from its first record on, with the ids that are sent to backends.
    let profiler = CpuProfiler::start(CpuOptions::default().frequency(499)).unwrap();
    let worker = std::thread::Builder::new().name("worker".into()).spawn(|| {
        throughline_std::profile!("checkout", items = 3, {
            price(Duration::from_millis(400));
            throughline::current().unwrap()
        })
    });
    let ids = worker.unwrap().join().unwrap();
    let of_worker = profiler.stop().of_thread("worker");
    let (all, inside) = (of_worker.samples(), of_worker.clone().of_trace(ids.trace_id).samples());
    assert!(all >= 10 && inside == all, "{inside} of {all} samples are in the span's trace");
    assert_eq!(of_worker.of_span(ids.span_id).samples(), all);
    guard.shutdown(Duration::from_secs(2));
}

#[test]
fn a_file_turns_profiles_on_and_the_end_of_the_guard_writes_the_last_one() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        let folder = Folder::new("profiling-file");
        let name = "a_file_turns_profiles_on_and_the_end_of_the_guard_writes_the_last_one";
        let mut process = Command::new(std::env::current_exe().unwrap());
        let output = process.args(["--exact", name]).env(FOLDER, &folder.0).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(errors, "");
        let names = folder.names();
        let kinds: Vec<_> = names.iter().map(|name| (&name[..4], name.rsplit_once('.').unwrap().1)).collect();
        assert_eq!(kinds, [("cpu-", "gz"), ("cpu-", "svg"), ("heap", "gz"), ("heap", "svg")], "{names:?}");
        let cpu = picture(&folder.0.join(names[0].as_str()));
        assert!(cpu.contains("profiling::price"), "{cpu}");
        let heap = picture(&folder.0.join(names[2].as_str()));
        assert!(heap.contains("profiling::a_file_turns_profiles_on"), "{heap}");
        return;
    };
    let file = PathBuf::from(&folder).join("shop.toml");
    let text = format!(
        "[telemetry.profiling]\n\
        enabled = true\n\
        [telemetry.profiling.cpu]\n\
        frequency = 100\n\
        continuous = true\n\
        duration_seconds = 30\n\
        [telemetry.profiling.memory]\n\
        enabled = true\n\
        interval = \"16KiB\"\n\
        [telemetry.profiling.exporter]\n\
        type = \"file\"\n\
        file_output_dir = {folder:?}\n",
    );
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&file).unwrap().without_otlp().terminal(false);
    std::fs::remove_file(&file).unwrap();
    let guard = init(&config).unwrap();
    let kept: Vec<Vec<u8>> = (0..100).map(|_| vec![1; 10_000]).collect();
    price(Duration::from_millis(500));
    assert!(guard.shutdown(Duration::from_secs(60)).complete);
    drop(kept);
}

/// Adds up the profiles that were removed, by the limit that they were beyond.
#[derive(Clone, Default)]
struct Removed(Arc<Mutex<Vec<(String, u64)>>>);

impl Exporter for Removed {
    fn points(&mut self, points: &[PointView<'_>]) {
        let of_removed = points.iter().filter(|point| point.name == "throughline.profiles.removed");
        let limits = of_removed.map(|point| match (&point.data, point.labels) {
            (PointData::Counter(n), [("limit", limit)]) => (limit.to_string(), *n),
            other => panic!("{other:?}"),
        });
        *self.0.lock().unwrap() = limits.collect();
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

#[test]
fn old_profiles_of_the_folder_go_as_the_file_says_and_are_counted() {
    support::in_own_process("old_profiles_of_the_folder_go_as_the_file_says_and_are_counted", || {
        let folder = Folder::new("profiling-old");
        let old = folder.0.join("cpu-20261128T101500.250Z-1.pb.gz");
        let two_days_ago = SystemTime::now() - Duration::from_secs(48 * 3600);
        std::fs::File::create(&old).unwrap().set_modified(two_days_ago).unwrap();
        let large = folder.0.join("heap-20261128T101500.250Z-2.svg");
        std::fs::write(&large, vec![b' '; 10_000_000]).unwrap();
        let file = folder.0.join("shop.toml");
        let text = format!(
            "profiling.exporter = {{ file_output_dir = {:?}, max_age = \"1d\", max_bytes = \"9MB\" }}\n",
            folder.0
        );
        std::fs::write(&file, text).unwrap();
        let removed = Removed::default();
        let config = Config::load(&file).unwrap().without_otlp().terminal(false);
        let guard = init(&config.exporter("removed", removed.clone())).unwrap();
        start_profiling().unwrap();
        price(Duration::from_millis(50));
        let written = stop_profiling().unwrap();
        assert_eq!((old.exists(), large.exists(), written.exists()), (false, false, true));
        let ledger = guard.shutdown(Duration::from_secs(10)).ledger;
        let hop = ledger.exporter("profiles.file");
        assert_eq!((hop.input, hop.output), (1, 1), "{ledger}");
        assert_eq!(*removed.0.lock().unwrap(), [("age".to_owned(), 1), ("bytes".to_owned(), 1)]);
    });
}
