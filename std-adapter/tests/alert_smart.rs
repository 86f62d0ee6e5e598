//! What keeps alerts from being noise, on a clock made by hand: known patterns, causes, limits, flapping, escalation, seasons; and that each decision is
//! explained and counted.
#![cfg(feature = "alerts")]

#[path = "support/alert_run.rs"]
mod alert_run;
#[path = "../export/tests/support/points.rs"]
mod points;
mod support;

use alert_run::{HOUR, MINUTE, Run, STEP, plain, scratch};
use points::point;
use std::time::Duration;
use support::keep::Keep;
use support::{assert_balanced, in_own_process, until};
use throughline::{SpanId, TraceId};
use throughline_std::admin::AdminOptions;
use throughline_std::alert::{Alert, AlertOptions, AlertState, Matcher, Notice, Routing, Rules, Suppression};
use throughline_std::prometheus::PageOptions;
use throughline_std::view::{ExemplarView, HistogramView, PointData, PointView, Scope};
use throughline_std::{Config, Deadline, DropReason};

/// Options that tell each alert alone, at once.
fn at_once(options: AlertOptions) -> AlertOptions {
    plain(options).routing(alone())
}

fn alone() -> Routing {
    Routing::default().group_by(["..."]).group_wait(Duration::ZERO).group_interval(Duration::ZERO)
}

/// What was told: the minute, the name of the first alert, the state of the notice.
fn told(run: &Run) -> Vec<(u64, String, &'static str)> {
    let shown = |(minute, notice): &(u64, Notice)| {
        (*minute, notice.alerts[0].name.to_string(), notice.state().as_str())
    };
    run.told.iter().map(shown).collect()
}

fn only(run: &Run) -> Alert {
    run.alerts.list().pop().unwrap()
}

#[test]
fn alerts_that_begin_in_a_deploy_are_held_back_until_its_end() {
    let rules = "
- {name: Slow, condition: delay > 1}
- {name: Down, condition: up == 0, urgent: true}
- {name: Full, condition: used > 0.9}
";
    let mut run = Run::new(rules, at_once);
    run.go(MINUTE, |_| vec![("used", "a", 0.95)]);
    run.alerts.deploying(10 * MINUTE);
    // Full was there before, and ends. Slow begins twice: once it is over before the deploy is. Down is urgent.
    run.go(20 * MINUTE, |minute| {
        let slow = if matches!(minute, 2..5 | 8..) { 5.0 } else { 0.0 };
        vec![("delay", "a", slow), ("used", "a", 0.5), ("up", "a", if minute == 3 { 0.0 } else { 1.0 })]
    });
    assert_eq!(
        told(&run),
        [
            (0, "Full".into(), "firing"),
            (1, "Full".into(), "resolved"),
            (3, "Down".into(), "firing"),
            (4, "Down".into(), "resolved"),
            (11, "Slow".into(), "firing"),
        ]
    );
    assert_eq!((run.alerts.suppressions().deploying, run.alerts.suppressions().silenced), (2, 0));
    // A second one says why.
    run.alerts.deploying(10 * MINUTE);
    run.go(MINUTE, |_| vec![("delay", "b", 5.0)]);
    let list = run.alerts.list();
    let held = list.iter().find(|it| it.labels.get("host") == Some("b")).unwrap();
    assert_eq!((held.state, held.suppressed), (AlertState::Firing, Some(Suppression::Deploying)));
    let until = held.suppressed_by.as_deref().unwrap();
    assert!(until.starts_with("until 2023-11-14T"), "{until}");
    assert!(
        held.explanation
            .contains(&format!("Nobody is told: it began in a deploy, which is taken to go on {until}.")),
        "{}",
        held.explanation
    );
    let page: serde_json::Value = serde_json::from_str(&run.alerts.json()).unwrap();
    assert_eq!((&page["suppressions"]["deploying"], page["deployUntil"].is_string()), (&3.into(), true));
}

#[test]
fn a_new_version_is_a_deploy_and_a_restart_has_a_grace() {
    let file = scratch("version");
    let rules = "[{name: Slow, condition: delay > 1}]";
    let with = |version: &'static str, grace: Duration| {
        let file = file.clone();
        move |options| {
            at_once(options).state_file(file).version(version).deploy_grace(5 * MINUTE).restart_grace(grace)
        }
    };
    let slow = |_| vec![("delay", "a", 5.0)];
    let mut first = Run::new(rules, with("1", Duration::ZERO));
    first.go(MINUTE, |_| vec![("delay", "a", 0.0)]);
    let mut second = Run::after(first, MINUTE, rules, with("2", Duration::ZERO));
    second.go(10 * MINUTE, slow);
    assert_eq!(told(&second).len(), 1);
    assert_eq!(second.told[0].0, second.minutes() - 5, "at the end of the deploy");
    assert_eq!(second.alerts.suppressions().deploying, 1);
    // The same version again: what fires goes on, and nobody is told twice.
    let mut third = Run::after(second, MINUTE, rules, with("2", 3 * MINUTE));
    third.go(5 * MINUTE, |_| vec![("delay", "a", 5.0), ("delay", "b", 5.0)]);
    let hosts: Vec<_> = third.told.iter().map(|(_, it)| it.alerts[0].labels.get("host")).collect();
    assert_eq!((hosts, third.alerts.suppressions().restarting), (vec![Some("b")], 1));
    assert_eq!(third.alerts.suppressions().deploying, 0);
}

#[test]
fn alerts_that_are_expected_at_this_time_are_muted() {
    // The run begins on a Tuesday at 22:13:20 UTC.
    let rules = r#"
rules:
  - {name: Slow, condition: delay > 1}
mute_time_intervals:
  - {name: backup, weekdays: [tuesday], times: [{start_time: "23:00", end_time: "00:00"}], utc_offset: "+01:00"}
  - {name: backup, weekdays: [tuesday], times: [{start_time: "22:00", end_time: "23:00"}], matchers: [host=a]}
"#;
    let mut run = Run::new(rules, at_once);
    run.go(MINUTE, |_| vec![("delay", "a", 5.0)]);
    let alert = only(&run);
    assert_eq!((alert.suppressed, run.told.len()), (Some(Suppression::Muted), 0));
    assert!(
        alert
            .explanation
            .ends_with("Nobody is told: it is expected at this time, by mute time interval backup."),
        "{}",
        alert.explanation
    );
    run.go(HOUR, |_| vec![("delay", "a", 5.0)]);
    assert_eq!((told(&run), run.alerts.suppressions().muted), (vec![(46, "Slow".into(), "firing")], 1));
}

const SHOP: &str = "
- {name: DatabaseDown, condition: database_up == 0, duration: 2m, severity: critical}
- {name: CheckoutFails, condition: checkout_errors > 5, depends_on: [DatabaseDown]}
- {name: PagesSlow, condition: page_delay > 1, depends_on: [{alert: CheckoutFails, equal: [host]}]}
- {name: DiskFull, condition: disk > 0.9}
";

#[test]
fn alerts_of_one_cause_are_one_notice() {
    let wait = |options| plain(options).routing(Routing::default().group_wait(MINUTE).group_interval(MINUTE));
    let mut run = Run::new(SHOP, wait);
    let points = |minute: u64| {
        let bad = (5..30).contains(&minute);
        let value = |bad: bool, x: f64| if bad { x } else { 0.0 };
        vec![
            ("database_up", "db", f64::from(u8::from(!bad))),
            ("checkout_errors", "a", value(bad, 9.0)),
            ("page_delay", "a", value(bad && minute > 5, 3.0)),
            ("page_delay", "b", value((50..53).contains(&minute), 3.0)),
            ("disk", "a", value(bad, 0.95)),
        ]
    };
    run.go(45 * MINUTE, points);
    let names =
        |notice: &Notice| notice.alerts.iter().map(|it| it.name.to_string()).collect::<Vec<_>>().join(",");
    let firing: Vec<_> = run
        .told
        .iter()
        .filter(|(_, it)| it.state() == AlertState::Firing)
        .map(|(at, it)| (*at, names(it)))
        .collect();
    assert_eq!(
        firing,
        [
            // The database is not known to be down yet, but its condition holds.
            (6, "CheckoutFails,PagesSlow".into()),
            (6, "DiskFull".into()),
            (7, "DatabaseDown,CheckoutFails,PagesSlow".into()),
        ]
    );
    let notice = &run.told.iter().find(|(at, it)| *at == 7 && it.alerts.len() == 3).unwrap().1;
    assert_eq!(notice.root.as_ref(), Some(&notice.alerts[0].labels));
    assert_eq!(notice.consequences().count(), 2);
    let why = notice.explanation();
    assert!(
        why.starts_with("{alertname=\"DatabaseDown\"")
            && why.contains("is the likely cause of CheckoutFails, PagesSlow: "),
        "{why}"
    );
    let pages = &notice.alerts[2];
    assert_eq!(pages.cause.as_ref().and_then(|it| it.get("alertname")), Some("CheckoutFails"));
    assert!(
        pages.explanation.contains("It is likely a consequence of DatabaseDown{")
            && pages.explanation.contains("by way of CheckoutFails and which began 1m before it"),
        "{}",
        pages.explanation
    );
    // All are over together.
    let over: Vec<_> = run
        .told
        .iter()
        .filter(|(_, it)| it.state() == AlertState::Resolved)
        .map(|(_, it)| it.alerts.len())
        .collect();
    assert_eq!(over.iter().sum::<usize>(), 4, "{over:?}");
    // One that has another host is no consequence.
    run.go(10 * MINUTE, points);
    let last = &run.told.iter().rev().find(|(_, it)| it.state() == AlertState::Firing).unwrap().1;
    assert_eq!((names(last).as_str(), last.root.is_none()), ("PagesSlow", true));
}

#[test]
fn a_cause_that_begins_long_after_is_none() {
    let mut run = Run::new(SHOP, at_once);
    run.go(30 * MINUTE, |minute| {
        vec![("checkout_errors", "a", 9.0), ("database_up", "db", if minute > 10 { 0.0 } else { 1.0 })]
    });
    let list = run.alerts.list();
    let checkout = list.iter().find(|it| &*it.name == "CheckoutFails").unwrap();
    assert_eq!((checkout.cause.is_none(), list.len()), (true, 2));
}

#[test]
fn notices_beyond_the_limit_wait_and_are_counted() {
    let rules = "- {name: Down, condition: up == 0}\n- {name: Worst, condition: worst > 0, urgent: true}";
    let mut run = Run::new(rules, |options| at_once(options).routing(alone().rate_limit(3)));
    let hosts = ["a", "b", "c", "d", "e"];
    run.go(50 * MINUTE, |minute| {
        let mut points: Vec<_> = hosts.iter().map(|host| ("up", *host, 0.0)).collect();
        points.push(("worst", "a", f64::from(u8::from(minute >= 20))));
        points
    });
    assert_eq!((run.told.len(), run.alerts.suppressions().rate_limited), (4, 2), "{:?}", run.notices());
    assert_eq!(&*run.told[3].1.alerts[0].name, "Worst");
    assert_eq!(run.told[3].1.waited, 2);
    run.go(20 * MINUTE, |_| {
        hosts.iter().map(|host| ("up", *host, 0.0)).chain([("worst", "a", 1.0)]).collect()
    });
    // An hour after the first three there is room.
    let late: Vec<_> = run.told[4..]
        .iter()
        .map(|(at, it)| (*at, it.alerts[0].labels.get("host").unwrap().to_owned()))
        .collect();
    assert_eq!(late, [(60, "d".into()), (60, "e".into())]);
    assert!(
        run.told[3]
            .1
            .explanation()
            .starts_with("2 earlier notices were held back by the limit of this receiver")
    );
}

#[test]
fn one_that_flaps_is_told_once_and_again_when_it_is_calm() {
    let mut run = Run::new("[{name: Down, condition: up == 0}]", at_once);
    // Down for two minutes in each five, for two hours.
    let up = |minute: u64| vec![("up", "a", if minute < 120 && minute % 5 < 2 { 0.0 } else { 1.0 })];
    run.go(4 * HOUR, up);
    let told = told(&run);
    let minutes: Vec<_> = told.iter().map(|(minute, _, state)| (*minute, *state)).collect();
    assert_eq!(
        minutes,
        [
            (0, "firing"),
            (2, "resolved"),
            (5, "firing"),
            (7, "resolved"),
            (10, "firing"),
            (12, "resolved"),
            (15, "firing"),
            (170, "resolved")
        ],
        "the fourth time it flaps; an hour after the last but one of 115 minutes it is calm"
    );
    let flapping = &run.told[6].1.alerts[0];
    assert!(
        flapping.is_flapping
            && flapping.explanation.contains("It flaps: it began to fire 4 times within 1h."),
        "{}",
        flapping.explanation
    );
    // 24 times it began and ended; eight of these changes were told, the last one later.
    assert_eq!(run.alerts.suppressions().flapping, 2 * 24 - 7);
    let mut run = Run::new("[{name: Down, condition: up == 0}]", |options| at_once(options).flapping(0));
    run.go(HOUR, up);
    assert_eq!(run.told.len(), 2 * 12);
}

#[test]
fn what_nobody_acknowledges_goes_to_a_second_receiver() {
    let file = scratch("acknowledged");
    let rules = "[{name: Down, condition: up == 0}]";
    let both = |options| {
        at_once(options).state_file(&file).receiver("second", Some(alone().escalate_after(30 * MINUTE)))
    };
    let mut run = Run::new(rules, both);
    let points = |minute: u64| vec![("up", "a", f64::from(u8::from(minute >= 40))), ("up", "b", 0.0)];
    run.go(10 * MINUTE, points);
    assert_eq!(run.alerts.acknowledge(&[Matcher::equal("host", "b")], "ada"), 1);
    run.go(5 * MINUTE, points);
    // It is not forgotten in a restart.
    let mut run = Run::after(run, Duration::ZERO, rules, both);
    run.go(35 * MINUTE, points);
    let second: Vec<_> = run.told.iter().filter(|(_, it)| &*it.receiver == "second").collect();
    let shown: Vec<_> =
        second.iter().map(|(at, it)| (*at, it.state().as_str(), it.alerts[0].labels.get("host"))).collect();
    assert_eq!(shown, [(30, "firing", Some("a")), (40, "resolved", Some("a"))]);
    assert_eq!(second[0].1.explanation(), "Nobody has acknowledged this for 30m.");
    let list = run.alerts.list();
    let b = list.iter().find(|it| it.labels.get("host") == Some("b")).unwrap();
    assert!(
        b.acknowledged_by.as_deref() == Some("ada") && b.explanation.ends_with("ada has acknowledged it."),
        "{}",
        b.explanation
    );
}

#[test]
fn an_alert_has_a_trace_and_evidence() {
    let rules = "[{name: Slow, condition: 'histogram_quantile(0.5, rate(latency[1m])) > 0.1'}]";
    let mut run = Run::new(rules, |options| {
        at_once(options).evidence(|alert| Some(format!("https://logs.example/{}", alert.name)))
    });
    let exemplar = |n: u64| ExemplarView {
        value: 0.3,
        time_unix_ns: n * 1_000_000_000,
        trace_id: TraceId::from_bytes((0xabc0 + u128::from(n)).to_be_bytes()).unwrap(),
        span_id: SpanId::from_bytes(0xdef_u64.to_be_bytes()).unwrap(),
        fields: None,
    };
    for n in 1..=4 {
        let (buckets, exemplars) = ([10 * n], [exemplar(2 * n), exemplar(n)]);
        let view = HistogramView::new(0, 3.0 * n as f64, 0, -2, &buckets).with_exemplars(&exemplars);
        let other = [exemplar(1000)];
        let elsewhere = HistogramView::new(0, 0.0, 0, -9, &buckets).with_exemplars(&other);
        run.step(&[
            point("latency", "", &[("host", "a")], PointData::Histogram(view)),
            point("latency", "", &[("host", "b")], PointData::Histogram(elsewhere)),
        ]);
    }
    let alert = only(&run);
    let found = alert.exemplar.unwrap();
    // The latest of this series when it began to fire, at the first step in which there is a rate.
    let first = alert.fired_at.unwrap().duration_since(run.begun).unwrap().as_secs() / STEP.as_secs();
    assert_eq!(found.trace_id.to_string(), format!("{:032x}", 0xabc0 + 2 * first));
    assert_eq!(
        (alert.labels.get("host"), alert.evidence.as_deref()),
        (Some("a"), Some("https://logs.example/Slow"))
    );
    let page: serde_json::Value = serde_json::from_str(&run.alerts.json()).unwrap();
    assert_eq!(page["alerts"][0]["exemplar"]["traceId"], found.trace_id.to_string());
}

#[test]
fn a_season_is_learnt_explained_and_kept_over_restarts() {
    let file = scratch("season");
    let with_file = |options| at_once(options).page(PageOptions::default()).state_file(&file);
    let rules = "[{name: Unusual, condition: 'abs(seasonal_anomaly_score(orders, 1)) > 5'}]";
    let orders = |minute: u64| if (minute / 720).is_multiple_of(2) { 10.0 } else { 100.0 };
    // Each run is of another version, which has the same past.
    let run_for = |run: &mut Run, version: &str, minutes: u64, orders: &dyn Fn(u64) -> f64| {
        for _ in 0..minutes / 15 {
            run.now += 15 * MINUTE;
            let value = PointData::GaugeFloat(orders(run.minutes()));
            let scope = Scope { name: "shop", version };
            let point = PointView { scope, ..point("orders", "", &[("host", "a")], value) };
            let notices = run.alerts.evaluate(run.now, &[point]);
            let minutes = run.minutes();
            run.told.extend(notices.into_iter().map(|notice| (minutes, notice)));
        }
    };
    let mut first = Run::new(rules, with_file);
    run_for(&mut first, "1", 5 * 1440, &orders);
    assert!(first.told.is_empty(), "{:?}", first.told);
    // In the next run, what is usual by day is unusual by night, at once.
    let mut second = Run::after(first, 15 * MINUTE, rules, with_file);
    run_for(&mut second, "2", 120, &orders);
    assert!(second.told.is_empty(), "{:?}", second.told);
    run_for(&mut second, "2", 60, &|_| 100.0);
    assert_eq!((second.told.len(), second.alerts.state_problems().0), (1, 0));
    let alert = &second.told[0].1.alerts[0];
    assert_eq!(alert.value, 90.0, "the spread is 1 at least");
    assert!(
        alert
            .explanation
            .contains("At this time of the day, 10 is usual, give or take 0, as the last 5 days tell."),
        "{}",
        alert.explanation
    );
    // Another expression begins anew.
    let other = rules.replace("orders", "2 * orders");
    let mut third = Run::after(second, 15 * MINUTE, &other, with_file);
    run_for(&mut third, "3", 60, &|_| 5000.0);
    assert!(third.alerts.list().iter().all(|it| it.state != AlertState::Firing));
}

/// A running service: each decision is counted in the ledger, and is a log record.
#[test]
fn decisions_of_a_service_are_counted_and_logged() {
    in_own_process("decisions_of_a_service_are_counted_and_logged", || {
        let rules = Rules::parse(
            "r.yaml",
            "- {name: Errors, condition: errors_total > 2}\n- {name: Worst, condition: errors_total > 2, urgent: true}",
        );
        let options = AlertOptions::new(rules.unwrap())
            .interval(Duration::from_millis(10))
            .routing(alone().rate_limit(1))
            .notify("mine", None, |_: &Notice, _: &Deadline| Ok(()));
        let keep = Keep::default();
        let config = Config::new("shop")
            .without_otlp()
            .terminal(false)
            .admin(AdminOptions::default().port(0))
            .exporter("keep", keep.clone());
        let guard = throughline_std::init(&config.alerts(options)).unwrap();
        let alerts = guard.alerts().unwrap();
        alerts.deploying(HOUR);
        throughline::counter!("errors").add(3);
        until("one is held back", || alerts.suppressions().deploying == 1);
        until("the other one fires", || alerts.list().iter().any(|it| it.suppressed.is_none()));
        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        let decided = report.ledger.exporter("alerts.rules");
        assert_eq!(
            (decided.input, decided.output, decided.dropped_for(DropReason::Deploying)),
            (2, 1, 1),
            "{decided:?}"
        );
        assert!(report.ledger.losses().is_none());
        let logs = keep.take().logs;
        let of = |name: &str| {
            logs.iter()
                .find(|log| log.field("alert.name") == name)
                .unwrap_or_else(|| panic!("{name}: {logs:?}"))
        };
        assert_eq!(
            (of("Errors").field("alert.suppressed"), of("Errors").field("alert.state")),
            ("deploying", "firing")
        );
        let message = &of("Worst").name;
        assert!(message.starts_with("alert Worst: Its condition has held since "), "{message}");
    });
}
