//! The wall clock is set while the program runs: open spans keep their times, and whatever begins later
//! follows the clock.

mod support;

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use support::in_own_process;
use support::receiver::Receiver;
use throughline::{info, span};
use throughline_std::{Config, Guard};

const LONG: Duration = Duration::from_secs(30);
const HOUR: i64 = 3600;
/// Largest difference from an expected time, in nanoseconds: far more than a test takes, and far less than
/// the steps of the clock.
const NEAR: u64 = 600_000_000_000;

/// Seconds by which the wall clock was set.
static SET_BY: AtomicI64 = AtomicI64::new(0);
/// How often it was read.
static READ: AtomicU64 = AtomicU64::new(0);

fn wall_clock() -> SystemTime {
    READ.fetch_add(1, Ordering::SeqCst);
    let by = SET_BY.load(Ordering::SeqCst);
    let set_by = Duration::from_secs(by.unsigned_abs());
    if by < 0 { SystemTime::now() - set_by } else { SystemTime::now() + set_by }
}

/// Sets the clock and waits until the pump has noticed. The pump reads the clock a few times, and handles the
/// reading before its next flush ends.
fn set(guard: &Guard, by: i64) {
    SET_BY.store(by, Ordering::SeqCst);
    let before = READ.load(Ordering::SeqCst);
    while READ.load(Ordering::SeqCst) == before {
        assert!(guard.flush(LONG));
    }
    assert!(guard.flush(LONG));
}

fn unix_ns(by: i64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    (now.as_nanos() as u64).wrapping_add_signed(by * 1_000_000_000)
}

fn a_step_moves_only_what_begins_after_it(test: &str, first: i64, second: i64) {
    in_own_process(test, || {
        let receiver = Receiver::start([]);
        let config = Config::new("svc").otlp(&receiver.endpoint).unwrap().wall_clock(wall_clock);
        let guard = throughline_std::init(&config.report_errors(false)).unwrap();
        {
            let _outer = span!("outer");
            drop(span!("before"));
            set(&guard, first);
            drop(span!("between"));
            info!("between");
            set(&guard, second);
            drop(span!("after"));
        }
        assert!(guard.shutdown(LONG).complete);
        receiver.with(|r| {
            for (name, by) in [("outer", 0), ("before", 0), ("between", first), ("after", second)] {
                let span = r.spans.iter().find(|s| s.name == name).unwrap();
                let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
                assert!(start <= end && end - start < NEAR, "{name} took {}", end.wrapping_sub(start) as i64);
                assert!(start.abs_diff(unix_ns(by)) < NEAR, "{name} is at {start}");
            }
            assert!(r.logs[0].time_unix_nano.abs_diff(unix_ns(first)) < NEAR);
            let last = r.metrics.last().unwrap();
            for (start, end) in last.iter().flat_map(times) {
                assert!(start <= end, "a metric counted since {start} is read at {end}");
            }
            assert_eq!(int(last, "throughline.clock.steps"), 2);
            let step = int(last, "throughline.clock.last_step");
            assert!((step - (second - first) * 1_000_000_000).unsigned_abs() < NEAR, "{step}");
        });
    });
}

#[test]
fn the_clock_set_back_moves_only_what_begins_after_it_14() {
    a_step_moves_only_what_begins_after_it(
        "the_clock_set_back_moves_only_what_begins_after_it_14",
        -HOUR,
        -2 * HOUR,
    );
}

#[test]
fn the_clock_set_forward_moves_only_what_begins_after_it_14() {
    a_step_moves_only_what_begins_after_it(
        "the_clock_set_forward_moves_only_what_begins_after_it_14",
        HOUR,
        0,
    );
}

fn times(metric: &Metric) -> Vec<(u64, u64)> {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => {
            sum.data_points.iter().map(|p| (p.start_time_unix_nano, p.time_unix_nano)).collect()
        }
        Data::Gauge(gauge) => {
            gauge.data_points.iter().map(|p| (p.start_time_unix_nano, p.time_unix_nano)).collect()
        }
        Data::ExponentialHistogram(histogram) => {
            histogram.data_points.iter().map(|p| (p.start_time_unix_nano, p.time_unix_nano)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn int(metrics: &[Metric], name: &str) -> i64 {
    let metric = metrics.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no metric {name}"));
    let points = match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => &sum.data_points,
        Data::Gauge(gauge) => &gauge.data_points,
        other => panic!("{other:?}"),
    };
    match points[0].value.unwrap() {
        number_data_point::Value::AsInt(n) => n,
        number_data_point::Value::AsDouble(x) => panic!("{name} is {x}"),
    }
}
