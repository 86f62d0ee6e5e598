//! Remote parents and sampling, from the macros to a collector: an open span keeps its trace's ids, what cannot be known is counted, and what a sampler decides
//! against is too.

mod support;

use std::time::Duration;
use support::in_own_process;
use support::receiver::Receiver;
use throughline::sampler::{NewTrace, Sampler, Sampling};
use throughline::{Instrument, TraceContext, attach, error, span};
use throughline_std::{Config, DropReason, otlp::ClientConfig};

const LONG: Duration = Duration::from_secs(30);

fn config(receiver: &Receiver) -> Config {
    let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(LONG);
    Config::new("svc").otlp_client(client).report_errors(false).ring_slots(1 << 14)
}

fn parent(n: u32) -> TraceContext {
    TraceContext::parse(&format!("00-{:032x}-{:016x}-01", n + 1, n + 1)).unwrap()
}

#[test]
fn an_open_span_keeps_its_remote_trace_however_many_come_after_it_07() {
    in_own_process("an_open_span_keeps_its_remote_trace_however_many_come_after_it_07", || {
        let receiver = Receiver::start([]);
        let guard = throughline_std::init(&config(&receiver).remote_parents(1000)).unwrap();
        // One whose guard is held, and one that goes on as a future.
        let remote = attach(parent(0));
        let first = span!("first");
        let future = {
            let _remote = attach(parent(1));
            std::future::ready(()).instrument(span!("future"))
        };
        for n in 2..70_000 {
            let _remote = attach(parent(n));
            drop(span!("served"));
            if n % 1000 == 0 {
                assert!(guard.flush(LONG));
            }
        }
        drop(future);
        drop(first);
        drop(remote);
        let report = guard.shutdown(LONG);
        assert!(report.complete && report.ledger.is_settled(), "{}", report.ledger);
        assert_eq!(
            report.ledger.ring.dropped_total() + report.ledger.pump.dropped_total(),
            0,
            "{}",
            report.ledger
        );
        receiver.with(|r| {
            assert_eq!(r.spans.len(), 70_000);
            for (name, n) in [("first", 0), ("future", 1)] {
                let span = r.spans.iter().find(|span| span.name == name).unwrap();
                assert_eq!(span.trace_id, parent(n).trace_id.to_bytes(), "{name}");
                assert_eq!(span.parent_span_id, parent(n).span_id.to_bytes(), "{name}");
            }
        });
    });
}

#[test]
fn a_remote_trace_that_is_no_longer_known_is_counted_and_not_made_up_07() {
    in_own_process("a_remote_trace_that_is_no_longer_known_is_counted_and_not_made_up_07", || {
        let receiver = Receiver::start([]);
        let guard = throughline_std::init(&config(&receiver).remote_parents(10)).unwrap();
        let all: Vec<_> = (0..20)
            .map(|n| {
                let remote = attach(parent(n));
                (span!("open"), remote)
            })
            .collect();
        error!("in the last one");
        drop(all);
        let report = guard.shutdown(LONG);
        assert!(report.complete && report.ledger.is_settled(), "{}", report.ledger);
        assert_eq!(report.ledger.pump.dropped_for(DropReason::UnknownParent), 10, "{}", report.ledger);
        receiver.with(|r| {
            let mut traces: Vec<_> = r.spans.iter().map(|span| span.trace_id.clone()).collect();
            traces.sort();
            let known: Vec<_> = (10..20).map(|n| parent(n).trace_id.to_bytes().to_vec()).collect();
            assert_eq!(traces, known);
            assert_eq!(r.logs[0].trace_id, parent(19).trace_id.to_bytes());
        });
    });
}

#[test]
fn what_a_sampler_decides_against_is_a_hop_of_the_ledger_06() {
    struct NoHealthChecks;
    impl Sampler for NoHealthChecks {
        fn sample(&self, trace: &NewTrace) -> Sampling {
            if trace.name() == Some("health") { Sampling::Drop } else { Sampling::Record }
        }
    }
    in_own_process("what_a_sampler_decides_against_is_a_hop_of_the_ledger_06", || {
        let receiver = Receiver::start([]);
        let guard = throughline_std::init(&config(&receiver).sampler(NoHealthChecks)).unwrap();
        for _ in 0..100 {
            let _root = span!("health");
            let _child = span!("database");
            error!("it is down");
        }
        drop(span!("request"));
        let report = guard.shutdown(LONG);
        assert!(report.complete && report.ledger.is_settled(), "{}", report.ledger);
        let sampler = &report.ledger.sampler;
        assert_eq!(sampler.dropped, [(DropReason::SampledOut, 200)]);
        assert_eq!((sampler.input, sampler.output), (301, 101), "{}", report.ledger);
        assert_eq!(sampler.output, report.ledger.ring.input);
        receiver.with(|r| {
            assert_eq!((r.spans.len(), r.logs.len()), (1, 100));
            assert!(
                r.logs.iter().all(|log| log.flags == 0 && log.trace_id.len() == 16 && log.span_id.len() == 8)
            );
            assert_ne!(r.logs[0].trace_id, r.logs[1].trace_id);
        });
    });
}
