//! Measured functions and observations at a collector: durations in seconds, with exemplars that lead to their spans,
//! and errors by class.

mod support;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, Metric};
use support::in_own_process;
use support::receiver::{Receiver, text};
use support::service::{LONG, config, find, start};
use throughline::{histogram, instrument, observe, red, span};
use throughline_std::{REDACTED, correlate};

#[instrument(metrics(name = "orders.load", shop))]
fn load(shop: &str, id: u64) -> Result<u64, std::io::Error> {
    if id == 0 { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(id) }
}

#[instrument(metrics)]
async fn pay(cents: u64) -> Result<u64, std::num::ParseIntError> {
    red!("bank", { "7".parse::<u64>().map(|fee| fee + cents) })
}

fn metric<'m>(metrics: &'m [Metric], name: &str) -> &'m Metric {
    metrics.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("no metric {name}"))
}

fn points<'m>(metrics: &'m [Metric], name: &str) -> &'m [ExponentialHistogramDataPoint] {
    match &metric(metrics, name).data {
        Some(Data::ExponentialHistogram(histogram)) => &histogram.data_points,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn exemplars_lead_from_durations_to_the_spans_of_the_calls() {
    in_own_process("exemplars_lead_from_durations_to_the_spans_of_the_calls", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver));
        assert!(load("oslo", 0).is_err());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(pay(3)), Ok(10));
        {
            let _neuron = span!("neuron");
            observe!(
                "burst",
                burst_id = 42,
                #[histogram(unit = "{spike}")]
                fired = 1000
            );
        }
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            let metrics = r.metrics.last().unwrap();
            for (name, span) in [
                ("orders.load.duration", "load"),
                ("pay.duration", "pay"),
                ("bank.duration", "pay"),
                ("burst.fired", "neuron"),
            ] {
                let ([point], span) = (points(metrics, name), find(&r.spans, span)) else { panic!("{name}") };
                let [exemplar] = point.exemplars.as_slice() else { panic!("{name}: {point:?}") };
                assert_eq!(
                    (&exemplar.span_id, &exemplar.trace_id),
                    (&span.span_id, &span.trace_id),
                    "{name}"
                );
                assert_eq!(point.count, 1);
            }
            assert_eq!(metric(metrics, "pay.duration").unit, "s");
            let [load] = points(metrics, "orders.load.duration") else { panic!() };
            assert_eq!(text(&load.attributes, "shop").unwrap(), "oslo");
            // A call took longer than nothing and less than the test.
            assert!(load.sum.is_some_and(|sum| sum > 0.0 && sum < LONG.as_secs_f64()), "{load:?}");
            let Some(Data::Sum(errors)) = &metric(metrics, "orders.load.errors").data else { panic!() };
            let [error] = errors.data_points.as_slice() else { panic!("{errors:?}") };
            assert_eq!(text(&error.attributes, "error.type").unwrap(), "not_found");
            assert_eq!(text(&find(&r.spans, "load").attributes, "error.type").unwrap(), "not_found");
        });
    });
}

#[test]
fn exemplars_have_the_correlation_fields_of_the_code() {
    in_own_process("exemplars_have_the_correlation_fields_of_the_code", || {
        let receiver = Receiver::start([]);
        let guard = start(&config(&receiver));
        let request = span!("request");
        for (id, wait) in [("r-7", 3), ("r-8", 900)] {
            let _scope = correlate(&[("request_id", id), ("password", "p")]);
            histogram!("wait").record(wait);
        }
        assert!(guard.flush(LONG));
        histogram!("wait").record(70_000);
        drop(request);
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            let [point] = points(r.metrics.last().unwrap(), "wait") else { panic!() };
            let mut all: Vec<_> = point
                .exemplars
                .iter()
                .map(|exemplar| {
                    let field = |name| text(&exemplar.filtered_attributes, name);
                    (field("request_id"), field("password"))
                })
                .collect();
            all.sort();
            let secret = || Some(REDACTED.to_owned());
            let expected = [(None, None), (Some("r-7".into()), secret()), (Some("r-8".into()), secret())];
            assert_eq!(all, expected);
        });
    });
}
