//! Code that uses `tracing`, `log` and `metrics` alone: its spans, events, log records and metrics arrive at a collector
//! as this library's own do.
#![cfg(all(feature = "tracing", feature = "log", feature = "metrics"))]

#[cfg(feature = "opentelemetry")]
mod api;
#[cfg(feature = "opentelemetry")]
mod contexts;
mod counts;
mod filters;
#[cfg(feature = "opentelemetry")]
mod instruments;
mod layers;
mod records;
mod spans;
mod suites;
#[path = "../support/mod.rs"]
mod support;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use support::receiver::Receiver;
use support::service::{LONG, config, start};
use support::{assert_balanced, in_own_process, stderr_of};
use throughline::TraceContext;
use throughline_std::{Config, InitError, ShutdownReport};

/// Runs `work` in a process that records what all three libraries report. Returns what the collector got.
fn recorded(test: &str, work: impl FnOnce(), look: impl FnOnce(&[Span], &[LogRecord], &[Metric])) {
    recorded_with(test, || (), work, look);
}

/// Like [`recorded`], after `before` has run in the process.
fn recorded_with(
    test: &str,
    before: impl FnOnce(),
    work: impl FnOnce(),
    look: impl FnOnce(&[Span], &[LogRecord], &[Metric]),
) {
    in_own_process(test, || {
        before();
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).bridges());
        work();
        look_at(&receiver, guard.shutdown(LONG), look);
    });
}

fn look_at(receiver: &Receiver, report: ShutdownReport, look: impl FnOnce(&[Span], &[LogRecord], &[Metric])) {
    assert!(report.complete, "{report:?}");
    assert_balanced(&report.ledger);
    receiver.with(|r| look(&r.spans, &r.logs, r.metrics.last().map_or(&[], |metrics| metrics)));
}

fn remote() -> TraceContext {
    TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()
}

#[test]
fn a_place_that_another_library_has_is_an_error_that_says_what_to_do() {
    in_own_process("a_place_that_another_library_has_is_an_error_that_says_what_to_do", || {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        let config = Config::new("svc").without_otlp().terminal(false).bridges();
        let error = throughline_std::init(&config).unwrap_err();
        assert!(matches!(error, InitError::Taken { of: "tracing", .. }));
        assert_eq!(
            error.to_string(),
            "`tracing` has a global subscriber already: install throughline_std::tracing::layer() there, in place of Config's method for it"
        );
    });
}

#[test]
fn a_file_chooses_bridges() {
    in_own_process("a_file_chooses_bridges", || {
        let receiver = Receiver::start([]);
        let path = std::env::temp_dir().join(format!("throughline-bridges-{}.toml", std::process::id()));
        let text =
            format!("[otlp]\nendpoint = \"{}\"\n[bridges]\nenabled = true\nlog = false\n", receiver.endpoint);
        std::fs::write(&path, text).unwrap();
        let guard = start(&Config::load(&path).unwrap().report_errors(false));
        std::fs::remove_file(path).unwrap();
        tracing::info_span!("request").in_scope(|| log::info!("left alone"));
        metrics::counter!("orders").increment(1);
        look_at(&receiver, guard.shutdown(LONG), |spans, logs, metrics| {
            assert_eq!((spans.len(), logs.len()), (1, 0));
            assert!(metrics.iter().any(|metric| metric.name == "orders"));
        });
        log::set_logger(&throughline_std::log::Logger).expect("the place is free");
    });
}

#[test]
fn without_a_collector_the_terminal_draws_them() {
    let drawn = stderr_of("without_a_collector_the_terminal_draws_them", || {
        let guard = throughline_std::init(&Config::new("svc").bridges()).unwrap();
        tracing::info_span!("request", n = 1).in_scope(|| log::info!("handled"));
        assert!(guard.shutdown(LONG).complete);
    });
    if let Some(drawn) = drawn {
        assert!(drawn.contains("request  n=1") && drawn.contains("INFO handled\n"), "{drawn}");
    }
}
