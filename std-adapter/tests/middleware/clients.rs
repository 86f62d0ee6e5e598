//! Requests of `reqwest`.

use super::{points, recorded, status};
use crate::support::receiver::{int, text};
use crate::support::service::find;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use reqwest_middleware::ClientBuilder;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::OnceLock;
use throughline::span;
use throughline_std::tower::{ReqwestMiddleware, Route};

/// Answers one request with 404. Returns its head.
fn answer(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone").unwrap();
    head.join("\n")
}

#[test]
fn a_request_of_reqwest_is_recorded_and_carries_the_context() {
    static HEAD: OnceLock<String> = OnceLock::new();
    recorded(
        "clients::a_request_of_reqwest_is_recorded_and_carries_the_context",
        || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/orders/7?token=hush", listener.local_addr().unwrap());
            let server = std::thread::spawn(move || answer(&listener));
            let client = ClientBuilder::new(reqwest::Client::new()).with(ReqwestMiddleware::new()).build();
            let _request = span!("request");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let asked = client.get(&url).with_extension(Route::new("/orders/{id}"));
                let response = asked.send().await.unwrap();
                assert_eq!((response.status().as_u16(), response.url().as_str()), (404, &*url));
                assert_eq!(response.text().await.unwrap(), "none");
            });
            HEAD.set(server.join().unwrap()).unwrap();
        },
        |spans, metrics| {
            let client = find(spans, "GET /orders/{id}");
            assert_eq!(client.parent_span_id, find(spans, "request").span_id);
            assert_eq!((client.kind, status(client)), (3, Code::Error));
            assert_eq!(int(&client.attributes, "http.response.body.size"), Some(4));
            assert!(text(&client.attributes, "url.full").unwrap().ends_with("/orders/7?token=[REDACTED]"));
            let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let sent = format!("traceparent: 00-{}-{}-01", hex(&client.trace_id), hex(&client.span_id));
            assert!(HEAD.get().unwrap().contains(&sent), "{HEAD:?}");
            let [(labels, 1, exemplars)] = &points(metrics, "http.client.request.duration")[..] else {
                panic!("{metrics:?}")
            };
            assert!(labels.starts_with("error.type=404 ") && labels.ends_with("url.template=/orders/{id}"));
            assert_eq!(exemplars, std::slice::from_ref(&client.span_id));
        },
    );
}
