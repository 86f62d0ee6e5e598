//! Records a hundred spans, half of them before a flush, and ends without any unwinding: how far do they get?
//!
//! ```sh
//! cargo run -p throughline-std --example aborting --config 'profile.dev.panic="abort"' -- panic http://localhost:4318
//! ```
//!
//! A panic delivers all of them, because its hook still runs. `abort` delivers those before the flush, because nothing of
//! the program runs after it. A folder after the endpoint is where a spool keeps what cannot be delivered. The tests
//! `tests/aborting.rs` run this.

use std::time::Duration;
use throughline::span;
use throughline_std::otlp::ClientConfig;
use throughline_std::{Config, SpoolConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [way, endpoint, spool @ ..] = &args[..] else {
        return Err("usage: aborting panic|thread|abort|exit ENDPOINT [SPOOL]".into());
    };
    let mut client = ClientConfig::new(endpoint)?;
    if let Some(folder) = spool.first() {
        client = client.spool(SpoolConfig::new(folder));
        client = client.retry_for(Duration::ZERO).timeout(Duration::from_secs(1));
    }
    // Only a flush and the end of the program send anything.
    let config = Config::new("aborting").otlp_client(client).batch(1 << 20, Duration::from_secs(3600));
    let guard = throughline_std::init(&config.terminal(false).drop_deadline(Duration::from_secs(5)))?;
    let record = |numbers: std::ops::Range<u64>| numbers.for_each(|n| drop(span!("work", n)));
    record(0..50);
    if !guard.flush(Duration::from_secs(30)) {
        return Err("the first half was neither delivered nor spooled".into());
    }
    record(50..100);
    // It has no end, so it is no record yet.
    let _open = span!("open");
    match &way[..] {
        "panic" => panic!("the end"),
        "thread" => drop(std::thread::spawn(|| panic!("the end of a thread, and of the program")).join()),
        "abort" => std::process::abort(),
        _ => std::process::exit(3),
    }
    Err("a panic was caught: build this with panic = \"abort\"".into())
}
