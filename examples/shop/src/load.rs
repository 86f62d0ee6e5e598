//! Load over loopback: clients in this process that place orders.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// Concurrent clients.
const CLIENTS: u32 = 4;

/// Sends this many requests a second until the process ends.
pub(crate) fn start(address: SocketAddr, per_second: u32) {
    if per_second == 0 {
        return;
    }
    let pause = Duration::from_secs(1) * CLIENTS / per_second;
    for client in 0..CLIENTS {
        thread::spawn(move || run(address, client, pause));
    }
}

fn run(address: SocketAddr, client: u32, pause: Duration) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut next = Instant::now();
    for number in (u64::from(client)..).step_by(CLIENTS as usize) {
        // What the answer is, and whether there is one, the metrics of the service say.
        let _ = agent.post(format!("http://{address}/orders/{number}")).send_empty();
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
