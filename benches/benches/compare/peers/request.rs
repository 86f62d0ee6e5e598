//! `request`: a server's request through a middleware that makes a span of it, whose parent is in its headers.
//!
//! The service answers at once with a short body, which is read to its end. Throughline's layer also records the request's
//! duration in a histogram and counts it as active; the others make no metrics.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use http::{Request, Response};
use http_body::Body;
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::Sampler};
use throughline_std::tower::ServerLayer;
use tower_http::trace::TraceLayer;
use tower_layer::Layer;
use tower_service::Service;

use super::sinks::{tracing_otel, tracing_throughline};
use crate::{Subject, harness::Bench};

pub(super) const SUBJECTS: &[Subject] = &[
    ("the service alone", alone),
    ("throughline (tower)", throughline),
    ("tower-http + tracing + opentelemetry", tower_http),
    ("tower-http + throughline (tracing)", tower_http_own),
    ("axum-tracing-opentelemetry", axum),
];

/// Answers each request with its path.
#[derive(Clone)]
struct Echo;

impl Service<Request<String>> for Echo {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        ready(Ok(Response::new(request.uri().path().to_owned())))
    }
}

/// The route of a request, as a router leaves it in the extensions.
#[derive(Clone, Copy)]
struct Matched(&'static str);

fn request() -> Request<String> {
    Request::get("/orders/7?page=2")
        .header("host", "shop.example:8080")
        .header("user-agent", "curl/8")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .extension(Matched("/orders/{id}"))
        .body(String::new())
        .expect("a request")
}

fn serve<S, B>(service: &mut S, request: &Request<String>, n: u64)
where
    S: Service<Request<String>, Response = Response<B>>,
    B: Body,
{
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..n {
        let answer = pin!(service.call(request.clone())).as_mut().poll(&mut context);
        let Poll::Ready(Ok(response)) = answer else { panic!("the service answers at once") };
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
            black_box(frame.is_ok());
        }
    }
}

fn alone(bench: &mut Bench<'_>) {
    bench.steady(|_| (Echo, request()), |(service, request), n| serve(service, request, n));
}

fn throughline(bench: &mut Bench<'_>) {
    crate::throughline::init_for_requests();
    let layer = ServerLayer::new().route(|extensions| extensions.get::<Matched>().map(|matched| matched.0));
    bench.drained(
        |_| (layer.layer(Echo), request()),
        |(service, request), n| serve(service, request, n),
        |_| crate::throughline::drain(),
    );
}

fn tower_http(bench: &mut Bench<'_>) {
    let provider = tracing_otel(Sampler::AlwaysOn);
    bench.drained(
        |_| (TraceLayer::new_for_http().layer(Echo), request()),
        |(service, request), n| serve(service, request, n),
        |_| provider.force_flush().expect("nothing to fail"),
    );
}

fn tower_http_own(bench: &mut Bench<'_>) {
    crate::throughline::init_for_requests();
    tracing_throughline();
    bench.drained(
        |_| (TraceLayer::new_for_http().layer(Echo), request()),
        |(service, request), n| serve(service, request, n),
        |_| crate::throughline::drain(),
    );
}

fn axum(bench: &mut Bench<'_>) {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = tracing_otel(Sampler::AlwaysOn);
    bench.drained(
        |_| (OtelAxumLayer::default().layer(Echo), request()),
        |(service, request), n| serve(service, request, n),
        |_| provider.force_flush().expect("nothing to fail"),
    );
}
