//! Remote parents and sampling, from the macros to a collector: an open span keeps the ids of its trace;
//! records of unknown traces and spans that a sampler drops are counted.

mod support;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value::BoolValue;
use std::collections::HashMap;
use std::future::{Future, ready};
use std::ops::Range;
use std::sync::mpsc;
use std::time::Duration;
use support::receiver::{Receiver, attribute, int, text};
use support::{in_own_process, in_own_process_with};
use throughline::sampler::{NewTrace, Sampler, Sampling};
use throughline::{Context, Instrument, TraceContext, attach, error, info, span};
use throughline_std::propagation::{
    Carried, Environment, Inbound, Origin, Propagate, extract, inject, receive,
};
use throughline_std::{Config, DropReason, Guard, otlp::ClientConfig};

const LONG: Duration = Duration::from_secs(30);
/// Says of an event that its remote trace is not known.
const MARK: &str = "throughline.unknown_parent";

fn config(receiver: &Receiver) -> Config {
    let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(LONG);
    Config::new("svc").otlp_client(client).report_errors(false).ring_slots(1 << 14)
}

fn parent(n: u32) -> TraceContext {
    TraceContext::parse(&format!("00-{:032x}-{:016x}-01", n + 1, n + 1)).unwrap()
}

/// Attaches and detaches a remote parent with a span below it, for each of these numbers, and lets the pump come in between.
fn serve(guard: &Guard, requests: Range<u32>) {
    for n in requests {
        let _remote = attach(parent(n));
        drop(span!("served"));
        if n % 1000 == 0 {
            assert!(guard.flush(LONG));
        }
    }
}

/// What the receiver got, when nothing was lost: the trace and the parent of each span that is not one of [`serve`], by its name.
fn delivered(guard: Guard, receiver: &Receiver) -> HashMap<String, (Vec<u8>, Vec<u8>)> {
    let report = guard.shutdown(LONG);
    assert!(report.complete && report.ledger.is_settled(), "{}", report.ledger);
    let lost = report.ledger.ring.dropped_total() + report.ledger.pump.dropped_total();
    assert_eq!(lost, 0, "{}", report.ledger);
    receiver.with(|r| {
        let others = r.spans.iter().filter(|span| span.name != "served");
        others.map(|span| (span.name.clone(), (span.trace_id.clone(), span.parent_span_id.clone()))).collect()
    })
}

#[test]
fn an_open_span_keeps_its_remote_trace_however_many_come_after_it_07() {
    in_own_process("an_open_span_keeps_its_remote_trace_however_many_come_after_it_07", || {
        let receiver = Receiver::start([]);
        // The limit is far below the number of remote parents.
        let guard = throughline_std::init(&config(&receiver).remote_parents(1000)).unwrap();
        // The guard of one remote parent is held.
        let remote = attach(parent(0));
        let guarded = span!("guarded");
        // A future carries one on, and a future below an ended span carries another one on.
        let future = {
            let _remote = attach(parent(1));
            ready(()).instrument(span!("future"))
        };
        let grandchild = {
            let _remote = attach(parent(2));
            let _over = span!("served");
            ready(()).instrument(span!("grandchild"))
        };
        // Another thread stays in one all the time.
        let place = {
            let _remote = attach(parent(3));
            Context::current()
        };
        let (entered, is_entered) = mpsc::channel();
        let (over, is_over) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let _there = place.enter();
            drop(span!("served"));
            entered.send(()).unwrap();
            is_over.recv().unwrap_err();
            drop(span!("entered"));
        });
        is_entered.recv().unwrap();
        serve(&guard, 10..70_000);

        drop(over);
        thread.join().unwrap();
        drop((future, grandchild));
        {
            let _there = place.enter();
            drop(span!("entered late"));
        }
        drop(guarded);
        drop(remote);
        let spans = delivered(guard, &receiver);
        for (name, n) in
            [("guarded", 0), ("future", 1), ("grandchild", 2), ("entered", 3), ("entered late", 3)]
        {
            let (trace, above) = &spans[name];
            assert_eq!(trace, &parent(n).trace_id.to_bytes(), "{name}");
            if name != "grandchild" {
                assert_eq!(above, &parent(n).span_id.to_bytes(), "{name}");
            }
        }
    });
}

#[test]
fn more_open_spans_than_remote_parents_are_kept_for_have_their_traces_07() {
    in_own_process("more_open_spans_than_remote_parents_are_kept_for_have_their_traces_07", || {
        let receiver = Receiver::start([]);
        let guard = throughline_std::init(&config(&receiver).remote_parents(10)).unwrap();
        let mut all = Vec::new();
        for n in 0..1000 {
            all.push((attach(parent(n)), span!("open", n)));
            assert!(guard.flush(LONG));
        }
        error!("in the last one");
        // Drop them in the order in which they began, so that none is the current one.
        all.into_iter().for_each(|(remote, span)| {
            drop(span);
            drop(remote);
        });
        let report = guard.shutdown(LONG);
        assert!(report.complete && report.ledger.is_settled(), "{}", report.ledger);
        assert_eq!(report.ledger.pump.dropped_total(), 0, "{}", report.ledger);
        receiver.with(|r| {
            assert_eq!(r.spans.len(), 1000);
            for span in &r.spans {
                let n = int(&span.attributes, "n").unwrap() as u32;
                assert_eq!(span.trace_id, parent(n).trace_id.to_bytes(), "{n}");
            }
            assert_eq!(r.logs[0].trace_id, parent(999).trace_id.to_bytes());
            assert_eq!(attribute(&r.logs[0].attributes, MARK), None);
        });
    });
}

#[test]
fn a_remote_trace_that_is_not_known_is_counted_and_marked_and_not_made_up_07() {
    in_own_process("a_remote_trace_that_is_not_known_is_counted_and_marked_and_not_made_up_07", || {
        let receiver = Receiver::start([]);
        let guard = throughline_std::init(&config(&receiver).ring_slots(8)).unwrap();
        let unknown = || guard.ledger().pump.dropped_for(DropReason::UnknownParent);
        // The record that names a remote parent is lost when the ring is full, which it is in almost every round.
        let mut rounds = 0;
        while unknown() == 0 {
            rounds += 1;
            (0..1000).for_each(|_| info!("fill"));
            let _remote = attach(parent(0));
            assert!(guard.flush(LONG));
            error!("inside");
            drop(span!("inside"));
            assert!(guard.flush(LONG));
            // It is named again when a place below it is entered anew.
            drop(ready(()).instrument(span!("later")));
            assert!(guard.flush(LONG));
        }
        let report = guard.shutdown(LONG);
        assert!(report.in_time && report.ledger.is_settled(), "{}", report.ledger);
        assert_eq!(report.ledger.pump.dropped_for(DropReason::UnknownParent), 1, "{}", report.ledger);
        receiver.with(|r| {
            let inside = r.spans.iter().filter(|span| span.name == "inside").count();
            assert_eq!(inside, rounds - 1, "{rounds} rounds");
            assert!(r.spans.iter().all(|span| span.trace_id == parent(0).trace_id.to_bytes()));
            assert_eq!(r.spans.iter().filter(|span| span.name == "later").count(), rounds);
            let log = r.logs.iter().rfind(|log| log.severity_number >= 17).unwrap();
            assert!(log.trace_id.is_empty() && log.span_id.is_empty(), "{log:?}");
            assert_eq!(attribute(&log.attributes, MARK), Some(BoolValue(true)));
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

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_child_process_goes_on_in_the_trace_that_its_environment_names() {
    let env = [
        ("TRACEPARENT", PARENT),
        ("TRACESTATE", "rojo=1,ot=th:c"),
        ("BAGGAGE", "tenant=acme%20co,secret=1"),
        ("OTEL_PROPAGATORS", "b3,tracecontext,baggage"),
    ];
    in_own_process_with("a_child_process_goes_on_in_the_trace_that_its_environment_names", &env, || {
        let receiver = Receiver::start([]);
        let config = config(&receiver)
            .with_env()
            .unwrap()
            .baggage(["ten*"])
            .baggage_attributes(["tenant"])
            .sampling_rule("ruled", 0.125);
        let guard = throughline_std::init(&config).unwrap();
        let received = receive(&Environment, Origin::default()).unwrap();
        {
            let _below = received.enter();
            let span = span!("worker");
            received.describe(&span);
            let here = throughline::current().unwrap();
            let mut child = std::process::Command::new("grandchild");
            inject(&mut child);
            let variables: HashMap<_, _> = child
                .get_envs()
                .map(|(name, value)| (name.to_str().unwrap(), value.unwrap().to_str().unwrap()))
                .collect();
            let expected = [
                ("TRACEPARENT", here.traceparent().to_string()),
                ("TRACESTATE", "rojo=1,ot=th:c".into()),
                ("BAGGAGE", "tenant=acme%20co".into()),
                ("B3", format!("{}-{}-1", here.trace_id, here.span_id)),
            ];
            assert_eq!(variables, expected.iter().map(|(name, value)| (*name, &**value)).collect());
            // A trace of its own has no state of the other one, but the same baggage.
            let _own = span!(root: true, "own");
            let carried = Carried::current();
            assert_eq!(
                (carried.trace_state.is_empty(), carried.baggage.get("tenant")),
                (true, Some("acme co"))
            );
        }
        // What `ot` says is checked against the decision and goes into decisions here.
        let sent = |state| extract(&vec![("traceparent", PARENT), ("tracestate", state)]);
        for (state, goes_on) in [("ot=th:e", ""), ("ot=th:e;rv:f0000000000000", "ot=th:e;rv:f0000000000000")]
        {
            let _below = sent(state).enter();
            assert_eq!(Carried::current().trace_state.to_string(), goes_on);
        }
        for (state, is_recorded) in
            [("", false), ("ot=rv:f0000000000000", true), ("ot=rv:00000000000000", false)]
        {
            let _below = sent(state).enter();
            assert_eq!(span!("ruled").is_recorded(), is_recorded, "{state}");
        }
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            let span = r.spans.iter().find(|span| span.name == "worker").unwrap();
            let parent = TraceContext::parse(PARENT).unwrap();
            assert_eq!(span.trace_id, parent.trace_id.to_bytes());
            assert_eq!(span.parent_span_id, parent.span_id.to_bytes());
            assert_eq!(text(&span.attributes, "tenant").as_deref(), Some("acme co"));
            assert_eq!(attribute(&span.attributes, "secret"), None);
        });
    });
}

#[test]
fn a_request_from_outside_begins_a_trace_of_its_own_with_a_link() {
    in_own_process("a_request_from_outside_begins_a_trace_of_its_own_with_a_link", || {
        let receiver = Receiver::start([]);
        let config = config(&receiver)
            .inbound(Inbound::Restart)
            .inbound_at("/inside", Inbound::Require)
            .inbound_at("peer:10.*", Inbound::Ignore);
        let guard = throughline_std::init(&config).unwrap();
        let headers = vec![("traceparent", PARENT), ("baggage", "a=1")];
        let serve = |name: &'static str, origin: Origin<'_>| {
            // The span of the connection is not the request's parent.
            let _connection = span!("connection");
            let received = receive(&headers, origin).unwrap();
            let work = async {
                let span = span!("request", name);
                received.describe(&span);
                Carried::current().baggage.len()
            };
            let work = std::pin::pin!(work.in_carried(received.carried()));
            match work.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
                std::task::Poll::Ready(entries) => entries,
                std::task::Poll::Pending => panic!("it waits for nothing"),
            }
        };
        assert_eq!(serve("restarted", Origin::route("/")), 1);
        assert_eq!(serve("required", Origin::route("/inside")), 1);
        assert_eq!(serve("ignored", Origin::route("/").peer("10.0.0.7")), 0);
        let none: Vec<(&str, &str)> = vec![("traceparent", "00-broken")];
        let error = receive(&none, Origin::route("/inside")).unwrap_err().to_string();
        assert!(error.contains("send a `traceparent` header"), "{error}");
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            let sender = TraceContext::parse(PARENT).unwrap();
            let of = |name: &str| {
                let is_it = |attributes: &[KeyValue]| text(attributes, "name").as_deref() == Some(name);
                let span = r.spans.iter().find(|span| is_it(&span.attributes)).unwrap();
                let links: Vec<_> = span.links.iter().map(|link| link.span_id.clone()).collect();
                (span.trace_id == sender.trace_id.to_bytes(), span.parent_span_id.is_empty(), links)
            };
            assert_eq!(of("restarted"), (false, true, vec![sender.span_id.to_bytes().to_vec()]));
            assert_eq!(of("required"), (true, false, vec![]));
            assert_eq!(of("ignored"), (false, true, vec![]));
        });
    });
}
