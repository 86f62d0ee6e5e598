//! `throughline profile --wall`: the spans of a service with async code, and of a device.

#[path = "../../decode/tests/common/mod.rs"]
mod common;
mod tool;

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use throughline::{Instrument, span};
use throughline_std::Config;
use tool::{Bench, healthy, said};

const MS: Duration = Duration::from_millis(1);

/// A future that another thread completes after this time.
fn sleep(time: Duration) -> impl Future<Output = ()> {
    let state = Arc::new(Mutex::new((false, None::<Waker>)));
    let mut begun = false;
    std::future::poll_fn(move |context| {
        let mut here = state.lock().unwrap();
        if here.0 {
            return Poll::Ready(());
        }
        here.1 = Some(context.waker().clone());
        if !std::mem::replace(&mut begun, true) {
            let state = Arc::clone(&state);
            std::thread::spawn(move || {
                std::thread::sleep(time);
                let mut state = state.lock().unwrap();
                state.0 = true;
                state.1.take().unwrap().wake();
            });
        }
        Poll::Pending
    })
}

#[derive(Default)]
struct Wakes(Mutex<bool>, Condvar);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

fn run(mut future: Pin<Box<dyn Future<Output = ()>>>) {
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        let woken = wakes.1.wait_while(wakes.0.lock().unwrap(), |woken| !*woken);
        *woken.unwrap() = false;
    }
}

fn compute(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

async fn request() {
    compute(10 * MS);
    async {
        sleep(40 * MS).await;
        compute(5 * MS);
    }
    .instrument(span!("query"))
    .await;
    {
        let _render = span!("render");
        compute(20 * MS);
    }
    sleep(30 * MS).await;
}

/// The microseconds of a folded stack.
fn micros(folded: &str, stack: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(stack)?.strip_prefix(' ')?.parse().ok();
    folded.lines().find_map(value).unwrap_or_else(|| panic!("no {stack} in {folded}"))
}

#[test]
fn the_time_of_async_spans_is_told_with_what_they_waited_for() {
    let bench = Bench::new(b"");
    let file = bench.path("traces.jsonl");
    let settings = format!("otlp.file.path = {file:?}\n");
    std::fs::write(bench.path("shop.toml"), settings).unwrap();
    let config = Config::load(bench.path("shop.toml")).unwrap().terminal(false);
    let guard = throughline_std::init(&config).unwrap();
    for _ in 0..2 {
        run(Box::pin(request().instrument(span!(root: true, "request"))));
    }
    assert!(guard.shutdown(Duration::from_secs(30)).complete);

    let output = bench.run(&["profile", "--wall", "--folded", "traces.jsonl"]);
    let (code, folded, err) = said(&output);
    assert_eq!((code, err), (0, ""));
    // What is waited and computed at least; a busy machine takes longer. A wait begins within the poll that starts it, so a hundredth of it
    // may count as computed.
    for (stack, least) in [
        ("request", 20_000),
        ("request;[waiting]", 60_000),
        ("request;query", 10_000),
        ("request;query;[waiting]", 80_000),
        ("request;render", 40_000),
    ] {
        let found = micros(folded, stack);
        assert!(found >= least - least / 100, "{stack}: {found} of {least} in {folded}");
    }
    let idle = bench.run(&["profile", "--wall", "--measure", "idle", "--folded", "traces.jsonl"]);
    let waiting: Vec<_> = said(&idle).1.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(waiting, ["request;[waiting]", "request;query;[waiting]"]);
    let text = bench.run(&["profile", "--wall", "traces.jsonl"]);
    assert!(said(&text).1.contains(" in 6 spans within "), "{}", said(&text).1);

    // One trace of it, and what changed since the other.
    let lines = std::fs::read_to_string(&file).unwrap();
    let mut traces: Vec<&str> = lines.split("\"traceId\":\"").skip(1).map(|rest| &rest[..32]).collect();
    traces.dedup();
    let of_trace = bench.run(&["profile", "--wall", "--trace", traces[0], "traces.jsonl"]);
    assert!(said(&of_trace).1.contains(" in 3 spans within "), "{}", said(&of_trace).1);
    let change = bench.run(&[
        "profile",
        "--wall",
        "--trace",
        traces[0],
        "--diff",
        "traces.jsonl",
        "--diff-trace",
        traces[1],
        "traces.jsonl",
    ]);
    assert!(said(&change).1.contains("red: a larger share"), "{}", said(&change).2);
    let missing = bench.run(&["profile", "--wall", "--trace", &"ab".repeat(16), "traces.jsonl"]);
    assert_eq!(said(&missing).0, 1);
    assert!(said(&missing).2.contains("no span of traces.jsonl"), "{}", said(&missing).2);
}

#[test]
fn a_device_s_capture_has_a_wall_profile_too() {
    let bench = Bench::new(&healthy().wire);
    let output = bench.run(&["profile", "--wall", "--elf", "fw.elf", "--folded", "capture.bin"]);
    let (code, folded, err) = said(&output);
    assert_eq!((code, err), (0, ""));
    // Three rounds of 1.24 ms, of which the converter takes 310 and 295 µs.
    assert_eq!(folded, "measure 1905\nmeasure;adc 1815\n");
    let output = bench.run(&["profile", "--wall", "capture.bin"]);
    assert_eq!(said(&output).0, 1);
    assert!(
        said(&output).2.contains("throughline profile --wall --elf ELF capture.bin"),
        "{}",
        said(&output).2
    );
}

#[test]
fn damaged_lines_are_left_out_and_told() {
    let bench = Bench::new(b"");
    let span = r#"{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","name":"a","startTimeUnixNano":"1000","endTimeUnixNano":3000,"attributes":[{"key":"busy_ns","value":{"intValue":"500"}}]}"#;
    let line = |spans: &str| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
    let wrong = r#"{"traceId":"zz","spanId":"0102030405060708"}"#;
    let text =
        [line(&[span, wrong].join(",")), r#"{"resourceLogs":[]}"#.into(), line(span)[..50].into()].join("\n");
    bench.put("traces.jsonl", text.as_bytes());
    let output = bench.run(&["profile", "--wall", "--format", "speedscope", "traces.jsonl"]);
    let (code, json, err) = said(&output);
    assert_eq!((code, err), (0, "throughline: traces.jsonl: 2 lines or spans are damaged and left out\n"));
    assert!(json.contains("\"weights\":[500,1500]"), "{json}");
}
