//! The client of the server that knows the stock.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use throughline_std::tower::{Client, ClientLayer};
use tower_layer::Layer;
use tower_service::Service;

/// A client whose calls are recorded and counted, and carry the trace on.
pub(crate) type Stock = Client<Http>;

/// The client of a server at this address.
pub(crate) fn client() -> Stock {
    ClientLayer::new().layer(Http(ureq::Agent::config_builder().http_status_as_error(false).build().into()))
}

/// Asks how many pieces of an item are left. Returns the status.
pub(crate) async fn ask(mut stock: Stock, server: SocketAddr, item: u64) -> Result<u16, ureq::Error> {
    let request = Request::get(format!("http://{server}/stock/{item}")).body(())?;
    let response = stock.call(request).await?;
    let status = response.status().as_u16();
    read(response.into_body()).await;
    Ok(status)
}

/// Reads a body to its end, with which its request ends.
pub(crate) async fn read<B: Body>(body: B) {
    let mut body = pin!(body);
    while poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some() {}
}

/// Ureq as a service of tower.
#[derive(Clone)]
pub(crate) struct Http(ureq::Agent);

impl Service<Request<()>> for Http {
    type Response = Response<String>;
    type Error = ureq::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, ureq::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ureq::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let agent = self.0.clone();
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || {
                let (head, mut body) = agent.run(request)?.into_parts();
                Ok(Response::from_parts(head, body.read_to_string()?))
            });
            asked.await.unwrap_or_else(|error| Err(ureq::Error::Other(error.into())))
        })
    }
}
