//! `span`: a recorded span without fields below another one.

use std::hint::black_box;

use fastrace::{Span, collector::SpanContext, local::LocalSpan};
use opentelemetry::{
    Context,
    trace::{Span as _, TraceContextExt as _, Tracer},
};
use opentelemetry_sdk::trace::Sampler;

use super::sinks::{
    Nowhere, emit_setup, otel, otel_throughline, tracing_otel, tracing_throughline as set_up,
};
use crate::{
    Subject,
    harness::{Bench, traces},
    work::ticks,
};

pub(super) const SUBJECTS: &[Subject] = &[
    ("fastrace", fastrace),
    ("puffin", |bench| puffin(bench, puffin::now_ns)),
    ("puffin (TSC)", |bench| puffin(bench, || ticks() as i64)),
    ("opentelemetry", opentelemetry),
    ("opentelemetry (not made current)", opentelemetry_plain),
    ("tracing (registry only)", tracing_registry),
    ("tracing + opentelemetry", tracing_opentelemetry),
    ("throughline (tracing)", tracing_throughline),
    ("throughline (opentelemetry)", otel_own),
    ("throughline (opentelemetry, not made current)", otel_own_plain),
    ("emit", emit),
];

fn fastrace(bench: &mut Bench<'_>) {
    fastrace::set_reporter(Nowhere, fastrace::collector::Config::default());
    bench.drained(
        |_| (),
        |(), n| {
            traces(n, |children| {
                let root = Span::root("request", SpanContext::random());
                let _parent = root.set_local_parent();
                for _ in 0..children {
                    let _span = LocalSpan::enter_with_local_parent("work");
                    black_box(());
                }
            });
        },
        |()| fastrace::flush(),
    );
}

fn puffin(bench: &mut Bench<'_>, clock: fn() -> i64) {
    puffin::set_scopes_on(true);
    puffin::GlobalProfiler::lock().add_sink(Box::new(|frame| drop(black_box(frame))));
    bench.drained(
        |_| puffin::ThreadProfiler::initialize(clock, puffin::internal_profile_reporter),
        |(), n| {
            traces(n, |children| {
                puffin::profile_scope!("request");
                for _ in 0..children {
                    puffin::profile_scope!("work");
                    black_box(());
                }
            });
        },
        |()| puffin::GlobalProfiler::lock().new_frame(),
    );
}

fn opentelemetry(bench: &mut Bench<'_>) {
    let (provider, tracer) = otel(Sampler::AlwaysOn);
    bench.drained(
        |_| (),
        |(), n| current_spans(&tracer, n),
        |()| provider.force_flush().expect("nothing to fail"),
    );
}

fn otel_own(bench: &mut Bench<'_>) {
    let tracer = otel_throughline();
    bench.drained(|_| (), |(), n| current_spans(&tracer, n), |()| crate::throughline::drain());
}

/// Traces whose spans are made current.
pub(super) fn current_spans<T: Tracer>(tracer: &T, n: u64)
where
    T::Span: Send + Sync + 'static,
{
    traces(n, |children| {
        tracer.in_span("request", |_| {
            for _ in 0..children {
                tracer.in_span("work", |_| black_box(()));
            }
        });
    });
}

fn opentelemetry_plain(bench: &mut Bench<'_>) {
    let (provider, tracer) = otel(Sampler::AlwaysOn);
    bench.drained(
        |_| (),
        |(), n| plain_spans(&tracer, n),
        |()| provider.force_flush().expect("nothing to fail"),
    );
}

fn otel_own_plain(bench: &mut Bench<'_>) {
    let tracer = otel_throughline();
    bench.drained(|_| (), |(), n| plain_spans(&tracer, n), |()| crate::throughline::drain());
}

fn plain_spans<T: Tracer>(tracer: &T, n: u64)
where
    T::Span: Send + Sync + 'static,
{
    traces(n, |children| {
        let request = Context::new().with_span(tracer.start("request"));
        for _ in 0..children {
            tracer.start_with_context("work", &request).end();
        }
    });
}

fn tracing_registry(bench: &mut Bench<'_>) {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).expect("the first subscriber");
    bench.drained(|_| (), |(), n| tracing_spans(n), |()| ());
}

fn tracing_opentelemetry(bench: &mut Bench<'_>) {
    let provider = tracing_otel(Sampler::AlwaysOn);
    bench.drained(|_| (), |(), n| tracing_spans(n), |()| provider.force_flush().expect("nothing to fail"));
}

/// Traces through `tracing`'s macros.
pub(super) fn tracing_spans(n: u64) {
    traces(n, |children| {
        let _request = tracing::info_span!("request").entered();
        for _ in 0..children {
            let _span = tracing::info_span!("work").entered();
            black_box(());
        }
    });
}

fn tracing_throughline(bench: &mut Bench<'_>) {
    set_up();
    bench.drained(|_| (), |(), n| tracing_spans(n), |()| crate::throughline::drain());
}

fn emit(bench: &mut Bench<'_>) {
    #[emit::span("request")]
    fn request(children: u64) {
        for _ in 0..children {
            work();
        }
    }
    #[emit::span("work")]
    fn work() {
        black_box(());
    }
    emit_setup();
    bench.drained(|_| (), |(), n| traces(n, request), |()| ());
}
