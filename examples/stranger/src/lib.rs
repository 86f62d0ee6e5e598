//! A shop and its warehouse on axum, sqlx, reqwest and tonic. They use `tracing`, `log`, `metrics` and tower-http's
//! `TraceLayer`, and nothing in `shop` and `warehouse` knows of throughline; see `main.rs` for the one line that does.
//! `layered` is the other way: the same service with throughline's layers in place of tower-http's.

pub mod layered;
pub mod shop;
pub mod warehouse;

use axum::Router;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves on a free port of the loopback interface, in a task.
///
/// # Errors
///
/// If there is no port.
pub async fn serve(router: Router) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, service).await });
    Ok(address)
}
