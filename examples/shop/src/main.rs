//! A shop that is never idle: a service with everything that the dashboards of `examples/deploy` show. It answers requests, calls
//! servers over HTTP and gRPC, asks a database, sends messages and processes them, checks its health, and can put itself under load. Database and
//! broker are inside the process, so it needs nothing else.
//!
//! ```text
//! cargo run -p shop-example -- --config examples/shop/throughline.toml --load 50
//! curl -i -X POST localhost:8080/orders/7
//! curl localhost:9464/metrics
//! curl localhost:8081/health
//! ```

mod load;
mod stock;
mod store;
mod warehouse;
mod web;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use lexopt::ValueExt;
use lexopt::prelude::{Long, Short};
use throughline_std::health::{Check, HealthOptions, Heartbeat};
use throughline_std::{Config, Guard};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::store::Store;

/// Knows who allocates, for profiles of memory.
#[cfg(all(feature = "profile", target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[global_allocator]
static ALLOCATOR: throughline_std::profiling::Allocator =
    throughline_std::profiling::Allocator::new(std::alloc::System);

const HELP: &str = "\
usage: shop-example [--config FILE] [--listen ADDRESS] [--load N]

A shop: POST /orders/{id} places an order, GET /stock/{item} says what is left.

  --config FILE     what to record and where to send it, such as throughline.toml
  --listen ADDRESS  where to listen (default: 127.0.0.1:8080; port 0 takes a free one)
  --load N          send itself N requests a second until it ends (default: 0)
";

/// How long open requests may take to end after the service is told to stop.
const REQUESTS: Duration = Duration::from_secs(5);
/// How long the last records may take to be sent after that.
const SHUTDOWN: Duration = Duration::from_secs(10);

struct Options {
    config: Option<PathBuf>,
    listen: SocketAddr,
    load: u32,
}

fn main() -> anyhow::Result<()> {
    let Some(options) = parse()? else {
        print!("{HELP}");
        return Ok(());
    };
    let (store, heartbeat) = (Store::new(), Heartbeat::new());
    let runtime = Runtime::new()?;
    let guard = throughline_std::init(&config(&options, &runtime, &store, &heartbeat)?)?;
    let result = runtime.block_on(run(&options, store, heartbeat));
    // What still runs ends first, so that its last records are sent.
    runtime.shutdown_timeout(REQUESTS);
    finish(guard)?;
    result
}

/// Serves until it is told to stop.
async fn run(options: &Options, store: Store, heartbeat: Heartbeat) -> anyhow::Result<()> {
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener
        .with_context(|| format!("can't listen on {}: choose another with --listen", options.listen))?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    store.observe_pool();
    let routes = web::routes(store, address);
    let stop = stop_signal().context("can't listen for signals")?;
    tokio::spawn(async move {
        loop {
            heartbeat.beat();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    load::start(address, options.load);
    let (stopping, mut stopped) = tokio::sync::watch::channel(());
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move {
        stop.await;
        drop(stopping);
    });
    tokio::select! {
        result = async { served.await } => result?,
        () = async {
            // It ends when the sender is dropped.
            let _ = stopped.changed().await;
            tokio::time::sleep(REQUESTS).await;
        } => eprintln!("some requests were still open after {} s", REQUESTS.as_secs()),
    }
    Ok(())
}

fn config(
    options: &Options,
    runtime: &Runtime,
    store: &Store,
    heartbeat: &Heartbeat,
) -> anyhow::Result<Config> {
    let (pool, ping, runtime) = (store.clone(), store.clone(), runtime.handle().clone());
    let health = HealthOptions::default()
        .interval(Duration::from_secs(5))
        .check(Check::event_loop("event-loop", heartbeat, Duration::from_secs(2)))
        .check(Check::pool(
            "database",
            move || pool.usage(),
            move || {
                let store = ping.clone();
                // On the runtime's threads, so that its timers and sockets work.
                let asked = runtime.spawn(async move { store.ping().await });
                async move { asked.await.map_err(|error| error.to_string()) }
            },
        ))
        .check(Check::disk("disk", std::env::temp_dir(), 0.01).optional());
    let config = Config::new("shop").health(health);
    Ok(match &options.config {
        Some(file) => config.with_file(file)?.with_env()?,
        None => config.with_env()?,
    })
}

/// Waits for SIGINT, which Ctrl-C sends, or SIGTERM, which service managers and Kubernetes send.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { _ = tokio::signal::ctrl_c().await })
}

/// Delivers everything and prints the ledger.
fn finish(guard: Guard) -> anyhow::Result<()> {
    let report = guard.shutdown(SHUTDOWN);
    eprint!("{}", report.ledger);
    if !report.complete {
        bail!("not everything was delivered within {} s", SHUTDOWN.as_secs());
    }
    Ok(())
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { config: None, listen: SocketAddr::from(([127, 0, 0, 1], 8080)), load: 0 };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("config") => options.config = Some(args.value()?.into()),
            Long("listen") => options.listen = args.value()?.parse()?,
            Long("load") => options.load = args.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}
