//! Records of `log`, and what their values and messages may do.

use super::support::in_own_process;
use super::support::look::{body, log, number};
use super::support::receiver::{Receiver, int, text};
use super::support::service::{LONG, config, find, start};
use super::{look_at, recorded};

#[test]
fn secrets_in_finished_messages_are_found_by_their_names() {
    recorded(
        "records::secrets_in_finished_messages_are_found_by_their_names",
        || {
            let password = "hunter2";
            tracing::info!(n = 1, "user ann password={password} is in");
            log::info!(user = "ann"; r#"sent {{"apiKey":"{password}","n":1}}"#);
            log::info!("Authorization: Bearer {password}, as {:?}", "ann");
        },
        |_, logs, _| {
            assert!(!format!("{logs:?}").contains("hunter"), "{logs:?}");
            assert_eq!(int(&log(logs, "user ann password=[REDACTED] is in").attributes, "n"), Some(1));
            log(logs, r#"sent {"apiKey":"[REDACTED]","n":1}"#);
            log(logs, r#"Authorization: [REDACTED], as "ann""#);
        },
    );
}

#[test]
fn records_of_log_have_their_place_their_pairs_and_the_current_spans_ids() {
    recorded(
        "records::records_of_log_have_their_place_their_pairs_and_the_current_spans_ids",
        || {
            let _span = tracing::info_span!("request").entered();
            log::warn!(target: "shop::db", user = "ann", rows = 3_u64, ratio = 0.5, ok = true; "slow {{query}}");
            /// Logs while it is shown.
            struct Chatty(u32);
            impl std::fmt::Display for Chatty {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    if self.0 > 0 {
                        log::info!("shown, {} to go", Chatty(self.0 - 1));
                    }
                    write!(f, "{}", self.0)
                }
            }
            log::info!("chatty {}", Chatty(1));
            log::info!("endless {}", Chatty(u32::MAX));
        },
        |spans, logs, metrics| {
            let request = find(spans, "request");
            let slow = log(logs, "slow {query}");
            let a = &slow.attributes;
            assert_eq!((&slow.span_id, slow.severity_number), (&request.span_id, 13));
            assert_eq!((text(a, "user"), int(a, "rows")), (Some("ann".into()), Some(3)));
            assert_eq!(text(a, "code.module.name").unwrap(), "shop::db");
            assert!(text(a, "code.file.path").unwrap().ends_with("bridges/records.rs"));
            assert_eq!(a.len(), 4 + 3, "{a:#?}");
            assert!(body(log(logs, "chatty 1")).starts_with("chatty"));
            assert!(logs.iter().any(|log| body(log) == "shown, 0 to go"));
            let endless: Vec<_> = logs.iter().filter(|log| body(log).starts_with("endless")).collect();
            assert_eq!(endless.len(), 1);
            let refused = metrics.iter().find(|metric| metric.name == "throughline.bridge.refused");
            assert_eq!(number(refused.unwrap()), 1.0, "the record that would never have ended");
        },
    );
}

#[test]
fn a_value_that_uses_tracing_whenever_it_is_shown_comes_to_an_end() {
    struct Endless;
    impl std::fmt::Debug for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!("shown: {self:?}");
            let _span = tracing::info_span!("shown", value = ?self);
            tracing::Span::current().record("late", tracing::field::debug(self));
            f.write_str("endless")
        }
    }
    recorded(
        "records::a_value_that_uses_tracing_whenever_it_is_shown_comes_to_an_end",
        || {
            let span = tracing::info_span!("request", late = tracing::field::Empty);
            span.in_scope(|| tracing::info!("first: {Endless:?}"));
        },
        |spans, logs, metrics| {
            assert!(find(spans, "request").end_time_unix_nano > 0);
            assert!(logs.iter().any(|log| body(log).starts_with("first: endless")));
            let refused = metrics.iter().find(|metric| metric.name == "throughline.bridge.refused");
            assert!(number(refused.unwrap()) > 0.0);
        },
    );
}

#[test]
fn records_of_log_that_come_by_way_of_tracing_have_their_own_place() {
    in_own_process("records::records_of_log_that_come_by_way_of_tracing_have_their_own_place", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver).tracing_subscriber());
        tracing_log::LogTracer::init().unwrap();
        tracing::info_span!("request").in_scope(|| {
            log::warn!(target: "shop::db", "slow {{query}}");
        });
        look_at(&receiver, guard.shutdown(LONG), |spans, logs, _| {
            let slow = log(logs, "slow {query}");
            assert_eq!((&slow.span_id, slow.severity_number), (&find(spans, "request").span_id, 13));
            assert_eq!(text(&slow.attributes, "code.module.name").unwrap(), "shop::db");
            assert!(text(&slow.attributes, "code.file.path").unwrap().ends_with("bridges/records.rs"));
            assert_eq!(slow.attributes.len(), 3);
        });
    });
}

#[test]
fn the_threads_of_this_library_make_no_records_through_a_bridge() {
    recorded(
        "records::the_threads_of_this_library_make_no_records_through_a_bridge",
        || log::info!("the only one"),
        |spans, logs, _| assert_eq!((spans.len(), logs.len()), (0, 1)),
    );
}
