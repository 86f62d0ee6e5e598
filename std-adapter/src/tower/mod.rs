//! Layers for `tower`, and so for axum, hyper and tonic: a span and metrics for each request, and context in its
//! headers. With the feature `tower`.
//!
//! ```
//! use http::{Request, Response};
//! use std::convert::Infallible;
//! use throughline_std::tower::{ClientLayer, ServerLayer};
//! use tower_layer::Layer;
//! # #[derive(Clone)]
//! # struct Router;
//! # impl tower_service::Service<Request<String>> for Router {
//! #     type Response = Response<String>;
//! #     type Error = Infallible;
//! #     type Future = std::future::Ready<Result<Response<String>, Infallible>>;
//! #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> { Ok(()).into() }
//! #     fn call(&mut self, _: Request<String>) -> Self::Future { std::future::ready(Ok(Response::new(String::new()))) }
//! # }
//! # let (router, client) = (Router, Router);
//! # struct MatchedPath(String);
//! # impl MatchedPath { fn as_str(&self) -> &str { &self.0 } }
//! // With axum: `Router::new().route("/orders/{id}", get(order)).layer(server)`. The route is axum's `MatchedPath`.
//! let server = ServerLayer::new().route(|extensions| extensions.get::<MatchedPath>().map(MatchedPath::as_str));
//! let service = server.layer(router);
//! // With tonic: `WarehouseClient::new(ClientLayer::new().server(endpoint.uri().clone()).layer(channel))`.
//! let client = ClientLayer::new().layer(client);
//! # fn is_service<S: tower_service::Service<Request<String>>>(_: &S) {}
//! # is_service(&service);
//! # is_service(&client);
//! ```
//!
//! **What is recorded.** A span of kind server or client, from the request until the end of the response's body, with the
//! attributes of OpenTelemetry's conventions for HTTP, or for RPC if the request is a call of gRPC; and
//! `throughline.first_byte_ns`, the time until the body's first byte. A server's span is an error from status 500 on, a
//! client's from 400 on; gRPC statuses map as the conventions say. A request that is given up before its end has
//! `throughline.cancelled = true`, and one whose code panics is an error with the panic's message.
//!
//! **What is counted.** From the same measurement, with exemplars that lead to the span:
//! `http.server.request.duration`, `http.client.request.duration`, `rpc.server.call.duration`,
//! `rpc.client.call.duration`; and `http.server.active_requests`, `http.client.active_requests`.
//!
//! **Nothing that comes from outside can grow memory or a set of labels.** Routes are templates, never paths; methods
//! that HTTP does not define are `_OTHER`, and so are methods of gRPC that the server does not have. There may be 1024
//! sets of what is known when a request begins, and 1024 series; further ones are counted in the overflow series
//! (`otel.metric.overflow = true`), and by `throughline.bridge.refused`.
//!
//! **Secrets.** Values of query parameters that are secret by `Config::redact`, and signatures of
//! cloud providers, are `[REDACTED]` in `url.query` and `url.full`, and so are user and password.
//!
//! Cost: the group `middleware` of `cargo xtask bench`.

mod active;
mod body;
mod call;
mod client;
mod future;
mod grpc;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest;
mod server;

pub use body::ResponseBody;
pub use client::{Client, ClientLayer};
pub use future::ResponseFuture;
pub(crate) use request::configure;
#[cfg(feature = "reqwest")]
pub use reqwest::ReqwestMiddleware;
pub use server::{Server, ServerLayer};

use std::borrow::Cow;

/// The template of a request's path, such as `/orders/{id}`: in a response's extensions it tells [`Server`] the route
/// that only the handler knows; in a request's extensions it tells [`Client`] the template of the URL.
///
/// ```
/// use throughline_std::tower::Route;
/// let mut request = http::Request::get("http://shop/orders/7").body(())?;
/// request.extensions_mut().insert(Route::new("/orders/{id}"));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route(Cow<'static, str>);

impl Route {
    /// The route with this template.
    pub fn new(template: impl Into<Cow<'static, str>>) -> Route {
        Route(template.into())
    }

    /// Its template.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
