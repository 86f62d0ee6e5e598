//! What a scrape costs at 100, 10,000 and 100,000 series, next to prometheus-client's encoder in the same run.
//!
//! `cargo bench -p throughline-benches --features scrape --bench scrape` prints a table in Markdown; without `--bench` among its arguments (as under
//! `cargo test`) each step is run once, with few series.
//!
//! The series are one family of counters with two labels, and one of histograms whose classic form has 25 lines each. Each figure is the median of at
//! least five scrapes, and of as many as take a second. Times are CPU times of the whole process, which other programs on the machine disturb less than
//! wall-clock time; everything but the loopback's server runs on one thread, so on an idle machine they are equal.

#[allow(dead_code, reason = "the other bench uses the rest")]
#[path = "compare/system.rs"]
mod system;

use std::cell::RefCell;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use prometheus_client::registry::Registry;
use throughline::{counter_family, histogram_family};
use throughline_benches::Machine;
use throughline_std::prometheus::{Format, PageOptions, Prometheus, PrometheusOptions, Renderer};
use throughline_std::{Config, Deadline, ExportError, Exporter, Host, ReadMetrics, Resource, Wants};

/// Numbers of series: of counters, and of the lines of classic histograms.
const SIZES: [usize; 3] = [100, 10_000, 100_000];
/// Lines of a classic histogram of the values below: buckets, sum and count.
const LINES: usize = 25;
const COUNTERS: usize = 1 << 17;
const HISTOGRAMS: usize = 1 << 12;

type Done = Result<(), Box<dyn Error>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: String,
    code: String,
}

fn main() -> Done {
    let measured = std::env::args().any(|arg| arg == "--bench");
    match std::env::args().find_map(|arg| KINDS.iter().find(|kind| kind.name == arg)) {
        Some(kind) => scrape(kind, measured),
        None => {
            if measured {
                let machine = Machine::this();
                println!("# Scrapes of {}\n\n{}, {}\n", machine.date, machine.cpu, machine.rustc);
                println!("| series | step | CPU time | per series | page |\n|--:|---|--:|--:|--:|");
            }
            // Each in a process of its own, as a series stays for the rest of its process.
            for kind in KINDS {
                let mut own = Command::new(std::env::current_exe()?);
                let status = own.arg(kind.name).args(measured.then_some("--bench")).status()?;
                assert!(status.success(), "{}: {status}", kind.name);
            }
            Ok(())
        }
    }
}

/// A kind of series.
struct Kind {
    name: &'static str,
    /// What a series of it is called in the table.
    series: &'static str,
    /// The name of its metric.
    metric: &'static str,
    /// Makes this many series.
    fill: fn(&Subjects, usize),
}

const KINDS: &[Kind] = &[
    Kind { name: "counters", series: "counters", metric: "requests", fill: Subjects::fill_counters },
    Kind {
        name: "histograms",
        series: "lines of histograms",
        metric: "wait",
        fill: Subjects::fill_histograms,
    },
];

fn scrape(kind: &Kind, measured: bool) -> Done {
    let subjects = Subjects::start()?;
    for &series in if measured { &SIZES[..] } else { &[50] } {
        (kind.fill)(&subjects, series);
        for (step, run) in subjects.steps(kind.metric) {
            let (time, bytes) = measure(&run, measured);
            if measured {
                let (ms, each) = (time.as_secs_f64() * 1e3, time.as_nanos() as f64 / series as f64);
                let kb = bytes as f64 / 1e3;
                println!("| {series} {} | {step} | {ms:.2} ms | {each:.0} ns | {kb:.0} kB |", kind.series);
            }
        }
    }
    Ok(())
}

/// The median time of a scrape, and the bytes of its page.
fn measure(run: &dyn Fn() -> usize, measured: bool) -> (Duration, usize) {
    let bytes = run();
    if !measured {
        return (Duration::ZERO, bytes);
    }
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || begun.elapsed() < Duration::from_secs(1) {
        let before = system::cpu_ns();
        std::hint::black_box(run());
        times.push(Duration::from_nanos(system::cpu_ns() - before));
    }
    times.sort();
    (times[times.len() / 2], bytes)
}

/// A step's name, and what runs it and gives the bytes of its page.
type Step<'s> = (&'static str, Box<dyn Fn() -> usize + 's>);

struct Subjects {
    metrics: ReadMetrics,
    address: SocketAddr,
    peer: Mutex<Peer>,
    _guard: throughline_std::Guard,
}

#[derive(Default)]
struct Peer {
    registry: Registry,
    counters: Family<Labels, Counter>,
}

/// Hands out the way to read metrics that it is given.
struct Reader(Arc<Mutex<Option<ReadMetrics>>>);

impl Exporter for Reader {
    fn begin(&mut self, host: &Host<'_>) -> std::io::Result<()> {
        if let Ok(mut slot) = self.0.lock() {
            *slot = host.metrics.cloned();
        }
        Ok(())
    }

    fn wants(&self) -> Wants {
        Wants::NOTHING
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

/// The label values of series `n`.
fn labels(n: usize) -> [String; 2] {
    [format!("/api/v1/items/{:05}", n / 4), ["200", "404", "429", "503"][n % 4].to_owned()]
}

/// Values spread over 20 powers of two, as latencies in microseconds are.
fn values() -> impl Iterator<Item = u64> {
    (0..200_u64).map(|n| 1_u64 << (1 + n % 20) | n)
}

impl Subjects {
    fn start() -> Result<Subjects, Box<dyn Error>> {
        let slot = Arc::default();
        let server = Prometheus::bind(&PrometheusOptions::default().port(0))?;
        let address = server.address();
        let config = Config::new("bench").without_otlp().terminal(false).metrics_every(Duration::MAX);
        let config = config.exporter("reader", Reader(Arc::clone(&slot))).exporter("prometheus", server);
        let guard = throughline_std::init(&config)?;
        let metrics = slot.lock().map_err(|_| "poisoned")?.clone().ok_or("no way to read metrics")?;
        Ok(Subjects { metrics, address, peer: Mutex::default(), _guard: guard })
    }

    fn fill_counters(&self, series: usize) {
        let Ok(mut peer) = self.peer.lock() else { return };
        let family = peer.counters.clone();
        peer.registry = Registry::default();
        peer.registry.register("requests", "Requests", family.clone());
        for n in 0..series {
            let [route, code] = labels(n);
            counter_family!(
                "requests",
                labels = ["route", "code"],
                capacity = COUNTERS,
                description = "Requests"
            )
            .add([&*route, &*code], n as u64 + 1);
            family.get_or_create(&Labels { route, code }).inc_by(n as u64 + 1);
        }
    }

    fn fill_histograms(&self, series: usize) {
        let Ok(mut peer) = self.peer.lock() else { return };
        let family: Family<Labels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 22)));
        peer.registry = Registry::default();
        peer.registry.register("wait", "Waits", family.clone());
        for n in 0..series / LINES {
            let [route, code] = labels(n);
            for value in values() {
                histogram_family!(
                    "wait",
                    labels = ["route", "code"],
                    capacity = HISTOGRAMS,
                    scale = 3,
                    unit = "us",
                    description = "Waits"
                )
                .record([&*route, &*code], value);
                family
                    .get_or_create(&Labels { route: route.clone(), code: code.clone() })
                    .observe(value as f64);
            }
        }
    }

    /// The steps, each of which gives the bytes of its page.
    fn steps(&self, name: &'static str) -> Vec<Step<'_>> {
        let page = move |format: Format| {
            let options = PageOptions::default().scope_labels(false);
            let renderer = RefCell::new(Renderer::new(Resource::new("bench"), options));
            move || {
                let mut page = Vec::new();
                self.metrics.read(|points| {
                    let first = points.partition_point(|point| point.name < name);
                    let end = points.partition_point(|point| point.name <= name);
                    renderer.borrow_mut().render(&points[first..end], format, &mut page);
                });
                page.len()
            }
        };
        let first_page = move || {
            let renderer = page(Format::OpenMetrics);
            renderer()
        };
        let read = move || {
            let mut points = 0;
            self.metrics.read(|all| points = all.len());
            std::hint::black_box(points);
            0
        };
        let peer = move || {
            let mut text = String::new();
            let encoded = self.peer.lock().is_ok_and(|peer| {
                prometheus_client::encoding::text::encode(&mut text, &peer.registry).is_ok()
            });
            assert!(encoded, "prometheus-client cannot encode");
            text.len()
        };
        vec![
            ("prometheus-client: OpenMetrics", Box::new(peer)),
            ("**throughline**: OpenMetrics", Box::new(page(Format::OpenMetrics))),
            ("**throughline**: OpenMetrics, without the layout of an earlier page", Box::new(first_page)),
            ("**throughline**: text", Box::new(page(Format::Text))),
            ("**throughline**: protobuf", Box::new(page(Format::Protobuf))),
            ("**throughline**: reading alone", Box::new(read)),
            (
                "**throughline**: OpenMetrics, scraped over loopback",
                Box::new(|| self.scrape("Accept: application/openmetrics-text;version=1.0.0\r\n")),
            ),
            (
                "**throughline**: the same with gzip",
                Box::new(|| {
                    self.scrape(
                        "Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip\r\n",
                    )
                }),
            ),
        ]
    }

    fn scrape(&self, headers: &str) -> usize {
        let answer = || -> std::io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect(self.address)?;
            write!(stream, "GET /metrics HTTP/1.1\r\nHost: bench\r\n{headers}\r\n")?;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match answer() {
            Ok(bytes) if bytes.starts_with(b"HTTP/1.1 200") => bytes.len(),
            other => panic!("no page: {:?}", other.map(|bytes| bytes.len())),
        }
    }
}
