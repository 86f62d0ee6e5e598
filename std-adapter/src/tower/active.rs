//! The numbers of requests that a server works on and that a client waits for: `http.server.active_requests` and
//! `http.client.active_requests`. Calls of gRPC are requests too.

use super::request::METHODS;
use crate::bridge::table::Table;
use crate::conventions::{hash, refuse, take_series};
use std::sync::OnceLock;
use throughline::adapter::bridge;
use throughline::adapter::callsite::Meta;
use throughline::metrics::{InFlight, UpDownCounter};
use throughline::up_down_counter;

const SCHEMES: [&str; 2] = ["http", "https"];

static OF_SERVER: [[OnceLock<Option<UpDownCounter>>; SCHEMES.len()]; METHODS.len()] =
    [const { [const { OnceLock::new() }; SCHEMES.len()] }; METHODS.len()];

/// Counts a request of a server with these labels as active until the guard is dropped.
pub(super) fn of_server(method: &str, scheme: &str) -> Option<InFlight<UpDownCounter>> {
    let at = METHODS.iter().position(|known| *known == method)?;
    let scheme_at = SCHEMES.iter().position(|known| *known == scheme)?;
    let counter = OF_SERVER[at][scheme_at].get_or_init(|| {
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

/// The labels of a client's requests. The template is known of requests that have a [`Route`](super::Route).
const CLIENT_LABELS: [&str; 5] =
    ["http.request.method", "server.address", "server.port", "url.scheme", "url.template"];

/// The requests of a client with the same labels.
struct OfClient {
    labels: [Box<str>; CLIENT_LABELS.len()],
    counter: UpDownCounter,
}

static OF_CLIENTS: Table<OfClient> = Table::new();

/// Counts a request of a client with these values of [`CLIENT_LABELS`], "" for none, as active until the guard is
/// dropped. Those that find no room are in the overflow series.
pub(super) fn of_client(labels: [&str; CLIENT_LABELS.len()]) -> InFlight<UpDownCounter> {
    let is_it = |known: &OfClient| known.labels.iter().map(|text| &**text).eq(labels);
    let found = OF_CLIENTS
        .get_or_make(hash(0, &labels), is_it, || take_series().then(|| OfClient::make(labels)).flatten());
    let counter = found.map_or_else(
        || {
            refuse();
            up_down_counter!(
                "http.client.active_requests",
                unit = "{request}",
                description = "Number of active HTTP requests",
                "otel.metric.overflow" = "true"
            )
        },
        |known| known.counter,
    );
    counter.in_flight()
}

impl OfClient {
    #[cold]
    fn make(labels: [&str; CLIENT_LABELS.len()]) -> Option<OfClient> {
        let pairs: Vec<(&str, &str)> =
            CLIENT_LABELS.into_iter().zip(labels).filter(|(_, value)| !value.is_empty()).collect();
        let counter = bridge::up_down_counter(&Meta {
            name: "http.client.active_requests",
            target: "throughline_std::tower",
            unit: "{request}",
            description: "Number of active HTTP requests",
            labels: &pairs,
            ..Meta::EMPTY
        })?;
        Some(OfClient { labels: labels.map(Box::from), counter })
    }
}
