//! `disabled`: an event with two integers at a disabled callsite; a span for libraries without events.

use std::hint::black_box;

use fastrace::local::LocalSpan;
use slog::Drain as _;
use tracing_subscriber::filter::LevelFilter;

use crate::{Subject, harness::Bench};

pub(super) const SUBJECTS: &[Subject] = &[
    ("log", |bench| {
        log::set_max_level(log::LevelFilter::Info);
        each(bench, |bytes| log::debug!("sent bytes={bytes} attempt={}", black_box(3_u64)));
    }),
    ("tracing (event)", |bench| {
        tracing_info();
        each(bench, |bytes| tracing::debug!(bytes, attempt = black_box(3_u64), "sent"));
    }),
    ("tracing (span)", |bench| {
        tracing_info();
        each(bench, |bytes| {
            let _span = tracing::debug_span!("work", bytes, attempt = black_box(3_u64)).entered();
        });
    }),
    ("emit", |bench| {
        let init = emit::setup()
            .emit_when(emit::level::min_filter(emit::Level::Info))
            .emit_to(emit::emitter::from_fn(|event| {
                black_box(event);
            }))
            .init();
        black_box(init);
        each(bench, |bytes| {
            let attempt = black_box(3_u64);
            emit::debug!("sent", bytes, attempt);
        });
    }),
    ("slog", |bench| {
        let drain = slog::LevelFilter::new(slog::Discard, slog::Level::Info).fuse();
        let logger = slog::Logger::root(drain, slog::o!());
        each(bench, |bytes| slog::debug!(logger, "sent"; "bytes" => bytes, "attempt" => black_box(3_u64)));
    }),
    ("puffin (scope)", |bench| {
        puffin::set_scopes_on(false);
        each(bench, |_| {
            puffin::profile_scope!("work");
        });
    }),
    ("fastrace (span, no reporter)", |bench| {
        each(bench, |bytes| {
            let _span =
                LocalSpan::enter_with_local_parent("work").with_property(|| ("bytes", bytes.to_string()));
        });
    }),
];

fn tracing_info() {
    tracing_subscriber::fmt().with_max_level(LevelFilter::INFO).with_writer(std::io::sink).init();
}

fn each(bench: &mut Bench<'_>, op: impl Fn(u64) + Sync) {
    bench.steady(
        |_| (),
        |(), n| {
            for i in 0..n {
                op(i);
            }
        },
    );
}
