//! `counter_family`: add one to the series of one of sixteen label values known only at run time.

use std::hint::black_box;

use opentelemetry::{KeyValue, metrics::MeterProvider as _};

use super::{
    counter::{metrics_setup, throughline_setup},
    sinks::{otel_meter, otel_metrics},
};
use crate::{
    Subject,
    harness::Bench,
    work::{ROUTES, route},
};

pub(super) const SUBJECTS: &[Subject] = &[
    ("prometheus", |bench| {
        let vec =
            prometheus::register_int_counter_vec!("requests", "Requests", &["route"]).expect("a valid name");
        each(bench, |route| vec.with_label_values(&[route]).inc());
    }),
    ("prometheus-client", |bench| {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, prometheus_client::encoding::EncodeLabelSet)]
        struct Labels {
            route: &'static str,
        }
        use prometheus_client::metrics::{counter::Counter, family::Family};
        let family = Family::<Labels, Counter>::default();
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("requests", "Requests", family.clone());
        each(bench, |route| {
            family.get_or_create(&Labels { route }).inc();
        });
    }),
    ("metrics", |bench| {
        metrics_setup();
        each(bench, |route| metrics::counter!("requests", "route" => route).increment(1));
    }),
    ("measured", |bench| {
        use measured::lasso::{Rodeo, RodeoReader, Spur};
        #[derive(Clone, Copy, PartialEq, Debug, measured::LabelGroup)]
        #[label(set = LabelsSet)]
        struct Labels<'a> {
            #[label(fixed_with = RodeoReader<Spur>)]
            route: &'a str,
        }
        let routes: RodeoReader = ROUTES.iter().copied().collect::<Rodeo>().into_reader();
        let vec = measured::CounterVec::with_label_set(LabelsSet { route: routes });
        each(bench, |route| vec.inc(Labels { route }));
    }),
    ("fastmetrics", |bench| {
        use fastmetrics::metrics::{counter::Counter, family::Family};
        #[derive(Clone, Debug, PartialEq, Eq, Hash, fastmetrics::derive::LabelSet)]
        struct Labels {
            route: &'static str,
        }
        let family = Family::<Labels, Counter<u64>>::default();
        let mut registry = fastmetrics::registry::Registry::default();
        registry.register("requests", "Requests", family.clone()).expect("a valid name");
        each(bench, |route| {
            family.with_or_new(&Labels { route }, |counter| {
                counter.inc();
            });
        });
    }),
    ("opentelemetry", |bench| {
        let provider = otel_metrics().build();
        let counter = provider.meter("bench").u64_counter("requests").build();
        each(bench, |route| counter.add(1, &[KeyValue::new("route", route)]));
    }),
    ("throughline (metrics)", |bench| {
        throughline_setup();
        each(bench, |route| metrics::counter!("requests", "route" => route).increment(1));
    }),
    ("throughline (opentelemetry)", |bench| {
        let counter = otel_meter().u64_counter("requests").build();
        each(bench, |route| counter.add(1, &[KeyValue::new("route", route)]));
    }),
];

fn each(bench: &mut Bench<'_>, op: impl Fn(&'static str) + Sync) {
    bench.steady(
        |_| (),
        |(), n| {
            for i in 0..n {
                op(black_box(route(i)));
            }
        },
    );
}
