//! `event_2fields`: a log record with a constant message and two integers.

use std::{
    fmt::Write as _,
    hint::black_box,
    io,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use fastrace::{Event, Span, collector::SpanContext, local::LocalSpan};
use opentelemetry::logs::{LogRecord as _, Logger, LoggerProvider as _, Severity};
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLoggerProvider};
use slog::Drain as _;

use super::sinks::{Nowhere, emit_setup, line, stamp, tracing_throughline};
use crate::{
    Subject,
    harness::{Bench, traces},
};

pub(super) const SUBJECTS: &[Subject] = &[
    ("fastrace", fastrace),
    ("opentelemetry", opentelemetry),
    ("tracing (fmt)", |bench| {
        tracing_subscriber::fmt().with_ansi(false).with_writer(io::sink).init();
        bench.drained(|_| (), |(), n| tracing_events(n), |()| ());
    }),
    ("tracing (JSON)", |bench| {
        tracing_subscriber::fmt().json().with_writer(io::sink).init();
        bench.drained(|_| (), |(), n| tracing_events(n), |()| ());
    }),
    ("throughline (tracing)", |bench| {
        tracing_throughline();
        bench.drained(|_| (), |(), n| tracing_events(n), |()| crate::throughline::drain());
    }),
    ("throughline (log)", |bench| {
        crate::throughline::init();
        log::set_logger(&throughline_std::log::Logger).expect("the first logger");
        log::set_max_level(log::LevelFilter::Trace);
        bench.drained(|_| (), |(), n| log_events(n), |()| crate::throughline::drain());
    }),
    ("throughline (opentelemetry)", otel_own),
    ("emit", emit),
    ("slog-async", slog_async),
    ("log", log),
];

fn fastrace(bench: &mut Bench<'_>) {
    fastrace::set_reporter(Nowhere, fastrace::collector::Config::default());
    bench.drained(
        |_| (),
        |(), n| {
            traces(n, |children| {
                let root = Span::root("request", SpanContext::random());
                let _parent = root.set_local_parent();
                for bytes in 0..=children {
                    let attempt = black_box(3_u64);
                    LocalSpan::add_event(Event::new("sent").with_properties(|| {
                        [("bytes", bytes.to_string()), ("attempt", attempt.to_string())]
                    }));
                }
            });
        },
        |()| fastrace::flush(),
    );
}

fn opentelemetry(bench: &mut Bench<'_>) {
    let config =
        BatchConfigBuilder::default().with_max_queue_size(4096).with_max_export_batch_size(4096).build();
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(BatchLogProcessor::builder(Nowhere).with_batch_config(config).build())
        .build();
    let logger = provider.logger("bench");
    bench.drained(
        |_| (),
        |(), n| otel_logs(&logger, n),
        |()| provider.force_flush().expect("nothing to fail"),
    );
}

fn otel_own(bench: &mut Bench<'_>) {
    crate::throughline::init();
    let logger = throughline_std::opentelemetry::LoggerProvider.logger("bench");
    bench.drained(|_| (), |(), n| otel_logs(&logger, n), |()| crate::throughline::drain());
}

fn otel_logs(logger: &impl Logger, n: u64) {
    for i in 0..n as i64 {
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Info);
        record.set_timestamp(std::time::SystemTime::now());
        record.set_body("sent".into());
        record.add_attribute("bytes", i);
        record.add_attribute("attempt", black_box(3_i64));
        logger.emit(record);
    }
}

fn tracing_events(n: u64) {
    for bytes in 0..n {
        tracing::info!(bytes, attempt = black_box(3_u64), "sent");
    }
}

fn log_events(n: u64) {
    for bytes in 0..n {
        let attempt = black_box(3_u64);
        log::info!(bytes, attempt; "sent");
    }
}

fn emit(bench: &mut Bench<'_>) {
    emit_setup();
    bench.drained(
        |_| (),
        |(), n| {
            for bytes in 0..n {
                let attempt = black_box(3_u64);
                emit::info!("sent", bytes, attempt);
            }
        },
        |()| (),
    );
}

fn slog_async(bench: &mut Bench<'_>) {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    static SENT: AtomicU64 = AtomicU64::new(0);
    struct Count;
    impl slog::Drain for Count {
        type Ok = ();
        type Err = slog::Never;

        fn log(&self, _: &slog::Record<'_>, _: &slog::OwnedKVList) -> Result<(), slog::Never> {
            WRITTEN.fetch_add(1, Ordering::Release);
            Ok(())
        }
    }
    let drain = slog_async::Async::new(Count).chan_size(4096).build().fuse();
    let logger = slog::Logger::root(drain, slog::o!());
    bench.drained(
        |_| (),
        |(), n| {
            for bytes in 0..n {
                slog::info!(logger, "sent"; "bytes" => bytes, "attempt" => black_box(3_u64));
            }
            SENT.fetch_add(n, Ordering::Release);
        },
        |()| {
            while WRITTEN.load(Ordering::Acquire) < SENT.load(Ordering::Acquire) {
                thread::yield_now();
            }
        },
    );
}

fn log(bench: &mut Bench<'_>) {
    struct Lines;
    impl log::Log for Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            line(|line| {
                stamp(line);
                let _ = write!(line, "{} {} {}", record.level(), record.target(), record.args());
            });
        }

        fn flush(&self) {}
    }
    log::set_boxed_logger(Box::new(Lines)).expect("the first logger");
    log::set_max_level(log::LevelFilter::Info);
    bench.drained(
        |_| (),
        |(), n| {
            for bytes in 0..n {
                log::info!("sent bytes={bytes} attempt={}", black_box(3_u64));
            }
        },
        |()| (),
    );
}
