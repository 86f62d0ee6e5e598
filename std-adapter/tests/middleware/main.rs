//! The layers for `tower`, from a request to a collector: what is recorded of it, when it ends, what is counted, and
//! that no stranger can grow anything. The services are functions; `examples/stranger` has real ones.

mod active;
mod carrying;
#[cfg(feature = "reqwest")]
mod clients;
mod grpc;
mod operations;
mod service;
#[path = "../support/mod.rs"]
mod support;

use http::{Request, Response, StatusCode};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode as Code};
use service::{Frames, RouteOf, ask, block_on, fails, read, service, taken};
use support::in_own_process;
use support::look::{points, status};
use support::receiver::{Receiver, attribute, int, text};
use support::service::{LONG, config, find, start};
use throughline::{TraceContext, info, span};
use throughline_std::Config;
use throughline_std::propagation::{ContextRequired, Origin, receive_bytes};
use throughline_std::tower::{ClientLayer, Route, ServerLayer};
use tower_layer::Layer;

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Runs `work` in a process of its own, and gives what the collector got of it.
fn recorded(test: &str, work: impl FnOnce(), look: impl FnOnce(&[Span], &[Metric])) {
    configured(test, |config| config, work, look);
}

fn configured(
    test: &str,
    change: impl FnOnce(Config) -> Config,
    work: impl FnOnce(),
    look: impl FnOnce(&[Span], &[Metric]),
) {
    in_own_process(test, || {
        let receiver = Receiver::start([]);
        let guard = start(&change(config(&receiver)));
        work();
        let report = guard.shutdown(LONG);
        assert!(report.in_time, "{report:?}");
        receiver.with(|r| look(&r.spans, r.metrics.last().map_or(&[], |metrics| metrics)));
    });
}

/// With what a file of this text says.
fn with_text(config: Config, toml: &str) -> Config {
    let file = std::env::temp_dir().join(format!("throughline-tower-{}.toml", std::process::id()));
    std::fs::write(&file, toml).unwrap();
    let config = config.with_file(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    config
}

fn server() -> ServerLayer {
    ServerLayer::new()
        .route(|extensions| extensions.get::<RouteOf>().map(|route| route.0))
        .client(|extensions| extensions.get().copied())
}

#[test]
fn a_server_says_of_a_request_what_the_conventions_ask_for() {
    recorded(
        "a_server_says_of_a_request_what_the_conventions_ask_for",
        || {
            let mut service = server().layer(service(|_| async {
                info!("handled");
                Ok(Response::new(Frames::of(["abc", "de"])))
            }));
            let request = Request::get("/orders/7?page=2&token=hush")
                .header("host", "shop.example:8080")
                .header("user-agent", "curl/8")
                .header("traceparent", CALLER)
                .extension(RouteOf("/orders/{id}"))
                .extension("192.0.2.7:4711".parse::<std::net::SocketAddr>().unwrap());
            assert_eq!(block_on(read(ask(&mut service, request.body(()).unwrap()))).unwrap(), 5);
        },
        |spans, metrics| {
            let span = find(spans, "GET /orders/{id}");
            assert_eq!((span.kind, status(span)), (2, Code::Unset));
            assert_eq!(span.parent_span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
            let a = &span.attributes;
            for (key, value) in [
                ("http.request.method", "GET"),
                ("http.route", "/orders/{id}"),
                ("url.path", "/orders/7"),
                ("url.query", "page=2&token=[REDACTED]"),
                ("url.scheme", "http"),
                ("server.address", "shop.example"),
                ("client.address", "192.0.2.7"),
                ("network.protocol.version", "1.1"),
                ("user_agent.original", "curl/8"),
            ] {
                assert_eq!(text(a, key).as_deref(), Some(value), "{key}");
            }
            assert_eq!((int(a, "server.port"), int(a, "http.response.status_code")), (Some(8080), Some(200)));
            assert_eq!(int(a, "http.response.body.size"), Some(5));
            assert!(
                int(a, "throughline.first_byte_ns")
                    <= Some((span.end_time_unix_nano - span.start_time_unix_nano) as i64)
            );
            assert!(int(a, "busy_ns").is_some());
            for absent in ["error.type", "http.request.method_original"] {
                assert!(attribute(a, absent).is_none(), "{absent}");
            }
            let labels = "http.request.method=GET http.response.status_code=200 http.route=/orders/{id} \
                network.protocol.version=1.1 url.scheme=http";
            let points = points(metrics, "http.server.request.duration");
            assert_eq!(points, [(labels.to_owned(), 1, vec![span.span_id.clone()])]);
        },
    );
}

#[test]
fn a_request_lasts_until_its_body_ended_and_its_code_is_in_the_span() {
    recorded(
        "a_request_lasts_until_its_body_ended_and_its_code_is_in_the_span",
        || {
            let mut service = server().layer(service(|_| async {
                let frames = Frames::of(["a", "b"]).each(|| drop(span!("frame")));
                Ok(Response::new(frames))
            }));
            block_on(async {
                let response = ask(&mut service, Request::new(())).await.unwrap();
                // After the response, before its end.
                drop(span!(root: true, "between"));
                assert_eq!(read(std::future::ready(Ok::<_, ()>(response))).await, Ok(2));
            });
        },
        |spans, _| {
            let (request, between) = (find(spans, "GET"), find(spans, "between"));
            assert!(request.start_time_unix_nano < between.start_time_unix_nano);
            assert!(request.end_time_unix_nano > between.end_time_unix_nano);
            let frames: Vec<_> = spans.iter().filter(|span| span.name == "frame").collect();
            assert_eq!(frames.len(), 2);
            assert!(frames.iter().all(|frame| frame.parent_span_id == request.span_id));
            assert!(attribute(&request.attributes, "throughline.cancelled").is_none());
        },
    );
}

#[test]
fn what_went_wrong_is_told_by_the_side_that_is_to_blame() {
    recorded(
        "what_went_wrong_is_told_by_the_side_that_is_to_blame",
        || {
            for code in [404, 503] {
                let answer = move |_| async move {
                    let mut response = Response::new(Frames::of([]));
                    *response.status_mut() = StatusCode::from_u16(code).unwrap();
                    Ok(response)
                };
                let request =
                    || Request::post(format!("http://ann:pw@shop:81/{code}?sig=s")).body(()).unwrap();
                block_on(read(ask(&mut server().layer(service(answer)), request()))).unwrap();
                block_on(read(ask(&mut ClientLayer::new().layer(service(answer)), request()))).unwrap();
            }
            let unreachable = || service(|_| async { Err(fails()) });
            assert!(block_on(ask(&mut ClientLayer::new().layer(unreachable()), Request::new(()))).is_err());
            // A request without a server, to one that the layer knows.
            let layer = ClientLayer::new().server("https://ann:pw@shop".parse().unwrap());
            let request = Request::put("/n?sig=s").body(()).unwrap();
            assert!(block_on(ask(&mut layer.layer(unreachable()), request)).is_err());
        },
        |spans, metrics| {
            let of = |kind: i32| -> Vec<_> {
                let of_kind = spans.iter().filter(|span| span.kind == kind && span.name == "POST");
                of_kind
                    .map(|span| (int(&span.attributes, "http.response.status_code").unwrap(), status(span)))
                    .collect()
            };
            assert_eq!(of(2), [(404, Code::Unset), (503, Code::Error)]);
            assert_eq!(of(3), [(404, Code::Error), (503, Code::Error)]);
            let client = spans.iter().find(|span| span.kind == 3 && span.name == "POST").unwrap();
            assert_eq!(text(&client.attributes, "url.full").unwrap(), "http://shop:81/404?sig=[REDACTED]");
            assert_eq!(text(&client.attributes, "error.type").unwrap(), "404");
            let unreachable = find(spans, "GET");
            assert_eq!(status(unreachable), Code::Error);
            assert!(text(&unreachable.attributes, "error.type").unwrap().ends_with("io::error::Error"));
            for unknown in ["server.address", "server.port", "url.full"] {
                assert!(attribute(&unreachable.attributes, unknown).is_none(), "{unknown}");
            }
            let told = &find(spans, "PUT").attributes;
            assert_eq!(text(told, "url.full").unwrap(), "https://shop/n?sig=[REDACTED]");
            assert_eq!(
                (text(told, "server.address"), int(told, "server.port")),
                (Some("shop".into()), Some(443))
            );
            let labels = |name| points(metrics, name).into_iter().map(|point| point.0).collect::<Vec<_>>();
            assert_eq!(
                labels("http.server.request.duration"),
                [
                    "error.type=503 http.request.method=POST http.response.status_code=503 network.protocol.version=1.1 url.scheme=http",
                    "http.request.method=POST http.response.status_code=404 network.protocol.version=1.1 url.scheme=http",
                ]
            );
            let labels = labels("http.client.request.duration");
            let of = |method: &str, server: &str| {
                labels.iter().filter(|all| all.contains(method) && all.ends_with(server)).count()
            };
            assert_eq!((of("=POST", "server.address=shop server.port=81"), labels.len()), (2, 4));
            assert_eq!(
                (of("=PUT", "server.address=shop server.port=443"), of("=GET", "version=1.1")),
                (1, 1)
            );
        },
    );
}

#[test]
fn requests_that_are_given_up_are_marked_and_panics_are_errors() {
    recorded(
        "requests_that_are_given_up_are_marked_and_panics_are_errors",
        || {
            let route = |route: &'static str| Request::get("/").extension(RouteOf(route)).body(()).unwrap();
            let mut hangs = server().layer(service(|_| std::future::pending()));
            block_on(async {
                let request = ask(&mut hangs, route("/hangs"));
                assert!(taken(request).await.is_none(), "it waits");
            });
            let mut half = server().layer(service(|_| async { Ok(Response::new(Frames::of(["a", "b"]))) }));
            drop(block_on(ask(&mut half, route("/half"))).unwrap());
            // Hyper does not read a body to its end whose size it knows.
            let mut sized =
                server().layer(service(|_| async { Ok(Response::new(Frames::of(["a"]).sized(1))) }));
            block_on(async {
                let response = ask(&mut sized, route("/sized")).await.unwrap();
                assert!(service::frame(&mut Box::pin(response.into_body())).await.is_some());
            });
            let mut panics = server().layer(service(|_| async { panic!("no stock") }));
            let request = ask(&mut panics, route("/panics"));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(request))).is_err());
        },
        |spans, metrics| {
            let is_cancelled =
                |name: &str| attribute(&find(spans, name).attributes, "throughline.cancelled").is_some();
            assert!(is_cancelled("GET /hangs") && is_cancelled("GET /half"));
            assert!(!is_cancelled("GET /sized") && !is_cancelled("GET /panics"));
            let panicked = find(spans, "GET /panics");
            assert_eq!(status(panicked), Code::Error);
            assert!(panicked.status.as_ref().unwrap().message.contains("no stock"));
            let errors: Vec<_> = points(metrics, "http.server.request.duration")
                .into_iter()
                .map(|(labels, ..)| {
                    labels.split(' ').find(|label| label.starts_with("error.type")).map(str::to_owned)
                })
                .collect();
            let of = |error: &str| errors.iter().flatten().filter(|found| found.ends_with(error)).count();
            assert_eq!((of("=cancelled"), of("=panic"), errors.len()), (2, 1, 4));
        },
    );
}

#[test]
fn no_stranger_can_grow_a_set_of_labels() {
    const MANY: u64 = 3000;
    configured(
        "no_stranger_can_grow_a_set_of_labels",
        // Room for all of them, however slow the machine is.
        |config| config.ring_slots(1 << 17),
        || {
            let mut service = server().layer(service(|request| async move {
                let is_rpc = request.headers().contains_key("content-type");
                let mut response = Response::new(Frames::of([]));
                if is_rpc {
                    response.headers_mut().insert("grpc-status", "12".parse().unwrap());
                }
                Ok(response)
            }));
            for n in 0..MANY {
                let request = Request::builder().method(&*format!("M{n}")).uri(format!("/{n}"));
                block_on(ask(&mut service, request.body(()).unwrap())).unwrap();
                let call =
                    Request::post(format!("/made.Up/Method{n}")).header("content-type", "application/grpc");
                block_on(ask(&mut service, call.body(()).unwrap())).unwrap();
            }
            // Who gives paths for routes meets the limit of series.
            for n in 0..MANY {
                let route: &'static str = Box::leak(format!("/path/{n}").into_boxed_str());
                block_on(ask(&mut service, Request::get("/").extension(RouteOf(route)).body(()).unwrap()))
                    .unwrap();
            }
        },
        |spans, metrics| {
            let http = points(metrics, "http.server.request.duration");
            assert!(http.len() <= 1024 + 1, "{}", http.len());
            assert_eq!(http.iter().map(|point| point.1).sum::<u64>(), 2 * MANY, "all are counted");
            let other = http.iter().find(|point| point.0.contains("http.request.method=_OTHER")).unwrap();
            assert_eq!(other.1, MANY);
            let overflow = http.iter().find(|point| point.0 == "otel.metric.overflow=true").unwrap();
            assert!(overflow.1 >= MANY - 1024);
            let calls = points(metrics, "rpc.server.call.duration");
            assert_eq!(calls.len(), 1);
            assert!(calls[0].0.contains("rpc.method=_OTHER") && calls[0].1 == MANY, "{calls:?}");
            assert_eq!(spans.iter().filter(|span| span.name == "HTTP").count() as u64, MANY);
            assert!(spans.iter().any(|span| span.name == "GET /path/2999"), "a name is no label");
        },
    );
}

#[test]
fn a_route_that_only_the_handler_knows_becomes_name_and_label() {
    recorded(
        "a_route_that_only_the_handler_knows_becomes_name_and_label",
        || {
            let mut service = server().layer(service(|_| async {
                let mut response = Response::new(Frames::of([]));
                response.extensions_mut().insert(Route::new("/late/{id}"));
                Ok(response)
            }));
            block_on(ask(&mut service, Request::new(()))).unwrap();
        },
        |spans, metrics| {
            assert_eq!(text(&find(spans, "GET /late/{id}").attributes, "http.route").unwrap(), "/late/{id}");
            assert!(points(metrics, "http.server.request.duration")[0].0.contains("http.route=/late/{id}"));
        },
    );
}

const RULES: &str = "[propagation]\ninbound = \"restart\"\nrules = { \"/open\" = \"accept\", \"/strict\" = \"require\" }\n\
    baggage_attributes = [\"tenant\"]\n";

#[test]
fn the_binary_form_of_a_context_obeys_the_same_rules() {
    let caller = TraceContext::parse(CALLER).unwrap();
    let serve = |bytes: &[u8], route: &'static str| {
        let received = receive_bytes(bytes, Origin::route(route))?;
        let _sender = received.enter();
        received.describe(&span!("served", "http.route" = route));
        Ok::<_, ContextRequired>(received.carried().parent)
    };
    configured(
        "the_binary_form_of_a_context_obeys_the_same_rules",
        |config| with_text(config, RULES),
        || {
            let bytes = caller.to_bytes();
            assert_eq!(serve(&bytes, "/open"), Ok(Some(caller)));
            assert_eq!(serve(&bytes, "/strict"), Ok(Some(caller)));
            assert_eq!(serve(&bytes, "/other"), Ok(None));
            for invalid in [&[][..], &bytes[..25], &[0; 26], &[0xff; 26]] {
                assert!(serve(invalid, "/strict").is_err(), "{invalid:?}");
                assert_eq!(serve(invalid, "/open"), Ok(None), "{invalid:?}");
            }
        },
        |spans, _| {
            let of = |route: &str| {
                let is_it = |span: &&Span| text(&span.attributes, "http.route").as_deref() == Some(route);
                spans.iter().find(is_it).unwrap()
            };
            assert_eq!(of("/open").parent_span_id, caller.span_id.to_bytes());
            let other = of("/other");
            assert!(other.parent_span_id.is_empty() && other.trace_id != caller.trace_id.to_bytes());
            assert_eq!(other.links[0].span_id, caller.span_id.to_bytes(), "a link to the sender");
        },
    );
}

#[test]
fn context_travels_by_the_rules_for_route_and_peer() {
    configured(
        "context_travels_by_the_rules_for_route_and_peer",
        |config| with_text(config, RULES),
        || {
            // A client inside the server's handler, whose service gives back what it was sent.
            let mut service = server().layer(service(|_| async {
                let sent = service(|request: Request<()>| async move {
                    let mut response = Response::new(Frames::of([]));
                    *response.headers_mut() = request.headers().clone();
                    Ok(response)
                });
                let answer = ask(&mut ClientLayer::new().layer(sent), Request::new(())).await?;
                let mut response = Response::new(Frames::of([]));
                *response.headers_mut() = answer.headers().clone();
                Ok(response)
            }));
            let request = |route| {
                Request::get("/")
                    .extension(RouteOf(route))
                    .header("traceparent", CALLER)
                    .header("baggage", "tenant=acme")
            };
            let open = block_on(ask(&mut service, request("/open").body(()).unwrap())).unwrap();
            let sent =
                |response: &Response<_>| response.headers()["traceparent"].to_str().unwrap().to_owned();
            assert_eq!(sent(&open)[..35], CALLER[..35], "the trace goes on");
            assert_eq!(open.headers()["baggage"], "tenant=acme");
            let other = block_on(ask(&mut service, request("/other").body(()).unwrap())).unwrap();
            assert_ne!(sent(&other)[..35], CALLER[..35], "a new trace begins");
            let strict = Request::get("/").extension(RouteOf("/strict"));
            let refused = block_on(ask(&mut service, strict.body(()).unwrap())).unwrap();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
            let call = Request::post("/a.B/C")
                .header("content-type", "application/grpc")
                .extension(RouteOf("/strict"));
            let refused = block_on(ask(&mut service, call.body(()).unwrap())).unwrap();
            assert_eq!(
                (refused.status(), &refused.headers()["grpc-status"]),
                (StatusCode::OK, &"9".parse().unwrap())
            );
        },
        |spans, _| {
            let (open, other) = (find(spans, "GET /open"), find(spans, "GET /other"));
            assert_eq!(text(&open.attributes, "tenant").as_deref(), Some("acme"));
            let [link] = &other.links[..] else { panic!("{other:?}") };
            assert_eq!(link.trace_id, open.trace_id, "the link to the sender");
            let clients: Vec<_> = spans.iter().filter(|span| span.kind == 3).collect();
            assert_eq!(clients.iter().filter(|span| span.parent_span_id == open.span_id).count(), 1);
            assert_eq!(clients.len(), 2);
            assert_eq!(int(&find(spans, "GET /strict").attributes, "http.response.status_code"), Some(400));
        },
    );
}
