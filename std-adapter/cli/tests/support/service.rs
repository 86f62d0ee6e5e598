//! A service that records one of everything and knows what should arrive.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::task::{self, Poll, Waker};
use std::time::{Duration, Instant};

use throughline::{
    Context, Instrument, Postcard, StaticStr, Status, TraceContext, attach, current, debug, error, info,
    instrument, record, span, trace, warn,
};

use super::received::log_key;
use super::record::{Any, Expected, Want};
use super::{LONG, unix_ns};

/// Numbers in OTLP.
pub(crate) const INTERNAL: i64 = 1;
pub(crate) const SERVER: i64 = 2;
pub(crate) const CLIENT: i64 = 3;
pub(crate) const PRODUCER: i64 = 4;
pub(crate) const CONSUMER: i64 = 5;
pub(crate) const UNSET: i64 = 0;
pub(crate) const OK: i64 = 1;
pub(crate) const ERROR: i64 = 2;

/// How far the wall clock may be from the clock that times spans: a larger difference means for the adapter
/// that the clock was set.
pub(crate) const SLACK_NS: u64 = 100_000_000;

/// Shortest time for which the future of an async span waits.
const WAITS: Duration = Duration::from_millis(2);

/// Everything that a service recorded.
pub(crate) struct Emitted {
    pub(crate) service: String,
    pub(crate) spans: Vec<Expected>,
    pub(crate) logs: Vec<Expected>,
    began: u64,
    /// The span in another process under which the work continues.
    remote: Option<TraceContext>,
}

type Fields<'a> = &'a [(&'a str, Any)];

impl Emitted {
    pub(crate) fn new(service: &str) -> Emitted {
        Emitted {
            service: service.to_owned(),
            spans: Vec::new(),
            logs: Vec::new(),
            began: unix_ns(),
            remote: None,
        }
    }

    /// Expects the current span, which began in these lines of this file.
    fn span(
        &mut self,
        (name, kind, status): (&str, i64, i64),
        parent: Option<TraceContext>,
        lines: RangeInclusive<u32>,
        fields: Fields<'_>,
    ) -> TraceContext {
        let here = current().unwrap_or_else(|| panic!("{name} is not recorded"));
        let trace = parent.map_or(here.trace_id, |parent| parent.trace_id);
        let remote = parent.is_some_and(|parent| self.remote == Some(parent));
        let parent = parent.map_or(String::new(), |parent| parent.span_id.to_string());
        let mut span = Expected::new(format!("span {}", here.span_id))
            .is("traceId", trace.to_string())
            .is("spanId", here.span_id.to_string())
            .texts([("parentSpanId", parent.as_str()), ("name", name)])
            .is("kind", kind)
            // The trace is sampled. Two more bits say whether the parent is in another process.
            .is("flags", if remote { 0x301_i64 } else { 0x101 })
            .is("status.code", status);
        let message = fields.iter().find(|(key, _)| status == ERROR && *key == "error.message");
        if let Some((_, message)) = message {
            span.want("status.message", Want::Is(message.clone()));
        }
        self.spans.push(self.common(span, lines, fields));
        here
    }

    /// Expects busy and idle time in the last span, which waits at least this long.
    fn measured(&mut self, waits: Duration) {
        let span = self.spans.last_mut().unwrap();
        // Two clocks measure it, so accept half of the time.
        let waits = u64::try_from(waits.as_nanos() / 2).unwrap();
        span.want("attributes.busy_ns", Want::Within(0..=LONG.as_nanos() as u64));
        span.want("attributes.idle_ns", Want::Within(waits..=LONG.as_nanos() as u64));
    }

    /// Expects an event at this level, made in this line.
    fn log(
        &mut self,
        (level, body): ((i64, &str), &str),
        span: Option<TraceContext>,
        line: u32,
        fields: Fields<'_>,
    ) {
        let (trace, id) =
            span.map_or_else(Default::default, |at| (at.trace_id.to_string(), at.span_id.to_string()));
        let log = Expected::new(log_key(body, &id))
            .texts([("traceId", trace.as_str()), ("spanId", id.as_str())])
            .is("flags", i64::from(span.is_some()))
            .is("severityNumber", level.0)
            .is("severityText", level.1)
            .is("body", body);
        self.logs.push(self.common(log, line..=line + 1, fields));
    }

    fn common(&self, expected: Expected, lines: RangeInclusive<u32>, fields: Fields<'_>) -> Expected {
        let mut expected = resource(expected, &self.service)
            .is("attributes.code.module.name", module_path!())
            .is("attributes.code.file.path", file!())
            .within("attributes.code.line.number", u64::from(*lines.start())..=u64::from(*lines.end()));
        for (name, value) in fields {
            expected.want(&format!("attributes.{name}"), Want::Is(value.clone()));
        }
        expected
    }

    /// Ends the recording: all times must lie between its start and now.
    pub(crate) fn done(mut self) -> Emitted {
        let run = self.began - SLACK_NS..=unix_ns() + SLACK_NS;
        let within = |records: &mut Vec<Expected>, times: [&str; 2]| {
            for record in records {
                times.iter().for_each(|time| record.want(time, Want::Within(run.clone())));
            }
        };
        within(&mut self.spans, ["startTimeUnixNano", "endTimeUnixNano"]);
        within(&mut self.logs, ["timeUnixNano", "observedTimeUnixNano"]);
        self
    }
}

/// The parts that every record of a service has.
pub(crate) fn resource(expected: Expected, service: &str) -> Expected {
    resource_of(expected, service).is("scope.name", env!("CARGO_PKG_NAME"))
}

/// The parts that every record of a service or device has, without the package that made it.
pub(crate) fn resource_of(expected: Expected, service: &str) -> Expected {
    expected
        .is("resource.service.name", service)
        .is("resource.telemetry.sdk.name", "throughline")
        .is("resource.telemetry.sdk.language", "rust")
        .is("resource.telemetry.sdk.version", env!("CARGO_PKG_VERSION"))
        .is("scope.version", env!("CARGO_PKG_VERSION"))
}

/// A request that continues at `remote`, and what is done for it: every kind of span, status, field and
/// event.
pub(crate) fn request(emitted: &mut Emitted, remote: TraceContext) -> TraceContext {
    let _remote = attach(remote);
    emitted.remote = Some(remote);
    let from = line!();
    let span = span!(kind: Server, "request", http.route = "/orders/{id}", attempt = 2_u8);
    let fields = [
        ("http.route", "/orders/{id}".into()),
        ("attempt", Any::Int(2)),
        ("rows", Any::Int(-3)),
        ("cache.hit", false.into()),
        ("note", "späť ☂".into()),
    ];
    let here = emitted.span(("request", SERVER, UNSET), Some(remote), from..=line!(), &fields);
    types(emitted, here);
    kinds(emitted, here);
    levels(emitted, Some(here));
    elsewhere(emitted, here);
    waiting(emitted, here);
    // Neither field was declared when the span began.
    record!(span, rows = -3_i64, cache.hit = false);
    record!(current, note = "späť ☂");
    here
}

/// Fields of every type, with the ends of their ranges.
fn types(emitted: &mut Emitted, parent: TraceContext) {
    let from = line!();
    let _span = span!(
        "types",
        truth = true,
        byte = u8::MAX,
        short = i16::MIN,
        word = u32::MAX,
        signed = i32::MIN,
        long = i64::MIN,
        most = i64::MAX as u64,
        beyond = u64::MAX,
        single = 0.1_f32,
        double = -1.5e300,
        infinite = f64::NEG_INFINITY,
        fixed = StaticStr("in the program"),
        empty = "",
        bytes = [0_u8, 1, 0xfe, 0xff],
        encoded = Postcard(&(3_u8, 812_u16)),
    );
    let lines = from..=line!();
    let long = "ab".repeat(100);
    record!(current, shown = %parent.span_id, debugged = ?Some("q\"uote"), long_text = %long);
    let fields = [
        ("truth", true.into()),
        ("byte", Any::Int(255)),
        ("short", Any::Int(-32_768)),
        ("word", Any::Int(4_294_967_295)),
        ("signed", Any::Int(-2_147_483_648)),
        ("long", i64::MIN.into()),
        ("most", i64::MAX.into()),
        // OTLP has no larger integers; as text, no digit is lost.
        ("beyond", "18446744073709551615".into()),
        ("single", f64::from(0.1_f32).into()),
        ("double", Any::Double(-1.5e300)),
        ("infinite", f64::NEG_INFINITY.into()),
        ("fixed", "in the program".into()),
        ("empty", "".into()),
        ("bytes", Any::Bytes(vec![0, 1, 0xfe, 0xff])),
        // A varint of 812 after the byte.
        ("encoded", Any::Bytes(vec![3, 0xac, 0x06])),
        ("shown", parent.span_id.to_string().into()),
        ("debugged", "Some(\"q\\\"uote\")".into()),
        ("long_text", "ab".repeat(100).into()),
    ];
    emitted.span(("types", INTERNAL, UNSET), Some(parent), lines, &fields);
}

/// A span of each kind and each status, nested, with an event in the innermost.
fn kinds(emitted: &mut Emitted, parent: TraceContext) {
    let (from, mut client) = (line!(), span!(kind: Client, "call"));
    client.set_status(Status::Ok);
    let call = emitted.span(("call", CLIENT, OK), Some(parent), from..=line!(), &[]);
    let (from, mut producer) = (line!(), span!(kind: Producer, "publish"));
    producer.fail("no such topic");
    let failed = [("error.message", "no such topic".into())];
    let publish = emitted.span(("publish", PRODUCER, ERROR), Some(call), from..=line!(), &failed);
    let (from, _consumer) = (line!(), span!(kind: Consumer, level: Debug, "consume"));
    let consume = emitted.span(("consume", CONSUMER, UNSET), Some(publish), from..=line!(), &[]);
    assert_eq!(refuse(emitted, consume, 7), Err("refused"));
    let (from, _other) = (line!(), span!(root: true, "another trace"));
    emitted.span(("another trace", INTERNAL, UNSET), None, from..=line!(), &[]);
    assert_ne!(current().map(|at| at.trace_id), Some(parent.trace_id));
}

/// Fails in a span made by the attribute.
#[instrument(skip(emitted, parent), err)]
fn refuse(emitted: &mut Emitted, parent: TraceContext, code: u32) -> Result<(), &'static str> {
    let fields = [("code", Any::Int(code.into())), ("error.message", "refused".into())];
    emitted.span(("refuse", INTERNAL, ERROR), Some(parent), line!() - 5..=line!(), &fields);
    Err("refused")
}

/// An event at each level, with its message filled in.
pub(crate) fn levels(emitted: &mut Emitted, span: Option<TraceContext>) {
    let first = 1_u8;
    let at = line!();
    trace!("step {} of {n}", first, n = 5_u16);
    debug!("no fields");
    info!("{user} pays {price} €", user = "Zoë", price = 12.5);
    warn!("{{braces}} and %{share}", share = 97_i32);
    error!("gone", after_ms = 250_u64);
    let expected: [((i64, &str), &str, Fields<'_>); 5] = [
        ((1, "TRACE"), "step 1 of 5", &[("first", Any::Int(1)), ("n", Any::Int(5))]),
        ((5, "DEBUG"), "no fields", &[]),
        ((9, "INFO"), "Zoë pays 12.5 €", &[("user", "Zoë".into()), ("price", Any::Double(12.5))]),
        ((13, "WARN"), "{braces} and %97", &[("share", Any::Int(97))]),
        ((17, "ERROR"), "gone", &[("after_ms", Any::Int(250))]),
    ];
    for (line, (level, body, fields)) in (at + 1..).zip(expected) {
        emitted.log((level, body), span, line, fields);
    }
}

/// A span and an event in another thread, below the span of this one.
fn elsewhere(emitted: &mut Emitted, parent: TraceContext) {
    let here = Context::current();
    let work = move |emitted: &mut Emitted| {
        let _here = here.enter();
        let (from, _span) = (line!(), span!("elsewhere"));
        let at = emitted.span(("elsewhere", INTERNAL, UNSET), Some(parent), from..=line!(), &[]);
        info!("in another thread");
        emitted.log(((9, "INFO"), "in another thread"), Some(at), line!() - 1, &[]);
    };
    std::thread::scope(|scope| scope.spawn(|| work(emitted)).join()).unwrap();
}

/// A future that waits between its two polls, and one that is dropped.
fn waiting(emitted: &mut Emitted, parent: TraceContext) {
    let mut cx = task::Context::from_waker(Waker::noop());
    let (from, span) = (line!(), span!("job", id = 7_u32));
    let job = emitted.span(("job", INTERNAL, UNSET), Some(parent), from..=line!(), &[("id", Any::Int(7))]);
    emitted.measured(WAITS);
    let mut polled = false;
    let work = std::future::poll_fn(move |_| {
        if !std::mem::replace(&mut polled, true) {
            return Poll::Pending;
        }
        info!("done");
        Poll::Ready(())
    });
    emitted.log(((9, "INFO"), "done"), Some(job), line!() - 4, &[]);
    let mut work = pin!(work.instrument(span));
    assert!(work.as_mut().poll(&mut cx).is_pending());
    let waits = Instant::now();
    while waits.elapsed() < WAITS {
        std::hint::spin_loop();
    }
    assert!(work.as_mut().poll(&mut cx).is_ready());

    let (from, span) = (line!(), span!("given up"));
    let cancelled = [("throughline.cancelled", true.into())];
    emitted.span(("given up", INTERNAL, UNSET), Some(parent), from..=line!(), &cancelled);
    emitted.measured(Duration::ZERO);
    let mut work = Box::pin(std::future::pending::<()>().instrument(span));
    assert!(work.as_mut().poll(&mut cx).is_pending());
}
