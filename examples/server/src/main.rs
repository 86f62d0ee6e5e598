//! The thermostat of `examples/shared-logic` as a web service, observed by `throughline-std`.
//!
//! ```text
//! cargo run -p server-example                                   # serves, draws traces on standard error
//! cargo run -p server-example -- --config examples/server/throughline.toml # every output, from one file
//! cargo run -p server-example -- --otlp http://localhost:4318   # serves, sends everything to a collector
//! cargo run -p server-example -- --drive 1000                   # puts itself under load, then ends
//! cargo run -p server-example -- --deterministic                # makes the same run as the firmware, then ends
//! curl -i -X POST 'localhost:8080/run?rounds=5'
//! ```

mod drive;
mod station;
mod web;

use std::io::stdout;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use lexopt::ValueExt;
use lexopt::prelude::{Long, Short};
use shared_logic::scenario::ROUNDS;
use throughline_std::terminal::Style;
use throughline_std::{Config, Guard};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::station::Station;

const HELP: &str = "\
usage: server-example [--config FILE] [--listen ADDRESS] [--otlp URL] [--name NAME] [--drive N | --deterministic]

A thermostat as a web service: POST /run?rounds=N, GET /sample. Takes and returns `traceparent`.

  --config FILE     what to record and where to send it, such as throughline.toml
  --listen ADDRESS  where to listen (default: 127.0.0.1:8080; port 0 takes a free one)
  --otlp URL        send to this collector, such as http://localhost:4318, instead of drawing traces
  --name NAME       service.name (default: thermostat)
  --drive N         call itself N times over loopback, then end
  --deterministic   make the same run as the firmware, draw it on standard output, then end
";

/// How long open requests may take to end after the service is told to stop.
const REQUESTS: Duration = Duration::from_secs(10);
/// How long the last records may take to be sent after that. Both together stay below the 30 s after which
/// Kubernetes kills a container.
const SHUTDOWN: Duration = Duration::from_secs(10);

struct Options {
    config: Option<PathBuf>,
    listen: SocketAddr,
    otlp: Option<String>,
    name: String,
    mode: Mode,
}

enum Mode {
    Serve,
    Drive(u32),
    Deterministic,
}

fn main() -> anyhow::Result<()> {
    let Some(options) = parse()? else {
        print!("{HELP}");
        return Ok(());
    };
    let guard = throughline_std::init(&config(&options)?)?;
    let result = tokio::runtime::Runtime::new()?.block_on(run(&options));
    finish(guard)?;
    result
}

async fn run(options: &Options) -> anyhow::Result<()> {
    let station = Station::new();
    if let Mode::Deterministic = options.mode {
        station.run(ROUNDS).await;
        return Ok(());
    }
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener
        .with_context(|| format!("can't listen on {}: choose another with --listen", options.listen))?;
    let address = listener.local_addr()?;
    let routes = web::routes(station);
    if let Mode::Drive(requests) = options.mode {
        println!("listening on http://{address}");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let answered = tokio::task::spawn_blocking(move || drive::drive(address, requests)).await??;
        println!("{answered} of {requests} requests answered");
        if answered < requests {
            bail!("{} requests failed", requests - answered);
        }
        return Ok(());
    }
    serve(listener, routes).await
}

/// Serves until a signal asks it to stop, then lets the open requests end.
async fn serve(listener: TcpListener, routes: Router) -> anyhow::Result<()> {
    let stop_signal = stop_signal().context("can't listen for signals")?;
    println!("listening on http://{}", listener.local_addr()?);
    let stopping = Arc::new(Notify::new());
    let told = Arc::clone(&stopping);
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move {
        stop_signal.await;
        told.notify_one();
    });
    let overdue = async {
        stopping.notified().await;
        tokio::time::sleep(REQUESTS).await;
    };
    tokio::select! {
        result = served => result?,
        () = overdue => eprintln!("some requests were still open after {} s", REQUESTS.as_secs()),
    }
    Ok(())
}

/// Waits for one of the signals that ask a process to end: SIGINT, which Ctrl-C sends, or SIGTERM, which
/// service managers and Kubernetes send. Without a handler SIGTERM kills the process at once, and the records
/// of the last second are lost. The handlers are installed when this returns.
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

fn config(options: &Options) -> anyhow::Result<Config> {
    let config = Config::new(&options.name);
    let config = match &options.config {
        Some(file) => config.with_file(file)?.with_env()?,
        None => config,
    };
    Ok(match (&options.otlp, &options.mode) {
        (Some(url), _) => config.otlp(url)?,
        (None, Mode::Deterministic) => {
            config.without_otlp().terminal_to(Arc::new(Mutex::new(stdout())), Style::of(&stdout()))
        }
        (None, _) => config,
    })
}

/// Delivers everything and prints the ledger.
fn finish(guard: Guard) -> anyhow::Result<()> {
    let report = guard.shutdown(SHUTDOWN);
    eprint!("{}", report.ledger);
    if let Some(error) = &report.last_error {
        bail!("{error}");
    }
    if !report.complete {
        bail!("not everything was delivered, or not within {} s", SHUTDOWN.as_secs());
    }
    Ok(())
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        config: None,
        listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
        otlp: None,
        name: "thermostat".into(),
        mode: Mode::Serve,
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("config") => options.config = Some(args.value()?.into()),
            Long("listen") => options.listen = args.value()?.parse()?,
            Long("otlp") => options.otlp = Some(args.value()?.string()?),
            Long("name") => options.name = args.value()?.string()?,
            Long("drive") => options.mode = Mode::Drive(args.value()?.parse()?),
            Long("deterministic") => options.mode = Mode::Deterministic,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}
