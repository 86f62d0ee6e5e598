//! `span_in_service`: spans of a service that `throughline_std::init` set up, while its collector takes them and while it
//! does not. The instructions of the recording thread must be the same, whatever the exporter is doing.
//!
//! Only instructions are counted: in time, the threads of the pump and of the exporter would be seen too.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use throughline_std::{Config, Guard};

use crate::{
    harness::{Bench, Effort},
    receiver::{Receiver, Transport},
    throughline::plain_spans,
};

/// How long a flush may take whose spans will arrive. Under Valgrind everything takes fifty times as long.
const ENOUGH: Duration = Duration::from_secs(30);

/// How long to wait for a collector that is not there. The pump has emptied the rings by then.
const SHORT: Duration = Duration::from_millis(200);

/// A collector that takes everything.
pub(crate) fn delivered(bench: &mut Bench<'_>) {
    let receiver = Receiver::start(Transport::Http).expect("the loopback interface");
    spans(bench, &receiver.endpoint, |guard| {
        assert!(guard.flush(ENOUGH), "the receiver takes all");
    });
    assert!(receiver.spans() > 0 || !is_measured(bench), "something arrives");
}

/// Nothing listens at the endpoint.
pub(crate) fn down(bench: &mut Bench<'_>) {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr());
    let endpoint = format!("http://{}", address.expect("the loopback interface"));
    spans(bench, &endpoint, |guard| assert!(!guard.flush(SHORT), "nothing can be delivered"));
}

/// A collector that takes connections and never answers.
pub(crate) fn hangs(bench: &mut Bench<'_>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface");
    let endpoint = format!("http://{}", listener.local_addr().expect("a bound listener"));
    spans(bench, &endpoint, |guard| assert!(!guard.flush(SHORT), "nothing is answered"));
}

fn spans(bench: &mut Bench<'_>, endpoint: &str, flush: impl Fn(&Guard)) {
    if !is_measured(bench) {
        return;
    }
    let config =
        Config::new("bench").otlp(endpoint).expect("an endpoint").terminal(false).report_errors(false);
    let guard = throughline_std::init(&config).expect("the first in this process");
    // From here on the exporter is in the state that is measured.
    plain_spans(1);
    flush(&guard);
    bench.drained(|_| (), |(), n| plain_spans(n), |()| flush(&guard));
    guard.shutdown(SHORT);
}

fn is_measured(bench: &Bench<'_>) -> bool {
    matches!(bench.effort, Effort::Count | Effort::Smoke)
}
