//! `sampled_out`: a span without fields below another one, in an unsampled trace.

use std::hint::black_box;

use fastrace::{Span, collector::SpanContext, local::LocalSpan};
use opentelemetry_sdk::trace::Sampler;
use throughline::adapter::recorder;

use super::{
    sinks::{Nowhere, otel, otel_throughline, tracing_otel, tracing_throughline},
    span::{current_spans, tracing_spans},
};
use crate::{
    Subject,
    harness::{Bench, traces},
};

pub(super) const SUBJECTS: &[Subject] = &[
    ("fastrace", fastrace),
    ("opentelemetry", opentelemetry),
    ("tracing + opentelemetry", |bench| {
        let provider = tracing_otel(Sampler::AlwaysOff);
        bench.steady(|_| (), |(), n| tracing_spans(n));
        drop(provider);
    }),
    ("throughline (tracing)", |bench| {
        tracing_throughline();
        recorder::set_sample_ratio(black_box(0.0));
        bench.steady(|_| (), |(), n| tracing_spans(n));
    }),
    ("throughline (opentelemetry)", |bench| {
        let tracer = otel_throughline();
        recorder::set_sample_ratio(black_box(0.0));
        bench.steady(|_| (), |(), n| current_spans(&tracer, n));
    }),
    ("emit (filter)", emit),
];

fn fastrace(bench: &mut Bench<'_>) {
    fastrace::set_reporter(Nowhere, fastrace::collector::Config::default());
    bench.drained(
        |_| (),
        |(), n| {
            traces(n, |children| {
                let root = Span::root("request", SpanContext::random().sampled(false));
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

fn opentelemetry(bench: &mut Bench<'_>) {
    let (_provider, tracer) = otel(Sampler::AlwaysOff);
    bench.steady(|_| (), |(), n| current_spans(&tracer, n));
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
    let init = emit::setup()
        .emit_when(emit::filter::from_fn(|_| false))
        .emit_to(emit::emitter::from_fn(|event| {
            black_box(event);
        }))
        .init();
    black_box(init);
    bench.steady(|_| (), |(), n| traces(n, request));
}
