//! Events to Kafka, as a strict fake of a broker sees them. What a real one does is tested by `cargo xtask interop --only kafka`.
#![cfg(feature = "events-kafka")]

#[path = "support/fake_kafka.rs"]
mod fake_kafka;
#[path = "support/servers.rs"]
mod servers;
mod support;

use fake_kafka::{Answer, Request, TOPIC, serve};
use servers::Folder;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use support::{assert_balanced, in_own_process, until};
use throughline::{info, span};
use throughline_std::events::{Events, Kafka};
use throughline_std::log::RollingFile;
use throughline_std::{Config, DropReason, Guard, Hop};

const LONG: Duration = Duration::from_secs(30);

/// The codes of answers: <https://kafka.apache.org/protocol#protocol_error_codes>.
const NOT_LEADER: i16 = 6;
const MESSAGE_TOO_LARGE: i16 = 10;
const NOT_ENOUGH_REPLICAS: i16 = 19;

fn events(address: SocketAddr) -> Events<Kafka> {
    Events::new("out", Kafka::new([address.to_string()], TOPIC).unwrap())
}

fn begin(events: Events<Kafka>) -> Guard {
    let config = Config::new("shop").without_otlp().terminal(false).report_errors(false);
    throughline_std::init(&config.exporter("events", events)).unwrap()
}

/// Ends it, and returns what became of the events.
fn end(guard: Guard) -> Hop {
    let report = guard.shutdown(LONG);
    assert_balanced(&report.ledger);
    report.ledger.exporter("events")
}

/// The numbers of the events that were taken, each once.
fn numbers(requests: impl Iterator<Item = Request>) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    for record in requests.flat_map(|request| request.records) {
        assert!(
            numbers.insert(record.event["data"]["attributes"]["n"].as_u64().unwrap()),
            "twice: {record:?}"
        );
    }
    numbers
}

fn thirty() {
    for n in 0..30_u64 {
        let _span = span!(root: true, "order");
        info!("event", n);
    }
}

#[test]
fn events_of_a_trace_share_a_partition_and_the_others_are_spread() {
    in_own_process("events_of_a_trace_share_a_partition_and_the_others_are_spread", || {
        let (address, requests) = serve(3, |_| Answer::Code(0));
        let guard = begin(events(address).batch(10));
        for n in 0..20_u64 {
            let _span = span!(root: true, "order");
            for step in 0..3 {
                info!("step", n = 3 * n + step);
            }
        }
        for n in 60..90_u64 {
            info!("alone", n);
        }
        assert_eq!(end(guard).output, 90);
        let requests: Vec<Request> = requests.try_iter().collect();
        let mut keys: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
        let mut alone = BTreeSet::new();
        for request in &requests {
            for record in &request.records {
                match &record.key {
                    Some(key) => keys.entry(key).or_default().insert(request.partition),
                    None => alone.insert(request.partition),
                };
            }
        }
        assert_eq!((keys.len(), alone.len()), (20, 3));
        assert!(keys.values().all(|partitions| partitions.len() == 1), "{keys:?}");
        assert_eq!(numbers(requests.into_iter()), (0..90).collect());
    });
}

#[test]
fn what_is_too_large_is_a_dead_letter_and_the_rest_is_taken_once() {
    in_own_process("what_is_too_large_is_a_dead_letter_and_the_rest_is_taken_once", || {
        let is_large =
            |request: &Request| request.records.iter().any(|it| it.event["data"]["attributes"]["n"] == 13);
        let (address, requests) = serve(1, move |request| match is_large(request) {
            true => Answer::Code(MESSAGE_TOO_LARGE),
            false => Answer::Code(0),
        });
        let folder = Folder::new("kafka-dead-letters");
        let dead = folder.path().join("dead.jsonl");
        let guard = begin(events(address).dead_letters(RollingFile::new(&dead)));
        thirty();
        let report = guard.shutdown(LONG);
        assert_balanced(&report.ledger);
        let hop = report.ledger.exporter("events");
        assert_eq!((hop.output, hop.dropped_for(DropReason::Refused)), (29, 1));
        assert!(report.last_error.unwrap().contains("MessageTooLarge; raise max.message.bytes"));
        assert_eq!(numbers(requests.try_iter()), (0..30).filter(|n| *n != 13).collect());
        let letters = std::fs::read_to_string(dead).unwrap();
        assert!(letters.lines().count() == 1 && letters.contains("\"n\":13"), "{letters}");
    });
}

/// What one partition has taken is not sent again because another one has not.
#[test]
fn a_partition_that_is_not_ready_is_waited_for() {
    in_own_process("a_partition_that_is_not_ready_is_waited_for", || {
        let mut answers = [NOT_ENOUGH_REPLICAS, NOT_LEADER, NOT_ENOUGH_REPLICAS].into_iter();
        let (address, requests) = serve(2, move |request| match request.partition {
            0 => Answer::Code(0),
            _ => Answer::Code(answers.next().unwrap_or(0)),
        });
        let guard = begin(events(address));
        thirty();
        let hop = end(guard);
        assert_eq!((hop.output, hop.dropped_total()), (30, 0));
        assert_eq!(numbers(requests.try_iter()), (0..30).collect());
    });
}

/// The broker has the events, and the program does not know it: they come twice, with the same ids.
#[test]
fn a_connection_that_breaks_before_the_answer_loses_nothing() {
    in_own_process("a_connection_that_breaks_before_the_answer_loses_nothing", || {
        let mut breaks = 1;
        let (address, requests) = serve(1, move |_| match std::mem::take(&mut breaks) {
            0 => Answer::Code(0),
            _ => Answer::Closed,
        });
        let guard = begin(events(address));
        thirty();
        assert_eq!(end(guard).output, 30);
        let ids = |request: Request| -> Vec<String> {
            request.records.iter().map(|it| it.event["id"].as_str().unwrap().to_owned()).collect()
        };
        let ids: Vec<String> = requests.try_iter().flat_map(ids).collect();
        let unique: BTreeSet<&String> = ids.iter().collect();
        assert!(unique.len() == 30 && ids.len() > 30, "{} of {}", unique.len(), ids.len());
    });
}

#[test]
fn a_broker_that_does_not_answer_does_not_hold_up_the_end() {
    in_own_process("a_broker_that_does_not_answer_does_not_hold_up_the_end", || {
        let (asked, is_asked) = std::sync::mpsc::channel();
        let (address, requests) = serve(1, move |_| {
            let _ = asked.send(());
            Answer::Never
        });
        let guard = begin(events(address));
        thirty();
        is_asked.recv().unwrap();
        let report = guard.shutdown(Duration::from_secs(1));
        assert!(report.in_time, "{:?}", report.took);
        assert_balanced(&report.ledger);
        let hop = report.ledger.exporter("events");
        assert_eq!((hop.output, hop.dropped_total(), requests.try_iter().count()), (0, 30, 0), "{hop:?}");
        assert!(report.last_error.is_some_and(|error| error.contains("has not answered in time")));
    });
}

#[test]
fn a_missing_topic_is_told_and_waited_for() {
    in_own_process("a_missing_topic_is_told_and_waited_for", || {
        let (address, _requests) = serve(1, |_| Answer::Code(0));
        let guard = begin(Events::new("out", Kafka::new([address.to_string()], "other").unwrap()));
        info!("event");
        let error = || guard.last_error().unwrap_or_default();
        until("it is told", || error().contains("there is no topic `other`; create it"));
        let report = guard.shutdown(Duration::from_millis(100));
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("events").dropped_total(), 1);
    });
}

#[test]
fn a_batch_of_more_than_a_request_may_have_is_sent_in_several() {
    in_own_process("a_batch_of_more_than_a_request_may_have_is_sent_in_several", || {
        const EVENTS: u64 = 4000;
        let (address, requests) = serve(1, |_| Answer::Code(0));
        let events = events(address).batch(10_000).signals(false, true);
        let config = Config::new("shop").without_otlp().terminal(false).report_errors(false);
        let config = config.exporter("events", events).ring_slots(1 << 16).batch(usize::MAX, LONG);
        let guard = throughline_std::init(&config).unwrap();
        let text = "x".repeat(300);
        for n in 0..EVENTS {
            info!("event", n, text = &*text);
        }
        assert_eq!(end(guard).output, EVENTS);
        let requests: Vec<Request> = requests.try_iter().collect();
        assert!(requests.len() > 1, "{}", requests.len());
        assert_eq!(numbers(requests.into_iter()), (0..EVENTS).collect());
    });
}

/// What an observer finds, from a file in which events themselves are off.
#[test]
#[cfg(feature = "observers")]
fn what_an_observer_finds_is_a_record() {
    in_own_process("what_an_observer_finds_is_a_record", || {
        let mut codes = [NOT_ENOUGH_REPLICAS].into_iter();
        let (address, requests) = serve(1, move |_| Answer::Code(codes.next().unwrap_or(0)));
        let folder = Folder::new("kafka-observer");
        let file = folder.path().join("shop.toml");
        let keys = format!(
            "terminal.enabled = false\nservice.name = \"shop\"\n[events.kafka]\nenabled = false\nbrokers = [\"{address}\"]\n\
             [[observers]]\nname = \"late\"\nwhen = \"name == 'order'\"\nactions = [\"kafka\"]\nkafka.topic = \"{TOPIC}\"\n"
        );
        std::fs::write(&file, keys).unwrap();
        let guard = throughline_std::init(&Config::load(&file).unwrap().without_otlp()).unwrap();
        let trace = {
            let _span = span!(root: true, "order", n = 7_u64);
            throughline::current().unwrap().trace_id.to_string()
        };
        let report = guard.shutdown(LONG);
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("observers.late").output, 1);
        let [request] = &requests.try_iter().collect::<Vec<_>>()[..] else { panic!("not one request") };
        let record = &request.records[0];
        assert_eq!(record.key.as_ref(), Some(&trace));
        let event = &record.event;
        assert_eq!((&event["type"], &event["subject"]), (&"throughline.match".into(), &"late".into()));
        assert_eq!((&event["data"]["name"], &event["data"]["attributes"]["n"]), (&"order".into(), &7.into()));
        assert!(event["source"].as_str().unwrap().starts_with("/shop"), "{event}");
    });
}

#[test]
fn brokers_and_topics_are_checked() {
    let wrong = |brokers: &[&str], topic: &str| Kafka::new(brokers, topic).unwrap_err().to_string();
    assert_eq!(wrong(&[], "t"), "there is no broker; write one or more as HOST:PORT, such as kafka-1:9092");
    for broker in ["", "kafka://a:1", "a:0", "a:x", "a b"] {
        assert!(wrong(&[broker], "t").starts_with(&format!("`{broker}` is no broker; ")), "{broker}");
    }
    for topic in ["", "..", "a b", &"x".repeat(250)] {
        assert!(wrong(&["a"], topic).contains("is no name of a topic; "), "{topic}");
    }
    let kafka = Kafka::new(["a", "b:1"], "t").unwrap();
    let kafka = kafka.login(throughline_std::events::Mechanism::Plain, "ann", "hush");
    assert_eq!(format!("{kafka:?}"), "Kafka { brokers: [\"a:9092\", \"b:1\"], topic: \"t\", .. }");
}
