//! Memory is bounded, whatever comes.

use super::traffic::{BEGIN, Dice, MS, SECOND};
use crate::insights::{Ended, Engine, InsightOptions};
use proptest::prelude::*;
use std::time::Duration;
use throughline::{SpanId, SpanKind, TraceId};

fn small() -> InsightOptions {
    InsightOptions::new()
        .window(Duration::from_secs(1))
        .windows(4)
        .operations(50)
        .evidence(3)
        .reorder(Duration::from_millis(50), 500)
}

/// Feeds spans whose names, ids, statements and times come from a few bits each.
fn feed(engine: &mut Engine, dice: &mut Dice, spans: u64, [names, ids, times]: [u64; 3]) {
    for _ in 0..spans {
        let mut few = |number: u64| dice.next() % number.max(1);
        let trace = TraceId::from_bytes(u128::from(few(ids) + 1).to_be_bytes()).unwrap();
        let [id, parent] = [few(ids), few(ids)].map(|id| SpanId::from_bytes((id + 1).to_be_bytes()).unwrap());
        let (name, statement) = (format!("name {}", few(names)), format!("SELECT a{} FROM t", few(names)));
        let start = BEGIN + few(times * MS);
        let ended = Ended {
            parent_span_id: (few(4) > 0).then_some(parent),
            statement: if few(2) == 0 { &statement } else { "" },
            kind: if few(2) == 0 { SpanKind::Client } else { SpanKind::Internal },
            failed: few(3) == 0,
            busy_ns: (few(2) == 0).then_some(few(10 * MS)),
            ..Ended::new(trace, id, &name, start, start + few(20 * MS))
        };
        engine.span(&ended);
        let depth = few(100) as f64;
        engine.gauge(&format!("queue.{}", few(names)), &[], "", start, depth);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_is_kept_is_bounded_and_the_rest_counted(
        seed: u64,
        names in prop_oneof![Just(1_u64), Just(20), Just(100_000)],
        ids in prop_oneof![Just(1_u64), Just(100), Just(u64::MAX - 1)],
        times in prop_oneof![Just(1_u64), Just(3_000), Just(100_000)],
    ) {
        let mut engine = Engine::new(&small());
        feed(&mut engine, &mut Dice(seed), 20_000, [names, ids, times]);
        let report = engine.report();
        let [operations, waiting, statements] = engine.sizes();
        prop_assert!(operations <= 50 && waiting == 0 && statements <= 1024);
        prop_assert!(engine.operations.iter().all(|(_, operation)| operation.windows.len() <= 5));
        let ([parents, patterns], [failing, retried]) = (engine.calls.sizes(), engine.retries.sizes());
        prop_assert!(parents <= 4096 && patterns <= 256 && failing <= 4096 && retried <= 128);
        prop_assert!(engine.gauges.len() <= 128);
        prop_assert_eq!(report.spans, 20_000);
        // Each span is in a window, or late.
        let counted: u64 = engine.operations.iter().flat_map(|(_, operation)| &operation.windows).map(|window| window.count).sum();
        prop_assert!(counted + report.left_out.late <= 20_000);
        if times < 4_000 {
            prop_assert_eq!(counted + report.left_out.late, 20_000);
        }
        prop_assert_eq!(report.left_out.operations > 0, names > 100);
        prop_assert!(report.text().len() < 100_000 && report.json().len() < 400_000);
        prop_assert!(report.findings.iter().all(|finding| finding.traces.len() <= 3));
    }
}

#[test]
fn operations_that_are_not_used_any_more_make_room() {
    let mut engine = Engine::new(&small());
    let trace = TraceId::from_bytes([7; 16]).unwrap();
    let id = SpanId::from_bytes([8; 8]).unwrap();
    let mut run = |from: u64, at: u64| {
        for number in from..from + 50 {
            engine.span(&Ended::new(
                trace,
                id,
                &format!("name {number}"),
                BEGIN + at * SECOND,
                BEGIN + at * SECOND + MS,
            ));
        }
        engine.report().left_out.operations
    };
    assert_eq!([run(0, 0), run(0, 1), run(100, 3)], [0, 0, 50]);
    assert_eq!([run(200, 20), run(0, 21)], [50, 100]);
    assert_eq!(run(300, 40), 100);
}

#[test]
fn a_clock_that_is_set_back_is_believed_after_a_thousand_spans() {
    let mut engine = Engine::new(&small());
    let trace = TraceId::from_bytes([7; 16]).unwrap();
    let id = SpanId::from_bytes([8; 8]).unwrap();
    let mut run = |spans: u64, at: u64| {
        for number in 0..spans {
            let begin = BEGIN + at * SECOND + number * MS / 10;
            engine.span(&Ended::new(trace, id, "x", begin, begin + MS));
        }
        let report = engine.report();
        (report.operations.first().map_or(0, |it| it.count), report.left_out.late)
    };
    assert_eq!(run(100, 1_000_000), (100, 0));
    assert_eq!(run(900, 0), (100, 900));
    assert_eq!(run(200, 1), (100, 1000));
    assert_eq!(run(100, 2), (200, 1000));
}

#[test]
fn values_of_a_clock_that_is_set_back_are_believed_when_spans_are() {
    let mut engine = Engine::new(&small());
    let trace = TraceId::from_bytes([7; 16]).unwrap();
    let id = SpanId::from_bytes([8; 8]).unwrap();
    for number in 0..128 {
        engine.gauge(&format!("queue.{number}"), &[], "", BEGIN + 1_000_000 * SECOND, 1.0);
    }
    engine.gauge("queue.more", &[], "", BEGIN + 1_000_000 * SECOND, 1.0);
    for _ in 0..1001 {
        engine.span(&Ended::new(trace, id, "x", BEGIN, BEGIN + MS));
    }
    engine.gauge("queue.more", &[], "", BEGIN, 7.0);
    let queues = engine.gauges.within(1.0);
    assert_eq!(
        queues.iter().map(|queue| (&*queue.name, queue.last())).collect::<Vec<_>>(),
        [("queue.more", 7.0)]
    );
    assert_eq!(engine.report().left_out.series, 1, "what was counted stays");
}

#[test]
fn limits_that_are_known_move_and_others_without_room_are_counted() {
    let mut engine = Engine::new(&small());
    for number in 0..129 {
        engine.gauge(&format!("queue.{number}.limit"), &[], "", BEGIN, 10.0);
    }
    engine.gauge("queue.5.limit", &[], "", BEGIN, 20.0);
    engine.gauge("queue.5", &[], "", BEGIN, 1.0);
    assert_eq!(engine.gauges.within(1.0)[0].limit, Some(20.0));
    assert_eq!(engine.report().left_out.series, 1);
}

#[test]
fn times_that_cannot_be_do_no_harm() {
    let mut engine = Engine::new(&InsightOptions::new());
    let trace = TraceId::from_bytes([7; 16]).unwrap();
    for (start, end) in [(0, 0), (5, 1), (0, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, 0), (BEGIN, BEGIN)] {
        let ended = Ended {
            busy_ns: Some(u64::MAX),
            ..Ended::new(trace, SpanId::from_bytes([8; 8]).unwrap(), "x", start, end)
        };
        engine.span(&ended);
        engine.span(&Ended { parent_span_id: Some(ended.span_id), failed: true, ..ended });
    }
    engine.gauge("queue", &[], "", 0, f64::NAN);
    engine.gauge("queue", &[], "", u64::MAX, f64::INFINITY);
    let report = engine.report();
    assert_eq!(report.spans, 12);
    assert!(!report.text().is_empty() && serde_json::from_str::<serde_json::Value>(&report.json()).is_ok());
}
