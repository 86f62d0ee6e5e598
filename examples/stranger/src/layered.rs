//! The same shop and warehouse with throughline's layers: around the routers, the gRPC channel and reqwest's client, and
//! with its helper around queries. Handlers are those of `shop` and `warehouse`, unchanged.

use crate::shop::{self, Backends, PRICE};
use crate::warehouse::rpc::warehouse_client::WarehouseClient;
use crate::warehouse::{self, Reservation};
use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use sqlx::SqlitePool;
use std::net::SocketAddr;
use throughline_std::db;
use throughline_std::tower::{Client, ClientLayer, ReqwestMiddleware, Route, ServerLayer};
use tonic::transport::Channel;
use tower_layer::Layer;

/// The layer of both servers, which knows axum's routes and the address of the client.
pub fn server_layer() -> ServerLayer {
    ServerLayer::new()
        .route(|extensions| extensions.get::<MatchedPath>().map(MatchedPath::as_str))
        .client(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0))
}

/// A client of HTTP whose requests are recorded.
pub fn http_client() -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new()).with(ReqwestMiddleware::new()).build()
}

/// Clients whose calls are recorded, of the database and the warehouse.
#[derive(Clone, Debug)]
pub struct Layered {
    db: SqlitePool,
    http: ClientWithMiddleware,
    address: String,
    warehouse: WarehouseClient<Client<Channel>>,
}

impl Layered {
    /// Clients of a database, and of the warehouse at this address, `http://…`.
    ///
    /// # Errors
    ///
    /// If the warehouse cannot be reached.
    pub async fn connect(db: SqlitePool, address: String) -> Result<Layered, tonic::transport::Error> {
        let endpoint = tonic::transport::Endpoint::from_shared(address.clone())?;
        let layer = ClientLayer::new().server(endpoint.uri().clone());
        let warehouse = WarehouseClient::new(layer.layer(endpoint.connect().await?));
        Ok(Layered { db, http: http_client(), address, warehouse })
    }
}

impl Backends for Layered {
    async fn price(&self, item: &str) -> Result<Option<i64>, sqlx::Error> {
        let found = sqlx::query_scalar(PRICE).bind(item.to_owned()).fetch_optional(&self.db);
        db::query("sqlite", PRICE)
            .namespace("shop")
            .run_counting(found, |price| usize::from(price.is_some()))
            .await
    }

    async fn rate(&self, currency: &str) -> Result<f64, String> {
        let asked = self.http.get(format!("{}/rates/{currency}", self.address));
        let asked = asked.with_extension(Route::new("/rates/{currency}")).send().await;
        let answered = asked.map_err(|error| error.to_string())?;
        let answered = answered.error_for_status().map_err(|error| error.to_string())?;
        let text = answered.text().await.map_err(|error| error.to_string())?;
        text.parse().map_err(|_| format!("{text} is no rate"))
    }

    async fn reserve(&self, item: &str) -> Result<u32, tonic::Status> {
        let shelf = self.warehouse.clone().reserve(Reservation { item: item.to_owned() }).await?;
        Ok(shelf.into_inner().number)
    }
}

/// What the shop serves.
pub fn shop(backends: Layered) -> Router {
    shop::routes(backends).layer(server_layer())
}

/// What the warehouse serves.
pub fn warehouse() -> Router {
    warehouse::routes().layer(server_layer())
}
