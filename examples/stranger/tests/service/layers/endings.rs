//! When a request ends: with its body, given up by its client, or without an answer.

use super::{CLIENT, SERVER, assert_has, find, newest, number, recorded, seconds, text};
use crate::support::look::{histogram, log, points, status};
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use futures_util::stream::{self, Stream, StreamExt as _};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use stranger_example::{layered, serve};
use throughline_std::tower::Route;
use tokio::sync::{mpsc, oneshot};

async fn served(router: Router) -> String {
    format!("http://{}", serve(router.layer(layered::server_layer())).await.unwrap())
}

/// Says when code begins and when it is dropped.
struct There(mpsc::UnboundedSender<&'static str>);

impl There {
    fn new(sender: &mpsc::UnboundedSender<&'static str>) -> There {
        sender.send("begun").unwrap();
        There(sender.clone())
    }
}

impl Drop for There {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// A first line, and whatever `rest` yields.
fn lines(rest: impl Stream<Item = &'static str> + Send + 'static) -> Body {
    Body::from_stream(stream::once(ready("lamp\n")).chain(rest).map(Ok::<_, Infallible>))
}

#[test]
fn a_streamed_response_is_measured_to_its_end() {
    let work = async {
        let (go, gate) = oneshot::channel::<()>();
        let gate = Arc::new(Mutex::new(Some(gate)));
        let stock = move || {
            let gate = gate.lock().unwrap().take().unwrap();
            ready(lines(stream::once(async move {
                gate.await.unwrap();
                tracing::info!("the last one");
                "mug\n"
            })))
        };
        let address = served(Router::new().route("/stock/{shelf}", get(stock))).await;
        let asked = layered::http_client().get(format!("{address}/stock/7"));
        let mut answer = asked.with_extension(Route::new("/stock/{shelf}")).send().await.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "lamp\n");
        // After the first part of the body, before its end.
        drop(throughline::span!(root: true, "between"));
        go.send(()).unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "mug\n");
        assert!(answer.chunk().await.unwrap().is_none());
    };
    recorded("layers::endings::a_streamed_response_is_measured_to_its_end", work, |got| {
        let between = find(&got.spans, "between", 1);
        for (kind, name) in
            [(SERVER, "http.server.request.duration"), (CLIENT, "http.client.request.duration")]
        {
            let span = find(&got.spans, "GET /stock/{shelf}", kind);
            assert!(span.start_time_unix_nano < between.start_time_unix_nano);
            assert!(span.end_time_unix_nano > between.end_time_unix_nano, "{span:?} {between:?}");
            assert_has(span, [("http.response.body.size", number(9)), ("throughline.cancelled", None)]);
            let Some(Value::IntValue(first)) =
                crate::support::receiver::attribute(&span.attributes, "throughline.first_byte_ns")
            else {
                panic!("{span:?}")
            };
            let [point] = histogram(newest(got), name) else { panic!("one point") };
            let until_first = first as f64 / 1e9;
            assert!((until_first..=seconds(span) * 1.01).contains(&point.sum.unwrap()), "{point:?} {span:?}");
            assert!(point.sum.unwrap() >= seconds(between) * 0.99);
            assert_eq!(point.exemplars[0].span_id, span.span_id);
        }
        let server = find(&got.spans, "GET /stock/{shelf}", SERVER);
        assert_eq!(log(&got.logs, "the last one").span_id, server.span_id, "the body runs in the span");
    });
}

#[test]
fn what_a_client_gives_up_is_cancelled() {
    let work = async {
        let (there, mut events) = mpsc::unbounded_channel();
        let of_stream = there.clone();
        let slow = move || {
            let there = There::new(&there);
            async move {
                let _there = there;
                pending::<()>().await;
            }
        };
        let endless = move || {
            let there = There::new(&of_stream);
            ready(lines(stream::once(async move {
                let _there = there;
                pending().await
            })))
        };
        let router = Router::new().route("/slow/{item}", get(slow)).route("/endless", get(endless));
        let address = served(router).await;
        let asked = layered::http_client().get(format!("{address}/slow/lamp"));
        let request = tokio::spawn(asked.with_extension(Route::new("/slow/{item}")).send());
        assert_eq!(events.recv().await, Some("begun"));
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        assert_eq!(events.recv().await, Some("dropped"), "the server notices");

        let asked = layered::http_client().get(format!("{address}/endless"));
        let mut answer = asked.with_extension(Route::new("/endless")).send().await.unwrap();
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "lamp\n");
        assert_eq!(events.recv().await, Some("begun"));
        drop(answer);
        assert_eq!(events.recv().await, Some("dropped"));
    };
    recorded("layers::endings::what_a_client_gives_up_is_cancelled", work, |got| {
        let cancelled =
            [("throughline.cancelled", Some(Value::BoolValue(true))), ("error.type", text("cancelled"))];
        for (name, kind) in
            [("GET /slow/{item}", SERVER), ("GET /slow/{item}", CLIENT), ("GET /endless", SERVER)]
        {
            let span = find(&got.spans, name, kind);
            assert_has(span, cancelled.clone());
            // It is nobody's fault.
            assert_eq!(status(span), Code::Unset);
        }
        assert_has(find(&got.spans, "GET /slow/{item}", SERVER), [("http.response.status_code", None)]);
        assert_has(find(&got.spans, "GET /endless", SERVER), [("http.response.status_code", number(200))]);
        // Who leaves a response has had what it wanted.
        let left = find(&got.spans, "GET /endless", CLIENT);
        assert_has(left, [("throughline.cancelled", None), ("error.type", None)]);
        let errors = |name| {
            let all = points(newest(got), name).into_iter();
            all.filter(|(labels, ..)| labels.contains("error.type=cancelled")).count()
        };
        assert_eq!(errors("http.server.request.duration"), 2);
        assert_eq!(errors("http.client.request.duration"), 1);
    });
}

#[test]
fn a_redirected_request_is_one_and_no_answer_is_an_error() {
    let work = async {
        let router = Router::new()
            .route("/old/{n}", get(|| ready(Redirect::temporary("/new"))))
            .route("/new", get(|| ready("here")))
            .route("/broken", get(|| ready(StatusCode::INTERNAL_SERVER_ERROR)));
        let address = served(router).await;
        let client = layered::http_client();
        let asked = client.get(format!("{address}/old/1")).with_extension(Route::new("/old/{n}"));
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.url().path(), "/new");
        assert_eq!(answer.text().await.unwrap(), "here");
        assert_eq!(client.get(format!("{address}/broken")).send().await.unwrap().status(), 500);
        assert_eq!(client.get(format!("{address}/no/such/7")).send().await.unwrap().status(), 404);
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let asked = client.put(format!("http://{free}/")).with_extension(Route::new("/"));
        assert!(asked.send().await.is_err());
    };
    recorded("layers::endings::a_redirected_request_is_one_and_no_answer_is_an_error", work, |got| {
        let client = find(&got.spans, "GET /old/{n}", CLIENT);
        assert_has(client, [("http.response.status_code", number(200))]);
        for name in ["GET /old/{n}", "GET /new"] {
            let server = find(&got.spans, name, SERVER);
            assert_eq!((&server.parent_span_id, &server.trace_id), (&client.span_id, &client.trace_id));
        }
        let broken = find(&got.spans, "GET /broken", SERVER);
        assert_eq!(status(broken), Code::Error);
        assert_has(broken, [("error.type", text("500"))]);
        // A path without a route is no name and no label.
        let nowhere = find(&got.spans, "GET", SERVER);
        assert_eq!(status(nowhere), Code::Unset);
        assert_has(nowhere, [("url.path", text("/no/such/7")), ("http.route", None)]);
        let unanswered = find(&got.spans, "PUT /", CLIENT);
        assert_eq!(status(unanswered), Code::Error);
        assert_has(unanswered, [("http.response.status_code", None)]);
        assert!(
            crate::support::receiver::text(&unanswered.attributes, "error.type").unwrap().ends_with("Error")
        );
        let all = format!("{:?}", points(newest(got), "http.server.request.duration"));
        assert!(!all.contains("such"), "{all}");
    });
}
