//! A real Collector that is killed, comes back, or changes its address, and one that gets the lines of a file.
//! `cargo xtask test --only collector` builds the Collector and runs these.

#[path = "../export/tests/support/otlp_json.rs"]
mod otlp_json;
#[path = "support/servers.rs"]
mod servers;
mod support;

use otlp_json::message;
use servers::{Folder, Server};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::{assert_balanced, free_address, in_own_process, until};
use throughline::{counter, gauge, histogram, info, span, warn};
use throughline_std::otlp::{ClientConfig, OtlpFile, Protocol, Signal};
use throughline_std::{Config, DropReason, Guard};

const LONG: Duration = Duration::from_secs(30);
/// Number of spans that each phase of a test records.
const SPANS: u64 = 1000;

/// The numbers of the spans in a Collector's file.
fn numbers(file: &Path) -> BTreeSet<u64> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // What follows the last line break was being written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut numbers = BTreeSet::new();
    for line in whole.lines() {
        let request: serde_json::Value = serde_json::from_str(line).unwrap();
        let attributes = request["resourceSpans"][0]["scopeSpans"].as_array().unwrap().iter();
        for span in attributes.flat_map(|scope| scope["spans"].as_array().unwrap()) {
            let attributes = span["attributes"].as_array().unwrap();
            let n = attributes.iter().find(|attribute| attribute["key"] == "n").unwrap();
            numbers.insert(n["value"]["intValue"].as_str().unwrap().parse().unwrap());
        }
    }
    numbers
}

/// A thread that records spans with the numbers from 0, as many as it is told, and keeps pace with the pump, so that
/// no ring is ever full.
struct Recorder {
    wanted: AtomicU64,
    recorded: AtomicU64,
}

impl Recorder {
    /// Records while `work` runs.
    fn run<R>(work: impl FnOnce(&Recorder) -> R) -> R {
        let recorder = Recorder { wanted: AtomicU64::new(0), recorded: AtomicU64::new(0) };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut n = 0;
                loop {
                    match recorder.wanted.load(Ordering::Acquire) {
                        u64::MAX => return,
                        wanted if n == wanted => std::thread::sleep(Duration::from_millis(1)),
                        _ => {
                            drop(span!("work", n = n));
                            n += 1;
                            recorder.recorded.store(n, Ordering::Release);
                            if n.is_multiple_of(50) {
                                until("the pump takes them", || throughline_std::ledger().ring.output >= n);
                            }
                        }
                    }
                }
            });
            let result = work(&recorder);
            recorder.wanted.store(u64::MAX, Ordering::Release);
            result
        })
    }

    /// Allows this many spans more.
    fn allow(&self, more: u64) {
        self.wanted.fetch_add(more, Ordering::AcqRel);
    }

    fn count(&self) -> u64 {
        self.recorded.load(Ordering::Acquire)
    }

    fn is_done(&self) -> bool {
        self.count() == self.wanted.load(Ordering::Acquire)
    }
}

/// Sends traces alone, in small batches, over one connection.
fn start(client: ClientConfig) -> Guard {
    let client = client.without_signal(Signal::Metrics).without_signal(Signal::Logs);
    let client = client.first_backoff(Duration::from_millis(1));
    let config = Config::new("svc").otlp_client(client).terminal(false).report_errors(false);
    throughline_std::init(&config.batch(8000, Duration::from_millis(2)).queue(10_000)).unwrap()
}

fn delivered(guard: &Guard) -> u64 {
    guard.ledger().exporter("otlp.traces").output
}

/// Sends to a Collector that is killed while it receives, and to the next one at the same address. Returns how many
/// spans were dropped because there was none.
fn killed_and_back(name: &str, protocol: Protocol, retry_for: Duration) -> u64 {
    let folder = Folder::new(&format!("{name}-files"));
    let [first, second] = ["first", "second"].map(|file| folder.path().join(file));
    let address = free_address();
    let spoken = if protocol == Protocol::Grpc { "grpc" } else { "http" };
    let collector = Server::collector(&format!("{name}-first"), spoken, address, &first);
    let client = ClientConfig::new(&format!("http://{address}")).unwrap().protocol(protocol).unwrap();
    let client = client.retry_for(retry_for);
    let guard = start(client);
    let (acknowledged, _second) = Recorder::run(|recorder| {
        recorder.allow(20 * SPANS);
        until("it receives", || delivered(&guard) > SPANS);
        drop(collector);
        until("its end is seen", || guard.last_error().is_some());
        let acknowledged = delivered(&guard);
        recorder.allow(SPANS);
        until("more is recorded while there is none", || recorder.is_done());
        let next = Server::collector(&format!("{name}-second"), spoken, address, &second);
        recorder.allow(9 * SPANS);
        until("it receives again", || guard.last_error().is_none() && delivered(&guard) > acknowledged);
        until("all is recorded", || recorder.is_done());
        (acknowledged, next)
    });
    let report = guard.shutdown(LONG);
    let ledger = &report.ledger;
    assert!(report.in_time, "{ledger}");
    assert_balanced(ledger);
    let traces = ledger.exporter("otlp.traces");
    assert_eq!((ledger.ring.input, traces.input), (30 * SPANS, 30 * SPANS), "{ledger}");
    let (before, mut after) = (numbers(&first), BTreeSet::new());
    until("all that the second has acknowledged is written", || {
        after = numbers(&second);
        after.len() as u64 == traces.output - acknowledged
    });
    let again = before.intersection(&after).count();
    println!("{} before the kill, {} after it, {again} of these twice\n{ledger}", before.len(), after.len());
    assert!(acknowledged < 20 * SPANS, "it was killed while spans waited");
    // Only what was never acknowledged is sent again.
    assert!(after.first() >= Some(&acknowledged), "{acknowledged} {:?}", after.first());
    if traces.dropped_total() == 0 {
        assert_eq!(after, (acknowledged..30 * SPANS).collect());
    }
    traces.dropped_total()
}

#[test]
#[ignore = "needs a Collector: cargo xtask test --only collector"]
fn a_collector_that_is_killed_and_comes_back_gets_everything() {
    in_own_process("a_collector_that_is_killed_and_comes_back_gets_everything", || {
        assert_eq!(killed_and_back("patient", Protocol::HttpProtobuf, LONG), 0);
    });
}

#[cfg(feature = "grpc")]
#[test]
#[ignore = "needs a Collector: cargo xtask test --only collector"]
fn a_collector_that_is_killed_and_comes_back_gets_everything_over_grpc() {
    in_own_process("a_collector_that_is_killed_and_comes_back_gets_everything_over_grpc", || {
        assert_eq!(killed_and_back("grpc", Protocol::Grpc, LONG), 0);
    });
}

#[test]
#[ignore = "needs a Collector: cargo xtask test --only collector"]
fn what_is_given_up_while_a_collector_is_away_is_counted_to_the_last() {
    in_own_process("what_is_given_up_while_a_collector_is_away_is_counted_to_the_last", || {
        assert!(killed_and_back("hasty", Protocol::HttpProtobuf, Duration::from_millis(2)) > 0);
        let traces = throughline_std::ledger().exporter("otlp.traces");
        assert_eq!(traces.dropped_for(DropReason::Unreachable), traces.dropped_total(), "{traces:?}");
    });
}

/// Runs this test again as a program whose names of hosts are those of a file `hosts`, which the test may change: in a
/// mount namespace of its own, with files of its own over the system's.
#[cfg(target_os = "linux")]
fn with_own_names(test: &str, body: impl FnOnce(&Path)) {
    const FOLDER: &str = "THROUGHLINE_TEST_NAMES";
    const SCRIPT: &str = "mount --bind \"$1/hosts\" /etc/hosts && mount --bind \"$1/nsswitch\" /etc/nsswitch.conf && shift && exec \"$@\"";
    if let Ok(folder) = std::env::var(FOLDER) {
        return in_own_process(test, || body(Path::new(&folder)));
    }
    let folder = Folder::new("names");
    std::fs::write(folder.path().join("hosts"), "").unwrap();
    std::fs::write(folder.path().join("nsswitch"), "hosts: files\n").unwrap();
    let status = std::process::Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .status()
        .expect("`unshare` is there: install Debian's util-linux");
    assert!(
        status.success(),
        "{status}; unless a test above says why, it needs the right to create a mount namespace (unshare --mount)"
    );
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs a Collector: cargo xtask test --only collector"]
fn a_name_that_stops_resolving_and_then_means_another_address() {
    with_own_names("a_name_that_stops_resolving_and_then_means_another_address", |folder| {
        let hosts = |text: &str| std::fs::write(folder.join("hosts"), text).unwrap();
        let [first, second] = ["first", "second"].map(|file| folder.join(file));
        let address = free_address();
        hosts("127.0.0.1 collector.test\n");
        let collector = Server::collector("named-first", "http", address, &first);
        let endpoint = format!("http://collector.test:{}", address.port());
        let guard = start(ClientConfig::new(&endpoint).unwrap().retry_for(Duration::ZERO));
        let _second = Recorder::run(|recorder| {
            recorder.allow(SPANS);
            until("it has all", || delivered(&guard) == SPANS && numbers(&first) == (0..SPANS).collect());
            // Its machine is gone, and so is its name.
            hosts("");
            drop(collector);
            recorder.allow(SPANS);
            let dropped = || guard.ledger().exporter("otlp.traces").dropped_for(DropReason::Unreachable);
            until("what has nowhere to go is dropped", || dropped() == SPANS);
            let error = guard.last_error().unwrap();
            assert!(error.contains("collector.test"), "{error}");
            // It is back on another machine.
            let elsewhere = std::net::SocketAddr::from(([127, 0, 0, 2], address.port()));
            let next = Server::collector("named-second", "http", elsewhere, &second);
            hosts("127.0.0.2 collector.test\n");
            recorder.allow(SPANS);
            until("it receives again", || delivered(&guard) == 2 * SPANS);
            next
        });
        let report = guard.shutdown(LONG);
        assert!(report.in_time, "{}", report.ledger);
        assert_balanced(&report.ledger);
        let traces = report.ledger.exporter("otlp.traces");
        assert_eq!((traces.input, traces.output, traces.dropped_total()), (3 * SPANS, 2 * SPANS, SPANS));
        until("all is written", || numbers(&second) == (2 * SPANS..3 * SPANS).collect());
    });
}

#[test]
#[ignore = "needs a Collector: cargo xtask test --only collector"]
fn the_lines_of_an_otlp_file_are_requests_that_a_collector_takes() {
    in_own_process("the_lines_of_an_otlp_file_are_requests_that_a_collector_takes", || {
        let folder = Folder::new("lines");
        let [ours, theirs] = ["ours.jsonl", "theirs.jsonl"].map(|file| folder.path().join(file));
        let file = OtlpFile::new(std::fs::File::create(&ours).unwrap());
        let config = Config::new("svc").without_otlp().terminal(false).exporter("otlp-file", file);
        let guard = throughline_std::init(&config).unwrap();
        {
            let _span = span!("outer", text = "\"ä\n\u{1}", float = 0.1, yes = true, int = i64::MIN);
            warn!("low on {what}", what = "äpples");
            drop(span!("inner"));
        }
        info!("lone");
        counter!("orders", unit = "{order}").add(7);
        gauge!("level" as f64).set(-0.25);
        histogram!("wait" as f64, unit = "s").record(3.5);
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{}", report.ledger);
        let lines = std::fs::read_to_string(&ours).unwrap();
        let collector = Server::collector("lines", "http", free_address(), &theirs);
        let mut signals = BTreeSet::new();
        for line in lines.lines() {
            let (signal, path) = [
                ("resourceSpans", "/v1/traces"),
                ("resourceLogs", "/v1/logs"),
                ("resourceMetrics", "/v1/metrics"),
            ]
            .into_iter()
            .find(|(member, _)| line.starts_with(&format!("{{\"{member}\":")))
            .unwrap_or_else(|| panic!("{line}"));
            signals.insert(signal);
            let answer = collector.post_json(path, line);
            assert_eq!(answer, Some((200, "{\"partialSuccess\":{}}".to_owned())), "{line}");
        }
        assert_eq!(signals.len(), 3, "{lines}");
        let sorted = |text: &str| {
            let mut messages: Vec<_> = text.lines().map(|line| message(line).to_string()).collect();
            messages.sort();
            messages
        };
        until("it has written all", || {
            let text = std::fs::read_to_string(&theirs).unwrap_or_default();
            text.matches('\n').count() == lines.lines().count()
        });
        for (theirs, ours) in sorted(&std::fs::read_to_string(&theirs).unwrap()).iter().zip(sorted(&lines)) {
            assert_eq!(*theirs, ours);
        }
    });
}
