//! The warehouse: a service of gRPC, and currency rates over HTTP.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use tonic::{Request, Response, Status};
use tower_http::trace::TraceLayer;
use tracing::{info, instrument};

/// Client and server of `shop.Warehouse`.
#[allow(missing_docs)]
pub mod rpc {
    tonic::include_proto!("shop.Warehouse");
}

/// Asks for an item.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Reservation {
    /// Its name.
    #[prost(string, tag = "1")]
    pub item: String,
}

/// Where the item lies.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Shelf {
    /// The number of the shelf.
    #[prost(uint32, tag = "1")]
    pub number: u32,
}

/// The warehouse.
#[derive(Clone, Copy, Debug)]
pub struct Warehouse;

#[tonic::async_trait]
impl rpc::warehouse_server::Warehouse for Warehouse {
    #[instrument(skip_all, fields(item = request.get_ref().item))]
    async fn reserve(&self, request: Request<Reservation>) -> Result<Response<Shelf>, Status> {
        let item = &request.get_ref().item;
        metrics::counter!("warehouse.reservations").increment(1);
        if item == "unicorn" {
            return Err(Status::not_found("there are none"));
        }
        info!(shelf = item.len(), "reserved");
        Ok(Response::new(Shelf { number: item.len() as u32 }))
    }
}

/// The rate of a currency.
#[instrument]
async fn rate(Path(currency): Path<String>) -> Result<String, StatusCode> {
    let known = currency == "EUR";
    log::info!(target: "warehouse::rates", currency = &*currency, known; "somebody asks for {currency}");
    if known { Ok("0.5".to_owned()) } else { Err(StatusCode::NOT_FOUND) }
}

/// What the warehouse serves, over HTTP and gRPC on one port.
pub fn routes() -> Router {
    let grpc = tonic::service::Routes::new(rpc::warehouse_server::WarehouseServer::new(Warehouse));
    grpc.into_axum_router().route("/rates/{currency}", get(rate))
}

/// What the warehouse serves, with the spans of tower-http.
pub fn router() -> Router {
    routes().layer(TraceLayer::new_for_http())
}
