//! The shop: looks up a price in its database, asks the warehouse for the rate and for the item, has the parcel packed,
//! and answers.

use crate::warehouse::Reservation;
use crate::warehouse::rpc::warehouse_client::WarehouseClient;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use sqlx::SqlitePool;
use std::time::Instant;
use tower_http::trace::TraceLayer;
use tracing::{Instrument, Span, field, info, info_span, instrument, warn};

/// The query for a price.
pub const PRICE: &str = "SELECT price FROM items WHERE name = ?";

/// How the shop asks its database, and the warehouse over HTTP and over gRPC.
pub trait Backends: Clone + Send + Sync + 'static {
    /// The price of an item, if the shop sells it.
    fn price(&self, item: &str) -> impl Future<Output = Result<Option<i64>, sqlx::Error>> + Send;
    /// The rate of a currency.
    fn rate(&self, currency: &str) -> impl Future<Output = Result<f64, String>> + Send;
    /// Reserves an item; the number of its shelf.
    fn reserve(&self, item: &str) -> impl Future<Output = Result<u32, tonic::Status>> + Send;
}

/// A plain client of each.
#[derive(Clone, Debug)]
pub struct Plain {
    db: SqlitePool,
    http: reqwest::Client,
    address: String,
    warehouse: WarehouseClient<tonic::transport::Channel>,
}

impl Plain {
    /// Clients of a database, and of the warehouse at this address, `http://…`.
    ///
    /// # Errors
    ///
    /// If the warehouse cannot be reached.
    pub async fn connect(db: SqlitePool, address: String) -> Result<Plain, tonic::transport::Error> {
        let channel = tonic::transport::Endpoint::from_shared(address.clone())?.connect().await?;
        let warehouse = WarehouseClient::new(channel);
        Ok(Plain { db, http: reqwest::Client::new(), address, warehouse })
    }
}

impl Backends for Plain {
    async fn price(&self, item: &str) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(PRICE).bind(item.to_owned()).fetch_optional(&self.db).await
    }

    async fn rate(&self, currency: &str) -> Result<f64, String> {
        let asked = self.http.get(format!("{}/rates/{currency}", self.address)).send().await;
        let answered =
            asked.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
        let text = answered.text().await.map_err(|error| error.to_string())?;
        text.parse().map_err(|_| format!("{text} is no rate"))
    }

    async fn reserve(&self, item: &str) -> Result<u32, tonic::Status> {
        let shelf = self.warehouse.clone().reserve(Reservation { item: item.to_owned() }).await?;
        Ok(shelf.into_inner().number)
    }
}

/// A database with the prices of two items.
///
/// # Errors
///
/// Those of SQLite.
pub async fn database() -> Result<SqlitePool, sqlx::Error> {
    // One connection, because each has a database of its own.
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    sqlx::query("CREATE TABLE items (name TEXT, price INTEGER)").execute(&pool).await?;
    sqlx::query("INSERT INTO items VALUES ('lamp', 12), ('unicorn', 999)").execute(&pool).await?;
    Ok(pool)
}

/// The price of an item that must have one.
#[instrument(skip(backends), err)]
async fn price<B: Backends>(backends: &B, item: &str) -> Result<i64, String> {
    let found = backends.price(item).await.map_err(|error| error.to_string())?;
    found.ok_or_else(|| format!("nobody sells {item}"))
}

/// Packs what was sold, in a task and a trace of its own.
async fn pack(item: String, shelf: u32) {
    tokio::task::yield_now().await;
    info!(item, shelf, fragile = item == "lamp", weight = 1.5, "packed");
}

/// Sells an item.
#[instrument(skip_all, fields(item, shelf = field::Empty, paid = field::Empty, express = false, attempts = -1))]
async fn sell<B: Backends>(backends: &B, item: &str) -> Result<String, StatusCode> {
    let span = Span::current();
    span.record("item", item).record("attempts", 1);
    let price = price(backends, item).await.map_err(|_| StatusCode::NOT_FOUND)?;
    let asking = info_span!("ask for the rate", otel.kind = "client", currency = "EUR");
    let rate = backends.rate("EUR").instrument(asking).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let reserving = info_span!(
        "reserve",
        otel.kind = "Client",
        otel.name = format!("reserve {item}"),
        otel.status_code = field::Empty,
        otel.status_description = field::Empty
    );
    let reserved = backends.reserve(item).instrument(reserving.clone()).await;
    let shelf = match reserved {
        Ok(shelf) => shelf,
        Err(status) => {
            reserving.record("otel.status_description", status.message());
            warn!(%status, "the warehouse has none");
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
    };
    reserving.record("otel.status_code", "OK");
    let paid = price as f64 * rate;
    span.record("shelf", shelf).record("paid", paid);
    let packing = info_span!(parent: None, "pack", otel.kind = "consumer");
    packing.follows_from(&span);
    let packed = tokio::spawn(pack(item.to_owned(), shelf).instrument(packing));
    packed.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    info!(price, rate, "sold");
    Ok(format!("{item}: {paid} EUR, from shelf {shelf}"))
}

/// Sells an item, and counts it.
#[instrument(skip_all)]
async fn order<B: Backends>(
    State(backends): State<B>,
    Path(item): Path<String>,
) -> Result<String, StatusCode> {
    let begun = Instant::now();
    gauge!("shop.orders.open").increment(1);
    let sold = sell(&backends, &item).await;
    gauge!("shop.orders.open").decrement(1);
    let outcome = if sold.is_ok() { "sold" } else { "not sold" };
    counter!("shop.orders", "outcome" => outcome).increment(1);
    histogram!("shop.order.duration", "outcome" => outcome).record(begun.elapsed());
    sold
}

/// What the shop serves.
pub fn routes<B: Backends>(backends: B) -> Router {
    describe_counter!("shop.orders", Unit::Count, "Orders by how they ended");
    describe_gauge!("shop.orders.open", Unit::Count, "Orders that are worked on");
    describe_histogram!("shop.order.duration", Unit::Seconds, "How long orders take");
    Router::new().route("/orders/{item}", post(order::<B>)).with_state(backends)
}

/// What the shop serves, with the spans of tower-http.
pub fn router<B: Backends>(backends: B) -> Router {
    routes(backends).layer(TraceLayer::new_for_http())
}
