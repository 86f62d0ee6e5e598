//! The warehouse, which is asked by gRPC. Server and client are in this process, so that neither a network nor generated code is needed; with tonic,
//! the layers go around its channel and its services in the same way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use throughline_std::tower::{Client, ClientLayer, Server, ServerLayer};
use tower_layer::Layer;
use tower_service::Service;

use crate::stock::read;

/// A client of the warehouse, with the warehouse behind it.
pub(crate) type Channel = Client<Server<Warehouse>>;

/// A channel to the warehouse.
pub(crate) fn channel() -> Channel {
    ClientLayer::new().layer(ServerLayer::new().layer(Warehouse))
}

/// Reserves what an order needs.
pub(crate) async fn reserve(mut warehouse: Channel, order: u64) {
    let request = Request::post("http://warehouse:50051/shop.Warehouse/Reserve")
        .header("content-type", "application/grpc+proto")
        .body(order);
    // The parts of this request are valid, and the warehouse answers every request.
    let Ok(request) = request else { return };
    let Ok(response) = warehouse.call(request).await;
    read(response.into_body()).await;
}

/// The warehouse. It is unavailable for one order in forty.
#[derive(Clone)]
pub(crate) struct Warehouse;

impl Service<Request<u64>> for Warehouse {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<u64>) -> Self::Future {
        Box::pin(async move {
            let order = *request.body();
            tokio::time::sleep(Duration::from_millis(1 + order % 2)).await;
            // UNAVAILABLE or OK; an answer without a message has its status in the headers.
            let status = if order % 40 == 39 { 14 } else { 0 };
            let mut response = Response::new(String::new());
            response.headers_mut().insert("grpc-status", http::HeaderValue::from(status));
            Ok(response)
        })
    }
}
