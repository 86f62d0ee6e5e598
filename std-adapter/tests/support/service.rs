//! A service that sends to a receiver of the test's.

use super::receiver::Receiver;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::time::Duration;
use throughline_std::{Config, Guard, otlp::ClientConfig};

/// Longer than anything that works may take.
pub const LONG: Duration = Duration::from_secs(30);

/// Sends to `receiver`.
pub fn config(receiver: &Receiver) -> Config {
    let client =
        ClientConfig::new(&receiver.endpoint).unwrap().timeout(LONG).first_backoff(Duration::from_millis(1));
    Config::new("svc").otlp_client(client).report_errors(false)
}

pub fn start(config: &Config) -> Guard {
    throughline_std::init(config).unwrap()
}

/// The one span of this name.
pub fn find<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let mut found = spans.iter().filter(|s| s.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no span {name}"));
    assert!(found.next().is_none(), "two spans {name}");
    span
}
