//! The ledger balances whatever an exporter does: each record that it was given went out or was dropped for a
//! reason.

use proptest::prelude::*;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use throughline::{Level, SpanId, SpanKind, Status, TraceId, Value};
use throughline_export::ledger::{Cells, DropReason};
use throughline_export::view::{LogView, Scope, SpanView};
use throughline_export::{Attached, Deadline, ExportError, Exporter, Launch, Limits};

/// What an exporter does at a flush.
#[derive(Clone, Debug)]
enum Does {
    Delivers,
    /// Reports this many losses, which may be more than it has.
    Loses(u64),
    /// Reports that it holds this many records back, which may be more than it has.
    Holds(u64),
    Panics,
}

/// What the pump does.
#[derive(Clone, Debug)]
enum Step {
    Spans(u8),
    Logs(u8),
    EndRound,
    Flush,
}

/// At each flush does the next step of the script, then delivers.
struct Scripted {
    script: std::vec::IntoIter<Does>,
    held: u64,
}

impl Exporter for Scripted {
    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        self.held = 0;
        match self.script.next() {
            None | Some(Does::Delivers) => Ok(()),
            Some(Does::Loses(n)) => Err(ExportError::new(DropReason::Refused, n, "refused")),
            Some(Does::Holds(n)) => {
                self.held = n;
                Ok(())
            }
            Some(Does::Panics) => panic!("as the script says"),
        }
    }

    fn held(&self) -> u64 {
        self.held
    }
}

fn does() -> impl Strategy<Value = Does> {
    let n = || prop_oneof![0..5u64, Just(u64::MAX)];
    prop_oneof![
        4 => Just(Does::Delivers),
        2 => n().prop_map(Does::Loses),
        2 => n().prop_map(Does::Holds),
        1 => Just(Does::Panics),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..20u8).prop_map(Step::Spans),
        (0..20u8).prop_map(Step::Logs),
        Just(Step::EndRound),
        Just(Step::Flush)
    ]
}

fn span(attached: &mut Attached) {
    let fields = [("n", Value::U64(1)), ("text", Value::Str { text: "x", truncated: false })];
    attached.span(&SpanView {
        trace_id: TraceId::from_bytes([1; 16]).unwrap(),
        span_id: SpanId::from_bytes([1; 8]).unwrap(),
        parent_span_id: None,
        parent_is_remote: false,
        scope: Scope::OWN,
        name: "span",
        target: "t",
        file: "f.rs",
        line: 1,
        kind: SpanKind::Internal,
        level: Level::Info,
        status: Status::Unset,
        start_unix_ns: 1,
        end_unix_ns: 2,
        busy_ns: None,
        time_error_ns: None,
        fields: fields.into_iter(),
    });
}

fn log(attached: &mut Attached) {
    attached.log(&LogView {
        span: None,
        trace_flags: 0,
        time_unix_ns: 1,
        level: Level::Info,
        message: "log",
        event_name: "",
        scope: Scope::OWN,
        target: "t",
        file: "f.rs",
        line: 1,
        time_error_ns: None,
        fields: std::iter::empty(),
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_balances_whatever_an_exporter_does(
        script in proptest::collection::vec(does(), 0..12),
        steps in proptest::collection::vec(step(), 0..40),
        queue in 1..4usize,
        batch_bytes in 1..2000usize,
        in_time in any::<bool>(),
    ) {
        let (cells, deadline) = (Cells::default(), Arc::new(Deadline::never()));
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.into()).spawn(run).map(drop)
        };
        let wake = Arc::new(|| ());
        let launch = Launch { cells: &cells, deadline: &deadline, report: false, spawn: &spawn, wake };
        let limits = Limits { batch_bytes, interval: Duration::ZERO, queue };
        let exporter = Box::new(Scripted { script: script.into_iter(), held: 0 });
        let mut attached = Attached::start("scripted", exporter, limits, &launch).unwrap();
        let lane = attached.lane();
        let mut given = 0;
        for step in steps {
            match step {
                Step::Spans(n) => (0..n).for_each(|_| span(&mut attached)),
                Step::Logs(n) => (0..n).for_each(|_| log(&mut attached)),
                Step::EndRound => _ = (attached.begin_round(), attached.end_round(Instant::now())),
                Step::Flush => {
                    let (done, wait) = mpsc::channel();
                    attached.flush(done);
                    prop_assert!(wait.recv_timeout(Duration::from_secs(30)) == Err(mpsc::RecvTimeoutError::Disconnected));
                }
            }
            given += match step {
                Step::Spans(n) | Step::Logs(n) => u64::from(n),
                _ => 0,
            };
        }
        let (done, wait) = mpsc::channel();
        attached.finish(done);
        if in_time {
            prop_assert!(wait.recv_timeout(Duration::from_secs(30)) == Err(mpsc::RecvTimeoutError::Disconnected));
            prop_assert_eq!(cells.read().exporter("scripted").pending, 0, "{}", cells.read());
        }
        lane.give_up(DropReason::Shutdown);
        let hop = cells.read().exporter("scripted");
        prop_assert_eq!((hop.input, hop.pending), (given, 0), "{}", cells.read());
        prop_assert_eq!(hop.input, hop.output + hop.dropped_total(), "{}", cells.read());
        // Whatever the exporter's thread does later is not counted.
        drop(wait);
        prop_assert_eq!(cells.read().exporter("scripted"), hop);
    }
}

/// Each flush waits for one signal.
struct Gated(mpsc::Receiver<()>);

impl Exporter for Gated {
    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        _ = self.0.recv();
        Ok(())
    }
}

/// With more than twice the queue's limit waiting, records of a flush stay in the batch until the queue has
/// room. The flush must not end before they are delivered.
#[test]
fn a_flush_waits_for_what_finds_no_room() {
    let (cells, deadline) = (Cells::default(), Arc::new(Deadline::never()));
    let spawn = |_: &str, run: Box<dyn FnOnce() + Send>| std::thread::Builder::new().spawn(run).map(drop);
    let launch =
        Launch { cells: &cells, deadline: &deadline, report: false, spawn: &spawn, wake: Arc::new(|| ()) };
    let limits = Limits { batch_bytes: 1 << 20, interval: Duration::ZERO, queue: 1 };
    let (let_go, gate) = mpsc::channel();
    let mut attached = Attached::start("gated", Box::new(Gated(gate)), limits, &launch).unwrap();
    let mut waits = Vec::new();
    for _ in 0..3 {
        span(&mut attached);
        let (done, wait) = mpsc::channel();
        attached.flush(done);
        waits.push(wait);
    }
    for delivered in 1..=3 {
        let_go.send(()).unwrap();
        while cells.read().exporter("gated").output < delivered {
            attached.begin_round();
            attached.end_round(Instant::now());
            std::thread::yield_now();
        }
        let last = waits.last().unwrap().try_recv();
        if delivered < 3 {
            assert_eq!(last, Err(mpsc::TryRecvError::Empty), "{delivered} of 3 delivered");
        }
    }
    let ended = waits.last().unwrap().recv_timeout(Duration::from_secs(30));
    assert_eq!(ended, Err(mpsc::RecvTimeoutError::Disconnected));
}
