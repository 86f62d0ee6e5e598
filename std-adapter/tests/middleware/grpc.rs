//! Calls of gRPC, whose status is in trailers.

use super::service::{Frames, ask, block_on, read, service};
use super::{points, recorded, server, status};
use crate::support::receiver::{int, text};
use crate::support::service::find;
use http::{HeaderMap, Request, Response};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use throughline_std::tower::ClientLayer;
use tower_layer::Layer;

fn call(method: &str) -> Request<()> {
    Request::post(format!("http://store:50051/shop.Warehouse/{method}"))
        .header("content-type", "application/grpc+proto")
        .body(())
        .unwrap()
}

fn trailers(code: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    trailers
}

#[test]
fn the_status_in_the_trailers_is_that_of_the_call() {
    recorded(
        "grpc::the_status_in_the_trailers_is_that_of_the_call",
        || {
            for (method, code) in [("Reserve", "0"), ("Release", "5"), ("Count", "13")] {
                let answer = move |_| async move {
                    Ok(Response::new(Frames::of(["message"]).trailers(trailers(code))))
                };
                block_on(read(ask(&mut server().layer(service(answer)), call(method)))).unwrap();
                block_on(read(ask(&mut ClientLayer::new().layer(service(answer)), call(method)))).unwrap();
            }
        },
        |spans, metrics| {
            let of = |method: &str, kind: i32| {
                let name = format!("shop.Warehouse/{method}");
                spans.iter().find(|span| span.name == name && span.kind == kind).unwrap()
            };
            let reserve = &of("Reserve", 3).attributes;
            for (key, value) in [
                ("rpc.system.name", "grpc"),
                ("rpc.system", "grpc"),
                ("rpc.service", "shop.Warehouse"),
                ("rpc.method", "shop.Warehouse/Reserve"),
                ("rpc.response.status_code", "OK"),
                ("server.address", "store"),
            ] {
                assert_eq!(text(reserve, key).as_deref(), Some(value), "{key}");
            }
            assert_eq!(
                (int(reserve, "rpc.grpc.status_code"), int(reserve, "server.port")),
                (Some(0), Some(50051))
            );
            let statuses = |kind| ["Reserve", "Release", "Count"].map(|method| status(of(method, kind)));
            assert_eq!(statuses(2), [Code::Unset, Code::Unset, Code::Error], "NOT_FOUND is the caller's");
            assert_eq!(statuses(3), [Code::Unset, Code::Error, Code::Error]);
            let labels: Vec<_> =
                points(metrics, "rpc.server.call.duration").into_iter().map(|point| point.0).collect();
            assert_eq!(
                labels,
                [
                    "error.type=INTERNAL rpc.method=shop.Warehouse/Count rpc.response.status_code=INTERNAL rpc.system.name=grpc",
                    "rpc.method=shop.Warehouse/Release rpc.response.status_code=NOT_FOUND rpc.system.name=grpc",
                    "rpc.method=shop.Warehouse/Reserve rpc.response.status_code=OK rpc.system.name=grpc",
                ]
            );
            assert_eq!(points(metrics, "rpc.client.call.duration").len(), 3);
            assert!(points(metrics, "http.server.request.duration").is_empty(), "a call is counted once");
        },
    );
}

#[test]
fn a_stream_that_is_given_up_is_a_cancelled_call() {
    recorded(
        "grpc::a_stream_that_is_given_up_is_a_cancelled_call",
        || {
            let answer = |_| async { Ok(Response::new(Frames::of(["message"]).trailers(trailers("0")))) };
            drop(block_on(ask(&mut ClientLayer::new().layer(service(answer)), call("Watch"))).unwrap());
        },
        |spans, metrics| {
            let watch = &find(spans, "shop.Warehouse/Watch").attributes;
            assert_eq!(text(watch, "rpc.response.status_code").as_deref(), Some("CANCELLED"));
            assert!(points(metrics, "rpc.client.call.duration")[0].0.starts_with("error.type=cancelled"));
        },
    );
}
