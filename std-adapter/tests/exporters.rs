//! Exporters are independent: one that hangs, fails, blocks or panics delays neither the pump nor another
//! exporter, and what it does not deliver is counted and reported.

mod support;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Waker};
use std::time::{Duration, SystemTime};
use support::receiver::{Answer, Receiver};
use support::{assert_balanced, in_own_process, ours, stderr_of, until};
use throughline::{Instrument, counter, info, span};
use throughline_std::otlp::ClientConfig;
use throughline_std::view::{LogView, PointView, SpanView};
use throughline_std::{Config, Deadline, DropReason, ExportError, Exporter, Guard, Wants, message};

const LONG: Duration = Duration::from_secs(30);

fn otlp(receiver: &Receiver) -> ClientConfig {
    let client = ClientConfig::new(&receiver.endpoint).unwrap();
    client.timeout(Duration::from_secs(3600)).first_backoff(Duration::from_millis(1))
}

fn start(config: &Config) -> Guard {
    throughline_std::init(config).unwrap()
}

/// Keeps everything it gets, as text.
#[derive(Clone, Default)]
struct Keeps(Arc<Mutex<Vec<String>>>);

impl Keeps {
    fn keep(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().iter().any(|kept| kept == text)
    }
}

impl Exporter for Keeps {
    fn span(&mut self, span: &SpanView<'_>) {
        let fields: Vec<_> = span.fields.clone().map(|(name, value)| format!("{name}={value:?}")).collect();
        self.keep(format!("span {} {}", span.name, fields.join(" ")));
    }

    fn log(&mut self, log: &LogView<'_>) {
        self.keep(format!("log {} {}", log.level, message::render(log.message, log.fields.clone())));
    }

    fn points(&mut self, points: &[PointView<'_>]) {
        points.iter().for_each(|point| self.keep(format!("point {} {:?}", point.name, point.data)));
    }

    fn losses(&mut self, losses: &[throughline_std::view::LossView<'_>]) {
        losses.iter().for_each(|loss| self.keep(format!("loss {}", loss.what)));
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

#[test]
fn an_exporter_of_the_programs_own_gets_everything() {
    in_own_process("an_exporter_of_the_programs_own_gets_everything", || {
        let keeps = Keeps::default();
        let guard = start(&Config::new("svc").without_otlp().exporter("keeps", keeps.clone()));
        {
            let _span = span!("work", n = 7, text = "ann", negative = -3, ratio = 0.5, yes = true);
            info!("at {place}", place = "home");
        }
        counter!("made").add(3);
        assert!(guard.flush(LONG));
        let ledger = guard.ledger();
        assert_eq!((ledger.exporter("keeps").input, ledger.exporter("keeps").output), (2, 2), "{ledger}");
        assert!(guard.shutdown(LONG).complete);
        let expected = r#"span work n=I64(7) text=Str { text: "ann", truncated: false } negative=I64(-3) ratio=F64(0.5) yes=Bool(true)"#;
        assert!(keeps.has(expected), "{:?}", keeps.0);
        assert!(keeps.has("log INFO at home"), "{:?}", keeps.0);
        assert!(keeps.has("point made Counter(3)"), "{:?}", keeps.0);
    });
}

/// Blocks in the first call of `span` and never returns.
struct Blocks;

impl Exporter for Blocks {
    fn span(&mut self, _: &SpanView<'_>) {
        loop {
            std::thread::park();
        }
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

#[test]
fn one_that_blocks_holds_up_nobody_40() {
    in_own_process("one_that_blocks_holds_up_nobody_40", || {
        let receiver = Receiver::start([]);
        let keeps = Keeps::default();
        let config = Config::new("svc").otlp_client(otlp(&receiver)).report_errors(false);
        let config = config.batch(1, Duration::ZERO).queue(1);
        let guard = start(&config.exporter("blocks", Blocks).exporter("keeps", keeps.clone()));
        for n in 0..50 {
            drop(span!("work", n));
            until("the others have it", || {
                let ledger = guard.ledger();
                ledger.exporter("otlp").output == n + 1 && ledger.exporter("keeps").output == n + 1
            });
        }
        let report = guard.shutdown(Duration::from_millis(200));
        assert!(!report.complete, "one of them does not come back");
        let ledger = &report.ledger;
        assert_balanced(ledger);
        assert_eq!((ledger.exporter("otlp").output, ledger.exporter("keeps").output), (50, 50), "{ledger}");
        let blocks = ledger.exporter("blocks");
        assert_eq!((blocks.input, blocks.output), (50, 0), "{ledger}");
        assert!(blocks.dropped_for(DropReason::QueueFull) > 0, "{ledger}");
        assert!(blocks.dropped_for(DropReason::Shutdown) > 0, "{ledger}");
        receiver.with(|r| assert_eq!(r.spans.len(), 50));
    });
}

#[test]
fn an_exporter_that_takes_no_spool_is_advised_none() {
    let told = stderr_of("an_exporter_that_takes_no_spool_is_advised_none", || {
        let guard = start(&Config::new("svc").without_otlp().exporter("blocks", Blocks));
        drop(span!("work"));
        assert!(!guard.shutdown(Duration::from_millis(50)).complete);
    });
    let Some(told) = told else { return };
    let last = ours(&told).pop().unwrap();
    assert!(last.ends_with("blocks lost 1 of 1 record (1 shutdown); give the shutdown more time"), "{told}");
}

#[test]
fn each_signal_has_its_own_queue_and_thread_40() {
    in_own_process("each_signal_has_its_own_queue_and_thread_40", || {
        let receiver = Receiver::hanging_at("/v1/traces", []);
        let config = Config::new("svc").otlp_client(otlp(&receiver)).report_errors(false);
        let config = config.batch(1, Duration::ZERO).metrics_every(Duration::from_millis(5));
        let guard = start(&config);
        counter!("turns").add(1);
        for n in 0..20 {
            drop(span!("stuck"));
            info!("through");
            until("logs and metrics arrive", || receiver.with(|r| r.logs.len() > n && r.metrics.len() > n));
        }
        let report = guard.shutdown(Duration::from_millis(200));
        let ledger = &report.ledger;
        assert_balanced(ledger);
        assert_eq!(ledger.exporter("otlp.logs").output, 20, "{ledger}");
        assert_eq!(ledger.exporter("otlp.traces").dropped_total(), 20, "{ledger}");
    });
}

#[test]
fn the_ledger_moves_while_an_exporter_is_stuck_39() {
    in_own_process("the_ledger_moves_while_an_exporter_is_stuck_39", || {
        const SPANS: u64 = 200;
        let receiver = Receiver::hanging_at("/v1/traces", []);
        let config = Config::new("svc").otlp_client(otlp(&receiver)).report_errors(false);
        let guard = start(&config.batch(1, Duration::ZERO).queue(2));
        for n in 0..SPANS {
            drop(span!("stuck"));
            until("the pump takes it", || guard.ledger().pump.output == n + 1);
        }
        until("what finds no room is counted", || {
            let traces = guard.ledger().exporter("otlp.traces");
            traces.dropped_for(DropReason::QueueFull) > 0 && traces.input == SPANS
        });
        let error = guard.last_error().expect("known before any attempt has failed");
        assert!(error.contains("the queue of otlp.traces is full"), "{error}");
        assert_balanced(&guard.shutdown(Duration::from_millis(200)).ledger);
    });
}

#[test]
fn an_outage_is_told_when_it_begins_and_when_it_ends_39() {
    let told = stderr_of("an_outage_is_told_when_it_begins_and_when_it_ends_39", || {
        // Without retries, each round costs one request.
        let receiver = Receiver::start(std::iter::repeat_n(Answer::Status(503, "", vec![]), 5));
        let client = otlp(&receiver).retry_for(Duration::ZERO);
        let guard = start(&Config::new("svc").otlp_client(client));
        for _ in 0..5 {
            drop(span!("lost"));
            // A flush also sends metrics.
            assert!(guard.flush(LONG));
        }
        until("spans arrive again", || {
            drop(span!("delivered"));
            assert!(guard.flush(LONG));
            receiver.with(|r| !r.spans.is_empty() && r.metrics.len() > 1) && guard.last_error().is_none()
        });
        let report = guard.shutdown(LONG);
        assert!(report.in_time, "{report:?}");
        assert_balanced(&report.ledger);
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert_eq!(lines.len(), 3, "{told}");
    assert!(lines[0].starts_with("throughline: otlp: http://127.0.0.1:"), "{told}");
    assert!(lines[0].contains("status 503") && lines[0].contains("check that a collector listens"), "{told}");
    assert!(lines[1].contains("throughline: otlp: works again after "), "{told}");
    // Everything that was lost was lost in the outage.
    let (_, lost) = lines[1].rsplit_once("; ").unwrap();
    let (lost, _) = lost.split_once(' ').unwrap();
    assert!(
        lines[2].contains(&format!("not everything was delivered: otlp.traces lost {lost} of ")),
        "{told}"
    );
}

#[test]
fn a_failed_attempt_is_told_before_the_request_is_given_up_39() {
    let told = stderr_of("a_failed_attempt_is_told_before_the_request_is_given_up_39", || {
        // It retries for an hour; the report must not wait for that.
        let client = ClientConfig::new("http://127.0.0.1:1").unwrap().retry_for(Duration::from_secs(3600));
        let guard = start(&Config::new("svc").otlp_client(client));
        drop(span!("kept"));
        assert!(!guard.flush(Duration::from_millis(1)));
        until("the first attempt is known to have failed", || guard.last_error().is_some());
        let report = guard.shutdown(Duration::from_millis(100));
        assert_eq!(report.ledger.exporter("otlp").dropped_for(DropReason::Shutdown), 1, "{}", report.ledger);
        assert!(report.last_error.is_some_and(|error| error.contains("127.0.0.1:1")));
    });
    let Some(told) = told else { return };
    assert!(ours(&told)[0].contains("trying again"), "{told}");
}

#[test]
fn a_pause_beyond_any_clock_is_no_panic_02() {
    in_own_process("a_pause_beyond_any_clock_is_no_panic_02", || {
        let answers = ["18446744073709551615", "9223372036854775807", "99999999999"].map(|seconds| {
            let header = Box::leak(format!("retry-after: {seconds}\r\n").into_boxed_str());
            Answer::Status(503, header, vec![])
        });
        let receiver = Receiver::start(answers);
        let client = otlp(&receiver)
            .timeout(Duration::MAX)
            .retry_for(Duration::from_millis(1))
            .first_backoff(Duration::MAX);
        let config = Config::new("svc").otlp_client(client).report_errors(false);
        let config = config.metrics_every(Duration::MAX).batch(1, Duration::MAX).idle_poll(Duration::MAX);
        let guard = start(&config.drop_deadline(Duration::MAX));
        for _ in 0..5 {
            drop(span!("work"));
            info!("done");
            assert!(guard.flush(Duration::MAX));
        }
        let report = guard.shutdown(Duration::MAX);
        assert!(report.in_time, "{report:?}");
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("otlp").dropped_for(DropReason::ThreadDied), 0);
    });
}

#[test]
fn a_pause_for_ever_ends_with_the_program_02() {
    in_own_process("a_pause_for_ever_ends_with_the_program_02", || {
        let answer = Answer::Status(503, "retry-after: 18446744073709551615\r\n", vec![]);
        let receiver = Receiver::start(std::iter::repeat_n(answer, 100));
        let client = otlp(&receiver).retry_for(Duration::MAX);
        let guard = start(&Config::new("svc").otlp_client(client).report_errors(false));
        drop(span!("work"));
        assert!(!guard.flush(Duration::from_millis(50)));
        let report = guard.shutdown(Duration::from_millis(200));
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("otlp").dropped_for(DropReason::Shutdown), 1, "{}", report.ledger);
    });
}

/// Panics at the second span.
struct Panics(u32);

impl Exporter for Panics {
    fn wants(&self) -> Wants {
        Wants { spans: true, ..Wants::NOTHING }
    }

    fn span(&mut self, _: &SpanView<'_>) {
        self.0 += 1;
        assert!(self.0 < 2, "a span too many");
    }

    fn flush(&mut self, _deadline: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

#[test]
fn one_that_panics_is_seen_and_the_others_go_on_02() {
    let told = stderr_of("one_that_panics_is_seen_and_the_others_go_on_02", || {
        let keeps = Keeps::default();
        let config = Config::new("svc").without_otlp().batch(1, Duration::ZERO);
        let guard = start(&config.exporter("panics", Panics(0)).exporter("keeps", keeps.clone()));
        for n in 0..20 {
            drop(span!("work", n));
            assert!(guard.flush(LONG), "a flush does not wait for the dead");
        }
        let error = guard.last_error().unwrap();
        assert!(error.contains("a span too many"), "{error}");
        let report = guard.shutdown(LONG);
        let ledger = &report.ledger;
        assert!(report.in_time && report.took < LONG, "{report:?}");
        assert_balanced(ledger);
        let panics = ledger.exporter("panics");
        assert_eq!((panics.output, panics.dropped_for(DropReason::ThreadDied)), (1, 19), "{ledger}");
        assert_eq!(ledger.exporter("keeps").output, 20, "{ledger}");
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert_eq!(lines.len(), 2, "{told}");
    assert!(
        lines[0].contains("panics: its thread panicked and has ended")
            && lines[0].contains("a span too many")
    );
    assert!(lines[1].ends_with("panics lost 19 of 20 records (19 thread_died)"), "{told}");
}

#[test]
fn a_pump_that_panics_is_seen_02() {
    static BROKEN: AtomicBool = AtomicBool::new(false);
    fn clock() -> SystemTime {
        assert!(!BROKEN.load(Ordering::Relaxed), "no time any more");
        SystemTime::now()
    }
    let told = stderr_of("a_pump_that_panics_is_seen_02", || {
        let keeps = Keeps::default();
        let config = Config::new("svc").without_otlp().exporter("keeps", keeps.clone()).wall_clock(clock);
        let guard = start(&config);
        drop(span!("in time"));
        assert!(guard.flush(LONG));
        BROKEN.store(true, Ordering::Relaxed);
        until("the pump is gone", || guard.last_error().is_some());
        for _ in 0..10 {
            drop(span!("too late"));
        }
        assert!(!guard.flush(LONG), "nobody delivers");
        let report = guard.shutdown(LONG);
        assert!(!report.complete && report.took < LONG, "{report:?}");
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.ring.input, 11, "{}", report.ledger);
        assert_eq!(report.ledger.pump.dropped_for(DropReason::ThreadDied), 10, "{}", report.ledger);
        assert!(keeps.has("span in time "), "{:?}", keeps.0);
    });
    let Some(told) = told else { return };
    let lines = ours(&told);
    assert_eq!(lines.len(), 2, "{told}");
    assert!(
        lines[0].contains("pump: its thread panicked") && lines[0].contains("no time any more"),
        "{told}"
    );
    assert!(lines[1].ends_with("pump lost 10 of 11 records (10 thread_died)"), "{told}");
}

#[test]
fn what_waits_when_the_pump_ends_goes_on_12() {
    in_own_process("what_waits_when_the_pump_ends_goes_on_12", || {
        static STOP: AtomicBool = AtomicBool::new(false);
        static GATE: AtomicU32 = AtomicU32::new(0);
        let keeps = Keeps::default();
        let guard = start(&Config::new("svc").without_otlp().exporter("keeps", keeps).report_errors(false));
        // A future's span may have got fields on another thread, so its record waits until all rings have been
        // read once more. These threads end such spans all the time, so some wait when the last round ends.
        let threads: Vec<_> = (0..2)
            .map(|_| {
                std::thread::spawn(move || {
                    while !STOP.load(Ordering::Relaxed) {
                        let mut work = pin!(async {}.instrument(span!("waits for its fields")));
                        assert!(work.as_mut().poll(&mut task::Context::from_waker(Waker::noop())).is_ready());
                        GATE.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        until("they record", || GATE.load(Ordering::Relaxed) > 1000);
        let report = guard.shutdown(LONG);
        STOP.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(report.in_time, "{report:?}");
        assert_eq!(report.ledger.pump.pending, 0, "{}", report.ledger);
    });
}

#[test]
fn several_collectors_get_everything_and_one_that_is_away_holds_up_no_other() {
    in_own_process("several_collectors_get_everything_and_one_that_is_away_holds_up_no_other", || {
        let (first, second) = (Receiver::start([]), Receiver::hanging_at("/v1/traces", []));
        let third = Receiver::start([]);
        let config = Config::new("svc").otlp_client(otlp(&first)).report_errors(false);
        let config = config.also_otlp("away", otlp(&second)).also_otlp("third", otlp(&third));
        let guard = start(&config.batch(1, Duration::ZERO));
        for n in 0..20 {
            drop(span!("work", n));
            info!("done", n);
            until("two of them have it", || {
                let ledger = guard.ledger();
                ledger.exporter("otlp").output == 2 * (n + 1)
                    && ledger.exporter("third").output == 2 * (n + 1)
            });
        }
        counter!("turns").add(3);
        let report = guard.shutdown(Duration::from_millis(300));
        let ledger = &report.ledger;
        assert_balanced(ledger);
        assert_eq!(ledger.exporter("away.traces").dropped_total(), 20, "{ledger}");
        assert_eq!(ledger.exporter("away.logs").output, 20, "{ledger}");
        for receiver in [&first, &third] {
            receiver.with(|r| {
                assert_eq!((r.spans.len(), r.logs.len()), (20, 20));
                assert!(r.metrics.iter().flatten().any(|metric| metric.name == "turns"));
            });
        }
    });
}
