//! Alert rules on a clock made by hand: states, notices, silences, inhibition, restarts.
#![cfg(feature = "alerts")]

#[path = "support/alert_run.rs"]
mod alert_run;
#[path = "../export/tests/support/points.rs"]
mod points;
#[path = "../export/tests/support/scrape.rs"]
mod scrape;
mod support;

use alert_run::{HOUR, MINUTE, Run, plain};
use points::point;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use support::{assert_balanced, free_address, in_own_process, until};
use throughline_std::admin::AdminOptions;
use throughline_std::alert::{
    AlertError, AlertOptions, AlertState, Alerts, Inhibition, Matcher, Notice, Routing, Rules, Silence,
};
use throughline_std::view::PointData;
use throughline_std::{Config, Deadline, DropReason, ExportError};

const HOT: &str = "
rules:
  - name: Hot
    condition: temperature > threshold
    threshold: 80
    duration: 5m
    keep_firing_for: 10m
    severity: critical
    description: '{{ $labels.host }} has {{ $value }} degrees'
";

#[test]
fn an_alert_is_pending_then_fires_goes_on_for_a_while_and_is_resolved() {
    let mut run = Run::new(HOT, plain);
    // Too short at 10, long enough at 20, with a gap that is shorter than it goes on.
    let hot = |minute| matches!(minute, 10..13 | 20..30 | 33..40);
    run.go(HOUR + MINUTE, |minute| vec![("temperature", "a", if hot(minute) { 90.5 } else { 20.0 })]);
    assert_eq!(
        run.only(),
        [(10, "pending"), (13, "inactive"), (20, "pending"), (25, "firing"), (50, "resolved")]
    );
    let notices = run.notices();
    assert_eq!(notices, [(25, "firing", "a".into()), (50, "resolved", "|a".into())]);
    let alert = &run.told[0].1.alerts[0];
    assert_eq!((alert.annotation("description"), alert.severity()), (Some("a has 90.5 degrees"), "critical"));
    assert_eq!(alert.labels.to_string(), r#"{alertname="Hot", host="a", severity="critical"}"#);
    // What was resolved is forgotten after a quarter of an hour.
    run.go(10 * MINUTE, |_| vec![("temperature", "a", 20.0)]);
    assert!(run.alerts.list().is_empty());
}

#[test]
fn a_week_of_groups_repeats_and_news() {
    let rules = "[{name: Down, condition: up == 0, duration: 1m}]";
    let mut run = Run::new(rules, plain);
    // Host a is down for the first two days, b joins after an hour for ten minutes, c fails every night for half an hour.
    let up = |minute: u64| {
        let day = minute % 1440;
        let is_up = [minute >= 2880, !(60..70).contains(&minute), !(120..150).contains(&day)];
        ["a", "b", "c"]
            .into_iter()
            .zip(is_up)
            .map(|(host, up)| ("up", host, f64::from(u8::from(up))))
            .collect()
    };
    run.go(7 * 24 * HOUR, up);
    let notices = run.notices();
    let of =
        |from: u64, to: u64| notices.iter().filter(move |(minute, ..)| (from..to).contains(minute)).cloned();
    // One minute pending, half a minute of waiting for others; news wait for the end of an interval of 5 minutes.
    assert_eq!(
        of(0, 200).collect::<Vec<_>>(),
        [
            (1, "firing", "a".into()),
            (61, "firing", "a,b".into()),
            (71, "firing", "a|b".into()),
            (121, "firing", "a,c".into()),
            (151, "firing", "a|c".into()),
        ]
    );
    // Nothing new: every four hours.
    let quiet: Vec<u64> = of(152, 1440).map(|(minute, ..)| minute).collect();
    assert_eq!(quiet, [391, 631, 871, 1111, 1351]);
    // From the third day on, only c, each night: fires, and is resolved.
    for night in 3..7 {
        let from = night * 1440;
        let told: Vec<_> =
            of(from, from + 1440).map(|(minute, state, hosts)| (minute - from, state, hosts)).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!((told[0].1, &*told[0].2, told[1].1, &*told[1].2), ("firing", "c", "resolved", "|c"));
        assert!((121..=126).contains(&told[0].0) && (150..=156).contains(&told[1].0), "{told:?}");
    }
    assert!(run.alerts.failing().is_empty());
}

#[test]
fn what_is_silenced_or_inhibited_is_not_told_and_is_counted() {
    let rules = "
rules:
  - {name: Down, condition: up == 0, severity: critical}
  - {name: Slow, condition: delay > 1, severity: warning}
inhibit_rules:
  - {source_matchers: [severity=critical], target_matchers: ['severity=~warning|info'], equal: [host]}
";
    let short =
        |options| plain(options).routing(Routing::default().group_by(["..."]).group_wait(Duration::ZERO));
    let mut run = Run::new(rules, short);
    let all_bad = |_| vec![("up", "a", 0.0), ("delay", "a", 5.0), ("delay", "b", 5.0), ("up", "b", 1.0)];
    let silence =
        Silence::new([Matcher::equal("host", "b")], run.now, HOUR).created_by("ada").comment("known");
    let id = run.alerts.silence(silence);
    run.go(30 * MINUTE, all_bad);
    assert_eq!(run.notices(), [(0, "firing", "a".into())], "Slow on a is inhibited, Slow on b is silenced");
    let counts = run.alerts.suppressions();
    assert_eq!((counts.silenced, counts.inhibited), (1, 1));
    // The silence ends by itself after an hour.
    run.go(40 * MINUTE, all_bad);
    let last = run.told.last().unwrap();
    assert_eq!((last.0, last.1.alerts[0].labels.get("host")), (60, Some("b")));
    assert!(run.alerts.silences().is_empty() && !run.alerts.end_silence(&id));
    // When Down is over, Slow is told of.
    run.go(10 * MINUTE, |_| vec![("up", "a", 1.0), ("delay", "a", 5.0), ("delay", "b", 5.0)]);
    let told: Vec<_> = run.told[2..].iter().map(|(_, it)| (it.state(), &*it.alerts[0].name)).collect();
    assert!(
        told.contains(&(AlertState::Resolved, "Down")) && told.contains(&(AlertState::Firing, "Slow")),
        "{told:?}"
    );
    // A silence can be ended early, and one of the program's own inhibitions works like those of the file.
    let id = run.alerts.silence(Silence::new([Matcher::equal("host", "a")], run.now, HOUR));
    assert_eq!(run.alerts.silences()[0].id, id);
    assert!(run.alerts.end_silence(&id));
    let inhibition = Inhibition::new(
        [Matcher::equal("alertname", "Down")],
        [Matcher::equal("alertname", "Slow")],
        ["host"],
    );
    let mut run = Run::new(&rules.replace("inhibit_rules", "#").replace("  - {source", "#"), |options| {
        short(options).inhibit(inhibition)
    });
    run.go(MINUTE, all_bad);
    assert_eq!(run.alerts.suppressions().inhibited, 1);
}

#[test]
fn a_notice_that_was_not_delivered_is_made_again() {
    let mut run = Run::new("[{name: Down, condition: up == 0}]", plain);
    let down = |_| vec![("up", "a", 0.0)];
    run.go(MINUTE, down);
    assert_eq!(run.told.len(), 1);
    run.alerts.delivered(&run.told[0].1, false);
    run.go(10 * MINUTE, down);
    assert_eq!(run.notices(), [(0, "firing", "a".into()), (5, "firing", "a".into())]);
    run.alerts.delivered(&run.told[1].1, true);
    run.go(10 * MINUTE, down);
    assert_eq!(run.told.len(), 2);
    // So is one that says that it is over.
    run.go(6 * MINUTE, |_| vec![("up", "a", 1.0)]);
    assert_eq!(run.told.last().unwrap().1.state(), AlertState::Resolved);
    run.alerts.delivered(&run.told[2].1, false);
    run.go(6 * MINUTE, |_| vec![("up", "a", 1.0)]);
    assert_eq!((run.told.len(), run.told[3].1.state()), (4, AlertState::Resolved));
}

#[test]
fn what_cannot_be_computed_changes_nothing_and_is_told() {
    let rules =
        "[{name: Sum, condition: a / b > 1}, {name: Same, condition: sum without (host) (c) > 0 or c > 0}]";
    let mut run = Run::new(rules, plain);
    run.go(MINUTE, |_| vec![("a", "x", 4.0), ("b", "x", 2.0)]);
    assert_eq!(run.alerts.list()[0].state, AlertState::Firing);
    let points = [
        point("a", "", &[("host", "x")], PointData::GaugeInt(4)),
        point(
            "b",
            "",
            &[("host", "x")],
            PointData::Histogram(throughline_std::view::HistogramView::new(0, 1.0, 1, 0, &[])),
        ),
    ];
    run.step(&points);
    let failing = run.alerts.failing();
    assert_eq!(&*failing[0].0, "Sum");
    assert!(failing[0].1.contains("b is a histogram"), "{failing:?}");
    assert_eq!(run.alerts.list()[0].state, AlertState::Firing, "it stays as it is");
}

#[test]
fn the_clock_may_be_set() {
    let mut run = Run::new(HOT, plain);
    run.go(3 * MINUTE, |_| vec![("temperature", "a", 90.0)]);
    // An hour ahead: it has still been hot for three minutes only.
    run.now += HOUR;
    run.alerts.shift(3_600_000);
    run.go(MINUTE, |_| vec![("temperature", "a", 90.0)]);
    assert_eq!(run.alerts.list()[0].state, AlertState::Pending);
    run.go(2 * MINUTE, |_| vec![("temperature", "a", 90.0)]);
    assert_eq!(run.alerts.list()[0].state, AlertState::Firing);
}

#[test]
fn options_that_cannot_work_are_told() {
    let rules = || Rules::parse("r.yaml", "[{name: A, condition: up == 0}]").unwrap();
    assert!(matches!(Alerts::new(&AlertOptions::default()), Err(AlertError::NoRules)));
    let twice = AlertOptions::new(rules()).receiver("a", None).receiver("a", None);
    assert_eq!(
        Alerts::new(&twice).unwrap_err().to_string(),
        "there are two receivers `a`; give each its own name"
    );
    let gone = Alerts::new(&AlertOptions::file("/nowhere/rules.yaml")).unwrap_err().to_string();
    assert!(gone.starts_with("/nowhere/rules.yaml: cannot be read: "), "{gone}");
}

/// A running service: its own metrics are looked at, the page shows what fires, a notifier is told, and the end leaves nothing behind.
#[test]
fn a_service_tells_of_its_own_metrics() {
    in_own_process("a_service_tells_of_its_own_metrics", || {
        let address = free_address();
        let rules = Rules::parse(
            "r.yaml",
            "[{name: Errors, condition: 'increase(errors_total[1m]) > 0 and on () process_open_fds > 0'}]",
        );
        let (tell, told) = channel();
        let (fails, failed) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (now_fails, has_failed) = (Arc::clone(&fails), Arc::clone(&failed));
        let broken = move |_: &Notice, _: &Deadline| {
            has_failed.store(true, Ordering::Relaxed);
            match now_fails.load(Ordering::Relaxed) {
                true => Err(ExportError::new(DropReason::Refused, 1, "no; ask again")),
                false => Ok(()),
            }
        };
        let at_once = Routing::default().group_wait(Duration::ZERO).group_interval(Duration::ZERO);
        let options = AlertOptions::new(rules.unwrap())
            .interval(Duration::from_millis(10))
            .routing(at_once)
            .notify("mine", None, move |notice: &Notice, _: &Deadline| {
                tell.send(notice.clone()).unwrap();
                Ok(())
            })
            .notify("broken", None, broken);
        let config = Config::new("shop")
            .without_otlp()
            .terminal(false)
            .admin(AdminOptions::default().port(address.port()));
        let guard = throughline_std::init(&config.alerts(options)).unwrap();
        let alerts = guard.alerts().unwrap();
        assert!(alerts.list().is_empty());
        throughline::counter!("errors").add(3);
        let notice = told.recv().unwrap();
        assert_eq!((&*notice.alerts[0].name, notice.state()), ("Errors", AlertState::Firing));
        let page = scrape::get(address, "/alerts", "");
        let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        assert_eq!(page["alerts"][0]["labels"]["alertname"], "Errors");
        assert_eq!(
            (&page["rules"][0]["state"], &page["rules"][0]["error"]),
            (&"firing".into(), &serde_json::Value::Null)
        );
        // What the other does not take is dropped with its reason, told, and made again.
        until("the notifier is asked", || failed.load(Ordering::Relaxed));
        until("the failure is told", || guard.last_error().as_deref() == Some("no; ask again"));
        fails.store(false, Ordering::Relaxed);
        until("it works again", || guard.last_error().is_none());
        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("alerts.mine").output, 1);
        let broken = report.ledger.exporter("alerts.broken");
        assert!(broken.output == 1 && broken.dropped_for(DropReason::Refused) >= 1, "{broken:?}");
    });
}
