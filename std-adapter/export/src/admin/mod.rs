//! A small HTTP server for an operator's pages: metrics, health, profiles. One listener has any number of routes.
//!
//! ```
//! use throughline_export::admin::{AdminOptions, AdminServer, Response, Route};
//! let server = AdminServer::bind(&AdminOptions::default().port(0))?;
//! server.route(Route::new("/hello", |_| Response::text(200, "hello\n")));
//! server.start(&|name, run| std::thread::Builder::new().name(name.into()).spawn(run).map(drop))?;
//! println!("http://{}/hello", server.address());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//!
//! It listens on the loopback address unless told otherwise, answers GET and HEAD alone, and closes each connection after one
//! answer. A request has at most 8 KiB and 64 headers. The number of connections is bounded, and each has a deadline for
//! its request and one for taking the answer. One thread serves all connections, so a client that is slow or silent delays
//! nobody else.
//!
//! Each route has a thread of its own, and a deadline. If its handler has not answered by then, the client gets status 503,
//! and other routes go on. A route answers one request after the other; while a handler is stuck, requests for its route
//! are refused at once.
//!
//! With [`AdminOptions::token`] every request needs the header `Authorization: Bearer …`; with [`AdminOptions::tls`] the
//! pages are https.

mod connections;
mod error;
#[cfg(feature = "grpc")]
mod grpc_health;
mod http;
mod options;
mod route;
mod server;
mod stream;

pub use error::AdminError;
#[cfg(feature = "prometheus")]
pub(crate) use error::bind_hint;
#[cfg(feature = "grpc")]
pub use grpc_health::GrpcHealth;
pub use http::{Request, Response};
pub use options::AdminOptions;
pub use route::Route;
pub use server::AdminServer;
