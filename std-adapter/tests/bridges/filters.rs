//! The configuration's levels and filters beside those of `tracing-subscriber`.

use super::support::in_own_process;
use super::support::look::body;
use super::support::receiver::{Receiver, text};
use super::support::service::{LONG, config, find, start};
use super::{look_at, recorded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing_subscriber::prelude::*;

#[test]
fn a_filter_on_the_layer_and_the_configurations_filter_both_count() {
    in_own_process("filters::a_filter_on_the_layer_and_the_configurations_filter_both_count", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).min_level(Some(throughline::Level::Info)));
        let all = Arc::new(AtomicUsize::new(0));
        let not_noisy = tracing_subscriber::filter::filter_fn(|metadata| metadata.target() != "noisy");
        let subscriber = tracing_subscriber::registry()
            .with(throughline_std::tracing::layer().with_filter(not_noisy))
            .with(Counting(Arc::clone(&all)));
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("outer").entered();
            let noisy = tracing::info_span!(target: "noisy", "noisy").entered();
            tracing::info!(target: "noisy", "not this");
            let fine = tracing::debug_span!("too fine").entered();
            tracing::debug!("nor this");
            tracing::info!("this one");
            let explicit = tracing::info_span!(parent: &noisy, "below the noisy one");
            drop((explicit, fine, noisy, outer));
        });
        assert_eq!(all.load(Ordering::Relaxed), 3, "the other layer gets everything");
        look_at(&receiver, guard.shutdown(LONG), |spans, logs, _| {
            let outer = find(spans, "outer");
            assert_eq!(find(spans, "below the noisy one").parent_span_id, outer.span_id);
            assert_eq!((spans.len(), logs.len()), (2, 1));
            assert_eq!((body(&logs[0]), &logs[0].span_id), ("this one".into(), &outer.span_id));
        });
    });
}

/// Counts events.
pub(super) struct Counting(pub(super) Arc<AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Counting {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_asks_before_a_record_is_made_gets_the_filters_answer() {
    in_own_process("filters::who_asks_before_a_record_is_made_gets_the_filters_answer", || {
        let receiver = Receiver::start([]);
        let file = std::env::temp_dir().join(format!("throughline-asks-{}.toml", std::process::id()));
        std::fs::write(&file, "[logging]\nfilter = 'warn,loud=debug'\n[tracing]\nlevel = 'error'").unwrap();
        let config = config(&receiver).bridges().with_file(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let guard = start(&config);
        let asked = [
            tracing::event_enabled!(target: "shop", tracing::Level::WARN),
            tracing::event_enabled!(target: "shop", tracing::Level::INFO),
            tracing::event_enabled!(target: "loud", tracing::Level::DEBUG),
            tracing::span_enabled!(target: "loud", tracing::Level::DEBUG),
            tracing::span_enabled!(target: "loud", tracing::Level::ERROR),
            tracing::enabled!(target: "loud", tracing::Level::DEBUG),
            tracing::enabled!(target: "loud", tracing::Level::TRACE),
            log::log_enabled!(target: "loud", log::Level::Debug),
            log::log_enabled!(target: "shop", log::Level::Info),
        ];
        assert_eq!(asked, [true, false, true, false, true, true, false, true, false]);
        throughline::set_min_level(None);
        assert!(!tracing::enabled!(target: "loud", tracing::Level::ERROR));
        drop(guard);
    });
}

#[test]
fn a_level_that_changes_while_the_program_runs_counts_at_once() {
    recorded(
        "filters::a_level_that_changes_while_the_program_runs_counts_at_once",
        || {
            for level in [throughline::Level::Warn, throughline::Level::Info, throughline::Level::Error] {
                throughline::set_min_level(Some(level));
                tracing::info!("of tracing, at {level}");
                log::info!("of log, at {level}");
                drop(tracing::info_span!("span", %level));
            }
            throughline::set_min_level(Some(throughline::Level::Trace));
        },
        |spans, logs, _| {
            let mut bodies: Vec<_> = logs.iter().map(body).collect();
            bodies.sort();
            assert_eq!(bodies, ["of log, at INFO", "of tracing, at INFO"]);
            assert_eq!(text(&find(spans, "span").attributes, "level").unwrap(), "INFO");
        },
    );
}
