//! Context in closures, tasks and streams.

use super::recorded;
use super::service::block_on;
use crate::support::service::find;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use throughline::span;
use throughline_std::propagation::{
    Baggage, FullContext, Propagate, carrying, carrying_each, instrument_stream,
};

/// The tenant in the current baggage.
fn tenant() -> Option<String> {
    FullContext::current().baggage().get("tenant").map(str::to_owned)
}

/// Yields twice, from inside of a span of its own.
struct Twice(u32);

impl Stream for Twice {
    type Item = Option<String>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Option<String>>> {
        self.0 += 1;
        drop(span!("item"));
        Poll::Ready((self.0 <= 2).then(tenant))
    }
}

#[test]
fn closures_tasks_and_streams_take_place_and_baggage_along() {
    recorded(
        "carrying::closures_tasks_and_streams_take_place_and_baggage_along",
        || {
            let mut baggage = Baggage::default();
            baggage.set("tenant", "acme");
            let _tenant = FullContext::current().with_baggage(baggage).enter();
            let request = span!("request");
            let work = |name: &'static str| {
                assert_eq!(tenant().as_deref(), Some("acme"), "{name}");
                drop(span!("work", name));
            };
            std::thread::spawn(carrying(move || work("thread"))).join().unwrap();
            let each = carrying_each(work);
            std::thread::scope(|scope| {
                for name in ["first", "second"] {
                    let each = &each;
                    scope.spawn(move || each(name));
                }
            });
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                tasks.spawn_on(async move { work("task") }.in_current_context(), runtime.handle());
                tasks.spawn_blocking_on(carrying(move || work("blocking")), runtime.handle());
                while let Some(done) = tasks.join_next().await {
                    done.unwrap();
                }
            });
            let mut stream = Box::pin(instrument_stream(Twice(0), span!("stream")));
            drop(request);
            let next = |stream: &mut Pin<Box<_>>| {
                block_on(std::future::poll_fn(|cx| Stream::poll_next(Pin::as_mut(stream), cx)))
            };
            assert_eq!(next(&mut stream), Some(Some("acme".into())));
            assert_eq!(next(&mut stream), Some(Some("acme".into())));
            assert_eq!(next(&mut stream), None);
        },
        |spans, _| {
            let (request, stream) = (find(spans, "request"), find(spans, "stream"));
            let below = |name: &str, parent| {
                spans.iter().filter(|span| span.name == name && span.parent_span_id == parent).count()
            };
            assert_eq!(
                (below("work", request.span_id.clone()), below("item", stream.span_id.clone())),
                (5, 3)
            );
            assert_eq!(stream.parent_span_id, request.span_id);
        },
    );
}
