//! `span_2fields`: a recorded span with two integers below another one.

use std::hint::black_box;

use fastrace::{Span, collector::SpanContext, local::LocalSpan};
use opentelemetry::{
    KeyValue,
    trace::{SpanBuilder, Tracer},
};
use opentelemetry_sdk::trace::Sampler;

use super::sinks::{
    Nowhere, emit_setup, otel, otel_throughline, tracing_otel, tracing_throughline as set_up,
};
use crate::{
    Subject,
    harness::{Bench, traces},
};

pub(super) const SUBJECTS: &[Subject] = &[
    ("fastrace", |bench| {
        fastrace(bench, |bytes, attempt| {
            [("bytes", bytes.to_string().into()), ("attempt", attempt.to_string().into())]
        });
    }),
    ("fastrace (static strings)", |bench| {
        fastrace(bench, |_, _| [("bytes", "4096".into()), ("attempt", "3".into())]);
    }),
    ("opentelemetry", opentelemetry),
    ("tracing (registry only)", tracing_registry),
    ("tracing + opentelemetry", tracing_opentelemetry),
    ("throughline (tracing)", tracing_throughline),
    ("throughline (opentelemetry)", otel_own),
    ("emit", emit),
];

type Text = std::borrow::Cow<'static, str>;

fn fastrace(bench: &mut Bench<'_>, fields: fn(u64, u64) -> [(&'static str, Text); 2]) {
    fastrace::set_reporter(Nowhere, fastrace::collector::Config::default());
    bench.drained(
        |_| (),
        |(), n| {
            traces(n, |children| {
                let root = Span::root("request", SpanContext::random());
                let _parent = root.set_local_parent();
                for i in 0..children {
                    let attempt = black_box(3);
                    let _span =
                        LocalSpan::enter_with_local_parent("work").with_properties(|| fields(i, attempt));
                    black_box(());
                }
            });
        },
        |()| fastrace::flush(),
    );
}

fn opentelemetry(bench: &mut Bench<'_>) {
    let (provider, tracer) = otel(Sampler::AlwaysOn);
    bench.drained(
        |_| (),
        |(), n| otel_spans(&tracer, n),
        |()| provider.force_flush().expect("nothing to fail"),
    );
}

fn otel_own(bench: &mut Bench<'_>) {
    let tracer = otel_throughline();
    bench.drained(|_| (), |(), n| otel_spans(&tracer, n), |()| crate::throughline::drain());
}

fn otel_spans<T: Tracer>(tracer: &T, n: u64)
where
    T::Span: Send + Sync + 'static,
{
    traces(n, |children| {
        tracer.in_span("request", |_| {
            for i in 0..children as i64 {
                let span = SpanBuilder::from_name("work")
                    .with_attributes([KeyValue::new("bytes", i), KeyValue::new("attempt", black_box(3_i64))]);
                tracer.in_span_with_builder(span, |_| black_box(()));
            }
        });
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

fn tracing_spans(n: u64) {
    traces(n, |children| {
        let _request = tracing::info_span!("request").entered();
        for bytes in 0..children {
            let _span = tracing::info_span!("work", bytes, attempt = black_box(3_u64)).entered();
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
        for i in 0..children {
            work(i, black_box(3));
        }
    }
    #[emit::span("work", bytes, attempt)]
    fn work(bytes: u64, attempt: u64) {
        black_box(());
    }
    emit_setup();
    bench.drained(|_| (), |(), n| traces(n, request), |()| ());
}
