//! `export` and `export_grpc`: one producer at full speed, and the spans that arrive at a receiver in the same process,
//! over HTTP and over gRPC.
//!
//! Figures are per span that arrived. `export` is wall-clock time; `export_cpu` is the CPU time of all
//! threads except the producer's and the receiver's; `export_wire` is the bytes that the receiver read. `export_lost`
//! is the share of the spans that was lost, and `export_memory` is the process's peak resident memory. Before the
//! producer begins, `export_latency` is the time from the end of a lone trace until the receiver has all of it.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use throughline::span;
use throughline_benches::{Row, Unit};
use throughline_std::{
    Config, Resource,
    otlp::{Client, ClientConfig, Options, Signal, TraceEncoder},
    view::{Scope, SpanView},
};

use crate::{
    harness::{Bench, Effort, SPANS_PER_TRACE},
    receiver::{Receiver, Transport},
    system::{self, CpuClock},
};

/// A subject with this much resident memory is stopped.
const TOO_MUCH: u64 = 2 << 30;

/// The time limit for delivering the remaining spans at the end.
const LAST: Duration = Duration::from_secs(30);

/// The pause before a lone trace. It is longer than the intervals at which the subjects look for spans, and than the
/// default age of Throughline's batches.
const PAUSE: Duration = Duration::from_millis(1200);

pub(crate) fn limit(bench: &mut Bench<'_>) {
    limit_by(bench, Transport::Http);
}

pub(crate) fn throughline(bench: &mut Bench<'_>) {
    throughline_by(bench, Transport::Http);
}

#[cfg(feature = "peers")]
pub(crate) fn grpc_limit(bench: &mut Bench<'_>) {
    limit_by(bench, Transport::Grpc);
}

#[cfg(feature = "peers")]
pub(crate) fn grpc_throughline(bench: &mut Bench<'_>) {
    throughline_by(bench, Transport::Grpc);
}

/// The limit: one body, encoded beforehand, sent over and over. There is no producer.
fn limit_by(bench: &mut Bench<'_>, transport: Transport) {
    const SPANS: u64 = 2_700;
    let mut encoder = TraceEncoder::new(&Resource::new("bench"), Options::default());
    for i in 0..SPANS {
        encoder.span(&span_view(i));
    }
    let body = encoder.finish();
    let receiver = Receiver::start(transport).expect("the loopback interface");
    let config = client(&receiver, transport);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = Client::new(config);
            while !stop.load(Ordering::Relaxed) {
                client.send(Signal::Traces, body).expect("a receiver that takes all");
            }
        });
        windows(bench, &receiver, || 0);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(receiver.spans() > 0 && receiver.spans().is_multiple_of(SPANS), "bodies arrive whole");
}

fn client(receiver: &Receiver, transport: Transport) -> ClientConfig {
    let config = ClientConfig::new(&receiver.endpoint).expect("an endpoint");
    match transport {
        Transport::Http => config,
        #[cfg(feature = "peers")]
        Transport::Grpc => config.protocol(throughline_std::otlp::Protocol::Grpc).expect("built with gRPC"),
    }
}

/// Everything at its defaults. The ledger must account for every span.
fn throughline_by(bench: &mut Bench<'_>, transport: Transport) {
    let receiver = Receiver::start(transport).expect("the loopback interface");
    let config = Config::new("bench").otlp_client(client(&receiver, transport)).sample_ratio(1.0);
    let guard = throughline_std::init(&config).expect("the first in this process");
    let trace = || {
        let _root = span!("root");
        for i in 1..SPANS_PER_TRACE {
            drop(span!("child", bytes = i, attempt = black_box(3_u64)));
        }
    };
    run(bench, &receiver, trace, |made| {
        let report = guard.shutdown(LAST);
        let ledger = &report.ledger;
        assert!(report.in_time, "delivered or counted in time:\n{ledger}");
        assert_eq!(ledger.ring.input, made, "every span is in the ledger:\n{ledger}");
        let dropped = ledger.ring.dropped_total()
            + ledger.pump.dropped_total()
            + ledger.exporter("otlp").dropped_total();
        assert_eq!(receiver.spans() + dropped, made, "what did not arrive is counted:\n{ledger}");
    });
}

/// Calls `trace`, which makes [`SPANS_PER_TRACE`] spans, a few times at idle, and then at full speed on a thread while
/// windows are measured. Then calls `end` with the number of spans made, to have the remaining ones delivered.
pub(crate) fn run(
    bench: &mut Bench<'_>,
    receiver: &Receiver,
    trace: impl Fn() + Send + Sync,
    end: impl FnOnce(u64),
) {
    let idle = latencies(bench, receiver, &trace);
    let (stop, made, clock) = (AtomicBool::new(false), AtomicU64::new(idle), &std::sync::OnceLock::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            clock.get_or_init(CpuClock::of_this_thread);
            while !stop.load(Ordering::Relaxed) {
                trace();
                made.store(made.load(Ordering::Relaxed) + SPANS_PER_TRACE, Ordering::Relaxed);
            }
        });
        let producer = clock.wait();
        windows(bench, receiver, || producer.ns());
        stop.store(true, Ordering::Relaxed);
    });
    let made = made.into_inner();
    end(made);
    let lost = 1.0 - receiver.spans() as f64 / made as f64;
    push(bench, "lost", Unit::Percent, &[100.0 * lost]);
    if let Some(bytes) = system::peak_memory() {
        push(bench, "memory", Unit::Bytes, &[bytes as f64]);
    }
    assert!(receiver.spans() > 0, "something arrives");
}

/// Measures how long lone traces take to arrive. Returns the number of spans made.
fn latencies(bench: &mut Bench<'_>, receiver: &Receiver, trace: &impl Fn()) -> u64 {
    let count = match bench.effort {
        Effort::Full => 5,
        Effort::Quick => 2,
        Effort::Smoke | Effort::Count => return 0,
    };
    let mut times = Vec::new();
    for _ in 0..count {
        thread::sleep(PAUSE);
        let before = receiver.spans();
        trace();
        let end = Instant::now();
        while receiver.spans() < before + SPANS_PER_TRACE && end.elapsed() < LAST {
            thread::sleep(Duration::from_micros(100));
        }
        times.push(end.elapsed().as_nanos() as f64);
    }
    push(bench, "latency", Unit::Ns, &times);
    count * SPANS_PER_TRACE
}

/// Measures for several windows which spans arrive, and at what cost. `producer` is the CPU time that is not
/// counted.
fn windows(bench: &mut Bench<'_>, receiver: &Receiver, producer: impl Fn() -> u64) {
    let (count, length) = match bench.effort {
        Effort::Full => (5, Duration::from_secs(1)),
        Effort::Quick => (3, Duration::from_millis(300)),
        Effort::Smoke | Effort::Count => (1, Duration::from_millis(100)),
    };
    // A warm-up lets rings and queues fill and buffers grow.
    thread::sleep(length / 2);
    let (mut wall, mut cpu, mut wire) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        // A window runs from one arrival to another, because exporters send batches of very different sizes.
        if !await_arrival(receiver) {
            break;
        }
        let read = || (Instant::now(), receiver.spans(), system::cpu_ns(), producer() + receiver.cpu_ns());
        let (before, bytes) = (read(), receiver.bytes());
        thread::sleep(length);
        if !await_arrival(receiver) {
            break;
        }
        let after = read();
        let spans = (after.1 - before.1) as f64;
        wire.push((receiver.bytes() - bytes) as f64 / spans);
        wall.push(after.0.duration_since(before.0).as_nanos() as f64 / spans);
        cpu.push((after.2 - before.2).saturating_sub(after.3 - before.3) as f64 / spans);
    }
    if wall.is_empty() {
        eprintln!("{}/{}: stopped, it fills the memory or delivers nothing", bench.path, bench.subject);
        return;
    }
    push(bench, "", Unit::Ns, &wall);
    if system::cpu_ns() > 0 {
        push(bench, "cpu", Unit::Ns, &cpu);
    }
    push(bench, "wire", Unit::Bytes, &wire);
}

/// Waits for spans to arrive. Returns false if the subject had to be stopped first.
fn await_arrival(receiver: &Receiver) -> bool {
    let (start, known) = (Instant::now(), receiver.spans());
    while receiver.spans() == known {
        if start.elapsed() > LAST || system::peak_memory() > Some(TOO_MUCH) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Adds a row of the path `export_<what>`.
fn push(bench: &mut Bench<'_>, what: &str, unit: Unit, samples: &[f64]) {
    if bench.effort == Effort::Smoke {
        return;
    }
    let path = if what.is_empty() { bench.path.to_owned() } else { format!("{}_{what}", bench.path) };
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (median, min) = (sorted[sorted.len() / 2], sorted[0]);
    bench.rows.push(Row::new(&path, bench.subject, bench.target, 1, unit, median, min));
}

fn span_view(
    i: u64,
) -> SpanView<'static, impl Iterator<Item = (&'static str, throughline::Value<'static>)> + Clone> {
    let key = throughline::adapter::IdKey::new(7, 0);
    let fields = [("bytes", throughline::Value::U64(i)), ("attempt", throughline::Value::U64(3))];
    SpanView {
        trace_id: key.trace_id(i / SPANS_PER_TRACE),
        span_id: key.span_id(i),
        parent_span_id: Some(key.span_id(i / SPANS_PER_TRACE * SPANS_PER_TRACE)),
        parent_is_remote: false,
        scope: Scope { name: "compare", version: "" },
        name: "child",
        target: "compare::export",
        file: file!(),
        line: line!(),
        kind: throughline::SpanKind::Internal,
        level: throughline::Level::Info,
        status: throughline::Status::Unset,
        start_unix_ns: 1_790_000_000_000_000_000,
        end_unix_ns: 1_790_000_000_000_000_750,
        busy_ns: None,
        time_error_ns: None,
        fields: fields.into_iter(),
    }
}
