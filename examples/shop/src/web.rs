//! The routes, and the worker that packs orders.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use throughline::{error, info, warn};
use throughline_std::messaging::{self, headers, headers_mut};
use throughline_std::tower::ServerLayer;
use tokio::sync::mpsc;

use crate::stock::{self, Stock};
use crate::store::Store;
use crate::warehouse::{self, Channel};

/// The topic to which orders go.
const TOPIC: &str = "orders";

#[derive(Clone)]
struct Shop {
    store: Store,
    stock: Stock,
    server: SocketAddr,
    orders: mpsc::Sender<Message>,
}

struct Message {
    order: u64,
    headers: Vec<(String, Vec<u8>)>,
}

/// Why an order is not packed.
#[derive(Debug)]
struct Broken;

/// The service, which asks itself, at this address, for the stock.
pub(crate) fn routes(store: Store, server: SocketAddr) -> Router {
    let (orders, waiting) = mpsc::channel(64);
    tokio::spawn(pack(waiting, warehouse::channel()));
    let measured =
        ServerLayer::new().route(|extensions| extensions.get::<MatchedPath>().map(MatchedPath::as_str));
    Router::new()
        .route("/orders/{id}", post(order))
        .route("/stock/{item}", get(left))
        .layer(measured)
        .with_state(Shop { store, stock: stock::client(), server, orders })
}

/// Takes an order: asks for the stock, writes the order, and hands it to the worker.
async fn order(State(shop): State<Shop>, Path(order): Path<u64>) -> (StatusCode, String) {
    match stock::ask(shop.stock.clone(), shop.server, order % 17).await {
        Ok(200) => {}
        Ok(status) => {
            warn!("order {order}: the item is not there: {status}");
            return (StatusCode::CONFLICT, "nothing is left of it\n".into());
        }
        Err(failure) => {
            error!("order {order}: the stock cannot be asked: {failure}");
            return (StatusCode::BAD_GATEWAY, "try it again\n".into());
        }
    }
    if shop.store.add(order).await.is_err() {
        error!("order {order} was not written: deadlock");
        return (StatusCode::SERVICE_UNAVAILABLE, "try it again\n".into());
    }
    let mut carried = Vec::new();
    let sending = messaging::send("kafka", TOPIC).begin();
    sending.inject(&mut headers_mut(&mut carried));
    let sent = sending.run(shop.orders.send(Message { order, headers: carried })).await;
    if sent.is_err() {
        error!("order {order} finds no worker");
        return (StatusCode::SERVICE_UNAVAILABLE, "the shop closes\n".into());
    }
    (StatusCode::ACCEPTED, format!("order {order} is being packed\n"))
}

/// Says what is left of an item; 404 if nothing is.
async fn left(State(shop): State<Shop>, Path(item): Path<u64>) -> (StatusCode, String) {
    match shop.store.left(item).await {
        0 => (StatusCode::NOT_FOUND, "nothing is left\n".into()),
        pieces => (StatusCode::OK, format!("{pieces}\n")),
    }
}

/// The worker: reserves what orders need, and packs them one after the other. One in thirty breaks.
async fn pack(mut waiting: mpsc::Receiver<Message>, warehouse: Channel) {
    while let Some(Message { order, headers: carried }) = waiting.recv().await {
        let processing = messaging::process("kafka", TOPIC).group("packers").from(&headers(&carried)).begin();
        let packed = processing.run(async {
            warehouse::reserve(warehouse.clone(), order).await;
            tokio::time::sleep(Duration::from_millis(1 + order % 4)).await;
            if order % 30 == 29 {
                return Err(Broken);
            }
            info!("order {order} is packed");
            Ok(())
        });
        if packed.await.is_err() {
            warn!("order {order} broke while it was packed");
        }
    }
}
