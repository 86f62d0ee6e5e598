//! Each pattern is planted in steady traffic.

use super::traffic::{BEGIN, MS, SECOND, Traffic, readings};
use crate::insights::{Finding, FindingKind, Report, Severity};
use throughline::SpanKind;

const LENGTH: u64 = 125;

/// The only finding, which is of this kind, and whose traces are all planted ones.
fn only(report: &Report, kind: FindingKind, traffic: &Traffic) -> Finding {
    let [finding] = &report.findings[..] else { panic!("not one finding\n{}", report.text()) };
    assert_eq!(finding.kind, kind, "{}", report.text());
    assert_eq!(finding.traces.len(), traffic.planted.len().min(5), "{}", report.text());
    assert!(finding.traces.iter().all(|trace| traffic.planted.contains(trace)), "{}", report.text());
    finding.clone()
}

fn figure(finding: &Finding, name: &str) -> f64 {
    finding
        .figures
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no {name} in {finding:?}"))
        .1
}

#[test]
fn queries_in_a_loop_are_found() {
    let mut traffic = Traffic::new(1);
    traffic.steady(LENGTH, |_| MS);
    for number in 0..3 {
        let start = BEGIN + (20 + 30 * number) * SECOND;
        let trace = traffic.trace();
        let root = traffic.span(trace, None, "GET /cart", start, start);
        let own = Some(traffic.spans[root].id);
        traffic.spans[root].kind = SpanKind::Server;
        let end = (0..30 + number).fold(start + MS, |now, _| traffic.query(trace, own, now));
        traffic.spans[root].end = end + MS;
        traffic.planted.push(trace);
    }
    let report = traffic.engine().report();
    let found = only(&report, FindingKind::NPlusOne, &traffic);
    assert_eq!((found.severity, &*found.subject), (Severity::Warning, "GET /cart → SELECT items"));
    assert_eq!(["parents", "children", "most"].map(|name| figure(&found, name)), [3.0, 93.0, 32.0]);
    assert!(found.summary.contains("`SELECT name, price FROM items WHERE id = ?`"), "{}", found.summary);
    assert!(figure(&found, "share") > 0.8);
    // The trace with the most comes first.
    assert_eq!(found.traces[0], traffic.planted[2]);
}

#[test]
fn a_loop_in_a_span_that_is_still_open_is_found_and_a_poll_is_none() {
    let mut traffic = Traffic::new(2);
    traffic.steady(LENGTH, |_| MS);
    // A poll: one query a second, in one span that never ends.
    let (poll, parent) = (traffic.trace(), traffic.span(traffic.spans[0].trace, None, "open", 0, 0));
    let open = Some(traffic.spans.remove(parent).id);
    (0..100).for_each(|second| _ = traffic.query(poll, open, BEGIN + second * SECOND));
    let trace = traffic.trace();
    (0..10).fold(BEGIN + 100 * SECOND, |now, _| traffic.query(trace, open, now));
    traffic.planted.push(trace);
    let found = only(&traffic.engine().report(), FindingKind::NPlusOne, &traffic);
    assert_eq!(&*found.subject, "(open) → SELECT items");
}

#[test]
fn retries_are_found() {
    let mut traffic = Traffic::new(3);
    traffic.steady(LENGTH, |_| MS);
    for number in 0..4 {
        let start = BEGIN + (30 + 20 * number) * SECOND;
        let trace = traffic.trace();
        let root = traffic.span(trace, None, "POST /pay", start, start + 3 * SECOND);
        let own = Some(traffic.spans[root].id);
        for attempt in 0..6 {
            let begin = start + attempt * 500 * MS;
            let call = traffic.span(trace, own, "POST bank", begin, begin + 40 * MS);
            let made = &mut traffic.spans[call];
            // The last one is successful.
            (made.kind, made.failed) = (SpanKind::Client, attempt < 5);
        }
        traffic.planted.push(trace);
    }
    let found = only(&traffic.engine().report(), FindingKind::RetryStorm, &traffic);
    assert_eq!((found.severity, &*found.subject), (Severity::Critical, "POST bank"));
    assert_eq!(["traces", "attempts", "most"].map(|name| figure(&found, name)), [4.0, 20.0, 5.0]);
    assert!((figure(&found, "seconds") - 0.8).abs() < 1e-9);
}

#[test]
fn a_latency_that_jumps_is_found_with_traces_of_the_last_window() {
    let mut traffic = Traffic::new(4);
    traffic.steady(LENGTH, |second| if second < 115 { 4 * MS } else { 40 * MS });
    let last = traffic.spans.iter().filter(|made| made.parent.is_none() && made.end >= BEGIN + 115 * SECOND);
    traffic.planted = last.map(|made| made.trace).collect();
    let found = only(&traffic.engine().report(), FindingKind::GrowingLatency, &traffic);
    assert_eq!((found.severity, &*found.subject), (Severity::Critical, "GET /orders/{id}"));
    // The work is 4 ms of some 12.
    assert!((0.009..0.015).contains(&figure(&found, "usual_seconds")), "{found:?}");
    assert!((0.040..0.060).contains(&figure(&found, "now_seconds")), "{found:?}");
}

#[test]
fn a_latency_that_creeps_up_is_found() {
    let mut traffic = Traffic::new(5);
    traffic.steady(LENGTH, |second| 4 * MS + second * MS / 8);
    let last = traffic.spans.iter().filter(|made| made.end >= BEGIN + 110 * SECOND);
    traffic.planted = last.map(|made| made.trace).collect();
    let found = only(&traffic.engine().report(), FindingKind::GrowingLatency, &traffic);
    assert!(found.summary.contains("from window to window"), "{}", found.summary);
    assert!((1.5..3.0).contains(&figure(&found, "ratio")), "{found:?}");
}

#[test]
fn a_contended_lock_is_found() {
    let mut traffic = Traffic::new(6);
    traffic.steady(LENGTH, |_| MS);
    // Eight tasks want one lock, again and again: each has it for 5 ms.
    for turn in 0..400 {
        let end = BEGIN + 110 * SECOND + turn * 5 * MS;
        let trace = traffic.trace();
        let root = traffic.span(trace, None, "reserve", end - 41 * MS, end + MS);
        traffic.spans[root].busy = Some(2 * MS);
        let own = Some(traffic.spans[root].id);
        let lock = traffic.span(trace, own, "stock.lock", end - 40 * MS, end);
        traffic.spans[lock].busy = Some(5 * MS);
        traffic.planted.push(trace);
    }
    // The span above it waits as much, but its child says for what.
    let found = only(&traffic.engine().report(), FindingKind::ContendedSpan, &traffic);
    assert_eq!((&*found.subject, figure(&found, "waiting_seconds")), ("stock.lock", 0.035));
    assert!((figure(&found, "beside") - 7.0).abs() < 0.1, "{found:?}");
}

#[test]
fn a_queue_that_fills_is_found_with_the_time_that_is_left() {
    let mut traffic = Traffic::new(7);
    traffic.steady(LENGTH, |_| MS);
    let mut engine = traffic.engine();
    for second in 0..LENGTH {
        let noise = traffic.dice.normal() * 20.0;
        let time = BEGIN + second * SECOND;
        let labels = [("queue", "mail")];
        engine.gauge("jobs.queue.depth", &labels, "{job}", time, 100.0 + 4.0 * second as f64 + noise);
        engine.gauge("jobs.queue.limit", &labels, "{job}", time, 1000.0);
        engine.gauge("jobs.queue.depth", &[("queue", "print")], "{job}", time, 50.0 + noise);
        engine.gauge("jobs.done", &[], "{job}", time, second as f64);
    }
    let report = engine.report();
    let found = only(&report, FindingKind::QueueGrowth, &traffic);
    assert_eq!((found.severity, &*found.subject), (Severity::Critical, "jobs.queue.depth{queue=mail}"));
    // (1000 − 596) / 4
    let left = figure(&found, "expected_seconds");
    assert!((left - 101.0).abs() < 10.0, "{found:?}");
    assert!(figure(&found, "earliest_seconds") < 101.0 && 101.0 < figure(&found, "latest_seconds"));
    assert_eq!(report.forecasts.len(), 1);
    // Without a limit it is found, too, and when it is full.
    let mut engine = traffic.engine();
    for second in 0..LENGTH {
        engine.gauge("mail_queue", &[], "", BEGIN + second * SECOND, 2.0 * second as f64);
        engine.gauge("pool.queue.utilization", &[], "1", BEGIN + second * SECOND, 0.97);
    }
    let found: Vec<_> = engine.report().findings.iter().map(|it| (it.subject.clone(), it.severity)).collect();
    let expected = [("pool.queue.utilization", Severity::Critical), ("mail_queue", Severity::Warning)];
    assert_eq!(found, expected.map(|(name, severity)| (name.to_owned(), severity)));
}

#[test]
fn a_leak_is_found_with_the_time_that_is_left() {
    let mut traffic = Traffic::new(8);
    traffic.steady(LENGTH, |_| MS);
    let mut engine = traffic.engine();
    let noise: Vec<f64> = (0..LENGTH).map(|_| traffic.dice.normal() * 3e6).collect();
    // 1 MB a second, from 100 MB, of 1 GB.
    readings(&mut engine, LENGTH, 1e9, |second| 1e8 + 1e6 * second as f64 + noise[second as usize]);
    let report = engine.report();
    let found = only(&report, FindingKind::RunningOut, &traffic);
    assert_eq!((found.severity, &*found.subject), (Severity::Critical, "memory"));
    let left = 900.0 - (LENGTH - 1) as f64;
    assert!((figure(&found, "per_second") / 1e6 - 1.0).abs() < 0.05, "{found:?}");
    assert!((figure(&found, "expected_seconds") / left - 1.0).abs() < 0.05, "{found:?}");
    assert!(figure(&found, "earliest_seconds") < left && left < figure(&found, "latest_seconds"));
    assert!(found.summary.starts_with("memory runs out in 1"), "{}", found.summary);
    // A program that has just begun is not judged.
    let mut engine = traffic.engine();
    readings(&mut engine, 30, 1e9, |second| 1e8 + 1e6 * second as f64);
    let report = engine.report();
    assert!(report.findings.is_empty() && report.forecasts.len() == 1, "{}", report.text());
}
