//! What OTLP says about a span besides its name and times: scope, status message, flags, unique keys, limits.

mod support;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use std::time::Duration;
use support::receiver::{Answer, Received, Receiver, attribute, int, text};
use support::{in_own_process, in_own_process_with};
use throughline::{Instrument, Status, TraceContext, info, instrument, record, span};
use throughline_std::{Config, DropReason};

const LONG: Duration = Duration::from_secs(30);

/// What a receiver got from the records of `work`.
fn received(configure: impl FnOnce(Config) -> Config, work: impl FnOnce()) -> Receiver {
    let receiver = Receiver::start([]);
    let config = Config::new("svc").otlp(&receiver.endpoint).unwrap().report_errors(false);
    let guard = throughline_std::init(&configure(config)).unwrap();
    work();
    let report = guard.shutdown(LONG);
    assert!(report.complete, "{report:?}");
    receiver
}

fn find<'s>(received: &'s Received, name: &str) -> &'s Span {
    received.spans.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no span {name}"))
}

#[instrument(err)]
fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
    text.parse()
}

#[instrument(err)]
async fn parse_later(text: &str) -> Result<u32, std::num::ParseIntError> {
    text.parse()
}

#[test]
fn a_failed_span_says_why_in_its_status_45() {
    in_own_process("a_failed_span_says_why_in_its_status_45", || {
        let receiver = received(
            |c| c,
            || {
                let _ = parse("x");
                let mut later = Box::pin(parse_later(""));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(later.as_mut().poll(&mut context).is_ready());
                span!("by hand", user = "ann").fail("no bread left");
                span!("twice").fail("first");
                let mut span = span!("last wins");
                span.fail("first");
                span.fail("second");
                drop(span);
                span!("without a word").set_status(Status::Error);
                span!("fine", error.message = "none").set_status(Status::Ok);
            },
        );
        receiver.with(|r| {
            let status = |name| {
                let status = find(r, name).status.clone().unwrap();
                (status.code, status.message)
            };
            assert_eq!(status("parse"), (2, "invalid digit found in string".into()));
            assert_eq!(status("parse_later"), (2, "cannot parse integer from empty string".into()));
            assert_eq!(status("by hand"), (2, "no bread left".into()));
            assert_eq!(text(&find(r, "by hand").attributes, "error.message").unwrap(), "no bread left");
            assert_eq!(status("last wins"), (2, "second".into()));
            assert_eq!(status("without a word"), (2, String::new()));
            assert_eq!(status("fine"), (1, String::new()));
        });
    });
}

#[test]
fn the_scope_is_the_instrumented_package_45() {
    in_own_process("the_scope_is_the_instrumented_package_45", || {
        let receiver = received(
            |c| c,
            || {
                drop(span!("work"));
                info!("said");
                throughline::counter!("counted").add(1);
            },
        );
        receiver.with(|r| {
            for name in ["work", "said", "counted"] {
                assert_eq!(r.scope(name), ("throughline-std", env!("CARGO_PKG_VERSION")), "{name}");
            }
        });
    });
}

#[test]
fn flags_tell_sampling_and_a_remote_parent_45() {
    in_own_process("flags_tell_sampling_and_a_remote_parent_45", || {
        let remote = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let receiver = received(
            |c| c,
            || {
                drop(span!("root"));
                let _there = throughline::attach(remote);
                let _entry = span!("entry");
                drop(span!("below"));
            },
        );
        receiver.with(|r| {
            let flags = ["root", "entry", "below"].map(|name| find(r, name).flags);
            assert_eq!(flags, [0x101, 0x301, 0x101]);
        });
    });
}

#[test]
fn each_key_is_sent_once_and_the_last_value_wins_09() {
    in_own_process("each_key_is_sent_once_and_the_last_value_wins_09", || {
        let receiver = received(
            |c| c.attribute("zone", "a").attribute("zone", "b").attribute("service.name", "own"),
            || {
                let span = span!("late", rows = 1, user = "ann");
                record!(span, rows = 2);
                record!(span, rows = 3, user = "bob");
                record!(span, code.file.path = "mine.rs");
                drop(span);
                drop(span!("place", code.line.number = 7, code.module.name = "m"));
                info!("place", code.line.number = 8);
                let polled = async { record!(current, busy_ns = 1) }.instrument(span!("async", idle_ns = 2));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(Box::pin(polled).as_mut().poll(&mut context).is_ready());
            },
        );
        // The receiver itself checks that each key comes once.
        receiver.with(|r| {
            assert_eq!(text(&r.resource, "zone").unwrap(), "b");
            assert_eq!(text(&r.resource, "service.name").unwrap(), "own");
            let late = &find(r, "late").attributes;
            assert_eq!((int(late, "rows"), text(late, "user")), (Some(3), Some("bob".into())));
            assert_eq!(text(late, "code.file.path").unwrap(), "mine.rs");
            assert!(int(late, "code.line.number").is_some());
            let place = &find(r, "place").attributes;
            assert_eq!(
                (int(place, "code.line.number"), text(place, "code.module.name")),
                (Some(7), Some("m".into()))
            );
            assert!(text(place, "code.file.path").unwrap().ends_with("otlp_content.rs"));
            assert_eq!(int(&r.logs[0].attributes, "code.line.number"), Some(8));
            let of_async = &find(r, "async").attributes;
            assert_eq!((int(of_async, "busy_ns"), int(of_async, "idle_ns")), (Some(1), Some(2)));
        });
    });
}

/// The values of a metric by its label `key`.
fn sums(received: &Received, name: &str, key: &str) -> Vec<(String, i64)> {
    let metric = received.metrics.last().unwrap().iter().find(|m| m.name == name);
    let Some(Data::Sum(sum)) = metric.and_then(|m| m.data.clone()) else { panic!("no sum {name}") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    let value = |value| match value {
        number_data_point::Value::AsInt(n) => n,
        number_data_point::Value::AsDouble(x) => panic!("{x}"),
    };
    sum.data_points.iter().map(|p| (text(&p.attributes, key).unwrap(), value(p.value.unwrap()))).collect()
}

#[test]
fn limits_cut_and_drop_what_is_marked_and_counted_46() {
    let env = [("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")];
    in_own_process_with("limits_cut_and_drop_what_is_marked_and_counted_46", &env, || {
        let receiver = received(
            |c| c,
            || {
                let span = span!("many", a = "世世世世世", b = "世世世世世世", c = [1_u8; 6]);
                record!(span, d = 4, b = "new");
                drop(span);
                drop(span!("few", a = 1, b = 2, c = 3, d = 4));
                info!("long {}", "abcdef");
            },
        );
        receiver.with(|r| {
            let many = find(r, "many");
            let a = &many.attributes;
            assert_eq!((text(a, "a").unwrap(), attribute(a, "a.truncated")), ("世世世世世".into(), None));
            assert_eq!((text(a, "b").unwrap(), attribute(a, "b.truncated")), ("new".into(), None));
            assert_eq!(attribute(a, "c"), Some(Value::BytesValue(vec![1; 5])));
            assert_eq!(attribute(a, "c.truncated"), Some(Value::BoolValue(true)));
            assert_eq!((attribute(a, "d"), many.dropped_attributes_count), (None, 1));
            assert!(int(a, "code.line.number").is_some(), "the exporter's own are not counted");
            let few = find(r, "few");
            assert_eq!((int(&few.attributes, "c"), few.dropped_attributes_count), (Some(3), 1));
            assert_eq!(
                sums(r, "throughline.attributes", "outcome"),
                [("cut".into(), 2), ("dropped".into(), 2)]
            );
        });
    });
}

#[test]
fn texts_of_one_record_share_its_room_46() {
    in_own_process("texts_of_one_record_share_its_room_46", || {
        let long = "世".repeat(200);
        let receiver = received(
            |c| c,
            || {
                drop(span!("two", a = %long, b = %long));
                drop(span!("one", a = %long));
                drop(span!("three", a = %long, b = ?long, n = 7, c = "short"));
            },
        );
        receiver.with(|r| {
            let kept = |span: &str, key: &str| {
                let attributes = &find(r, span).attributes;
                let cut = attribute(attributes, &format!("{key}.truncated")).is_some();
                (text(attributes, key).unwrap().chars().count(), cut)
            };
            // As the README's table of limits says: content of at least so many bytes, and of those so many for
            // each text that follows.
            let (record, share) = if cfg!(target_pointer_width = "64") { (400, 64) } else { (190, 32) };
            for (span, key, bytes) in [
                ("one", "a", record),
                ("two", "a", record - share - 8),
                ("two", "b", share),
                ("three", "b", share - 2),
            ] {
                let (characters, cut) = kept(span, key);
                assert!(characters >= bytes / 3 && characters < 200 && cut, "{span} {key}: {characters}");
            }
            assert_eq!(kept("three", "c"), (5, false));
            assert_eq!(sums(r, "throughline.attributes", "outcome"), [("cut".into(), 5)]);
        });
    });
}

#[test]
fn every_hop_is_sent_as_a_metric_with_its_losses_21() {
    in_own_process("every_hop_is_sent_as_a_metric_with_its_losses_21", || {
        let receiver = Receiver::start([Answer::Partial(2, "no room")]);
        let config = Config::new("svc").otlp(&receiver.endpoint).unwrap().report_errors(false);
        let guard = throughline_std::init(&config.ring_slots(8)).unwrap();
        for _ in 0..5 {
            drop(span!("few"));
        }
        assert!(guard.flush(LONG));
        for _ in 0..100_000 {
            drop(span!("many"));
        }
        let report = guard.shutdown(LONG);
        assert!(report.in_time, "{report:?}");
        receiver.with(|r| {
            let last = r.metrics.last().unwrap().iter().find(|m| m.name == "throughline.records").unwrap();
            assert_eq!(last.unit, "{record}");
            let Some(Data::Sum(sum)) = &last.data else { panic!("{last:?}") };
            let labels: std::collections::HashSet<_> = sum
                .data_points
                .iter()
                .map(|p| (text(&p.attributes, "hop").unwrap(), text(&p.attributes, "outcome").unwrap()))
                .collect();
            let expected = [
                ("ring", "output"),
                ("ring", "ring_full"),
                ("pump", "output"),
                ("otlp.traces", "output"),
                ("otlp.traces", "rejected"),
            ];
            for (hop, outcome) in expected {
                assert!(labels.contains(&(hop.into(), outcome.into())), "no {hop} {outcome} in {labels:?}");
            }
            let ring_full = report.ledger.ring.dropped_for(DropReason::RingFull) as i64;
            assert!(sums(r, "throughline.records", "outcome").contains(&("ring_full".into(), ring_full)));
        });
    });
}
