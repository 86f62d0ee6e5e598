//! Paths of Throughline that have no peer. They are measured so that a change of their cost is noticed.

use std::{hint::black_box, sync::Barrier, thread};

use throughline::adapter::recorder;
use throughline::{TraceContext, attach, current, event, gauge, histogram_family, span};

use crate::{
    harness::{Bench, Effort},
    system::resident_memory,
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

/// The resident memory that each of 1,000 threads needs for its first span, with everything at its defaults.
/// Notes nothing where the system does not tell.
pub(crate) fn thread_memory(bench: &mut Bench<'_>) {
    let threads = if bench.effort == Effort::Smoke { 8 } else { 1000 };
    let config = throughline_std::Config::new("bench").terminal(false);
    let _guard = throughline_std::init(&config).expect("the first in this process");
    let resident = |record: bool| {
        let (ready, done) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    drop(record.then(|| span!("one")));
                    ready.wait();
                    done.wait();
                });
            }
            ready.wait();
            let resident = resident_memory();
            done.wait();
            resident
        })
    };
    // The threads' stacks are there without this library too.
    let (without, with) = (resident(false), resident(true));
    if let (Some(without), Some(with)) = (without, with) {
        bench.bytes(with.saturating_sub(without) as f64 / threads as f64);
    }
}
