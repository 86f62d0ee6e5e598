//! Checks of a running service, and what their pages say.
#![cfg(feature = "health")]

mod support;

#[path = "../export/tests/support/scrape.rs"]
mod scrape;

use scrape::get;
use serde_json::Value;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use support::{free_address, in_own_process};
use throughline_std::admin::{AdminOptions, AdminServer, Response, Route};
use throughline_std::health::{Check, Finding, HealthError, HealthOptions, Heartbeat, PoolUse};
use throughline_std::view::SpanView;
use throughline_std::{Config, Deadline, ExportError, Exporter, Guard, InitError, Wants};

const SOON: Duration = Duration::from_millis(2);

fn config() -> Config {
    Config::new("shop").without_otlp().terminal(false)
}

/// Options whose checks run all the time, without the check `telemetry`.
fn options(address: SocketAddr) -> HealthOptions {
    HealthOptions::default()
        .listen(AdminOptions::default().port(address.port()))
        .interval(SOON)
        .telemetry(false)
}

fn begin(options: HealthOptions) -> Guard {
    throughline_std::init(&config().health(options)).unwrap()
}

fn page(address: SocketAddr, path: &str) -> (u16, Value) {
    let answer = get(address, path, "");
    assert_eq!(answer.header("content-type"), "application/json");
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

/// What a page says about a check: status and message.
fn said(page: &Value, name: &str) -> (String, String) {
    let line = page["checks"].as_array().unwrap().iter().find(|line| line["name"] == name).unwrap();
    (line["status"].as_str().unwrap().into(), line["message"].as_str().unwrap().into())
}

/// Asks until the check has a message that begins like this, and returns the page. A test that waits for ever is killed.
fn until(address: SocketAddr, name: &str, message: &str) -> Value {
    loop {
        let page = page(address, "/health").1;
        if said(&page, name).1.starts_with(message) {
            return page;
        }
    }
}

/// A check that gives what is set.
fn settable(name: &str) -> (Check, Arc<Mutex<Finding>>) {
    let finding = Arc::new(Mutex::new(Finding::healthy("well")));
    let given = Arc::clone(&finding);
    (Check::new(name, move || given.lock().unwrap().clone()), finding)
}

#[test]
fn the_pages_show_no_password_of_a_target() {
    in_own_process("the_pages_show_no_password_of_a_target", || {
        let address = free_address();
        let checks =
            options(address).check(Check::tcp("a", "u:hunter2@h:1")).check(Check::dns("b", "u:hunter2@h"));
        let guard = begin(checks.check(Check::http("c", "http://u:hunter2@127.0.0.1:1")));
        for (name, message) in [
            ("a", "[REDACTED]@h:1 cannot be reached: "),
            ("b", "[REDACTED]@h has no address: "),
            ("c", "http://[REDACTED]@127.0.0.1:1 does not answer: "),
        ] {
            let page = until(address, name, message);
            assert!(!page.to_string().contains("hunter2"), "{page}");
        }
        assert!(guard.shutdown(Duration::from_secs(30)).in_time);
    });
}

#[test]
fn the_pages_say_what_the_checks_found() {
    in_own_process("the_pages_say_what_the_checks_found", || {
        let address = free_address();
        let ((database, set_database), (mail, set_mail)) = (settable("database"), settable("mail"));
        let (loops, set_loops) = settable("loop");
        let guard = begin(options(address).check(database).check(mail.optional()).check(loops.liveness()));
        let set = |of: &Mutex<Finding>, finding: Finding| *of.lock().unwrap() = finding;
        let statuses = || ["/health", "/livez", "/readyz", "/startupz"].map(|path| page(address, path).0);

        until(address, "database", "well");
        until(address, "mail", "well");
        until(address, "loop", "well");
        assert_eq!(statuses(), [200; 4]);
        set(&set_database, Finding::degraded("slow \"now\"\n").detail("ms", 250));
        let slow = until(address, "database", "slow");
        assert_eq!((slow["status"].as_str(), statuses()), (Some("degraded"), [200; 4]));
        let line = &slow["checks"][0];
        assert_eq!(
            (&line["name"], &line["message"], &line["details"]["ms"], &line["optional"]),
            (&"database".into(), &"slow \"now\"\n".into(), &"250".into(), &false.into())
        );
        assert!(
            line["timestamp"].as_str().unwrap().ends_with('Z') && line["duration"].as_f64().unwrap() < 60.0
        );

        // What is optional makes the service degraded at most.
        set(&set_database, Finding::healthy("well"));
        set(&set_mail, Finding::unhealthy("gone"));
        until(address, "database", "well");
        let gone = until(address, "mail", "gone");
        assert_eq!((gone["status"].as_str(), statuses()), (Some("degraded"), [200; 4]));
        // What has started stays so.
        set(&set_database, Finding::unhealthy("gone"));
        let gone = until(address, "database", "gone");
        assert_eq!((gone["status"].as_str(), statuses()), (Some("unhealthy"), [503, 200, 503, 200]));
        assert_eq!(page(address, "/livez").1["checks"].as_array().unwrap().len(), 1);
        set(&set_loops, Finding::unhealthy("stuck"));
        until(address, "loop", "stuck");
        assert_eq!(statuses(), [503, 503, 503, 200]);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

#[test]
fn a_check_that_hangs_is_told_and_delays_nothing() {
    in_own_process("a_check_that_hangs_is_told_and_delays_nothing", || {
        let address = free_address();
        let ((entered, enters), (go_on, going)) = (channel(), channel::<()>());
        let (other_runs, counted) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (runs, others) = (Arc::clone(&counted), Arc::clone(&other_runs));
        let hung = Check::new("hung", move || {
            runs.fetch_add(1, Ordering::Relaxed);
            entered.send(()).unwrap();
            let _ = going.recv();
            Finding::healthy("back")
        });
        let other =
            Check::new("other", move || Finding::healthy(others.fetch_add(1, Ordering::Relaxed).to_string()));
        let guard = begin(options(address).check(hung.timeout(Duration::from_millis(20))).check(other));
        enters.recv().unwrap();
        assert_eq!(page(address, "/startupz").0, 503);
        let hangs = until(address, "hung", "it has not come back for ");
        assert_eq!(hangs["status"], "unhealthy");
        let before = other_runs.load(Ordering::Relaxed);
        while other_runs.load(Ordering::Relaxed) < before + 10 {
            assert_eq!(page(address, "/health").0, 503);
        }
        // It was not called a second time.
        assert_eq!((counted.load(Ordering::Relaxed), enters.try_recv().is_err()), (1, true));
        // It came back too late, and that run counts as failed; the next one is in time.
        go_on.send(()).unwrap();
        until(address, "hung", "it took ");
        drop(go_on);
        until(address, "hung", "back");
        assert_eq!(page(address, "/startupz").0, 200);
        drop(guard);
    });
}

#[test]
fn a_check_that_hangs_never_occupies_the_pages() {
    in_own_process("a_check_that_hangs_never_occupies_the_pages", || {
        let (address, runs) = (free_address(), Arc::new(AtomicU32::new(0)));
        let (go_on, going) = channel::<()>();
        let counted = Arc::clone(&runs);
        let hung = Check::new("hung", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = going.recv();
            Finding::healthy("back")
        });
        let (other, _set_other) = settable("other");
        let guard = begin(options(address).check(hung.timeout(Duration::from_millis(20))).check(other));
        until(address, "other", "well");
        until(address, "hung", "it has not come back for ");
        let asks = |client: usize| {
            for n in 0..250 {
                let path = ["/health", "/readyz"][(client + n) % 2];
                let (status, page) = page(address, path);
                let (hung, other) = (said(&page, "hung"), said(&page, "other"));
                assert_eq!((status, &*hung.0, &*other.1), (503, "unhealthy", "well"), "{page}");
                assert!(hung.1.starts_with("it has not come back for "), "{page}");
            }
        };
        std::thread::scope(|scope| {
            for client in 0..4 {
                scope.spawn(move || asks(client));
            }
        });
        assert_eq!(runs.load(Ordering::Relaxed), 1);
        drop(go_on);
        until(address, "hung", "back");
        drop(guard);
    });
}

#[test]
fn a_future_is_polled_and_dropped_at_its_timeout() {
    in_own_process("a_future_is_polled_and_dropped_at_its_timeout", || {
        struct Dropped(Arc<AtomicU32>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (address, dropped) = (free_address(), Arc::new(AtomicU32::new(0)));
        let drops = Arc::clone(&dropped);
        let never = Check::future("never", move || {
            let drops = Dropped(Arc::clone(&drops));
            async move {
                let _drops = drops;
                pending::<Finding>().await
            }
        });
        // Woken by another thread.
        let woken = Check::future("woken", || {
            let (is_done, mut begun) = (Arc::new(AtomicBool::new(false)), false);
            poll_fn(move |context| {
                if is_done.load(Ordering::Acquire) {
                    return Poll::Ready(Finding::healthy("woken"));
                }
                if !std::mem::replace(&mut begun, true) {
                    let (is_done, waker) = (Arc::clone(&is_done), context.waker().clone());
                    std::thread::spawn(move || {
                        is_done.store(true, Ordering::Release);
                        waker.wake();
                    });
                }
                Poll::Pending
            })
        });
        let failed = Check::future("failed", || async { Err::<(), _>("no route") });
        let never = never.timeout(Duration::from_millis(20));
        let guard = begin(
            options(address).timeout(Duration::from_secs(3600)).check(never).check(woken).check(failed),
        );
        until(address, "never", "it had not ended within 20ms");
        until(address, "woken", "woken");
        until(address, "failed", "no route");
        assert!(dropped.load(Ordering::Relaxed) > 0);
        drop(guard);
    });
}

#[test]
fn what_depends_on_something_ill_is_not_checked() {
    in_own_process("what_depends_on_something_ill_is_not_checked", || {
        let (address, runs) = (free_address(), Arc::new(AtomicU32::new(0)));
        let (network, set_network) = settable("network");
        *set_network.lock().unwrap() = Finding::unhealthy("down");
        let (counted, panics) = (Arc::clone(&runs), Arc::new(AtomicBool::new(true)));
        let still_panics = Arc::clone(&panics);
        let database = Check::new("database", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            assert!(!still_panics.load(Ordering::Relaxed), "as the test wants it");
            Finding::healthy("well")
        });
        let guard = begin(options(address).check(database.after("network")).check(network));
        until(address, "database", "it is not checked, because `network` is unhealthy");
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        *set_network.lock().unwrap() = Finding::healthy("up");
        // A panic is unhealthy, and the check runs again.
        until(address, "database", "the check panicked: as the test wants it");
        panics.store(false, Ordering::Relaxed);
        until(address, "database", "well");
        drop(guard);
    });
}

#[test]
fn checks_that_cannot_be_in_order_are_refused() {
    let check = |name: &str| Check::new(name, || Ok::<(), String>(()));
    let error = |options: HealthOptions| {
        let listen = AdminOptions::default().port(0);
        match throughline_std::init(&config().health(options.listen(listen))) {
            Err(InitError::Health(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let with = |checks: Vec<Check>| checks.into_iter().fold(HealthOptions::default(), HealthOptions::check);
    let name = || String::from("a");
    assert_eq!(error(with(vec![check("a"), check("a")])), HealthError::Twice { name: name() });
    let unknown = HealthError::Unknown { name: name(), after: "b".into() };
    assert_eq!(error(with(vec![check("a").after("b")])), unknown);
    assert_eq!(error(with(vec![check("a").after("a")])), HealthError::Cycle { name: name() });
    let circle =
        vec![check("z"), check("a").after("b").after("z"), check("b").after("c"), check("c").after("a")];
    assert_eq!(error(with(circle)), HealthError::Cycle { name: name() });
    assert_eq!(error(HealthOptions::default().path("health")), HealthError::Path { path: "health".into() });
    assert!(unknown.to_string().contains("`a` comes after `b`, which is no check"));
}

#[test]
fn the_ready_made_checks_see_what_is_there_and_what_is_not() {
    in_own_process("the_ready_made_checks_see_what_is_there_and_what_is_not", || {
        let (address, gone) = (free_address(), free_address());
        let server = AdminServer::bind(&AdminOptions::default().port(0)).unwrap();
        server.route(Route::new("/ok", |_| Response::text(200, "")));
        server.route(Route::new("/broken", |_| Response::text(500, "")));
        let spawn = |_: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::spawn(run);
            Ok(())
        };
        server.start(&spawn).unwrap();
        let there = server.address();
        let used = |idle| move || PoolUse { open: 4, idle, most: 4 };
        let (beating, still) = (Heartbeat::new(), Heartbeat::new());
        let options = options(address)
            .check(Check::tcp("tcp", there.to_string()))
            .check(Check::tcp("no tcp", gone.to_string()))
            .check(Check::http("http", format!("http://{there}/ok")))
            .check(Check::http("broken http", format!("http://{there}/broken")))
            .check(Check::http("no http", format!("http://u:pw@{gone}/")))
            .check(Check::http("http in capitals", format!("HTTP://u:pw@{gone}/")))
            .check(Check::http("no url", format!("u:pw@{gone}")))
            .check(Check::dns("dns", "localhost"))
            .check(Check::dns("no dns", "no.such.host.invalid"))
            .check(Check::disk("disk", "/", 0.0))
            .check(Check::disk("full disk", "/", 1.1))
            .check(Check::disk("no disk", "/no/such/path", 0.1))
            .check(Check::memory("memory", 0.0))
            .check(Check::pool("pool", used(1), || async { Ok::<(), String>(()) }))
            .check(Check::pool("busy pool", used(0), || async { Ok::<(), String>(()) }))
            .check(Check::pool("no pool", used(1), || async { Err("closed") }))
            .check(Check::event_loop("loop", &beating, Duration::from_secs(3600)))
            .check(Check::event_loop("still loop", &still, Duration::ZERO));
        let guard = begin(options);
        for (name, status, message) in [
            ("tcp", "healthy", format!("{there} takes connections")),
            ("no tcp", "unhealthy", format!("{gone} cannot be reached: Connection refused")),
            ("http", "healthy", format!("http://{there}/ok answers 200")),
            ("broken http", "unhealthy", format!("http://{there}/broken answers 500")),
            ("no http", "unhealthy", format!("http://[REDACTED]@{gone}/ does not answer: ")),
            ("http in capitals", "unhealthy", format!("HTTP://[REDACTED]@{gone}/ does not answer: ")),
            ("no url", "unhealthy", format!("[REDACTED]@{gone} does not answer: ")),
            ("dns", "healthy", "localhost is ".into()),
            ("no dns", "unhealthy", "no.such.host.invalid has no address: ".into()),
            ("disk", "healthy", String::new()),
            ("full disk", "unhealthy", String::new()),
            ("no disk", "unhealthy", "/no/such/path: No such file".into()),
            ("memory", "healthy", String::new()),
            ("pool", "healthy", String::new()),
            ("busy pool", "degraded", "all 4 connections are in use".into()),
            ("no pool", "unhealthy", "closed".into()),
            ("loop", "healthy", String::new()),
            ("still loop", "unhealthy", "the last beat was ".into()),
        ] {
            let page = loop {
                let page = page(address, "/health").1;
                if said(&page, name).1 != "it has not been checked yet" && said(&page, name).0 == status {
                    break page;
                }
            };
            assert!(said(&page, name).1.starts_with(&message), "{name}: {}", said(&page, name).1);
        }
        let page = page(address, "/health").1;
        assert!(!page.to_string().contains("pw"), "{page}");
        let details = |name: &str| {
            page["checks"].as_array().unwrap().iter().find(|l| l["name"] == name).unwrap()["details"].clone()
        };
        assert_eq!(
            details("pool"),
            serde_json::json!({"open": "4", "in_use": "3", "idle": "1", "most": "4"})
        );
        assert!(details("disk")["free_bytes"].as_str().unwrap().parse::<u64>().unwrap() > 0);
        drop(guard);
    });
}

/// Keeps the spans' names and statuses.
struct Spans(Arc<Mutex<Vec<String>>>);

impl Exporter for Spans {
    fn wants(&self) -> Wants {
        Wants { spans: true, ..Wants::NOTHING }
    }

    fn span(&mut self, span: &SpanView<'_>) {
        self.0.lock().unwrap().push(format!("{} {:?} {:?}", span.name, span.status, span.fields));
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

#[cfg(feature = "prometheus")]
#[test]
fn each_run_has_a_span_and_metrics() {
    use throughline_std::prometheus::PrometheusOptions;

    in_own_process("each_run_has_a_span_and_metrics", || {
        let (address, spans) = (free_address(), Arc::default());
        let (database, set_database) = settable("database");
        *set_database.lock().unwrap() = Finding::unhealthy("down");
        let config = config()
            .health(options(address).check(database.optional()))
            .prometheus(PrometheusOptions::default().port(address.port()))
            .exporter("spans", Spans(Arc::clone(&spans)));
        let guard = throughline_std::init(&config).unwrap();
        until(address, "database", "down");
        let metrics = get(address, "/metrics", "");
        let metrics: Vec<&str> = metrics.text().lines().collect();
        for (begin, part) in [
            ("health_check_status{check=\"database\"", "} 0.0"),
            ("health_status{", "} 0.5"),
            ("health_check_runs_total{check=\"database\"", "status=\"unhealthy\""),
            ("health_check_duration_microseconds_count{check=\"database\"", ""),
        ] {
            let is_there = |line: &&str| line.starts_with(begin) && line.contains(part);
            assert!(metrics.iter().any(is_there), "{begin}: {metrics:#?}");
        }
        assert!(guard.flush(Duration::from_secs(30)));
        drop(guard);
        let spans = spans.lock().unwrap();
        assert!(spans[0].starts_with("health.check Error"), "{spans:?}");
    });
}

#[test]
fn losses_and_failing_exporters_make_the_service_degraded() {
    in_own_process("losses_and_failing_exporters_make_the_service_degraded", || {
        struct Failing;
        impl Exporter for Failing {
            fn span(&mut self, _: &SpanView<'_>) {}
            fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
                Err(ExportError::new(throughline_std::DropReason::Rejected, 1, "the test's exporter fails"))
            }
        }
        let address = free_address();
        let options = options(address).telemetry(true);
        let guard = throughline_std::init(&config().health(options).exporter("failing", Failing)).unwrap();
        until(address, "telemetry", "everything is delivered");
        drop(throughline::span!("lost"));
        let page = until(address, "telemetry", "the test's exporter fails");
        assert_eq!((page["status"].as_str(), self::page(address, "/readyz").0), (Some("degraded"), 200));
        drop(guard);
    });
}

#[test]
fn keys_configure_checks() {
    in_own_process("keys_configure_checks", || {
        let address = free_address();
        let text = format!(
            "terminal.enabled = false\n[health]\nport = {}\npath = \"/status\"\ninterval = \"2ms\"\noptional = [\"stock\", \"data\"]\n\
             tcp = {{ stock = \"127.0.0.1:{}\" }}\ndisk = {{ data = \"/\" }}\ndisk_free = 0.0\n",
            address.port(),
            free_address().port()
        );
        let path = std::env::temp_dir().join(format!("throughline-health-{}.toml", std::process::id()));
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let config = Config::load(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            config.without_otlp()
        };
        assert_eq!(
            load(&text.replace("\"stock\", ", "\"stok\", ")).findings()[0]
                .to_string()
                .split_once(": ")
                .unwrap()
                .1,
            "health.optional cannot be used: there is no check `stok`; name one of health.tcp, health.http, health.dns or health.disk"
        );
        let guard = throughline_std::init(&load(&text)).unwrap();
        let status = loop {
            let status = page(address, "/status").1;
            if said(&status, "stock").1.contains("refused") && said(&status, "data").0 == "healthy" {
                break status;
            }
        };
        assert_eq!(status["status"], "degraded");
        assert_eq!(status["checks"].as_array().unwrap().len(), 3);
        drop(guard);
    });
}
