//! Traffic without anything in it.

use super::traffic::{BEGIN, MS, SECOND, Traffic, readings};
use throughline::SpanKind;

#[test]
fn nothing_is_found_in_steady_traffic() {
    for seed in 100..150 {
        let mut traffic = Traffic::new(seed);
        traffic.steady(125, |_| 3 * MS);
        // A batch of work in parallel: many equal calls, but not one after the other.
        for number in 0..20 {
            let start = BEGIN + number * 6 * SECOND;
            let trace = traffic.trace();
            let root = traffic.span(trace, None, "report", start, start + 20 * MS);
            let own = Some(traffic.spans[root].id);
            for part in 0..20 {
                let begin = start + part * MS / 10;
                let call = traffic.span(trace, own, "GET part", begin, begin + 10 * MS);
                // All fail at once, which is no retry.
                (traffic.spans[call].kind, traffic.spans[call].failed) = (SpanKind::Client, number == 7);
            }
            // A loop that is a small part of the work.
            (0..50).for_each(|row| {
                let begin = start + 12 * MS + row * MS / 20;
                traffic.span(trace, own, "row", begin, begin + MS / 25);
            });
        }
        // One worker that waits for its turn, alone, and rare work that takes very different times.
        for number in 0..300 {
            let start = BEGIN + number * 400 * MS;
            let trace = traffic.trace();
            let sleeper = traffic.span(trace, None, "sweep", start, start + 300 * MS);
            traffic.spans[sleeper].busy = Some(MS);
            let took = (20e6 * (1.2 * traffic.dice.normal()).exp()) as u64;
            traffic.span(trace, None, "archive", start, start + took);
        }
        let mut engine = traffic.engine();
        let dice = &mut traffic.dice;
        // Memory as a garbage collector has it, and a queue that goes up and down.
        let saw: Vec<f64> =
            (0..125).map(|second| f64::from(second % 17) * 1e6 + dice.normal() * 1e6).collect();
        readings(&mut engine, 125, 1e9, |second| 4e8 + saw[second as usize]);
        let mut depth = 50.0;
        for second in 0..125 {
            depth = 50.0 + 0.8 * (depth - 50.0) + 10.0 * dice.normal();
            engine.gauge("jobs.queue.depth", &[], "{job}", BEGIN + second * SECOND, depth.max(0.0));
        }
        let report = engine.report();
        assert!(report.findings.is_empty(), "seed {seed}\n{}", report.text());
        assert_eq!(report.left_out, Default::default());
        // What there is to see is told all the same.
        let root = report.operations.iter().find(|it| it.name == "GET /orders/{id}").unwrap();
        assert_eq!((root.count, root.failed, root.traces.len()), (2500, 0, 5));
        assert!(0.010 < root.p50 && root.p50 < root.p95 && root.p95 < root.p99, "{root:?}");
        let shares: f64 = report.operations.iter().map(|it| it.share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["operations"].as_array().unwrap().len(), report.operations.len());
        assert_eq!(json["forecasts"][0]["name"], "memory");
    }
}

#[test]
fn few_spans_in_few_windows_are_seldom_taken_for_growth() {
    let found = (0..400).filter(|seed| {
        let mut traffic = Traffic::new(*seed);
        // Four windows with 25 spans each, whose spread is known badly.
        for number in 0..100 {
            let start = BEGIN + number * 400 * MS;
            let trace = traffic.trace();
            let took = (20e6 * (1.2 * traffic.dice.normal()).exp()) as u64;
            traffic.span(trace, None, "archive", start, start + took);
        }
        !traffic.engine().report().findings.is_empty()
    });
    let found = found.count();
    println!("{found} of 400");
    assert!(found <= 4, "{found} of 400");
}
