//! The middleware for `reqwest-middleware`.

use super::call::{Call, Head};
use super::{ResponseBody, ResponseFuture};
use crate::propagation::{FullContext, Propagate, inject};
use http::{Extensions, Uri};
use reqwest::{Body, Request, Response, ResponseBuilderExt, Url};
use reqwest_middleware::{Middleware, Next, Result};

/// Records and counts what `reqwest` asks for, and writes the context into its headers, as
/// [`ClientLayer`](super::ClientLayer) does. A request that is redirected is one request.
///
/// ```
/// use throughline_std::tower::{ReqwestMiddleware, Route};
/// # async fn example() -> Result<(), reqwest_middleware::Error> {
/// let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new()).with(ReqwestMiddleware::new()).build();
/// let order = client.get("http://shop/orders/7").with_extension(Route::new("/orders/{id}")).send().await?;
/// # let _ = order;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ReqwestMiddleware(());

impl ReqwestMiddleware {
    /// The middleware.
    pub fn new() -> ReqwestMiddleware {
        ReqwestMiddleware(())
    }
}

/// The URL from which the response came, on its way through types of the crate `http`.
#[derive(Clone)]
struct CameFrom(Url);

#[async_trait::async_trait]
impl Middleware for ReqwestMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        // A URL that is no URI fails when it is sent.
        let uri: Uri = request.url().as_str().parse().unwrap_or_default();
        let head = Head {
            method: request.method(),
            uri: &uri,
            version: request.version(),
            headers: request.headers(),
            extensions,
        };
        let call = Call::send(head, None);
        let context = FullContext::at(call.span().context());
        {
            let _entered = context.enter();
            inject(request.headers_mut());
        }
        let sent = async {
            let response = next.run(request, extensions).await?;
            let url = CameFrom(response.url().clone());
            let mut response = http::Response::<Body>::from(response);
            response.extensions_mut().insert(url);
            Ok(response)
        };
        ResponseFuture::of(sent.in_context(context.clone()), call, context).await.map(of_http)
    }
}

fn of_http(response: http::Response<ResponseBody<Body>>) -> Response {
    let (mut parts, body) = response.into_parts();
    let mut response = http::Response::new(Body::wrap(body));
    if let Some(CameFrom(url)) = parts.extensions.remove()
        && let Ok(with_url) = http::Response::builder().url(url).body(())
    {
        *response.extensions_mut() = with_url.into_parts().0.extensions;
    }
    response.extensions_mut().extend(parts.extensions);
    (*response.status_mut(), *response.version_mut()) = (parts.status, parts.version);
    *response.headers_mut() = parts.headers;
    response.into()
}
