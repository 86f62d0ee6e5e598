//! `observe!`: one call makes an event or a span, and the metrics of its marked fields.
#![cfg(not(loom))]

#[path = "common/mod.rs"]
mod common;

use common::{Told, records};
use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use throughline::adapter::metrics::{self, Reading};
use throughline::adapter::record::{Record, Value};
use throughline::{Status, observe, span};

/// The readings of all series of a metric, in no order, and its unit.
fn readings(name: &str) -> (Vec<Reading>, String) {
    let (mut found, mut unit) = (vec![], String::new());
    metrics::for_each(|series| {
        if let Some(blob) = series.blob().filter(|blob| blob.name == name) {
            found.push(series.read());
            unit = blob.unit.to_string();
        }
    });
    (found, unit)
}

fn only(name: &str) -> Reading {
    match readings(name).0.as_slice() {
        [reading] => *reading,
        all => panic!("{name}: {all:?}"),
    }
}

/// The fields of all events and spans, as `name: key=value …`.
fn fields(work: impl FnOnce() + Send + 'static) -> Vec<String> {
    let _alone = common::alone();
    common::on_recorder(|recorder| {
        work();
        let mut all = vec![];
        recorder.ring().reader().expect("the only reader").drain(|raw| {
            let (callsite, values) = match Record::parse(raw) {
                Some(Record::Event(event)) => (event.callsite, event.values),
                Some(Record::Span(span)) => (span.callsite, span.values),
                _ => return,
            };
            throughline::adapter::callsite::registry::for_each(|known| {
                if known.id() == callsite {
                    let mut text = format!("{}:", known.blob().name);
                    for (key, value) in known.blob().fields().zip(values) {
                        match value {
                            Value::Str { text: value, .. } => text.push_str(&format!(" {key}={value}")),
                            Value::U64(value) => text.push_str(&format!(" {key}={value}")),
                            Value::I64(value) => text.push_str(&format!(" {key}={value}")),
                            other => text.push_str(&format!(" {key}={other:?}")),
                        }
                    }
                    all.push(text);
                }
            });
        });
        all
    })
}

#[test]
fn an_observation_is_an_event_and_metrics() {
    let told = fields(|| {
        for neurons_fired in [1000_u32, 500] {
            let took = Duration::from_millis(4);
            observe!(
                "burst",
                burst_id = 42,
                #[counter]
                neurons_fired,
                #[histogram(unit = "ms", scale = 3)]
                took,
                #[gauge(name = "membrane.potential", f64, unit = "mV")]
                potential = -70.5,
                #[up_down_counter]
                open.connections = -1,
            );
        }
    });
    assert!(told[0].starts_with("burst: burst_id=") && told[0].contains(" neurons_fired="), "{told:?}");
    assert_eq!(told.len(), 2);
    assert_eq!(only("burst.neurons_fired"), Reading::Counter(1500));
    assert_eq!(only("burst.open.connections"), Reading::UpDown(-2));
    assert_eq!(readings("membrane.potential"), (vec![Reading::GaugeFloat(-70.5)], "mV".into()));
    let Reading::Histogram(took) = only("burst.took") else { panic!("a histogram") };
    assert_eq!((took.sum, readings("burst.took").1.as_str()), (8, "ms"));
}

#[test]
fn other_fields_can_be_the_labels_of_a_metric() {
    let told = fields(|| {
        for (provider, model) in [("local", "small".to_string()), ("local", "large".to_string())] {
            observe!(level: Debug, target: "llm", "llm.call", %model, provider, #[counter(by(provider, model), capacity = 4)] tokens = 7);
        }
    });
    assert_eq!(told.len(), 2);
    assert_eq!(readings("llm.call.tokens").0, [Reading::Counter(7), Reading::Counter(7)]);
}

#[test]
fn a_body_runs_in_a_span() {
    let told = records(|| {
        let _outer = span!("outer");
        observe!("alone", n = 1);
        let value = observe!(kind: Client, "block", n = 2, #[counter] calls = 1, {
            throughline::info!("within");
            5
        });
        assert_eq!(value, 5);
        let text = String::from("moved");
        let mut future = pin!(observe!("future", async move {
            throughline::info!("within the future");
            text.len()
        }));
        throughline::info!("before the poll");
        assert_eq!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(5));
    });
    let outer = common::span(&told, "outer").0;
    let (block, parent, _) = common::span(&told, "block");
    assert_eq!((parent, common::event(&told, "within").0), (outer, block));
    let (future, parent, _) = common::span(&told, "future");
    assert_eq!((parent, common::event(&told, "within the future").0), (outer, future));
    for name in ["alone", "before the poll"] {
        assert_eq!(common::event(&told, name).0, outer, "{name}");
    }
    assert_eq!(only("block.calls"), Reading::Counter(1));
}

#[test]
fn a_body_without_metrics_leaves_the_function_as_usual() {
    fn left(items: [Option<u8>; 3]) -> Option<u8> {
        let mut last = 0;
        for item in items {
            observe!("leaves", {
                last = item?;
                if last == 9 {
                    break;
                }
            });
        }
        Some(last)
    }
    let told = records(|| {
        assert_eq!(left([Some(1), None, Some(3)]), None);
        assert_eq!(left([Some(1), Some(9), Some(3)]), Some(9));
    });
    assert_eq!(told.iter().filter(|told| told.name() == "leaves").count(), 4);
}

#[test]
fn a_measured_body_counts_its_errors() {
    let told = records(|| {
        let parse = |text: &str| {
            observe!(
                "parse",
                shop = "oslo",
                #[metrics(shop = "oslo")]
                {
                    let n: u8 = text.parse()?;
                    Ok::<u8, std::num::ParseIntError>(n)
                }
            )
        };
        assert_eq!(parse("1"), Ok(1));
        assert!(parse("x").is_err());
        let mut future = pin!(observe!(
            "later",
            #[metrics]
            async {
                Err::<(), _>(std::fmt::Error)
            }
        ));
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
    let failed = |name: &str| {
        let is_failed =
            |told: &&Told| matches!(told, Told::Span { name: of, status: Status::Error, .. } if of == name);
        told.iter().filter(is_failed).count()
    };
    assert_eq!((failed("parse"), failed("later")), (1, 1));
    for class in ["invalid_number", "format"] {
        let has_class = |told: &&Told| matches!(told, Told::Fields { values, .. } if values.contains(class));
        assert_eq!(told.iter().filter(has_class).count(), 1, "{told:#?}");
    }
    assert_eq!((only("parse.errors"), only("later.errors")), (Reading::Counter(1), Reading::Counter(1)));
}

/// What is counted is evaluated once, whether or not the event is recorded.
#[test]
fn values_that_are_counted_are_evaluated_once() {
    records(|| {
        let asked = Cell::new(0_u32);
        let ask = || {
            asked.set(asked.get() + 1);
            asked.get()
        };
        throughline::set_min_level(Some(throughline::Level::Error));
        observe!(level: Trace, "quiet", #[counter] asked = ask());
        throughline::set_min_level(Some(throughline::Level::Trace));
        observe!(
            "loud",
            #[histogram]
            asked = ask()
        );
        assert_eq!(asked.get(), 2);
    });
    assert_eq!(only("quiet.asked"), Reading::Counter(1));
}
