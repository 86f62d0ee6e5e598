//! What Prometheus scrapes of a running server.
#![cfg(feature = "prometheus")]

mod support;

#[path = "../export/tests/support/exposition.rs"]
mod exposition;
#[path = "../export/tests/support/scrape.rs"]
mod scrape;

use scrape::get;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use support::in_own_process;
use throughline::{counter, counter_family, histogram};
use throughline_std::prometheus::{Prometheus, PrometheusOptions};
use throughline_std::{Config, observe};

fn config() -> Config {
    // No snapshot is made at an interval.
    Config::new("shop").without_otlp().terminal(false).metrics_every(Duration::MAX)
}

fn families(address: SocketAddr) -> std::collections::BTreeMap<String, exposition::Family> {
    exposition::parse(get(address, "/metrics", "").text(), false)
}

#[test]
fn a_scrape_sees_what_was_counted_just_now() {
    in_own_process("a_scrape_sees_what_was_counted_just_now", || {
        let prometheus = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
        let address = prometheus.address();
        let guard = throughline_std::init(&config().exporter("prometheus", prometheus)).unwrap();
        let mut asked = 0;
        observe::gauge("asked").with(move || (asked += 1, asked).1).keep();
        for n in 1..=3 {
            counter!("orders", unit = "{order}", description = "Orders taken").add(1);
            counter_family!("requests", labels = ["route"], capacity = 4).add(["/a"], 2);
            histogram!("wait", unit = "ms").record(20);
            let families = families(address);
            let value = |name: &str| families[name].samples[0].value;
            assert_eq!(families["orders_total"].help.as_deref(), Some("Orders taken"));
            assert_eq!((value("orders_total"), value("requests_total")), (f64::from(n), f64::from(2 * n)));
            assert_eq!(families["requests_total"].samples[0].labels["route"], "/a");
            let scope = &families["orders_total"].samples[0].labels;
            assert_eq!(
                (&*scope["otel_scope_name"], &*scope["otel_scope_version"]),
                ("throughline-std", env!("CARGO_PKG_VERSION"))
            );
            let wait = families["wait_milliseconds"].samples.last().unwrap();
            assert_eq!((&*wait.name, wait.value), ("wait_milliseconds_count", f64::from(n)));
            assert_eq!(value("asked"), f64::from(n));
            assert_eq!(families["target_info"].samples[0].labels["service_name"], "shop");
        }
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

#[test]
fn scrapes_go_on_while_metrics_are_counted_and_exported() {
    in_own_process("scrapes_go_on_while_metrics_are_counted_and_exported", || {
        let prometheus = Prometheus::bind(&PrometheusOptions::default().port(0)).unwrap();
        let address = prometheus.address();
        let config = config().metrics_every(Duration::from_millis(1)).exporter("prometheus", prometheus);
        let guard = throughline_std::init(&config.exporter("other", Nothing)).unwrap();
        const THREADS: u32 = 3;
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..20_000).for_each(|_| counter!("busy").add(1)));
            }
            let mut before = 0.0;
            for _ in 0..20 {
                let families = families(address);
                let now = families.get("busy_total").map_or(0.0, |family| family.samples[0].value);
                assert!(now >= before, "{now} after {before}");
                before = now;
            }
        });
        assert_eq!(families(address)["busy_total"].samples[0].value, f64::from(THREADS * 20_000));
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

struct Nothing;

impl throughline_std::Exporter for Nothing {
    fn flush(&mut self, _: &throughline_std::Deadline) -> Result<(), throughline_std::ExportError> {
        Ok(())
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_of_init_and_nothing_has_begun() {
    in_own_process("a_port_that_is_taken_is_an_error_of_init_and_nothing_has_begun", || {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = PrometheusOptions::default().port(taken.local_addr().unwrap().port());
        let config = config().prometheus(options);
        let error = throughline_std::init(&config).unwrap_err().to_string();
        assert!(error.contains("another program listens there"), "{error}");
        let address = taken.local_addr().unwrap();
        drop(taken);
        let guard = throughline_std::init(&config).unwrap();
        counter!("n").add(1);
        assert_eq!(families(address)["n_total"].samples[0].value, 1.0);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}
