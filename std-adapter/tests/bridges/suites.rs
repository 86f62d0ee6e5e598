//! What the public test suites of `tracing`, `tracing-subscriber` and `metrics` ask of any layer or recorder, written anew
//! for these. Others are in the files beside it.
//!
//! | suite | behaviours |
//! |---|---|
//! | `tracing-subscriber`, `layer_filters` and filter caching | filters by target, level and closure, combined; on boxed layers, in lists, below others and on `Option`s; one layer's filter does not hide from another; a filter that changes its mind; callsites that are remembered. In `layers.rs`: scopes with gaps, trees, filters and layers with hints in any order, `event_enabled` |
//! | `tracing-subscriber`, `reload`, `option`, `vec` | a filter and a layer that are replaced while the program runs; none, and empty lists (`layers.rs`) |
//! | `tracing-subscriber`, `duplicate_spans`, `registry_*` | a span that is entered again; subscribers of futures; a span on a thread that does not know its subscriber (`layers.rs`) |
//! | `tracing`, `span` | equal handles; close on the last drop, on any thread, and after children; contextual, given and no parent; guards moved and left in any order; fields late, again, empty and never; `Span::none` |
//! | `tracing`, `event` | without message, with a message alone, formatted; all types of values, optional ones, errors; contextual, given and no parent |
//! | `tracing`, `subscriber`, `no_subscriber`, `scoped_clobbers_default` | `with_default` and `set_default` in scopes and on threads; no subscriber inside of one; a span used under another subscriber than its own |
//! | `tracing`, `instrument`; `tracing-attributes` | a future's span is entered in each poll and in its drop; `#[instrument]` with names, targets, levels, fields, `skip`, `err`, `ret`, parents and `follows_from`, on functions, methods and `async` ones |
//! | (`tracing-test`) | unit tests of one process that run at the same time, each with its own spans and records |
//! | `tracing-log` | `LogTracer` keeps targets, places and levels (`records.rs`) |
//! | `metrics`, macros and recorder (`counts.rs`) | every form of the macros; handles that are cloned and used on threads; local recorders; labels in any order; `record_many`; numbers of all types, and those that cannot be kept; every unit; keys from any texts |

use super::recorded;
use super::support::in_own_process;
use super::support::look::{body, log};
use super::support::receiver::{attribute, int, text};
use super::support::service::{LONG, find};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use throughline::TraceId;
use throughline_std::tracing::{SpanExt, layer};
use throughline_std::view::{LogView, SpanView};
use throughline_std::{Config, Deadline, ExportError, Exporter};
use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{Instrument, Level, Span, dispatcher, field, info, info_span, instrument};
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, dynamic_filter_fn, filter_fn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

fn bodies(logs: &[opentelemetry_proto::tonic::logs::v1::LogRecord]) -> Vec<String> {
    let mut all: Vec<_> = logs.iter().map(body).collect();
    all.sort();
    all
}

#[test]
fn a_layer_may_be_filtered_boxed_optional_and_one_of_several() {
    recorded(
        "suites::a_layer_may_be_filtered_boxed_optional_and_one_of_several",
        || {
            let say = |of: &str| {
                let _outer = tracing::debug_span!("outer").entered();
                info!(target: "loud", "loud {of}");
                info!("info {of}");
                tracing::debug!("debug {of}");
            };
            let not_loud = || Targets::new().with_default(Level::TRACE).with_target("loud", LevelFilter::OFF);
            // Each subscriber twice: what it remembers of callsites must not change anything.
            for _ in 0..2 {
                let boxed = layer().with_filter(not_loud()).boxed();
                with_default(tracing_subscriber::registry().with(boxed), || {
                    say("boxed");
                    assert!(Span::none().trace_context().is_none());
                });
                let below = tracing_subscriber::registry()
                    .with(layer().with_filter(LevelFilter::INFO))
                    .with(filter_fn(|metadata| metadata.target() != "loud"));
                with_default(below, || say("below a filter of all"));
                let listed = vec![
                    layer().with_filter(LevelFilter::OFF).boxed(),
                    layer()
                        .with_filter(LevelFilter::DEBUG.and(not_loud()).and(LevelFilter::INFO.not()))
                        .boxed(),
                ];
                with_default(tracing_subscriber::registry().with(listed), || say("listed"));
                let some = Some(layer().with_filter(filter_fn(|metadata| metadata.is_span())));
                let none = None::<throughline_std::tracing::Layer<tracing_subscriber::Registry>>;
                let nothing = tracing_subscriber::registry().with(none);
                with_default(nothing, || say("none"));
                with_default(tracing_subscriber::registry().with(some), || {
                    let span = info_span!("found");
                    say("spans alone");
                    assert!(span.trace_context().is_some(), "through a filter and an option");
                });
            }
        },
        |spans, logs, _| {
            let expected = ["debug boxed", "debug listed", "info below a filter of all", "info boxed"];
            let twice: Vec<_> = expected.iter().flat_map(|text| [text; 2]).collect();
            assert_eq!(bodies(logs).iter().collect::<Vec<_>>(), twice);
            // Of the lists, and of those that take spans.
            assert_eq!(spans.iter().filter(|span| span.name == "outer").count(), 2 * 3);
            assert_eq!(spans.iter().filter(|span| span.name == "found").count(), 2);
        },
    );
}

#[test]
fn a_filter_may_change_its_mind_and_look_at_spans() {
    recorded(
        "suites::a_filter_may_change_its_mind_and_look_at_spans",
        || {
            let is_open = Arc::new(AtomicBool::new(false));
            let open = Arc::clone(&is_open);
            let by_mood = filter_fn(move |_| open.load(Ordering::Relaxed)).with_max_level_hint(Level::INFO);
            // The interest of such a filter is not remembered.
            let in_request = dynamic_filter_fn(|metadata, cx| {
                metadata.is_span() || cx.lookup_current().is_some_and(|span| span.name() == "request")
            });
            let subscriber = tracing_subscriber::registry().with(layer().with_filter(in_request));
            with_default(subscriber, || {
                info!("not in the request");
                info_span!("request").in_scope(|| info!("in the request"));
                info_span!("other").in_scope(|| info!("not in the request either"));
            });
            with_default(tracing_subscriber::registry().with(layer().with_filter(by_mood)), || {
                for open in [false, true, false] {
                    is_open.store(open, Ordering::Relaxed);
                    dispatcher::get_default(|_| tracing::callsite::rebuild_interest_cache());
                    info!(open, "mood");
                    let _span = info_span!("moody", open).entered();
                }
            });
        },
        |spans, logs, _| {
            assert_eq!(bodies(logs), ["in the request", "mood"]);
            assert_eq!(find(spans, "moody").attributes.iter().filter(|kv| kv.key == "open").count(), 1);
        },
    );
}

#[test]
fn filters_and_layers_may_be_replaced() {
    recorded(
        "suites::filters_and_layers_may_be_replaced",
        || {
            let (filter, handle) = reload::Layer::new(LevelFilter::WARN);
            with_default(tracing_subscriber::registry().with(layer().with_filter(filter)), || {
                info!("filter 1");
                handle.modify(|filter| *filter = LevelFilter::INFO).unwrap();
                info!("filter 2");
                let span = info_span!("kept");
                handle.reload(LevelFilter::ERROR).unwrap();
                info!("filter 3");
                drop(span);
            });
            let (inner, handle) = reload::Layer::new(None::<throughline_std::tracing::Layer<_>>);
            with_default(tracing_subscriber::registry().with(inner), || {
                info!("layer 1");
                handle.reload(Some(layer())).unwrap();
                info!("layer 2");
                handle.reload(None).unwrap();
                info!("layer 3");
            });
        },
        |spans, logs, _| {
            assert_eq!(bodies(logs), ["filter 2", "layer 2"]);
            find(spans, "kept");
        },
    );
}

#[test]
fn a_span_closes_once_after_its_last_handle_and_its_children() {
    recorded(
        "suites::a_span_closes_once_after_its_last_handle_and_its_children",
        || {
            let parent = info_span!("parent");
            let same = parent.clone();
            assert_eq!(parent, same);
            let child = info_span!(parent: &parent, "child");
            drop((parent, same));
            // The child keeps its parent open.
            std::thread::spawn(move || drop(child)).join().unwrap();
            // A guard that is moved, and one that owns its span.
            let moved = info_span!("moved").entered();
            let move_back = |guard: tracing::span::EnteredSpan| guard.exit();
            let back = move_back(moved);
            info!("outside of the moved one");
            back.in_scope(|| info!("inside of it again"));
            let [a, b] = [info_span!("a"), info_span!("b")];
            let (in_a, in_b) = (a.enter(), b.enter());
            drop(in_a);
            info!("in b");
            drop(in_b);
            info!("in neither");
            let none = Span::none();
            none.record("n", 1);
            none.in_scope(|| info!("in none"));
            none.follows_from(&a);
            Span::current().record("n", 1);
        },
        |spans, logs, _| {
            let (parent, child) = (find(spans, "parent"), find(spans, "child"));
            assert_eq!(child.parent_span_id, parent.span_id);
            assert!(parent.end_time_unix_nano >= child.end_time_unix_nano);
            assert_eq!(spans.len(), 5);
            let span_of = |message| &log(logs, message).span_id;
            assert_eq!(span_of("inside of it again"), &find(spans, "moved").span_id);
            assert_eq!(span_of("in b"), &find(spans, "b").span_id);
            for message in ["outside of the moved one", "in neither", "in none"] {
                assert!(span_of(message).is_empty(), "{message}");
            }
        },
    );
}

#[test]
fn fields_come_in_every_type_late_again_and_never() {
    recorded(
        "suites::fields_come_in_every_type_late_again_and_never",
        || {
            let error = std::io::Error::other("broken");
            let span =
                info_span!("all", late = field::Empty, never = field::Empty, again = 1, debug = ?[1, 2]);
            span.record("late", "here").record("again", 2).record("again", 3).record("unknown", 4);
            span.in_scope(|| {
                info!(
                    unsigned = u64::MAX,
                    signed = i64::MIN,
                    wide = u128::MAX,
                    float = -0.5,
                    yes = true,
                    text = "text",
                    display = %format_args!("{}", 1),
                    error = &error as &(dyn std::error::Error + 'static),
                    some = Some(7),
                    none = None::<u32>,
                    "quoted.key" = "q",
                    r#type = "keyword",
                    "of every type"
                );
            });
            info!(only = "a field");
            info!("only {}", "a message");
        },
        |spans, logs, _| {
            let a = &find(spans, "all").attributes;
            assert_eq!((text(a, "late"), int(a, "again")), (Some("here".into()), Some(3)));
            assert_eq!(text(a, "debug").unwrap(), "[1, 2]");
            assert!(attribute(a, "never").is_none() && attribute(a, "unknown").is_none());
            let a = &log(logs, "of every type").attributes;
            assert_eq!((int(a, "signed"), int(a, "some")), (Some(i64::MIN), Some(7)));
            for (key, expected) in
                [("text", "text"), ("display", "1"), ("quoted.key", "q"), ("type", "keyword")]
            {
                assert_eq!(text(a, key).as_deref(), Some(expected), "{key}");
            }
            assert_eq!(text(a, "wide").unwrap(), u128::MAX.to_string());
            assert!(text(a, "error").unwrap().contains("broken"));
            assert!(attribute(a, "unsigned").is_some() && attribute(a, "float").is_some());
            assert!(attribute(a, "yes").is_some() && attribute(a, "none").is_none());
            log(logs, "only a message");
            assert!(logs.iter().any(|log| text(&log.attributes, "only").as_deref() == Some("a field")));
        },
    );
}

#[test]
fn parents_of_spans_and_events_are_contextual_given_or_none() {
    recorded(
        "suites::parents_of_spans_and_events_are_contextual_given_or_none",
        || {
            let given = info_span!("given");
            let closed = info_span!("closed").id();
            let _current = info_span!("current").entered();
            drop(info_span!("contextual"));
            drop(info_span!(parent: &given, "explicit"));
            drop(info_span!(parent: given.id(), "by id"));
            drop(info_span!(parent: None, "root"));
            info!("contextual event");
            info!(parent: &given, "explicit event");
            info!(parent: None, "root event");
            // Ids of spans that are gone are no reason to panic.
            info!(parent: closed.clone(), "event of a closed span");
            given.follows_from(closed);
            given.follows_from(Span::current());
            given.follows_from(Span::none().id());
        },
        |spans, logs, _| {
            let [given, current] = ["given", "current"].map(|name| find(spans, name));
            for (name, parent) in [("contextual", current), ("explicit", given), ("by id", given)] {
                assert_eq!(find(spans, name).parent_span_id, parent.span_id, "{name}");
            }
            assert!(find(spans, "root").parent_span_id.is_empty());
            assert_eq!(log(logs, "contextual event").span_id, current.span_id);
            assert_eq!(log(logs, "explicit event").span_id, given.span_id);
            assert!(log(logs, "root event").span_id.is_empty());
            assert!(log(logs, "event of a closed span").span_id.is_empty());
            assert_eq!(given.links.len(), 1);
            assert_eq!(given.links[0].span_id, current.span_id);
        },
    );
}

#[test]
fn a_subscriber_counts_in_its_scope_and_spans_may_leave_it() {
    recorded(
        "suites::a_subscriber_counts_in_its_scope_and_spans_may_leave_it",
        || {
            let own = || tracing_subscriber::registry().with(layer());
            let outer = info_span!("of the global one").entered();
            with_default(NoSubscriber::default(), || {
                info!("nothing");
                assert!(info_span!("nothing").is_disabled());
                // Spans of another subscriber go on.
                outer.record("late", 1);
                with_default(own(), || {
                    info!("in the global one's span");
                    let _inner = info_span!("of an inner one").entered();
                    outer.in_scope(|| info!("in a span of another"));
                });
            });
            {
                let _default = tracing::subscriber::set_default(own());
                info_span!("of a default").in_scope(|| info!("of a default"));
                std::thread::spawn(|| info!("another thread has the global one")).join().unwrap();
            }
            with_default(own(), || info_span!("outlives its scope")).in_scope(|| info!("after its scope"));
        },
        |spans, logs, _| {
            let expected = [
                "after its scope",
                "another thread has the global one",
                "in a span of another",
                "in the global one's span",
                "of a default",
            ];
            assert_eq!(bodies(logs), expected);
            let outer = find(spans, "of the global one");
            assert_eq!(find(spans, "of an inner one").parent_span_id, outer.span_id);
            for message in ["in a span of another", "in the global one's span"] {
                assert_eq!(log(logs, message).span_id, outer.span_id, "{message}");
            }
            assert_eq!(log(logs, "after its scope").span_id, find(spans, "outlives its scope").span_id);
            assert!(log(logs, "another thread has the global one").span_id.is_empty());
        },
    );
}

struct Cart;

impl Cart {
    #[instrument(name = "cart.add", target = "cart", level = "warn", skip_all, fields(n = 2, item = %item), ret)]
    fn add(&self, item: &str, _secret: &str) -> usize {
        item.len()
    }

    #[instrument(skip(self), err(Debug))]
    async fn pay(&self, total: u32) -> Result<u32, String> {
        tokio::task::yield_now().await;
        info!("paying");
        if total > 10 { Err("too much".into()) } else { Ok(total) }
    }

    #[instrument(parent = &parent, follows_from = causes, skip_all)]
    async fn send(parent: Span, causes: Vec<tracing::Id>) {
        info!("sending");
    }
}

/// Says when it is dropped.
struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        info!("dropped");
    }
}

#[test]
fn instrumented_functions_and_futures_are_in_their_spans() {
    recorded(
        "suites::instrumented_functions_and_futures_are_in_their_spans",
        || {
            Cart.add("mug", "secret");
            let block_on = |work: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
                tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work);
            };
            block_on(Box::pin(async {
                let [few, many] = [3, 30].map(|total| tokio::spawn(Cart.pay(total)));
                assert_eq!((few.await.unwrap(), many.await.unwrap()), (Ok(3), Err("too much".into())));
                let (parent, cause) = (info_span!("parent"), info_span!("cause"));
                Cart::send(parent.clone(), cause.id().into_iter().collect()).await;
                info!("outside");
            }));
            // A future that is dropped half-way.
            let mut work = Box::pin(
                async {
                    let _last = Last;
                    info!("begun");
                    std::future::pending::<()>().await;
                }
                .instrument(info_span!("given up")),
            );
            assert!(matches!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
            info!("between polls");
            drop(work);
        },
        |spans, logs, _| {
            let add = find(spans, "cart.add");
            let a = &add.attributes;
            assert_eq!((int(a, "n"), text(a, "item").unwrap()), (Some(2), "mug".into()));
            assert!(attribute(a, "_secret").is_none());
            assert_eq!(text(a, "code.module.name").unwrap(), "cart");
            let returned = logs.iter().find(|log| attribute(&log.attributes, "return").is_some()).unwrap();
            assert_eq!(returned.span_id, add.span_id);
            let pays: Vec<_> = spans.iter().filter(|span| span.name == "pay").collect();
            let failed = pays.iter().find(|span| int(&span.attributes, "total") == Some(30)).unwrap();
            let status = failed.status.clone().unwrap();
            assert_eq!((status.code, pays.len()), (2, 2));
            assert!(status.message.contains("too much"));
            let paying: Vec<_> =
                logs.iter().filter(|log| body(log) == "paying").map(|log| &log.span_id).collect();
            assert!(paying.len() == 2 && pays.iter().all(|pay| paying.contains(&&pay.span_id)));
            let send = find(spans, "send");
            assert_eq!(send.parent_span_id, find(spans, "parent").span_id);
            assert_eq!(send.links[0].span_id, find(spans, "cause").span_id);
            let given_up = &find(spans, "given up").span_id;
            for message in ["begun", "dropped"] {
                assert_eq!(&log(logs, message).span_id, given_up, "{message}");
            }
            for message in ["outside", "between polls"] {
                assert!(log(logs, message).span_id.is_empty(), "{message}");
            }
        },
    );
}

/// Names and messages, with their traces.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Vec<(TraceId, String)>>>);

impl Exporter for Keep {
    fn span(&mut self, span: &SpanView<'_>) {
        self.0.lock().unwrap().push((span.trace_id, span.name.to_owned()));
    }

    fn log(&mut self, log: &LogView<'_>) {
        let message = throughline_std::message::render(log.message, log.fields.clone());
        let (trace, _) = log.span.expect("every record is in a test's trace");
        self.0.lock().unwrap().push((trace, message.into_owned()));
    }

    fn flush(&mut self, _: &Deadline) -> Result<(), ExportError> {
        Ok(())
    }
}

#[test]
fn unit_tests_that_run_at_the_same_time_see_their_own_spans() {
    in_own_process("suites::unit_tests_that_run_at_the_same_time_see_their_own_spans", || {
        let keep = Keep::default();
        let config = Config::new("tests").without_otlp().exporter("keep", keep.clone()).bridges();
        let guard = throughline_std::init(&config).unwrap();
        let together = Barrier::new(4);
        let test = |n: usize| {
            let test = throughline::span!(root: true, "test");
            let trace = throughline::current().unwrap().trace_id;
            together.wait();
            for _ in 0..20 {
                let span = info_span!("work", n);
                span.in_scope(|| info!("message of {n}"));
                let elsewhere = span.clone();
                std::thread::spawn(move || elsewhere.in_scope(|| log::info!("elsewhere, of {n}")))
                    .join()
                    .unwrap();
            }
            drop(test);
            assert!(guard.flush(LONG));
            let all = keep.0.lock().unwrap();
            let own = all.iter().filter(|(of, _)| *of == trace).map(|(_, text)| text.clone());
            let mut own: Vec<_> = own.collect();
            own.sort();
            let expected = [format!("elsewhere, of {n}"), format!("message of {n}"), "work".into()];
            own.retain(|text| text != "test");
            assert_eq!(own, expected.iter().flat_map(|text| vec![text.clone(); 20]).collect::<Vec<_>>());
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|n| {
                _ = scope.spawn({
                    let test = &test;
                    move || test(n)
                })
            })
        });
        assert_eq!(keep.0.lock().unwrap().len(), 4 * 61);
    });
}
