//! Three orders, through HTTP, the database and gRPC.

use super::{CLIENT, SERVER, assert_has, newest, number, recorded, seconds, text};
use crate::support::look::{histogram, points, status};
use crate::{ORDERS, parent};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode as Code};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use stranger_example::layered::{self, Layered};
use stranger_example::{serve, shop};
use throughline_std::tower::Route;

/// Ports of shop and warehouse.
static PORTS: OnceLock<(u16, u16)> = OnceLock::new();

async fn order_all() {
    let warehouse = serve(layered::warehouse()).await.unwrap();
    let db = shop::database().await.unwrap();
    let backends = Layered::connect(db, format!("http://{warehouse}")).await.unwrap();
    let shop = serve(layered::shop(backends)).await.unwrap();
    PORTS.set((shop.port(), warehouse.port())).unwrap();
    for (item, status) in ORDERS {
        let order = layered::http_client().post(format!("http://{shop}/orders/{item}?pages=2&token=hush"));
        let answer = order.with_extension(Route::new("/orders/{item}")).send().await.unwrap();
        assert_eq!(answer.status(), status);
        answer.bytes().await.unwrap();
    }
}

/// A span and those below it in the order in which they begin, each with its depth, name and kind.
fn tree(spans: &[Span], root: &Span, depth: usize, lines: &mut Vec<String>) {
    let kind = match root.kind {
        SERVER => " (server)",
        CLIENT => " (client)",
        _ => "",
    };
    lines.push(format!("{}{}{kind}", "  ".repeat(depth), root.name));
    let mut below: Vec<_> = spans.iter().filter(|span| span.parent_span_id == root.span_id).collect();
    below.sort_by_key(|span| span.start_time_unix_nano);
    below.into_iter().for_each(|span| tree(spans, span, depth + 1, lines));
}

/// The shop's server span that answered so.
fn answered(spans: &[Span], code: i64) -> &Span {
    let is_it = |span: &&Span| {
        let answer = crate::support::receiver::int(&span.attributes, "http.response.status_code");
        (&*span.name, span.kind, answer) == ("POST /orders/{item}", SERVER, Some(code))
    };
    spans.iter().find(is_it).unwrap()
}

#[test]
fn an_order_is_one_trace_over_http_database_and_grpc() {
    recorded("layers::orders::an_order_is_one_trace_over_http_database_and_grpc", order_all(), |got| {
        let server = answered(&got.spans, 200);
        let client = parent(&got.spans, server).unwrap();
        assert!(client.parent_span_id.is_empty());
        let mut lines = Vec::new();
        tree(&got.spans, client, 0, &mut lines);
        let expected = [
            "POST /orders/{item} (client)",
            "  POST /orders/{item} (server)",
            "    order",
            "      sell",
            "        price",
            "          SELECT items (client)",
            "        ask for the rate (client)",
            "          GET /rates/{currency} (client)",
            "            GET /rates/{currency} (server)",
            "              rate",
            "        reserve lamp (client)",
            "          shop.Warehouse/Reserve (client)",
            "            shop.Warehouse/Reserve (server)",
            "              reserve",
        ];
        assert_eq!(lines, expected);
        let in_trace = got.spans.iter().filter(|span| span.trace_id == client.trace_id);
        assert_eq!(in_trace.count(), expected.len());
        // Three orders, and a parcel that is packed in a trace of its own.
        let traces: BTreeMap<_, _> = got.spans.iter().map(|span| (&span.trace_id, ())).collect();
        assert_eq!(traces.len(), 4);
    });
}

#[test]
fn spans_say_what_the_conventions_ask_for() {
    recorded("layers::orders::spans_say_what_the_conventions_ask_for", order_all(), |got| {
        let spans = &got.spans;
        let (shop, warehouse) = *PORTS.get().unwrap();
        let port = |port: u16| number(port.into());
        for (item, code) in ORDERS {
            let server = answered(spans, code.into());
            let client = parent(spans, server).unwrap();
            assert_has(
                server,
                [
                    ("http.request.method", text("POST")),
                    ("http.route", text("/orders/{item}")),
                    ("http.response.status_code", number(code.into())),
                    ("url.path", text(&format!("/orders/{item}"))),
                    ("url.query", text("pages=2&token=[REDACTED]")),
                    ("url.scheme", text("http")),
                    ("server.address", text("127.0.0.1")),
                    ("server.port", port(shop)),
                    ("client.address", text("127.0.0.1")),
                    ("network.protocol.version", text("1.1")),
                    ("http.request.method_original", None),
                    ("throughline.cancelled", None),
                    // What the caller did wrong is no error of the server.
                    ("error.type", if code == 503 { text("503") } else { None }),
                ],
            );
            assert_eq!(status(server), if code == 503 { Code::Error } else { Code::Unset });
            assert_has(
                client,
                [
                    ("http.request.method", text("POST")),
                    ("url.template", text("/orders/{item}")),
                    (
                        "url.full",
                        text(&format!("http://127.0.0.1:{shop}/orders/{item}?pages=2&token=[REDACTED]")),
                    ),
                    ("http.response.status_code", number(code.into())),
                    ("server.address", text("127.0.0.1")),
                    ("server.port", port(shop)),
                    ("network.protocol.version", text("1.1")),
                    ("error.type", if code == 200 { None } else { text(&code.to_string()) }),
                ],
            );
            assert_eq!(status(client), if code == 200 { Code::Unset } else { Code::Error });
            assert_eq!((&*client.name, client.kind), ("POST /orders/{item}", CLIENT));
        }
        let mut rows = Vec::new();
        for query in spans.iter().filter(|span| span.name == "SELECT items") {
            assert_eq!((query.kind, status(query)), (CLIENT, Code::Unset));
            assert_has(
                query,
                [
                    ("db.system.name", text("sqlite")),
                    ("db.namespace", text("shop")),
                    ("db.operation.name", text("SELECT")),
                    ("db.collection.name", text("items")),
                    ("db.query.text", text("SELECT price FROM items WHERE name = ?")),
                    ("error.type", None),
                ],
            );
            rows.push(crate::support::receiver::int(&query.attributes, "db.response.returned_rows").unwrap());
        }
        rows.sort();
        assert_eq!(rows, [0, 1, 1]);
        // The warehouse has a lamp, and no unicorn.
        for (code, of_grpc, of_client) in [("OK", 0, Code::Unset), ("NOT_FOUND", 5, Code::Error)] {
            let server = spans.iter().find(|span| {
                let answer = crate::support::receiver::text(&span.attributes, "rpc.response.status_code");
                span.kind == SERVER && answer.as_deref() == Some(code)
            });
            let server = server.unwrap();
            let client = parent(spans, server).unwrap();
            assert_eq!((server.kind, client.kind), (SERVER, CLIENT));
            assert_eq!((status(server), status(client)), (Code::Unset, of_client));
            for span in [server, client] {
                assert_eq!(span.name, "shop.Warehouse/Reserve");
                assert_has(
                    span,
                    [
                        ("rpc.system.name", text("grpc")),
                        ("rpc.service", text("shop.Warehouse")),
                        ("rpc.method", text("shop.Warehouse/Reserve")),
                        ("rpc.response.status_code", text(code)),
                        ("rpc.grpc.status_code", number(of_grpc)),
                        ("server.address", text("127.0.0.1")),
                        ("server.port", port(warehouse)),
                        ("http.route", None),
                    ],
                );
            }
            let error = if code == "OK" { None } else { text(code) };
            assert_has(client, [("error.type", error)]);
            assert_has(server, [("error.type", None), ("client.address", text("127.0.0.1"))]);
        }
    });
}

#[test]
fn durations_have_the_attributes_of_their_spans_and_exemplars() {
    recorded(
        "layers::orders::durations_have_the_attributes_of_their_spans_and_exemplars",
        order_all(),
        |got| {
            let (spans, metrics) = (&got.spans, newest(got));
            let (shop, warehouse) = *PORTS.get().unwrap();
            let of = |code| answered(spans, code).span_id.clone();
            let post = |error: &str, code| {
                format!(
                    "{error}http.request.method=POST http.response.status_code={code} http.route=/orders/{{item}} network.protocol.version=1.1 url.scheme=http"
                )
            };
            let server = points(metrics, "http.server.request.duration");
            let (rates, orders): (Vec<_>, Vec<_>) =
                server.into_iter().partition(|(labels, ..)| labels.contains("GET"));
            assert_eq!(
                orders,
                [
                    (post("error.type=503 ", 503), 1, vec![of(503)]),
                    (post("", 200), 1, vec![of(200)]),
                    (post("", 404), 1, vec![of(404)]),
                ]
            );
            let [(labels, 2, exemplars)] = &rates[..] else { panic!("{rates:?}") };
            assert!(
                labels.contains("http.response.status_code=200 http.route=/rates/{currency} "),
                "{labels}"
            );
            let is_rate = |id: &Vec<u8>| {
                let rate = spans.iter().find(|span| span.span_id == *id).unwrap();
                (&*rate.name, rate.kind) == ("GET /rates/{currency}", SERVER)
            };
            assert!(!exemplars.is_empty() && exemplars.iter().all(is_rate));

            let client = points(metrics, "http.client.request.duration");
            let failed = format!(
                "error.type=404 http.request.method=POST http.response.status_code=404 network.protocol.version=1.1 server.address=127.0.0.1 server.port={shop} url.template=/orders/{{item}}"
            );
            let asked = parent(spans, answered(spans, 404)).unwrap();
            assert!(client.contains(&(failed, 1, vec![asked.span_id.clone()])), "{client:#?}");
            assert_eq!(client.iter().map(|(_, count, _)| count).sum::<u64>(), 5);

            let rpc = |error: &str, code: &str, server: &str| {
                format!(
                    "{error}rpc.method=shop.Warehouse/Reserve rpc.response.status_code={code} rpc.system.name=grpc{server}"
                )
            };
            let labels =
                |name| points(metrics, name).into_iter().map(|point| (point.0, point.1)).collect::<Vec<_>>();
            assert_eq!(
                labels("rpc.server.call.duration"),
                [(rpc("", "NOT_FOUND", ""), 1), (rpc("", "OK", ""), 1)]
            );
            let at = format!(" server.address=127.0.0.1 server.port={warehouse}");
            assert_eq!(
                labels("rpc.client.call.duration"),
                [(rpc("error.type=NOT_FOUND ", "NOT_FOUND", &at), 1), (rpc("", "OK", &at), 1)]
            );
            let queries =
                "db.collection.name=items db.namespace=shop db.operation.name=SELECT db.system.name=sqlite"
                    .to_owned();
            assert_eq!(labels("db.client.operation.duration"), [(queries, 3)]);

            // Each exemplar leads to the span that was measured, which lasted as long; the clocks differ a little.
            let mut led = 0;
            for name in
                ["http.server.request.duration", "http.client.request.duration", "rpc.server.call.duration"]
            {
                for point in histogram(metrics, name).iter().filter(|point| point.count == 1) {
                    let span = spans.iter().find(|span| span.span_id == point.exemplars[0].span_id).unwrap();
                    assert_eq!(span.trace_id, point.exemplars[0].trace_id);
                    assert!(
                        point.sum.unwrap() > 0.0 && point.sum.unwrap() <= seconds(span) * 1.01,
                        "{point:?} {span:?}"
                    );
                    led += 1;
                }
            }
            assert_eq!(led, 3 + 3 + 2);
            let active = metrics.iter().find(|metric| metric.name == "http.server.active_requests").unwrap();
            let Some(opentelemetry_proto::tonic::metrics::v1::metric::Data::Sum(sum)) = &active.data else {
                panic!("{active:?}")
            };
            assert!(!sum.is_monotonic);
            assert!(sum.data_points.iter().all(|point| crate::support::look::value(point.value) == 0.0));
        },
    );
}
