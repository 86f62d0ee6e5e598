//! Paths of Throughline that have no peer. They are measured so that a change of their cost is noticed.

use std::hint::black_box;

use throughline::adapter::recorder;
use throughline::{TraceContext, attach, current, event, gauge, histogram_family, span};

use crate::{
    harness::Bench,
    throughline::{drain, init},
    work::{LATENCIES, latency, route},
};

/// An incoming request: reads its `traceparent`, attaches, and detaches.
pub(crate) fn attach_remote(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        for _ in 0..n {
            let header = black_box("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
            let _remote = attach(TraceContext::parse(header).expect("a header"));
        }
    };
    bench.drained(|_| (), op, |()| drain());
}

/// An outgoing request: the header of the current span.
pub(crate) fn traceparent(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        let _span = span!("request");
        for _ in 0..n {
            black_box(current().expect("in a span").traceparent());
        }
    };
    bench.drained(|_| (), op, |()| drain());
}

/// An event without fields.
pub(crate) fn plain_event(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        for _ in 0..n {
            event!(Info, "sent");
        }
    };
    bench.drained(|_| (), op, |()| drain());
}

/// A thread's first record, with a recorder that an earlier thread left, and releasing the recorder for the
/// next thread.
pub(crate) fn thread_start(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        for _ in 0..n {
            drop(span!("first"));
            recorder::release_thread();
        }
    };
    bench.drained(|_| (), op, |()| drain());
}

/// Sets a gauge.
pub(crate) fn set_gauge(bench: &mut Bench<'_>) {
    init();
    let op = |(): &mut (), n| {
        for i in 0..n {
            gauge!("queued").set(black_box(i) as isize);
        }
    };
    bench.steady(|_| (), op);
}

/// Records a value in the series of a label value known only at run time.
pub(crate) fn labelled_histogram(bench: &mut Bench<'_>) {
    init();
    bench.steady(
        |_| &*LATENCIES,
        |values, n| {
            for i in 0..n {
                histogram_family!("latency", labels = ["route"], capacity = 64, unit = "ns", scale = 3)
                    .record([black_box(route(i))], latency(values, i) as usize);
            }
        },
    );
}
