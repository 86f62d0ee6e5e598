//! The layer of servers.

use super::call::{Call, Head};
use super::{ResponseBody, ResponseFuture};
use crate::propagation::{FullContext, Origin, Propagate, receive};
use http::{Extensions, Request, Response};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tower_service::Service;

/// Records and counts the requests of a server; see the [module](super).
///
/// The caller's context is taken from the headers by the rules of `propagation`, for the route and the client's address.
/// Where they require a context and there is none, the answer is 400, or `FAILED_PRECONDITION`.
///
/// ```
/// # struct MatchedPath(String);
/// # impl MatchedPath { fn as_str(&self) -> &str { &self.0 } }
/// # struct ConnectInfo(std::net::SocketAddr);
/// use throughline_std::tower::ServerLayer;
/// let layer = ServerLayer::new()
///     .route(|extensions| extensions.get::<MatchedPath>().map(MatchedPath::as_str))
///     .client(|extensions| extensions.get::<ConnectInfo>().map(|info| info.0));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ServerLayer {
    route: fn(&Extensions) -> Option<&str>,
    client: fn(&Extensions) -> Option<SocketAddr>,
}

impl ServerLayer {
    /// A layer that knows neither routes nor addresses.
    pub fn new() -> ServerLayer {
        ServerLayer { route: |_| None, client: |_| None }
    }

    /// Takes the route's template from the request's extensions, such as axum's `MatchedPath`. Never give the path
    /// itself. A handler can tell the route too, by a [`Route`](super::Route) in the response's extensions.
    #[must_use]
    pub fn route(self, route: fn(&Extensions) -> Option<&str>) -> ServerLayer {
        ServerLayer { route, ..self }
    }

    /// Takes the client's address from the request's extensions, such as axum's `ConnectInfo` or tonic's
    /// `TcpConnectInfo`.
    #[must_use]
    pub fn client(self, client: fn(&Extensions) -> Option<SocketAddr>) -> ServerLayer {
        ServerLayer { client, ..self }
    }
}

impl Default for ServerLayer {
    fn default() -> ServerLayer {
        ServerLayer::new()
    }
}

impl<S> tower_layer::Layer<S> for ServerLayer {
    type Service = Server<S>;

    fn layer(&self, inner: S) -> Server<S> {
        Server { inner, layer: *self }
    }
}

/// A service whose requests are recorded and counted; see [`ServerLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Server<S> {
    inner: S,
    layer: ServerLayer,
}

impl<S, A, B> Service<Request<A>> for Server<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: http_body::Body,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let route = (self.layer.route)(request.extensions());
        let client = (self.layer.client)(request.extensions()).map(|address| address.ip().to_string());
        let client = client.as_deref();
        let origin = Origin::route(route.unwrap_or_default()).peer(client.unwrap_or_default());
        let received = receive(request.headers(), origin);
        let _sender = received.as_ref().ok().map(|received| received.enter());
        let call = Call::serve(Head::of(&request), route, client);
        let Ok(received) = received else { return ResponseFuture::refused(call) };
        received.describe_detached(call.span());
        let context = FullContext::at(call.span().context());
        let _entered = context.enter();
        ResponseFuture::of(self.inner.call(request).in_context(context.clone()), call, context.clone())
    }
}
