//! The house: knows the setpoint of each room, over HTTP, and books what was measured there, over gRPC, on one port.
//!
//! ```text
//! cargo run -p gateway-example --bin house -- --listen 127.0.0.1:8090
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::{self, StatusCode};
use axum::routing::{get, post};
use gateway_example::{BOOK, Booked, Reading, finish};
use lexopt::prelude::{Long, Short, ValueExt};
use throughline::info;
use throughline_std::Config;
use throughline_std::tower::ServerLayer;
use tokio::net::TcpListener;
use tonic_prost::ProstCodec;

const HELP: &str = "\
usage: house [--listen ADDRESS]

GET /rooms/{room}/setpoint, and house.Ledger/Book over gRPC, until Ctrl-C.

  --listen ADDRESS  where to listen (default: 127.0.0.1:8090; port 0 takes a free one)
";

/// The rooms of the house.
const ROOMS: u32 = 8;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut address = SocketAddr::from(([127, 0, 0, 1], 8090));
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("listen") => address = args.value()?.parse()?,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let guard = throughline_std::init(&Config::new("house"))?;
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("can't listen on {address}: choose another with --listen"))?;
    println!("listening on http://{}", listener.local_addr()?);
    let stop = async { _ = tokio::signal::ctrl_c().await };
    axum::serve(listener, routes()).with_graceful_shutdown(stop).await?;
    finish(guard)
}

fn routes() -> Router {
    let measured =
        ServerLayer::new().route(|extensions| extensions.get::<MatchedPath>().map(MatchedPath::as_str));
    Router::new()
        .route("/rooms/{room}/setpoint", get(setpoint))
        .route(BOOK, post(book))
        .layer(measured)
        .with_state(Ledger::default())
}

/// The setpoint of a room in hundredths of a degree Celsius.
async fn setpoint(Path(room): Path<u32>) -> Result<String, StatusCode> {
    if room >= ROOMS {
        return Err(StatusCode::NOT_FOUND);
    }
    Ok(format!("{}\n", 2150 - 50 * room))
}

/// What a service that `tonic-build` generates does with the requests of its one method.
async fn book(State(ledger): State<Ledger>, request: Request) -> http::Response<tonic::body::Body> {
    tonic::server::Grpc::new(ProstCodec::<Booked, Reading>::default()).unary(ledger, request).await
}

/// The number of readings of each room.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<HashMap<u32, u32>>>);

impl tonic::server::UnaryService<Reading> for Ledger {
    type Response = Booked;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Booked>, tonic::Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Reading>) -> Self::Future {
        let ledger = self.clone();
        Box::pin(async move {
            let Reading { room, temperature } = request.into_inner();
            if room >= ROOMS {
                return Err(tonic::Status::not_found("the house has no such room"));
            }
            let mut rooms = ledger.0.lock().unwrap_or_else(PoisonError::into_inner);
            let readings = rooms.entry(room).or_default();
            *readings += 1;
            info!("booked", room, temperature);
            Ok(tonic::Response::new(Booked { readings: *readings }))
        })
    }
}
