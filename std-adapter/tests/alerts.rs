//! Alert rules on a clock made by hand: states, notices, silences, inhibition, restarts.
#![cfg(feature = "alerts")]

#[path = "support/alert_run.rs"]
mod alert_run;
#[path = "../export/tests/support/points.rs"]
mod points;
#[path = "../export/tests/support/scrape.rs"]
mod scrape;
mod support;

use alert_run::{HOUR, MINUTE, Run, STEP, plain, scratch};
use points::point;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use support::{assert_balanced, free_address, in_own_process, ours, stderr_of, until};
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
fn a_restart_forgets_nothing() {
    let file = scratch("restart");
    let with_file = |options| plain(options).state_file(&file);
    let rules = format!("{HOT}  - {{name: Up, condition: up == 0, duration: 10m}}\n");
    let points = |_| vec![("temperature", "a\tb\n", 95.0), ("up", "h", 0.0)];
    let mut first = Run::new(&rules, with_file);
    let id = first
        .alerts
        .silence(Silence::new([Matcher::equal("host", "x")], first.now, 3 * HOUR).comment("tab\there"));
    first.go(7 * MINUTE, points);
    assert_eq!(first.notices(), [(5, "firing", "a\tb\n".into())]);
    // Down for an hour: what fires goes on without being told again; what is pending waits for the rest of its duration.
    let mut second = Run::after(first, HOUR, &rules, with_file);
    second.go(10 * MINUTE, points);
    let silences = second.alerts.silences();
    assert_eq!((&silences[0].id, &*silences[0].comment), (&id, "tab\there"));
    let list = second.alerts.list();
    assert_eq!(list.iter().map(|it| it.state).collect::<Vec<_>>(), [AlertState::Firing; 2]);
    assert_eq!(list[0].fired_at, Some(second.begun + 5 * MINUTE + STEP));
    let told: Vec<_> = second.told.iter().map(|(minute, it)| (*minute, &*it.alerts[0].name)).collect();
    assert_eq!(told, [(71, "Up")], "three minutes are left after 67, and a group waits for half a minute");
    // A rule that is gone takes its alerts with it; the silence stays.
    let third = Run::after(second, MINUTE, "[{name: Other, condition: up == 5}]", with_file);
    let mut third = third;
    third.go(MINUTE, points);
    assert_eq!(
        (third.alerts.list().len(), third.alerts.silences().len(), third.alerts.state_problems().0),
        (0, 1, 0)
    );
}

#[test]
fn a_state_file_that_is_torn_or_foreign_is_told_and_counted() {
    let file = scratch("torn");
    let with_file = |options| plain(options).state_file(&file);
    let points = |_| vec![("temperature", "a", 95.0)];
    let mut first = Run::new(HOT, with_file);
    first.go(7 * MINUTE, points);
    let ended = first.now;
    drop(first);
    let whole = std::fs::read(&file).unwrap();
    for (bytes, expected) in [
        (&whole[..whole.len() - 5], "is damaged"),
        (&whole[..40], "has no end: it was cut off"),
        (b"{\"version\": 1}", "is not a state file of this version"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "is not a state file"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let mut run = Run { now: ended + MINUTE, ..Run::new(HOT, with_file) };
        run.step(&[]);
        let (number, problem) = run.alerts.state_problems();
        // Writing it works again, so the problem is over but stays counted.
        assert_eq!((number, run.alerts.list().len()), (1, 0), "{expected}: {problem:?}");
        run.step(&[point("temperature", "", &[], PointData::GaugeInt(90))]);
        assert_eq!(run.alerts.list().len(), 1);
        let mut again = Run::after(run, MINUTE, HOT, with_file);
        again.step(&[]);
        assert_eq!(
            (again.alerts.state_problems().0, again.alerts.list().len()),
            (0, 1),
            "it was written anew"
        );
    }
    // A file is no folder.
    let nowhere = file.join("alerts");
    let mut nowhere = Run::new(HOT, |options| plain(options).state_file(nowhere));
    nowhere.go(MINUTE, points);
    let (number, problem) = nowhere.alerts.state_problems();
    assert!(number >= 1 && problem.unwrap().contains("cannot be written"));
}

#[test]
fn a_state_file_has_one_process_and_its_folder_is_made() {
    let folder = scratch("shared");
    let file = folder.join("deeper/alerts.state");
    let with_file = |options| plain(options).state_file(&file);
    let points = |_| vec![("temperature", "a", 95.0)];
    let mut first = Run::new(HOT, with_file);
    first.go(7 * MINUTE, points);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains("firing"), "{kept}");
    // Another one does not write over it, and says so once.
    let mut second = Run::new(HOT, with_file);
    second.go(MINUTE, points);
    let (number, problem) = second.alerts.state_problems();
    let problem = problem.unwrap();
    let expected = "is not used: another program uses it; give each a file of its own";
    assert!(number == 1 && problem.contains(expected) && problem.contains("alerts.state"), "{problem}");
    assert!(second.alerts.json().contains(expected));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    // When the first one has ended, the file is free.
    let mut third = Run::after(first, MINUTE, HOT, with_file);
    third.step(&[]);
    assert_eq!((third.alerts.state_problems().0, third.alerts.list().len()), (0, 1));
    drop(third);
    std::fs::remove_dir_all(folder).unwrap();
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

/// That another process has the state file is told at the start, not when the rules are looked at for the first time.
#[test]
fn a_state_file_of_another_process_is_told_at_the_start() {
    let stderr = stderr_of("a_state_file_of_another_process_is_told_at_the_start", || {
        let file = scratch("others");
        let lock = std::fs::File::create(file.with_added_extension("lock")).unwrap();
        lock.try_lock().unwrap();
        let rules = Rules::parse("r.yaml", "[{name: A, condition: up == 0}]").unwrap();
        let options = AlertOptions::new(rules).interval(HOUR).state_file(&file);
        let config = Config::new("shop").without_otlp().terminal(false);
        let guard = throughline_std::init(&config.alerts(options)).unwrap();
        let (number, problem) = guard.alerts().unwrap().state_problems();
        assert!(number == 1 && problem.unwrap().contains("another program uses it"));
        guard.shutdown(Duration::from_secs(30));
        assert!(!file.exists());
    });
    let Some(stderr) = stderr else { return };
    assert_eq!(ours(&stderr).iter().filter(|line| line.contains("another program uses it")).count(), 1);
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
