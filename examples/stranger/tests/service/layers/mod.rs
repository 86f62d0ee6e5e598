//! The service with throughline's layers: what is recorded and counted, by OpenTelemetry's conventions for HTTP, RPC and
//! databases.

mod endings;
mod hosts;
mod orders;

use crate::block_on;
use crate::support::in_own_process;
use crate::support::receiver::{Received, Receiver, attribute};
use crate::support::service::{LONG, config, start};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use throughline::Level;

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// Runs `work` in a process of its own that records it, and gives what the collector got.
fn recorded(test: &str, work: impl Future<Output = ()>, look: impl FnOnce(&Received)) {
    in_own_process(test, || {
        let receiver = Receiver::start([]);
        // Libraries such as h2 have spans of finer levels.
        let guard = start(&config(&receiver).bridges().min_level(Some(Level::Info)));
        block_on(work);
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{report:?}");
        receiver.with(look);
    });
}

fn newest(got: &Received) -> &[Metric] {
    got.metrics.last().expect("metrics")
}

/// The one span of this name and kind.
fn find<'s>(spans: &'s [Span], name: &str, kind: i32) -> &'s Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name && span.kind == kind).collect();
    assert_eq!(found.len(), 1, "{name} of kind {kind}: {found:#?}");
    found[0]
}

fn text(text: &str) -> Option<Value> {
    Some(Value::StringValue(text.into()))
}

fn number(n: i64) -> Option<Value> {
    Some(Value::IntValue(n))
}

/// Checks attributes, types included; `None` for those that must not be there.
#[track_caller]
fn assert_has<const N: usize>(span: &Span, expected: [(&str, Option<Value>); N]) {
    for (key, value) in expected {
        assert_eq!(attribute(&span.attributes, key), value, "{key} of {}", span.name);
    }
}

/// How long the span lasted, in seconds.
fn seconds(span: &Span) -> f64 {
    (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e9
}
