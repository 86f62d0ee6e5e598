//! What spans use, told to them: programs whose use is known.

#[path = "../../profile/tests/cpu/perf_clock.rs"]
mod perf_clock;

use crate::{Folder, price};
use perf_clock::perf_cpu;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use throughline::{Instrument, Value, span};
use throughline_std::view::{PointData, PointView, SpanView};
use throughline_std::{Config, Deadline, ExportError, Exporter, init};

type Fields = HashMap<String, String>;

/// Keeps spans by name, with their fields, and the last points.
#[derive(Clone, Default)]
struct Keeps {
    spans: Arc<Mutex<HashMap<String, Fields>>>,
    points: Arc<Mutex<HashMap<String, f64>>>,
    /// The labels of the memory's metrics.
    names: Arc<Mutex<Fields>>,
    /// The last values of gauges without labels, by name and unit.
    gauges: Arc<Mutex<HashMap<(String, String), f64>>>,
}

impl Exporter for Keeps {
    fn span(&mut self, span: &SpanView<'_>) {
        let text = |value: Value<'_>| match value {
            Value::Str { text, .. } => text.to_owned(),
            Value::U64(n) => n.to_string(),
            other => format!("{other:?}"),
        };
        let fields = span.fields.clone().map(|(name, value)| (name.to_owned(), text(value))).collect();
        self.spans.lock().unwrap().insert(span.name.to_owned(), fields);
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        let mut all = self.points.lock().unwrap();
        all.clear();
        for point in points.iter().filter(|point| point.name.starts_with("memory.")) {
            let labels: Vec<_> = point.labels.iter().map(|(key, _)| *key).collect();
            self.names.lock().unwrap().insert(point.name.to_owned(), labels.join(" "));
        }
        for point in points.iter().filter(|point| point.labels.is_empty()) {
            let value = match point.data {
                PointData::GaugeInt(n) => n as f64,
                PointData::GaugeFloat(x) => x,
                _ => continue,
            };
            self.gauges.lock().unwrap().insert((point.name.to_owned(), point.unit.to_owned()), value);
        }
        for point in points {
            if let (PointData::CounterFloat(x), [(key, value)]) = (&point.data, point.labels) {
                all.insert(format!("{} {key}={value}", point.name), *x);
            }
        }
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

impl Keeps {
    fn number(&self, span: &str, field: &str) -> Option<u64> {
        self.spans.lock().unwrap()[span].get(field)?.parse().ok()
    }

    /// Asserts that the CPU time of the spans is what they used, and returns it in seconds.
    fn assert_shares(&self, source: &str) -> [f64; 3] {
        let spans = ["seventy", "twenty", "ten"];
        let found = spans.map(|span| self.number(span, "resource.cpu.micros").unwrap_or(0) as f64 / 1e6);
        let told = self.spans.lock().unwrap()["seventy"]["resource.cpu.source"].clone();
        println!("{found:?} by {told}");
        match told.as_str() {
            "samples" => assert_sampled(&found),
            "switches" if source == "auto" => assert_exact(&found),
            other => panic!("{other} though {source} was asked for"),
        }
        found
    }
}

/// Runs `work` in a process that records with resources on, and `check` with what was exported.
fn recorded(name: &str, source: &str, work: impl FnOnce(), check: impl FnOnce(&Keeps)) {
    crate::support::in_own_process(name, || {
        let folder = Folder::new(name);
        let file = folder.0.join("shop.toml");
        let text = format!(
            "[profiling.cpu]\nfrequency = 999\n[profiling.resources]\nenabled = true\nsource = {source:?}\n\
            by = [\"agent.name\"]\ncpu_second = 2.0\ngb_second = 0\n"
        );
        std::fs::write(&file, text).unwrap();
        let keeps = Keeps::default();
        let config =
            Config::load(&file).unwrap().without_otlp().terminal(false).exporter("keeps", keeps.clone());
        let guard = init(&config).unwrap();
        work();
        let report = guard.shutdown(Duration::from_secs(60));
        assert!(report.complete && report.ledger.is_settled(), "{report:?}");
        check(&keeps);
    });
}

/// Asserts that CPU time was found within four standard deviations. A sample comes with each tick of the kernel, 4 ms or less,
/// and each is in the span with the probability of the span's share; two ticks more are for the begin and the end.
#[track_caller]
fn assert_sampled(found: &[f64; 3]) {
    const TICK: f64 = 0.004;
    for (found, share) in found.iter().zip(SHARES) {
        let (truth, deviation) = (share * TOTAL, (TOTAL / TICK * share * (1.0 - share)).sqrt() * TICK);
        let error = (found - truth).abs();
        assert!(
            error < 4.0 * deviation + 2.0 * TICK,
            "found {found} s, true {truth} s, deviation {deviation} s"
        );
    }
}

/// Asserts that CPU time is that by the thread's own clock, but for what the kernel itself does on the CPU meanwhile.
#[track_caller]
fn assert_exact(found: &[f64; 3]) {
    for (found, share) in found.iter().zip(SHARES) {
        let truth = share * TOTAL;
        assert!((found - truth).abs() < 0.005 + 0.05 * truth, "found {found} s, true {truth} s");
    }
}

#[test]
fn a_span_with_samples_says_so_and_gives_them_its_labels() {
    use throughline_std::profiling::{CpuOptions, ProfilingOptions, Report, stop_profiling};
    let name = "resources::a_span_with_samples_says_so_and_gives_them_its_labels";
    crate::support::in_own_process(name, || {
        let folder = Folder::new("labels");
        let keeps = Keeps::default();
        let options = ProfilingOptions::new(&folder.0).cpu(CpuOptions::default().frequency(499));
        let config = Config::new("agents").without_otlp().terminal(false).exporter("keeps", keeps.clone());
        let guard = init(&config.profiling(options)).unwrap();
        {
            let _agent = span!("agent.run", agent.name = "planner", invocation_id = "i-7");
            let _tool = span!("tool.execute");
            price(Duration::from_secs(1));
        }
        drop(span!("idle"));
        guard.flush(Duration::from_secs(10));
        let file = std::fs::read(stop_profiling().unwrap()).unwrap();
        let report = Report::read_pprof(&file).unwrap().of_label("agent_name", "planner");
        let samples = keeps.number("tool.execute", "throughline.profile.samples").unwrap();
        assert!(samples >= 10, "{samples}");
        assert_eq!(report.of_label("invocation_id", "i-7").samples(), samples);
        assert_eq!(keeps.number("idle", "throughline.profile.samples"), None);
        assert_eq!(keeps.number("tool.execute", "resource.cpu.micros"), None);
        assert!(guard.shutdown(Duration::from_secs(60)).ledger.is_settled());
    });
}

#[test]
fn the_correlation_fields_of_a_span_are_labels_of_its_samples() {
    use throughline_std::profiling::{CpuOptions, ProfilingOptions, Report, stop_profiling};
    let name = "resources::the_correlation_fields_of_a_span_are_labels_of_its_samples";
    crate::support::in_own_process(name, || {
        let folder = Folder::new("correlated");
        let options = ProfilingOptions::new(&folder.0).cpu(CpuOptions::default().frequency(499));
        let config = Config::new("agents").without_otlp().terminal(false).exporter("keeps", Keeps::default());
        let guard = init(&config.profiling(options)).unwrap();
        {
            // The span says nothing of them itself.
            let _scope = throughline_std::correlate(&[("agent.name", "writer"), ("invocation_id", "i-9")]);
            let _tool = span!("tool.execute");
            price(Duration::from_millis(200));
        }
        guard.flush(Duration::from_secs(10));
        let file = std::fs::read(stop_profiling().unwrap()).unwrap();
        let report = Report::read_pprof(&file).unwrap().of_label("agent_name", "writer");
        let samples = report.of_label("invocation_id", "i-9").samples();
        assert!(samples >= 10, "{samples}");
    });
}

#[test]
fn one_key_makes_the_memory_metrics() {
    let name = "resources::one_key_makes_the_memory_metrics";
    crate::support::in_own_process_with(name, &[("THROUGHLINE_PROFILING_MEMORY_METRICS", "true")], || {
        let keeps = Keeps::default();
        let config = Config::new("shop").without_otlp().terminal(false).exporter("keeps", keeps.clone());
        let guard = init(&config).unwrap();
        // The watch has begun when a sample can be seen.
        while throughline_std::profiling::adapter::all_sizes().efficiency().is_none() {
            drop(black_box(vec![1_u8; 16 << 10]));
        }
        let blocks: Vec<_> = (0..1000).map(|_| black_box(vec![1_u8; 16 << 10])).collect();
        // Dropping the guard flushes.
        drop(guard);
        let names = keeps.names.lock().unwrap();
        for (name, labels) in [
            ("memory.rss_bytes", ""),
            ("memory.heap_bytes", ""),
            ("memory.virtual_bytes", ""),
            ("memory.allocator.total_bytes", ""),
            ("memory.leak.count", "severity"),
            ("memory.leak.allocation_count", "severity"),
            ("memory.leak.growth_rate_mb_h", "severity"),
            ("memory.allocation.count", "operation"),
            ("memory.allocation.total_bytes", "operation"),
            ("memory.allocation.distribution", "size_category"),
            ("memory.allocation.efficiency_score", ""),
            ("memory.allocation.size_bytes", ""),
        ] {
            let wanted = ["component", "session_id", labels].join(" ");
            assert_eq!(names.get(name).map(String::as_str), Some(wanted.trim_end()), "{name} of {names:?}");
        }
        drop(blocks);
    });
}

const TOTAL: f64 = 0.5;
const SHARES: [f64; 3] = [0.7, 0.2, 0.1];

/// Works for a share of the total by the clock that this source goes by. That of switches goes on in interrupts, which are not in
/// the thread's own clock.
fn use_cpu(source: &str, share: f64) {
    let time = Duration::from_secs_f64(TOTAL * share);
    match perf_cpu() {
        Some(begun) if source == "auto" => {
            while perf_cpu().is_some_and(|now| now - begun < time) {
                price(Duration::from_micros(100));
            }
        }
        _ => drop(price(time)),
    }
}

#[test]
fn spans_get_the_cpu_time_that_samples_tell_without_their_children_s() {
    spans("samples", "resources::spans_get_the_cpu_time_that_samples_tell_without_their_children_s");
}

#[test]
fn spans_get_the_cpu_time_that_switches_tell_without_their_children_s() {
    spans("auto", "resources::spans_get_the_cpu_time_that_switches_tell_without_their_children_s");
}

fn spans(source: &'static str, name: &str) {
    let work = move || {
        let _outer = span!("seventy", "agent.name" = "planner");
        use_cpu(source, 0.35);
        {
            let _inner = span!("twenty");
            use_cpu(source, 0.2);
            // Time that a span waits is no CPU time.
            std::thread::sleep(Duration::from_millis(60));
        }
        use_cpu(source, 0.35);
        let parent = throughline::Context::current();
        std::thread::spawn(move || {
            let _there = parent.enter();
            let _span = span!("ten", "agent.name" = "writer");
            use_cpu(source, 0.1);
        })
        .join()
        .unwrap();
    };
    recorded(name, source, work, |keeps| {
        let found = keeps.assert_shares(source);
        // The sums have each span once: with the nearest agent above it.
        let points = keeps.points.lock().unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a} {b}: {points:?}");
        close(points["resource.cpu.seconds agent.name=planner"], found[0] + found[1]);
        close(points["resource.cpu.seconds agent.name=writer"], found[2]);
        close(points["resource.cost agent.name=planner"], 2.0 * (found[0] + found[1]));
    });
}

#[test]
fn the_process_has_gauges_of_its_memory_and_cpu_by_the_names_of_agents() {
    let name = "resources::the_process_has_gauges_of_its_memory_and_cpu_by_the_names_of_agents";
    const HELD: usize = 32 << 20;
    let work = || {
        // In physical memory at its peak, and given back before the metrics are read.
        drop(black_box(vec![1_u8; HELD]));
        use_cpu("auto", 0.2);
    };
    recorded(name, "auto", work, |keeps| {
        let gauges = keeps.gauges.lock().unwrap();
        let gauge = |name: &str, unit: &str| gauges[&(name.to_owned(), unit.to_owned())];
        let [current, peak] = ["memory.current.bytes", "memory.peak.bytes"].map(|name| gauge(name, "By"));
        assert!(current > 1e6 && peak > current + 0.5 * HELD as f64, "{current} {peak}");
        let percent = gauge("cpu.utilization.percent", "%");
        assert!(percent > 0.0 && percent <= 100.0, "{percent}");
    });
}

#[test]
fn futures_get_what_samples_tell_of_their_polls_on_any_thread() {
    futures("samples", "resources::futures_get_what_samples_tell_of_their_polls_on_any_thread");
}

#[test]
fn futures_get_what_switches_tell_of_their_polls_on_any_thread() {
    futures("auto", "resources::futures_get_what_switches_tell_of_their_polls_on_any_thread");
}

fn futures(source: &'static str, name: &str) {
    let work = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let task = |share: f64| async move {
                for _ in 0..5 {
                    black_box(vec![1_u8; 10_000]);
                    use_cpu(source, share / 5.0);
                    tokio::task::yield_now().await;
                }
            };
            let tasks = [
                tokio::spawn(task(0.7).instrument(span!(root: true, "seventy"))),
                tokio::spawn(task(0.2).instrument(span!(root: true, "twenty"))),
                tokio::spawn(task(0.1).instrument(span!(root: true, "ten"))),
            ];
            for task in tasks {
                task.await.unwrap();
            }
        });
    };
    recorded(name, source, work, |keeps| {
        keeps.assert_shares(source);
        for span in ["seventy", "twenty", "ten"] {
            // The runtime allocates a little, too.
            let bytes = ["resource.memory.bytes", "resource.memory.peak"]
                .map(|field| keeps.number(span, field).unwrap());
            assert!((50_000..51_000).contains(&bytes[0]), "{span}: {bytes:?}");
            assert!((10_000..11_000).contains(&bytes[1]), "{span}: {bytes:?}");
        }
    });
}

#[test]
fn spans_get_the_bytes_that_they_allocated_and_their_peak() {
    let name = "resources::spans_get_the_bytes_that_they_allocated_and_their_peak";
    let work = || {
        let handed = {
            let _outer = span!("outer");
            let kept = black_box(vec![1_u8; 1000]);
            for _ in 0..3 {
                let _inner = span!("inner");
                black_box(vec![1_u8; 200]);
                drop(black_box(vec![1_u8; 500]));
            }
            let _quiet = span!("quiet");
            kept
        };
        let _frees = span!("frees");
        drop(handed);
        // The thread allocates no more, so nothing ends the part of this span.
        black_box(vec![1_u8; 30]);
        drop(_frees);
        // Many spans in a short time; what they use has room also if the pump comes late.
        for _ in 0..1500 {
            let _many = span!("many");
            black_box(vec![1_u8; 64]);
        }
    };
    recorded(name, "auto", work, |keeps| {
        let of = |span: &str| {
            (keeps.number(span, "resource.memory.bytes"), keeps.number(span, "resource.memory.peak"))
        };
        assert_eq!(of("outer"), (Some(1000), Some(1000)));
        assert_eq!(of("inner"), (Some(700), Some(500)));
        assert_eq!(of("quiet"), (None, None));
        // The block of 1000 bytes is gone before the one of 30 comes.
        assert_eq!(of("frees"), (Some(30), Some(0)));
        assert_eq!(of("many"), (Some(64), Some(64)));
    });
}
