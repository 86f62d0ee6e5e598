//! The language, over series made by hand. What is expected is what Prometheus gives.

use super::super::rules::Rules;
use super::super::store::{Sample, Store, Value};
use super::{Context, Memory, Outcome, Plan, duration, evaluate, in_prometheus, parse, show_duration};
use std::fmt::Write;
use std::time::Duration;
use throughline_export::prometheus::PageOptions;
use throughline_export::view::{HistogramView, PointData, PointView, Scope, SummaryView};

/// Milliseconds between snapshots.
const STEP: i64 = 15_000;
const START: i64 = 1_700_000_000_000;

fn point<'a>(name: &'a str, labels: &'a [(&'a str, &'a str)], data: PointData<'a>) -> PointView<'a> {
    PointView {
        id: 0,
        name,
        unit: "",
        description: "",
        scope: Scope { name: "shop", version: "" },
        target: "shop",
        start_unix_ns: u64::try_from(START).unwrap() * 1_000_000,
        time_unix_ns: 0,
        labels,
        data,
    }
}

/// The results after this many snapshots, one in a line, sorted.
fn after(steps: i64, text: &str, points: impl Fn(i64) -> Vec<PointView<'static>>) -> String {
    let mut plan = Plan::default();
    let root =
        parse(text, &mut plan, &mut Context::default()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut store = Store::new(&plan, PageOptions::default().scope_labels(false));
    let mut memory = Memory::default();
    let mut evaluated = Vec::new();
    for step in 1..=steps {
        let now = START + step * STEP;
        store.update(&plan, now, &points(step), false);
        drop(std::mem::take(&mut evaluated));
        evaluated = evaluate(&plan, &store, now, &mut memory);
    }
    // What nodes keep makes no difference.
    let last = evaluated.swap_remove(root);
    let anew = evaluate(&plan, &store, START + steps * STEP, &mut Memory::default()).swap_remove(root);
    let shown = shown_all(last);
    assert_eq!(shown, shown_all(anew), "{text}");
    shown
}

fn shown_all(outcome: Outcome) -> String {
    match outcome {
        Outcome::Series(samples) => {
            let mut lines: Vec<String> = samples.iter().map(shown).collect();
            lines.sort();
            lines.join("\n")
        }
        Outcome::Number(x) => x.to_string(),
        Outcome::Failed(why) => format!("failed: {why}"),
    }
}

fn shown(sample: &Sample) -> String {
    let mut out = sample.name.as_deref().unwrap_or_default().to_owned();
    if !sample.labels.is_empty() {
        write!(out, "{}", sample.labels).unwrap();
    }
    match &sample.value {
        Value::Float(x) => write!(out, " {}", (x * 1e9).round() / 1e9).unwrap(),
        Value::Histogram(it) => write!(out, " histogram of {}", it.count()).unwrap(),
    }
    out.trim().to_owned()
}

/// Two routes with requests and errors, a queue, and a histogram.
fn shop(step: i64) -> Vec<PointView<'static>> {
    let n = step.unsigned_abs();
    let ten = [1_u64, 0, 2, 0].map(|count| count * n);
    let buckets: &'static [u64] = Box::leak(Box::new(ten));
    vec![
        point("requests", &[("route", "/cart"), ("code", "200")], PointData::Counter(n * 30)),
        point("requests", &[("route", "/cart"), ("code", "500")], PointData::Counter(n * 10)),
        point("requests", &[("route", "/pay"), ("code", "200")], PointData::Counter(n * 60)),
        point("errors", &[("route", "/cart")], PointData::Counter(n * 10)),
        point("queue.depth", &[("queue", "mail")], PointData::GaugeInt(step * 2)),
        point("queue.depth", &[("queue", "low")], PointData::GaugeFloat(0.5)),
        point("latency", &[], PointData::Histogram(HistogramView::new(0, n as f64 * 7.0, 0, -1, buckets))),
        point(
            "size",
            &[],
            PointData::Summary(SummaryView { count: n, sum: 3.0, quantiles: &[(0.5, 1.5), (0.99, 9.0)] }),
        ),
    ]
}

#[test]
fn expressions_give_what_prometheus_gives() {
    for (text, expected) in [
        ("queue_depth", "queue_depth{queue=\"low\"} 0.5\nqueue_depth{queue=\"mail\"} 20"),
        ("queue.depth{queue=\"mail\"}", "queue.depth{queue=\"mail\"} 20"),
        ("{\"queue.depth\", queue!=\"mail\"}", "queue.depth{queue=\"low\"} 0.5"),
        ("{__name__=~\"queue_.*\", queue=~\"m.*\"}", "queue_depth{queue=\"mail\"} 20"),
        ("queue_depth > 3", "queue_depth{queue=\"mail\"} 20"),
        ("queue_depth > bool 3", "{queue=\"low\"} 0\n{queue=\"mail\"} 1"),
        ("3 < queue_depth", "queue_depth{queue=\"mail\"} 20"),
        ("-queue_depth + 1", "{queue=\"low\"} 0.5\n{queue=\"mail\"} -19"),
        ("queue_depth{queue=\"mail\"} * 2 ^ 3 ^ 0 - 1", "{queue=\"mail\"} 39"),
        ("(queue_depth{queue=\"mail\"} - 1) % 7", "{queue=\"mail\"} 5"),
        ("sum(requests_total)", "1000"),
        ("sum by (route) (requests_total)", "{route=\"/cart\"} 400\n{route=\"/pay\"} 600"),
        ("sum without (code) (requests.total)", ""),
        ("sum(requests_total) without (code)", "{route=\"/cart\"} 400\n{route=\"/pay\"} 600"),
        ("count by (code) (requests_total)", "{code=\"200\"} 2\n{code=\"500\"} 1"),
        ("avg(requests_total) > min(requests_total)", "333.333333333"),
        ("max(requests_total) - scalar(errors_total)", "500"),
        ("quantile(0.5, requests_total)", "300"),
        ("topk(1, requests_total)", "requests_total{code=\"200\", route=\"/pay\"} 600"),
        (
            "bottomk by (code) (1, requests_total)",
            "requests_total{code=\"200\", route=\"/cart\"} 300\nrequests_total{code=\"500\", route=\"/cart\"} 100",
        ),
        ("stddev(queue_depth)", "9.75"),
        ("group(requests_total)", "1"),
        ("rate(errors_total[1m])", "{route=\"/cart\"} 0.666666667"),
        ("increase(errors_total[1m])", "{route=\"/cart\"} 40"),
        ("sum(rate(requests_total{code=~\"5..\"}[1m])) / sum(rate(requests_total[1m]))", "0.1"),
        ("errors_total / on (route) sum by (route) (requests_total)", "{route=\"/cart\"} 0.25"),
        (
            "errors_total / ignoring (code) requests_total",
            "failed: `/` finds several series on its right for one on the other side: requests_total{code=\"200\", route=\"/cart\"} and requests_total{code=\"500\", route=\"/cart\"}; add them up with sum by (…), or name the labels with on (…) and the side with group_left or group_right",
        ),
        (
            "requests_total / ignoring (code) group_left errors_total",
            "{code=\"200\", route=\"/cart\"} 3\n{code=\"500\", route=\"/cart\"} 1",
        ),
        (
            "errors_total - on (route) group_right () requests_total",
            "{code=\"200\", route=\"/cart\"} -200\n{code=\"500\", route=\"/cart\"} 0",
        ),
        (
            "requests_total and on (route) errors_total",
            "requests_total{code=\"200\", route=\"/cart\"} 300\nrequests_total{code=\"500\", route=\"/cart\"} 100",
        ),
        ("requests_total unless on (route) errors_total", "requests_total{code=\"200\", route=\"/pay\"} 600"),
        (
            "errors_total or queue_depth{queue=\"low\"}",
            "errors_total{route=\"/cart\"} 100\nqueue_depth{queue=\"low\"} 0.5",
        ),
        ("errors_total == 100 or vector(1)", "1\nerrors_total{route=\"/cart\"} 100"),
        ("absent(queue_depth)", ""),
        ("absent(gone{route=\"/cart\", code=~\"5.\"})", "{route=\"/cart\"} 1"),
        ("absent_over_time(gone{a=\"b\"}[1m])", "{a=\"b\"} 1"),
        ("absent(sum(gone))", "1"),
        ("deriv(queue_depth{queue=\"mail\"}[1m])", "{queue=\"mail\"} 0.133333333"),
        ("predict_linear(queue_depth{queue=\"mail\"}[1m], 60)", "{queue=\"mail\"} 28"),
        ("delta(queue_depth{queue=\"mail\"}[1m])", "{queue=\"mail\"} 8"),
        ("avg_over_time(queue_depth{queue=\"mail\"}[1m])", "{queue=\"mail\"} 17"),
        (
            "max_over_time(queue_depth{queue=\"mail\"}[1m]) - min_over_time(queue_depth{queue=\"mail\"}[1m])",
            "{queue=\"mail\"} 6",
        ),
        ("last_over_time(queue_depth{queue=\"mail\"}[1m])", "queue_depth{queue=\"mail\"} 20"),
        ("count_over_time(queue_depth{queue=\"mail\"}[1m])", "{queue=\"mail\"} 4"),
        ("quantile_over_time(0.5, queue_depth{queue=\"mail\"}[1m])", "{queue=\"mail\"} 17"),
        ("changes(queue_depth[1m])", "{queue=\"low\"} 0\n{queue=\"mail\"} 3"),
        ("irate(errors_total[1m])", "{route=\"/cart\"} 0.666666667"),
        ("histogram_quantile(1, latency)", "4"),
        ("histogram_quantile(0.5, rate(latency[1m]))", "2.37841423"),
        ("histogram_quantile(0.5, rate(latency_bucket[1m]))", "2.5"),
        ("histogram_quantile(0.5, sum by (le) (rate(latency_bucket[1m])))", "2.5"),
        ("latency_bucket{le=\"1\"}", "latency_bucket{le=\"1\"} 10"),
        ("latency_bucket{le=\"4.0\"} - ignoring(le) latency_bucket{le=\"1\"}", "20"),
        ("rate(latency_sum[1m]) / rate(latency_count[1m])", "2.333333333"),
        ("histogram_count(latency) + histogram_sum(latency)", "100"),
        ("histogram_avg(sum(latency))", "2.333333333"),
        ("latency - latency", "histogram of 0"),
        ("size", "size{quantile=\"0.5\"} 1.5\nsize{quantile=\"0.99\"} 9"),
        ("size_count", "size_count 10"),
        ("round(queue_depth, 7)", "{queue=\"low\"} 0\n{queue=\"mail\"} 21"),
        ("clamp(queue_depth, 1, 10)", "{queue=\"low\"} 1\n{queue=\"mail\"} 10"),
        ("sqrt(abs(queue_depth{queue=\"mail\"} - 45))", "{queue=\"mail\"} 5"),
        ("queue_depth{queue=\"mail\"} offset 1m", "queue_depth{queue=\"mail\"} 12"),
        ("queue_depth offset 50s - queue_depth{queue=\"mail\"}", "{queue=\"mail\"} -8"),
        ("queue_depth offset 1h", ""),
        ("max_over_time(queue_depth{queue=\"mail\"}[30s] offset 30s)", "{queue=\"mail\"} 16"),
        ("rate(errors_total[1m] offset 1m)", "{route=\"/cart\"} 0.666666667"),
        ("vector(time())", "1700000150"),
        ("errors_total > Inf # nothing is", ""),
        (
            "latency > 1",
            "failed: `>` stands between numbers, and latency is a histogram; use histogram_quantile(0.99, rate(latency[5m])), or its _count and _sum",
        ),
    ] {
        assert_eq!(after(10, text, shop), expected, "{text}");
    }
}

/// Few groups are looked for in another way than many.
#[test]
fn any_number_of_groups_is_told_apart() {
    let points = |_: i64| {
        let labels = |n: usize| -> &'static [(&'static str, &'static str)] {
            let text = |n: usize| -> &'static str { Box::leak(n.to_string().into_boxed_str()) };
            Box::leak(Box::new([("a", text(n % 20)), ("b", text(n))]))
        };
        (0..100).map(|n| point("x", labels(n), PointData::GaugeInt(1))).collect::<Vec<_>>()
    };
    for (text, expected) in [
        ("count(sum by (a) (x) == 5)", "20"),
        ("count(sum without (a) (x))", "100"),
        ("sum(x)", "100"),
        ("count by (a) (x{a=~\"[0-8]\"}) != 5", ""),
    ] {
        assert_eq!(after(3, text, points), expected, "{text}");
    }
}

/// A baseline of the series' own: what is usual is known from its values, and an outlier among them does not move it.
#[test]
fn an_anomaly_is_far_from_what_is_usual() {
    let points = |step: i64| {
        let usual = [10.0, 11.0, 9.0, 10.0, 12.0, 8.0][usize::try_from(step % 6).unwrap()];
        let value = if step == 20 {
            1000.0
        } else if step == 41 {
            25.0
        } else {
            usual
        };
        vec![
            point("load", &[], PointData::GaugeFloat(value)),
            point("flat", &[], PointData::GaugeInt(i64::from(step == 41))),
        ]
    };
    assert_eq!(after(41, "anomaly_score(load[10m]) > 5", points), "10.117361392");
    assert_eq!(after(40, "abs(anomaly_score(load[10m])) > 2", points), "");
    assert_eq!(after(40, "anomaly_score(flat[10m])", points), "0");
    assert_eq!(after(41, "anomaly_score(flat[10m]) == Inf", points), "inf");
    assert_eq!(after(8, "anomaly_score(load[10m])", points), "", "too few to know");
}

/// Prometheus sees the first errors of a program as no increase, because it never saw the zero before.
#[test]
fn a_counter_that_appears_was_zero_before() {
    let points = |step: i64| match step {
        1..=8 => vec![],
        n => vec![point("errors", &[], PointData::Counter(if n == 9 { 5 } else { 9 }))],
    };
    assert_eq!(after(9, "increase(errors_total[1m]) > 0", points), "5");
    assert_eq!(after(8, "increase(errors_total[1m]) > 0", points), "");
    // One that is observed may have counted for long.
    let observed =
        |step: i64| points(step).into_iter().map(|it| PointView { target: "", ..it }).collect::<Vec<_>>();
    assert_eq!(after(9, "increase(errors_total[1m])", observed), "");
}

#[test]
fn a_counter_that_begins_anew_goes_on() {
    let points = |step: i64| vec![point("n", &[], PointData::Counter(if step < 8 { 100 } else { 5 }))];
    assert_eq!(after(9, "increase(n_total[1m]) and resets(n_total[1m]) == 1", points), "6.666666667");
}

#[test]
fn what_is_gone_is_not_there_and_its_range_ends() {
    let points = |step: i64| if step <= 5 { vec![point("n", &[], PointData::Counter(1))] } else { vec![] };
    assert_eq!(after(6, "n_total", points), "");
    assert_eq!(after(6, "max_over_time(n_total[1m])", points), "1");
    assert_eq!(after(9, "max_over_time(n_total[1m])", points), "");
    // Long after, it is forgotten; when it comes back it is found again.
    let back = |step: i64| {
        if step == 3 || step > 200 { vec![point("n", &[], PointData::Counter(1))] } else { vec![] }
    };
    assert_eq!(after(201, "n_total", back), "n_total 1");
}

#[test]
fn points_of_one_series_are_added_up() {
    let points = |_: i64| {
        vec![
            point("n", &[("a.b", "x")], PointData::Counter(1)),
            point("n", &[("a_b", "x")], PointData::CounterFloat(0.5)),
            point("g", &[], PointData::GaugeInt(1)),
            point("g", &[("empty", "")], PointData::GaugeInt(7)),
        ]
    };
    assert_eq!(after(3, "n_total", points), "n_total{a_b=\"x\"} 1.5");
    assert_eq!(after(3, "n_total{a.b=\"x\"} and g == g", points), "");
    assert_eq!(after(3, "g", points), "g 7");
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, at, expected) in [
        ("", 0, "the end is here, where a metric, a number or a function is needed"),
        ("a >", 3, "the end is here, where a metric"),
        ("a > > 1", 4, "`>` is here, where a metric"),
        ("1 > 2", 2, "`>` compares two numbers, so it needs bool after it"),
        ("1 + 2", 0, "this is a number, and a condition compares metrics"),
        ("a[5m]", 0, "this has a range, which only a function such as rate(…[5m]) can take"),
        ("sum(a[5m])", 4, "this has a range"),
        ("rate(a)", 5, "rate takes a series with a range; write such as rate(requests_total[5m])"),
        ("rate(sum(a)[5m])", 11, "`[` is here, where `)` ends the arguments"),
        ("rate((a)[5m])", 8, "a range stands after the name of a metric only"),
        ("rate(a[5m:1m])", 9, "a range in a range (a subquery) is not computed here"),
        ("rate(a[5])", 7, "`5` is here, where a range is a duration, such as [5m]"),
        ("rate(a[0s])", 7, "a range is from 1ms to 31d"),
        ("a offset -5m", 9, "`-` is here, where an offset is a duration before now"),
        ("rate(a[5m] offset 32d)", 18, "an offset is from 1ms to 31d"),
        ("a @ 5", 2, "`@` asks for a fixed time"),
        (
            "histogram_quantil(0.9, a)",
            0,
            "there is no function `histogram_quantil`; did you mean histogram_quantile?",
        ),
        ("frob(a)", 0, "there is no function `frob` here"),
        ("sum(1)", 4, "this is a number, and sum takes series"),
        ("quantile(a, b)", 9, "this must be a number for quantile"),
        ("clamp(a)", 0, "clamp takes series and 2 numbers, and has 1"),
        ("a{b}", 3, "`}` is here, where `=`, `!=`, `=~` or `!~` comes after `b`"),
        ("a{b=c}", 4, "`c` is here, where the value of `b` is a text in quotes"),
        ("a{b=~\"(\"}", 5, "`(` is no regular expression: unclosed group"),
        ("a{b=\"c\"", 7, "the end is here, where `}` ends the matchers"),
        ("{b=~\".*\"}", 0, "this selects every series"),
        ("a + on (b) 1", 2, "`+` has labels to match, and a number has none"),
        ("a and 1", 2, "`and` stands between series, not numbers"),
        ("a and on (b) group_left c", 2, "`and` takes no group_left and no group_right"),
        ("a + bool b", 2, "`+` compares nothing, so it takes no bool"),
        ("a b", 2, "`b` comes after the end of the expression; is an operator missing before it?"),
        ("a > \"x\"", 4, "this is a text"),
        ("a > 5 $", 6, "`$` has no meaning here"),
        ("a. > 1", 0, "the name `a.` ends with a dot"),
        ("a > 5x", 4, "`5x` is no number and no duration"),
        ("a == 'x", 5, "a text begins here and has no end; close it with '"),
    ] {
        let error = parse(text, &mut Plan::default(), &mut Context::default()).unwrap_err();
        assert!(error.text.starts_with(expected) && error.at == at, "{text}: {} {}", error.at, error.text);
    }
    let deep = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
    let long = format!("{}a", "-".repeat(100_000));
    for text in [deep, long] {
        assert!(
            parse(&text, &mut Plan::default(), &mut Context::default())
                .unwrap_err()
                .text
                .contains("64 levels deep")
        );
    }
    let signs = format!("{}a", "+".repeat(100_000));
    assert!(parse(&signs, &mut Plan::default(), &mut Context::default()).is_ok());
}

#[test]
fn what_several_rules_ask_for_is_computed_once() {
    let rule =
        |n: u32| format!("- name: R{n}\n  condition: sum by (route) (rate(requests_total[5m])) > {n}\n");
    let text: String = (0..100).map(rule).collect();
    let rules = Rules::parse("r.yaml", &text).unwrap();
    // The rate and its sum, and for each rule its number and its comparison.
    assert_eq!((rules.plan.selectors.len(), rules.plan.nodes.len()), (1, 2 + 200));
}

#[test]
fn durations_are_read_and_written() {
    for (text, ms) in
        [("90s", 90_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("250ms", 250), ("1w", 7 * 86_400_000)]
    {
        assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "5", "m", "5x", "5m1h", "5m5m", "1.5h", "99999999999999999999s", "9999999999999y"] {
        assert_eq!(duration(text), None, "{text}");
    }
    assert_eq!(show_duration(Duration::from_millis(90_061_500)), "1d1h1m1s500ms");
    assert_eq!(show_duration(Duration::ZERO), "0s");
}

#[test]
fn prometheus_gets_numbers_and_names_without_dots() {
    let text = "sum by (http.route) (x{http.route=~\"a.b\", threshold=\"t\"}) > threshold * 2 # threshold\n";
    let expected = "sum by (http_route) (x{http_route=~\"a.b\", threshold=\"t\"}) > 0.5 * 2 # threshold\n";
    assert_eq!(in_prometheus(text, Some(0.5)), expected);
    assert_eq!(in_prometheus("threshold > 1", None), "threshold > 1");
}

/// The rules that an operator is given for Prometheus are understood here, too.
#[test]
fn the_rules_for_prometheus_are_read() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/deploy/prometheus/rules.yaml");
    let rules = Rules::load(file).unwrap_or_else(|error| panic!("{error}"));
    assert!(rules.len() > 10 && rules.to_prometheus(file).is_ok());
}
