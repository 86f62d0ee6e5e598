//! The number of requests that a server is working on, `http.server.active_requests`.

use super::request::METHODS;
use std::sync::OnceLock;
use throughline::adapter::bridge;
use throughline::adapter::callsite::Meta;
use throughline::metrics::{InFlight, UpDownCounter};

const SCHEMES: [&str; 2] = ["http", "https"];

static COUNTERS: [[OnceLock<Option<UpDownCounter>>; SCHEMES.len()]; METHODS.len()] =
    [const { [const { OnceLock::new() }; SCHEMES.len()] }; METHODS.len()];

/// Counts a request with these labels as active until the guard is dropped.
pub(super) fn of(method: &str, scheme: &str) -> Option<InFlight<UpDownCounter>> {
    let at = METHODS.iter().position(|known| *known == method)?;
    let scheme_at = SCHEMES.iter().position(|known| *known == scheme)?;
    let counter = COUNTERS[at][scheme_at].get_or_init(|| {
        bridge::up_down_counter(&Meta {
            name: "http.server.active_requests",
            target: "throughline_std::tower",
            unit: "{request}",
            description: "Number of active HTTP server requests",
            labels: &[("http.request.method", METHODS[at]), ("url.scheme", SCHEMES[scheme_at])],
            ..Meta::EMPTY
        })
    });
    counter.map(UpDownCounter::in_flight)
}
