//! The service is stopped by each of the two signals: everything that it recorded arrives at the receiver.

#![cfg(unix)]

#[allow(dead_code, unreachable_pub, reason = "this test uses a part of it")]
#[path = "../../../std-adapter/export/tests/support/receiver.rs"]
mod receiver;

use receiver::Receiver;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

const REQUESTS: usize = 23;

/// The service process, which is killed if the test fails.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn delivers_everything_when_sent(signal: &str) {
    let receiver = Receiver::start([]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_server-example"));
    command.args(["--listen", "127.0.0.1:0", "--otlp", &receiver.endpoint]);
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("OTEL_")) {
        command.env_remove(key);
    }
    command.env("NO_PROXY", "127.0.0.1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut service = Service(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(service.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();

    // Keep the connection open, like a client's idle connection.
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for _ in 0..REQUESTS {
        agent.get(format!("{address}/sample")).call().unwrap();
    }
    let told = Command::new("kill").args([signal, &service.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    let status = service.0.wait().unwrap();
    let mut errors = String::new();
    service.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(status.success(), "{status}: {errors}");
    receiver.with(|received| {
        let spans = received.spans.iter().filter(|span| span.name == "http.request").count();
        assert_eq!(spans, REQUESTS, "{errors}");
        // Each library has its own name as the scope, the service as well as what it calls.
        assert_eq!(received.scope("http.request"), ("server-example", env!("CARGO_PKG_VERSION")));
        assert_eq!(received.scope("http.requests"), ("server-example", env!("CARGO_PKG_VERSION")));
        assert_eq!(received.scope("sensor.measure").0, "shared-logic");
        assert_eq!(received.scope("throughline.records").0, "throughline");
    });
    assert!(errors.contains("otlp.traces: "), "the ledger is told: {errors}");
}

#[test]
fn sigterm_delivers_everything_44() {
    delivers_everything_when_sent("-TERM");
}

#[test]
fn sigint_delivers_everything_44() {
    delivers_everything_when_sent("-INT");
}
