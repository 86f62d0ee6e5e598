//! The layer of clients.

use super::call::{Call, Head};
use super::{ResponseBody, ResponseFuture};
use crate::propagation::{FullContext, Propagate, inject};
use http::{Request, Response, Uri};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// Records and counts the requests of a client, and writes the context into their headers; see the [module](super).
///
/// For hyper's clients, tonic's channels, and all other services that take `http::Request`. Below a layer that tries
/// again, each try has a span.
///
/// ```
/// use throughline_std::tower::ClientLayer;
/// use tower_layer::Layer;
/// # let channel = ();
/// # let uri = http::Uri::from_static("http://store:50051");
/// // With tonic: `let uri = endpoint.uri().clone()`.
/// let channel = ClientLayer::new().server(uri).layer(channel);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClientLayer {
    server: Option<Arc<Uri>>,
}

impl ClientLayer {
    /// A layer for requests that say which server they are for.
    pub fn new() -> ClientLayer {
        ClientLayer::default()
    }

    /// The server of requests that do not name it, as those do not that are given to a channel of tonic: it adds the server
    /// of its `Endpoint` further inside. Without it, such requests have no `server.address` and `server.port`.
    #[must_use]
    pub fn server(self, uri: Uri) -> ClientLayer {
        ClientLayer { server: Some(Arc::new(uri)) }
    }
}

impl<S> tower_layer::Layer<S> for ClientLayer {
    type Service = Client<S>;

    fn layer(&self, inner: S) -> Client<S> {
        Client { inner, server: self.server.clone() }
    }
}

/// A client whose requests are recorded and counted; see [`ClientLayer`].
#[derive(Clone, Debug)]
pub struct Client<S> {
    inner: S,
    server: Option<Arc<Uri>>,
}

impl<S, A, B> Service<Request<A>> for Client<S>
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

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let call = Call::send(Head::of(&request), self.server.as_deref());
        let context = FullContext::at(call.span().context());
        let _entered = context.enter();
        inject(request.headers_mut());
        ResponseFuture::of(self.inner.call(request).in_context(context.clone()), call, context.clone())
    }
}
