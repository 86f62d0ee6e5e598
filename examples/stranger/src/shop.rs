//! The shop: looks up a price in its database, asks the warehouse for the rate and for the item, and answers.

use crate::warehouse::Reservation;
use crate::warehouse::rpc::warehouse_client::WarehouseClient;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use sqlx::SqlitePool;
use tower_http::trace::TraceLayer;
use tracing::{Instrument, info, info_span, instrument, warn};

/// How the shop asks the warehouse, over HTTP and over gRPC.
pub trait Partners: Clone + Send + Sync + 'static {
    /// The body of what is at this path.
    fn get(&self, path: &str) -> impl Future<Output = Result<String, String>> + Send;
    /// Reserves an item; the number of its shelf.
    fn reserve(&self, item: &str) -> impl Future<Output = Result<u32, tonic::Status>> + Send;
}

/// A plain client of each.
#[derive(Clone, Debug)]
pub struct Plain {
    http: reqwest::Client,
    address: String,
    warehouse: WarehouseClient<tonic::transport::Channel>,
}

impl Plain {
    /// Clients of the warehouse at this address, `http://…`.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub async fn connect(address: String) -> Result<Plain, tonic::transport::Error> {
        let channel = tonic::transport::Endpoint::from_shared(address.clone())?.connect().await?;
        let warehouse = WarehouseClient::new(channel);
        Ok(Plain { http: reqwest::Client::new(), address, warehouse })
    }
}

impl Partners for Plain {
    async fn get(&self, path: &str) -> Result<String, String> {
        let response = self.http.get(format!("{}{path}", self.address)).send().await;
        let response =
            response.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
        response.text().await.map_err(|error| error.to_string())
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

/// The price of an item, if the shop sells it.
#[instrument(skip(db), err)]
async fn price(db: &SqlitePool, item: &str) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT price FROM items WHERE name = ?")
        .bind(item.to_owned())
        .fetch_optional(db)
        .await
}

/// Sells an item.
#[instrument(skip_all, fields(item, shelf = tracing::field::Empty))]
async fn order<P: Partners>(
    State((db, partners)): State<(SqlitePool, P)>,
    Path(item): Path<String>,
) -> Result<String, StatusCode> {
    tracing::Span::current().record("item", &item);
    let price = price(&db, &item).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let Some(price) = price else {
        warn!("nobody sells this");
        return Err(StatusCode::NOT_FOUND);
    };
    let rate = partners.get("/rates/EUR").instrument(info_span!("ask for the rate")).await;
    let rate: f64 = rate.ok().and_then(|text| text.parse().ok()).ok_or(StatusCode::BAD_GATEWAY)?;
    let reserved = partners.reserve(&item).instrument(info_span!("reserve at the warehouse")).await;
    let shelf = reserved.map_err(|status| {
        tracing::error!(%status, "the warehouse has none");
        StatusCode::SERVICE_UNAVAILABLE
    })?;
    tracing::Span::current().record("shelf", shelf);
    metrics::counter!("shop.orders").increment(1);
    info!(price, rate, "sold");
    Ok(format!("{item}: {} EUR, from shelf {shelf}", price as f64 * rate))
}

/// What the shop serves.
pub fn router<P: Partners>(db: SqlitePool, partners: P) -> Router {
    Router::new()
        .route("/orders/{item}", post(order::<P>))
        .with_state((db, partners))
        .layer(TraceLayer::new_for_http())
}
