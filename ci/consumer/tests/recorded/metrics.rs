//! What the metric macros register and count.

use consumer::expansions::metrics;

use crate::harness::counted;

#[test]
fn metrics_need_only_a_name() {
    let expected = [
        "bare.counter Counter 1",
        "bare.family Counter 1 a=*",
        "bare.float Gauge 0.5 param 2",
        "bare.gauge Gauge -3",
        "bare.histogram Histogram param 2",
        "bare.histograms Histogram param 2 a=*",
        "bare.up_down UpDownCounter -1",
    ];
    assert_eq!(counted("bare.", metrics::bare), expected);
    let expected = [
        "trailing.counter Counter 1",
        "trailing.family Counter 1 a=* b=*",
        "trailing.float Gauge 1.0 param 2",
        "trailing.gauge Gauge 1",
        "trailing.histogram Histogram",
        "trailing.histograms Histogram param 2 a=*",
        "trailing.up_down UpDownCounter 1 \"1\"",
    ];
    assert_eq!(counted("trailing.", metrics::trailing_commas), expected);
}

#[test]
fn options_come_in_any_order() {
    let expected = [
        "options.coarse Histogram",
        "options.counter Counter 1 \"By\" \"bytes\" bus=can0 a.b=c any key=d",
        "options.family Counter 1 \"1\" \"d\" a=*",
        "options.fine Histogram param 4 \"fine\"",
        "options.float Gauge 21.5 param 2 \"Cel\" zone=2",
        "options.gauge Gauge 21 \"Cel\" zone=1",
        "options.histogram Histogram param 3 \"us\" route=/",
        "options.histograms Histogram param 1 \"us\" \"d\" a=*",
        "options.up_down UpDownCounter 2 \"{connection}\" \"open\"",
    ];
    assert_eq!(counted("options.", metrics::options), expected);
}

#[test]
fn there_are_metrics_of_every_kind() {
    let expected = [
        "kinds.a Counter 0.5 param 2 \"J\" \"energy\" zone=1",
        "kinds.b Counter 1.0 param 2",
        "kinds.c Gauge 0.5 param 2",
        "kinds.d Gauge 2",
        "kinds.e Histogram param 81 \"s\"",
        "kinds.f Histogram param 12 \"us\"",
        "kinds.g Histogram param 170",
        "kinds.h Gauge -4 \"1\" a=*",
        "kinds.i UpDownCounter -1 \"d\" a=* b=*",
        "kinds.j Histogram param 34 a=*",
        "kinds.k Counter 1 status=200 ok=true scale=s unit=u",
        "kinds.l UpDownCounter 0",
        "kinds.m Gauge 0",
    ];
    assert_eq!(counted("kinds.", metrics::kinds), expected);
}

#[test]
fn a_metric_is_one_wherever_it_is_used_from() {
    let expected = [
        "kept.counter Counter 3",
        "kept.family Counter 3 route=* status=*",
        "kept.histogram Histogram param 2",
    ];
    assert_eq!(counted("kept.", metrics::kept), expected);
    let both = || {
        metrics::in_a_generic(3_u8);
        metrics::in_a_generic(3_u16);
    };
    assert_eq!(
        counted("generic.", both),
        ["generic.counter Counter 2", "generic.histogram Histogram param 2"]
    );
}
