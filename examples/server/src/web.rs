//! The routes, and how a request's trace continues here.

use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use throughline::{counter_family, record, span};
use throughline_std::propagation::{Origin, Propagate, inject, receive};

use crate::station::Station;

/// Most rounds that one request may ask for.
const MOST_ROUNDS: u32 = 1000;

/// The service: `POST /run?rounds=N`, `GET /sample`.
pub(crate) fn routes(station: Station) -> Router {
    Router::new()
        .route("/run", post(run))
        .route("/sample", get(sample))
        .route_layer(middleware::from_fn(trace))
        .with_state(station)
}

#[derive(Deserialize)]
struct Run {
    #[serde(default = "one")]
    rounds: u32,
}

fn one() -> u32 {
    1
}

#[derive(Serialize)]
struct RunResult {
    good: u32,
    faults: u32,
    valve_percent: i32,
    celsius: f32,
}

async fn run(State(station): State<Station>, Query(run): Query<Run>) -> Response {
    if run.rounds > MOST_ROUNDS {
        let text = format!("rounds is {}; ask for at most {MOST_ROUNDS} in one request\n", run.rounds);
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let summary = station.run(run.rounds).await;
    Json(RunResult {
        good: summary.good,
        faults: summary.faults,
        valve_percent: summary.valve,
        celsius: summary.temperature as f32 / 100.0,
    })
    .into_response()
}

#[derive(Serialize)]
struct Reading {
    raw: u16,
    celsius: f32,
}

async fn sample(State(station): State<Station>) -> Response {
    match station.sample().await {
        (sample, Ok(centi)) => {
            Json(Reading { raw: sample.raw, celsius: centi as f32 / 100.0 }).into_response()
        }
        (_, Err(fault)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n")).into_response(),
    }
}

/// Makes a span for each request, below the caller's span if the caller sent a context. The answer carries the
/// span's own context, so that the caller finds the trace.
async fn trace(path: MatchedPath, request: Request, next: Next) -> Response {
    let method = request.method().as_str().to_owned();
    let received = match receive(request.headers(), Origin::route(path.as_str())) {
        Ok(received) => received,
        Err(required) => return (StatusCode::BAD_REQUEST, format!("{required}\n")).into_response(),
    };
    let handled = {
        // The guard is dropped at the end of this block. The future is in the caller's trace whenever it is polled.
        let _caller = received.enter();
        let span = span!(kind: Server, "http.request", http.request.method = method.as_str(), http.route = path.as_str());
        received.describe(&span);
        handle(request, next).in_span(span)
    };
    let response = handled.await;
    let status = response.status();
    counter_family!("http.requests", labels = ["route", "status"], capacity = 16, unit = "{request}")
        .add([path.as_str(), status.as_str()], 1);
    response
}

async fn handle(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    record!(current, http.response.status_code = response.status().as_u16());
    inject(response.headers_mut());
    response
}
