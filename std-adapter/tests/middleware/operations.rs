//! Queries of databases and messages.

use super::service::{block_on, fails, taken};
use super::{configured, points, recorded, status, with_text};
use crate::support::receiver::{attribute, int, text};
use crate::support::service::find;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use std::future::{pending, ready};
use std::io;
use throughline::span;
use throughline_std::db;
use throughline_std::messaging::{self, headers, headers_mut};
use throughline_std::propagation::{Baggage, FullContext, FullGuard};

#[test]
fn queries_are_spans_and_durations_by_the_conventions() {
    recorded(
        "operations::queries_are_spans_and_durations_by_the_conventions",
        || {
            let _request = span!("request");
            let found = db::query("sqlite", "SELECT name FROM items WHERE price < 12 AND owner = 'ann'")
                .namespace("shop")
                .run_counting(
                    async {
                        drop(span!("inside"));
                        std::hint::black_box((0..10_000).sum::<u64>());
                        Ok::<_, io::Error>(vec![1, 2, 3])
                    },
                    Vec::len,
                );
            assert_eq!(block_on(found).unwrap().len(), 3);
            let failed = db::query("postgresql", "INSERT INTO orders VALUES ($1)").server("db1", 5432);
            assert!(block_on(failed.run(ready(Err::<(), _>(fails())))).is_err());
            let hangs = db::query("sqlite", "DELETE FROM items").run(pending::<io::Result<()>>());
            assert!(block_on(taken(hangs)).is_none());
            let mut by_hand = db::query("redis", "HGETALL user:7").operation("HGETALL").begin();
            drop(by_hand.enter());
            by_hand.returned_rows(1);
            drop(by_hand);
            let panics = db::query("sqlite", "UPDATE items SET n = 0")
                .run(async { panic!("corrupt") as io::Result<()> });
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| block_on(panics))).is_err());
        },
        |spans, metrics| {
            let (request, select) = (find(spans, "request"), find(spans, "SELECT items"));
            assert_eq!((select.kind, &select.parent_span_id), (3, &request.span_id));
            assert_eq!(find(spans, "inside").parent_span_id, select.span_id);
            let a = &select.attributes;
            for (key, value) in [
                ("db.system.name", "sqlite"),
                ("db.namespace", "shop"),
                ("db.operation.name", "SELECT"),
                ("db.collection.name", "items"),
                ("db.query.text", "SELECT name FROM items WHERE price < ? AND owner = ?"),
            ] {
                assert_eq!(text(a, key).as_deref(), Some(value), "{key}");
            }
            assert_eq!(int(a, "db.response.returned_rows"), Some(3));
            assert!(int(a, "busy_ns").unwrap() > 0);
            assert!(attribute(a, "error.type").is_none() && attribute(a, "server.address").is_none());
            let insert = find(spans, "INSERT orders");
            assert_eq!((status(insert), int(&insert.attributes, "server.port")), (Code::Error, Some(5432)));
            assert!(text(&insert.attributes, "error.type").unwrap().ends_with("io::error::Error"));
            assert!(attribute(&find(spans, "DELETE items").attributes, "throughline.cancelled").is_some());
            assert_eq!(int(&find(spans, "HGETALL").attributes, "db.response.returned_rows"), Some(1));
            let update = find(spans, "UPDATE items");
            assert_eq!(status(update), Code::Error);
            assert!(update.status.as_ref().unwrap().message.contains("corrupt"));
            assert!(attribute(&update.attributes, "throughline.cancelled").is_none());
            let points = points(metrics, "db.client.operation.duration");
            assert_eq!(points.len(), 5);
            assert!(points.iter().any(|(labels, count, exemplars)| {
                *labels == "db.collection.name=items db.namespace=shop db.operation.name=SELECT db.system.name=sqlite"
                    && (*count, exemplars) == (1, &vec![select.span_id.clone()])
            }));
        },
    );
}

#[test]
fn who_processes_a_message_links_to_who_sent_it() {
    recorded(
        "operations::who_processes_a_message_links_to_who_sent_it",
        || {
            let messages: Vec<Vec<(String, Vec<u8>)>> = (0..2)
                .map(|_| {
                    let mut own =
                        vec![("traceparent".to_owned(), b"of another".to_vec()), ("key".into(), vec![0xff])];
                    let sending = messaging::send("kafka", "orders").begin();
                    sending.inject(&mut headers_mut(&mut own));
                    block_on(sending.run(ready(Ok::<_, io::Error>(())))).unwrap();
                    own
                })
                .collect();
            assert!(messages.iter().all(|own| own.len() == 2), "the header is replaced: {messages:?}");
            let batch =
                messages.iter().fold(messaging::process("kafka", "orders").group("billing"), |batch, own| {
                    batch.from(&headers(own))
                });
            let processing = batch.begin();
            assert!(block_on(processing.run(async { Err::<(), _>(fails()) })).is_err());
        },
        |spans, metrics| {
            let sent: Vec<_> = spans.iter().filter(|span| span.name == "send orders").collect();
            let process = find(spans, "process orders");
            assert_eq!((sent.len(), sent[0].kind, process.kind, status(process)), (2, 4, 5, Code::Error));
            let links: Vec<_> = process.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
            assert_eq!(links, sent.iter().map(|span| (&span.trace_id, &span.span_id)).collect::<Vec<_>>());
            for (key, value) in [
                ("messaging.system", "kafka"),
                ("messaging.destination.name", "orders"),
                ("messaging.operation.type", "process"),
                ("messaging.consumer.group.name", "billing"),
            ] {
                assert_eq!(text(&process.attributes, key).as_deref(), Some(value), "{key}");
            }
            assert_eq!(points(metrics, "messaging.client.operation.duration")[0].1, 2);
            assert!(points(metrics, "messaging.process.duration")[0].0.starts_with("error.type=std::io"));
        },
    );
}

/// Names and values of the current baggage.
fn baggage() -> Vec<(String, String)> {
    let entries = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    FullContext::current().baggage().iter().map(entries).collect()
}

fn with(entries: &[(&str, &str)]) -> FullGuard {
    let mut baggage = Baggage::default();
    entries.iter().for_each(|(name, value)| assert!(baggage.set(name, value)));
    FullContext::current().with_baggage(baggage).enter()
}

#[test]
fn baggage_goes_with_messages_as_the_configuration_allows() {
    let toml = "[propagation]\nformats = [\"b3\", \"baggage\"]\nbaggage = [\"tenant\", \"user.*\"]\n\
        baggage_attributes = [\"tenant\"]\n";
    configured(
        "operations::baggage_goes_with_messages_as_the_configuration_allows",
        |config| with_text(config, toml),
        || {
            let send = |user: &str| {
                let mut own: Vec<(String, Vec<u8>)> = Vec::new();
                let _sender = with(&[("tenant", "acme"), ("user.id", user), ("secret", "hush")]);
                messaging::send("kafka", "orders").begin().inject(&mut headers_mut(&mut own));
                own
            };
            let (ann, bob) = (send("ann"), send("bob & co"));
            let names: Vec<_> = bob.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["b3", "baggage"], "the configured formats: {bob:?}");
            assert_eq!(bob[1].1, b"tenant=acme,user.id=bob%20&%20co", "the allowed entries");
            // The consumer's own baggage stays, but for entries that the message has too.
            let _worker = with(&[("shard", "7"), ("user.id", "worker")]);
            let entries = |all: &[(&str, &str)]| {
                all.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect::<Vec<_>>()
            };
            let of_bob = entries(&[("shard", "7"), ("user.id", "bob & co"), ("tenant", "acme")]);
            let own = entries(&[("shard", "7"), ("user.id", "worker")]);
            let one = || messaging::process("kafka", "orders").from(&headers(&bob)).begin();
            block_on(one().run(async {
                assert_eq!(baggage(), of_bob);
                tokio::task::yield_now().await;
                assert_eq!(baggage(), of_bob, "after an await");
                drop(span!("inside"));
                Ok::<_, io::Error>(())
            }))
            .unwrap();
            assert_eq!(baggage(), own, "after the message");
            {
                let by_hand = one();
                let _entered = by_hand.enter();
                assert_eq!(baggage(), of_bob);
                // What is sent from there has it.
                let mut next: Vec<(String, Vec<u8>)> = Vec::new();
                messaging::send("kafka", "parcels").begin().inject(&mut headers_mut(&mut next));
                assert_eq!(next[1].1, b"user.id=bob%20&%20co,tenant=acme");
            }
            assert_eq!(baggage(), own);
            let batch =
                messaging::process("kafka", "batch").from(&headers(&ann)).from(&headers(&bob)).begin();
            drop(span!("outside"));
            let _entered = batch.enter();
            let common = entries(&[("shard", "7"), ("user.id", "worker"), ("tenant", "acme")]);
            assert_eq!(baggage(), common, "what the messages of a batch have in common");
        },
        |spans, _| {
            let tenants = |name: &str| {
                let named = spans.iter().filter(|span| span.name == name);
                named.map(|span| text(&span.attributes, "tenant")).collect::<Vec<_>>()
            };
            assert_eq!(tenants("process orders"), [Some("acme".to_owned()), Some("acme".into())]);
            assert_eq!(tenants("process batch"), [Some("acme".to_owned())]);
            assert_eq!(tenants("send orders"), [None, None], "who sends has no message to read");
            assert!(spans.iter().all(|span| attribute(&span.attributes, "user.id").is_none()));
            let parent = &find(spans, "inside").parent_span_id;
            assert!(spans.iter().any(|span| span.name == "process orders" && span.span_id == *parent));
        },
    );
}
