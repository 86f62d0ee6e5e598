//! Insights of a running process: what is planted in its traffic is on its page, with its traces.
#![cfg(feature = "insights")]

#[path = "support/points.rs"]
mod points;
#[path = "../export/tests/support/scrape.rs"]
mod scrape;
mod support;

use points::Points;
use scrape::get;
use serde_json::Value;
use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use support::{assert_balanced, free_address, in_own_process};
use throughline::{Instrument, span};
use throughline_std::admin::AdminOptions;
use throughline_std::insights::InsightOptions;
use throughline_std::{Config, Guard, InitError, db, observe};

/// Bytes that are leaked at a time.
const LEAK: usize = 64 << 10;
const LONG: Duration = Duration::from_secs(30);

/// The process with short windows, and the address of its pages.
fn begin(options: InsightOptions, more: impl FnOnce(Config) -> Config) -> (Guard, SocketAddr) {
    let address = free_address();
    let config = Config::new("shop").without_otlp().terminal(false);
    let config = config.admin(AdminOptions::default().port(address.port())).insights(options);
    (throughline_std::init(&more(config)).unwrap(), address)
}

fn report(guard: &Guard, address: SocketAddr) -> Value {
    assert!(guard.flush(LONG));
    let answer = get(address, "/debug/insights", "");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/json"),
        "{}",
        answer.text()
    );
    serde_json::from_slice(&answer.body).unwrap()
}

/// The finding of this kind about this.
fn find<'r>(report: &'r Value, kind: &str, subject: &str) -> Option<&'r Value> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|it| it["kind"] == kind && it["subject"] == subject)
}

fn found<'r>(report: &'r Value, kind: &str, subject: &str) -> &'r Value {
    find(report, kind, subject).unwrap_or_else(|| panic!("no {kind} of {subject} in {report:#}"))
}

fn traces(finding: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        finding["traces"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

fn current() -> String {
    throughline::current().unwrap().trace_id.to_string()
}

/// Polls until it is ready, again and again.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
        std::thread::yield_now();
    }
}

/// A request with queries in a loop, which take most of its time. Returns its trace.
fn cart() -> String {
    let _request = span!(root: true, kind: Server, "GET /cart");
    for item in 0..12 {
        let sql = format!("SELECT name FROM items WHERE id = {item}");
        let work = async {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(1) {}
            Ok::<_, std::io::Error>(())
        };
        run(db::query("sqlite", &sql).run(work)).unwrap();
    }
    current()
}

/// A request whose call fails five times before it is successful. Returns its trace.
fn pay() -> String {
    let _request = span!(root: true, kind: Server, "POST /pay");
    for attempt in 0..6 {
        let mut call = span!(kind: Client, "POST bank");
        if attempt < 5 {
            call.fail("busy");
        }
    }
    current()
}

/// Waits for the lock in a span, and has it for two milliseconds.
async fn reserve(lock: &AtomicBool) {
    async {
        poll_fn(|_| if lock.swap(true, Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }).await;
        let begun = Instant::now();
        poll_fn(|_| if begun.elapsed() < Duration::from_millis(2) { Poll::Pending } else { Poll::Ready(()) })
            .await;
        lock.store(false, Ordering::Release);
    }
    .instrument(span!("stock.lock"))
    .await;
}

/// Six tasks on six threads want one lock, ten times each. Returns their traces.
fn contend() -> Vec<String> {
    let (lock, begin) = (AtomicBool::new(false), Barrier::new(6));
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                begin.wait();
                for _ in 0..10 {
                    let own = Cell::new(String::new());
                    let task = async {
                        own.set(current());
                        reserve(&lock).await;
                    };
                    run(task.instrument(span!(root: true, "reserve")));
                    all.lock().unwrap().push(own.take());
                }
            });
        }
    });
    all.into_inner().unwrap()
}

#[test]
fn what_is_planted_is_on_the_page_with_its_traces() {
    in_own_process("what_is_planted_is_on_the_page_with_its_traces", || {
        let (guard, address) = begin(InsightOptions::new().evidence(10), |config| config);
        let carts: Vec<String> = (0..3).map(|_| cart()).collect();
        // A call in each of many requests is no pattern, and neither is one failure.
        for n in 0..50 {
            let _request = span!(root: true, kind: Server, "GET /orders");
            run(db::query("sqlite", "SELECT name FROM items WHERE id = 7")
                .run(async { Ok::<_, std::io::Error>(()) }))
            .unwrap();
            let mut call = span!(kind: Client, "GET stock");
            if n % 10 == 0 {
                call.fail("busy");
            }
        }
        let pays: Vec<String> = (0..3).map(|_| pay()).collect();
        let reserved = contend();
        let report = report(&guard, address);

        let loops = found(&report, "n_plus_one", "GET /cart → SELECT items");
        assert_eq!((&loops["figures"]["parents"], &loops["figures"]["children"]), (&3.into(), &36.into()));
        let summary = loops["summary"].as_str().unwrap();
        assert!(summary.contains("`SELECT name FROM items WHERE id = ?`"), "{summary}");
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all
        };
        assert_eq!(traces(loops), sorted(carts));

        let retries = found(&report, "retry_storm", "POST bank");
        assert_eq!((&retries["figures"]["attempts"], &retries["figures"]["most"]), (&15.into(), &5.into()));
        assert_eq!(traces(retries), sorted(pays));

        let contended = found(&report, "contended_span", "stock.lock");
        assert_eq!(contended["figures"]["spans"], 60);
        assert!(traces(contended).iter().all(|trace| reserved.contains(trace)), "{contended:#}");
        assert_eq!(traces(contended).len(), 10);
        let kinds = ["n_plus_one", "retry_storm"];
        let others = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| kinds.iter().any(|kind| it["kind"] == *kind));
        assert_eq!(others.count(), 2, "{report:#}");

        let orders =
            report["operations"].as_array().unwrap().iter().find(|it| it["name"] == "GET /orders").unwrap();
        assert_eq!((&orders["count"], &orders["failed"]), (&50.into(), &0.into()));
        assert_eq!(report["spans"].as_u64().unwrap(), 3 * 13 + 50 * 3 + 3 * 7 + 120);
        assert!(guard.shutdown(LONG).complete);
        assert_balanced(&throughline_std::ledger());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_queue_that_fills_and_a_leak_are_found_while_they_last() {
    in_own_process("a_queue_that_fills_and_a_leak_are_found_while_they_last", || {
        let points = Points::default();
        // The report is about 1.3 s, and values are read every 11 ms.
        let options = InsightOptions::new().window(Duration::from_millis(100)).horizon(Duration::MAX);
        let exporter = points.clone();
        let (guard, address) = begin(options, |config| config.exporter("points", exporter));
        let depth = Arc::new(AtomicI64::new(0));
        let seen = Arc::clone(&depth);
        let _depth = observe::gauge("jobs.queue.depth")
            .unit("{job}")
            .with(move || seen.fetch_add(1, Ordering::Relaxed));
        let _limit = observe::gauge("jobs.queue.limit").unit("{job}").with(|| 2000);
        let mut leak: Vec<Vec<u8>> = Vec::new();
        let begun = Instant::now();
        let (mut queue, mut memory, mut report) = (None, None, Value::Null);
        while queue.is_none() || memory.is_none() {
            assert!(begun.elapsed() < LONG, "{report:#}");
            leak.push(vec![7; LEAK]);
            report = self::report(&guard, address);
            queue = queue.or(find(&report, "queue_growth", "jobs.queue.depth").cloned());
            memory = memory.or(find(&report, "running_out", "memory").cloned());
        }
        let (queue, memory) = (queue.unwrap(), memory.unwrap());
        assert_eq!(queue["figures"]["limit"], 2000);
        let figure = |name: &str| memory["figures"][name].as_f64().unwrap();
        assert!(figure("per_second") > 0.0 && figure("used") > 0.0, "{memory:#}");
        assert!(figure("earliest_seconds") <= figure("expected_seconds"), "{memory:#}");
        let forecasts = report["forecasts"].as_array().unwrap();
        assert!(forecasts.iter().any(|it| it["name"] == "open files"), "{report:#}");
        // The last report of the thread that reads values is in metrics.
        let has = |name: &str, labels: &str| points.get(name, labels).is_some_and(|value| value > 0.0);
        while !has("throughline.insights.findings", "kind=running_out")
            || !has("throughline.forecast.time_left", "resource=memory,bound=expected")
        {
            assert!(begun.elapsed() < LONG, "{:?}", points);
            leak.push(vec![7; LEAK]);
            self::report(&guard, address);
        }
        assert!(guard.shutdown(LONG).complete);
        assert_balanced(&throughline_std::ledger());
    });
}

#[test]
fn the_page_is_text_for_people() {
    in_own_process("the_page_is_text_for_people", || {
        let (guard, address) = begin(InsightOptions::new(), |config| config);
        drop(span!(root: true, "odd\u{1b}[2J"));
        assert!(guard.flush(LONG));
        let kind = |path: &str, headers: &str| {
            let answer = get(address, path, headers);
            (answer.status, answer.header("content-type").split(';').next().unwrap().to_owned())
        };
        let (json, text) = ((200, "application/json".to_owned()), (200, "text/plain".to_owned()));
        const PAGE: &str = "/debug/insights";
        assert_eq!(kind(PAGE, "Accept: */*\r\n"), json);
        assert_eq!(kind(PAGE, "Accept: application/json, text/plain;q=0.5\r\n"), json);
        assert_eq!(kind(PAGE, "Accept: text/plain\r\n"), text);
        assert_eq!(kind(PAGE, "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"), text);
        assert_eq!(kind("/debug/insights?format=text", "Accept: application/json\r\n"), text);
        assert_eq!(kind("/debug/insights?format=json", "Accept: text/plain\r\n"), json);
        assert_eq!(kind("/debug/insights?format=xml", "").0, 400);
        let answer = get(address, "/debug/insights?format=text", "");
        let said = answer.text();
        assert!(said.contains("Nothing is found.") && said.contains(r"odd\u{1b}[2J"), "{said}");
        drop(guard);
    });
}

#[test]
fn a_path_that_is_none_is_told() {
    in_own_process("a_path_that_is_none_is_told", || {
        let config = Config::new("shop").without_otlp().terminal(false);
        let config =
            config.admin(AdminOptions::default().port(0)).insights(InsightOptions::new().path("insights"));
        let error = throughline_std::init(&config).err().unwrap();
        assert!(matches!(error, InitError::Insights(_)));
        assert_eq!(
            error.to_string(),
            "`insights` is no path for the page of insights; give one that begins with a slash, such as /debug/insights"
        );
    });
}
