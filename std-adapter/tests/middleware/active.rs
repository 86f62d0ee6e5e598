//! The numbers of requests that are under way.

use super::service::{Frames, ask, block_on, read, service, taken};
use super::{recorded, server};
use crate::support::look::labels;
use http::{Request, Response};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point::Value};
use std::future::{pending, ready};
use throughline_std::tower::{ClientLayer, Route};
use tower_layer::Layer;

/// The labels of each point of a counter that goes up and down, with its value, in order.
fn values(metrics: &[Metric], name: &str) -> Vec<(String, i64)> {
    let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    assert!(!sum.is_monotonic && metric.unit == "{request}" && !metric.description.is_empty(), "{metric:?}");
    let mut values: Vec<_> = sum
        .data_points
        .iter()
        .map(|point| {
            let Some(Value::AsInt(value)) = point.value else { panic!("{point:?}") };
            (labels(&point.attributes), value)
        })
        .collect();
    values.sort();
    values
}

#[test]
fn requests_are_active_from_their_beginning_to_the_end_of_the_answer() {
    recorded(
        "active::requests_are_active_from_their_beginning_to_the_end_of_the_answer",
        || {
            let client = ClientLayer::new();
            let answer = || service(|_| async { Ok(Response::new(Frames::of(["a"]))) });
            let get = |url: &str| Request::get(url).body(()).unwrap();
            block_on(read(ask(&mut client.layer(answer()), get("http://shop/whole")))).unwrap();
            drop(block_on(ask(&mut client.layer(answer()), get("http://shop/left"))).unwrap());
            let fails = || service(|_| ready(Err(super::fails())));
            assert!(block_on(ask(&mut client.layer(fails()), get("http://shop/fails"))).is_err());
            let hangs = || service(|_| pending());
            assert!(block_on(taken(ask(&mut client.layer(hangs()), get("http://shop/given-up")))).is_none());
            // These wait until the process ends.
            for _ in 0..2 {
                let order = Request::post("https://store/orders/7").extension(Route::new("/orders/{id}"));
                std::mem::forget(ask(&mut client.layer(hangs()), order.body(()).unwrap()));
            }
            let call = Request::post("http://[::1]:50051/shop.Warehouse/Reserve")
                .header("content-type", "application/grpc");
            std::mem::forget(ask(&mut client.layer(hangs()), call.body(()).unwrap()));
            std::mem::forget(ask(&mut server().layer(hangs()), get("/")));
        },
        |_, metrics| {
            let expected = [
                ("http.request.method=GET server.address=shop server.port=80 url.scheme=http", 0),
                ("http.request.method=POST server.address=[::1] server.port=50051 url.scheme=http", 1),
                (
                    "http.request.method=POST server.address=store server.port=443 url.scheme=https \
                     url.template=/orders/{id}",
                    2,
                ),
            ];
            let expected = expected.map(|(labels, value)| (labels.to_owned(), value));
            assert_eq!(values(metrics, "http.client.active_requests"), expected);
            let of_server = "http.request.method=GET url.scheme=http".to_owned();
            assert_eq!(values(metrics, "http.server.active_requests"), [(of_server, 1)]);
        },
    );
}

#[test]
fn servers_beyond_the_room_share_a_series() {
    const MANY: i64 = 1500;
    recorded(
        "active::servers_beyond_the_room_share_a_series",
        || {
            for n in 0..MANY {
                let request = Request::get(format!("http://host-{n}/")).body(()).unwrap();
                std::mem::forget(ask(&mut ClientLayer::new().layer(service(|_| pending())), request));
            }
        },
        |_, metrics| {
            let values = values(metrics, "http.client.active_requests");
            assert!(values.len() <= 1024 + 1, "{}", values.len());
            assert_eq!(values.iter().map(|(_, value)| value).sum::<i64>(), MANY, "all are counted");
            let overflow = values.iter().find(|(labels, _)| labels == "otel.metric.overflow=true").unwrap();
            assert!(overflow.1 >= MANY - 1024, "{overflow:?}");
        },
    );
}
