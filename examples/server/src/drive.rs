//! Load over loopback: clients in this process that call the service and pass their traces on.

use std::net::SocketAddr;
use std::thread;

use throughline::{Status, counter, span};
use throughline_std::propagation::inject;

/// Number of concurrent clients.
const CLIENTS: u32 = 4;

/// Sends this many requests. Returns how many were answered with success or with a sensor's fault, which is
/// also an answer.
pub(crate) fn drive(address: SocketAddr, requests: u32) -> anyhow::Result<u32> {
    let share = move |client: u32| (client..requests).step_by(CLIENTS as usize);
    let clients: Vec<_> =
        (0..CLIENTS).map(|client| thread::spawn(move || run(address, share(client)))).collect();
    let mut answered = 0;
    for client in clients {
        answered += client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    Ok(answered)
}

fn run(address: SocketAddr, numbers: impl Iterator<Item = u32>) -> anyhow::Result<u32> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answered = 0;
    for number in numbers {
        let mut span = span!(kind: Client, "client.request", number);
        let mut headers = Vec::<(String, String)>::new();
        inject(&mut headers);
        // Every tenth request runs the whole loop; the others take a sample.
        let response = if number % 10 == 0 {
            let request = agent.post(format!("http://{address}/run?rounds=2"));
            headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send_empty()?
        } else {
            let request = agent.get(format!("http://{address}/sample"));
            headers.iter().fold(request, |request, (name, value)| request.header(name, value)).call()?
        };
        let status = response.status();
        counter!("client.requests", unit = "{request}").add(1);
        if status.is_success() || status.as_u16() == 503 {
            answered += 1;
        } else {
            span.set_status(Status::Error);
        }
    }
    Ok(answered)
}
