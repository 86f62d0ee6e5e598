//! What alerts know after a restart, on a clock made by hand: the state file, and what cannot be judged yet.
#![cfg(feature = "alerts")]

#[path = "support/alert_run.rs"]
mod alert_run;
#[path = "../export/tests/support/points.rs"]
mod points;
mod support;

use alert_run::{HOUR, MINUTE, Run, STEP, plain, scratch};
use points::point;
use std::time::Duration;
use support::{ours, stderr_of};
use throughline_std::Config;
use throughline_std::admin::AdminOptions;
use throughline_std::alert::{AlertOptions, AlertState, Alerts, Matcher, Rules, Silence, Suppression};
use throughline_std::view::{PointData, PointView, Scope};

const HOT: &str = "
rules:
  - name: Hot
    condition: temperature > threshold
    threshold: 80
    duration: 5m
";

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
    let expected =
        "is not used as long as another program uses it; if both are to go on, give each a file of its own";
    assert!(number == 1 && problem.contains(expected) && problem.contains("alerts.state"), "{problem}");
    assert!(second.alerts.json().contains(expected));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    // When the first one has ended, the second one takes over what that knew.
    first.alerts.silence(Silence::new([Matcher::equal("host", "x")], first.now, HOUR));
    drop(first);
    second.go(MINUTE, points);
    assert_eq!(second.alerts.state_problems().1, None);
    assert_eq!((second.alerts.silences().len(), second.alerts.list().len()), (1, 1));
    assert_eq!(second.alerts.list()[0].state, AlertState::Firing, "it had fired in the first one");
    // The file has all of it again.
    let mut third = Run::after(second, MINUTE, HOT, with_file);
    third.step(&[]);
    assert_eq!((third.alerts.state_problems().0, third.alerts.list().len()), (0, 1));
    assert_eq!(third.alerts.silences().len(), 1);
    drop(third);
    std::fs::remove_dir_all(folder).unwrap();
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
        let config =
            Config::new("shop").without_otlp().terminal(false).admin(AdminOptions::default().port(0));
        let guard = throughline_std::init(&config.alerts(options)).unwrap();
        let (number, problem) = guard.alerts().unwrap().state_problems();
        assert!(number == 1 && problem.unwrap().contains("another program uses it"));
        guard.shutdown(Duration::from_secs(30));
        assert!(!file.exists());
    });
    let Some(stderr) = stderr else { return };
    assert_eq!(ours(&stderr).iter().filter(|line| line.contains("another program uses it")).count(), 1);
}

/// An alert of the run before whose condition looks at no range is judged as soon as its series is there.
#[test]
fn an_alert_is_judged_after_a_restart_when_its_series_is_there() {
    let file = scratch("judged");
    let with_file = |options| plain(options).state_file(&file);
    let rules = "[{name: QueueGrows, condition: queue_depth > 100}]";
    let mut run = Run::new(rules, with_file);
    run.go(MINUTE, |_| vec![("queue_depth", "a", 250.0), ("queue_depth", "b", 250.0)]);
    assert_eq!(run.alerts.list().len(), 2);
    let mut run = Run::after(run, MINUTE, rules, with_file);
    run.step(&[point("queue_depth", "", &[("host", "a")], PointData::GaugeInt(0))]);
    let list = run.alerts.list();
    assert_eq!((list[0].state, list[1].state), (AlertState::Resolved, AlertState::Firing));
    assert_eq!(
        list[1].explanation,
        "It was firing before the restart at 2023-11-14T22:15:35.000Z; its condition cannot be judged until its series are there, or 2023-11-14T22:16:35.000Z."
    );
    // A series that does not come is taken for one that is gone.
    run.go(MINUTE, |_| vec![("queue_depth", "a", 0.0)]);
    assert_eq!(run.alerts.list()[1].state, AlertState::Resolved);
}

/// One whose condition looks at a range is held until the range is full, and no longer.
#[test]
fn an_alert_is_held_after_a_restart_until_its_range_is_full() {
    let file = scratch("held");
    let with_file = |options| plain(options).state_file(&file);
    let rules = "[{name: Peak, condition: 'max_over_time(queue_depth[5m]) > 100', duration: 1m}]";
    let mut run = Run::new(rules, with_file);
    run.go(2 * MINUTE, |_| vec![("queue_depth", "a", 250.0)]);
    let mut run = Run::after(run, MINUTE, rules, with_file);
    let begun = run.now + STEP;
    let low = |_| vec![("queue_depth", "a", 0.0)];
    while run.now < begun + 5 * MINUTE - STEP {
        run.go(STEP, low);
        let alert = &run.alerts.list()[0];
        let text = &alert.explanation;
        let expected = "It was firing before the restart at 2023-11-14T22:16:35.000Z; its condition cannot be judged until 2023-11-14T22:21:35.000Z.";
        assert_eq!((alert.state, &**text), (AlertState::Firing, expected));
    }
    run.go(STEP, low);
    assert_eq!(run.alerts.list()[0].state, AlertState::Resolved);
    // One whose condition holds in this run is explained by that.
    let mut run = Run::after(run, MINUTE, rules, with_file);
    run.go(2 * MINUTE, |_| vec![("queue_depth", "a", 250.0)]);
    let mut run = Run::after(run, MINUTE, rules, with_file);
    run.go(MINUTE, |_| vec![("queue_depth", "a", 250.0)]);
    let alert = &run.alerts.list()[0];
    assert_eq!(alert.state, AlertState::Firing);
    assert!(alert.explanation.starts_with("Its condition has held since "), "{}", alert.explanation);
}

/// Of two rules with one name, each takes up its own alerts.
#[test]
fn rules_of_one_name_take_up_their_own_alerts_after_a_restart() {
    let file = scratch("one-name");
    let with_file = |options| plain(options).state_file(&file);
    let rules = "
rules:
  - {name: Hot, condition: temperature > 80, severity: warning, summary: warm}
  - {name: Hot, condition: temperature > 90, severity: critical, summary: hot}
";
    let points = |_| vec![("temperature", "a", 95.0)];
    let mut run = Run::new(rules, with_file);
    run.go(MINUTE, points);
    let mut run = Run::after(run, MINUTE, rules, with_file);
    run.step(&[]);
    let list = run.alerts.list();
    let shown: Vec<_> = list.iter().map(|it| (it.severity(), it.annotation("summary").unwrap())).collect();
    assert_eq!(shown, [("warning", "warm"), ("critical", "hot")]);
}

/// The version of the package that makes a metric is no part of an alert, so that a new version of the program goes on with it.
#[test]
fn an_alert_is_the_same_in_a_new_version() {
    let file = scratch("version");
    let with_file = |options: AlertOptions| options.receiver("team", None).state_file(&file);
    let rules = "[{name: QueueGrows, condition: queue_depth > 100}]";
    let of_version = |version| PointView {
        scope: Scope { name: "shop", version },
        ..point("queue_depth", "", &[("host", "a")], PointData::GaugeInt(250))
    };
    let mut run = Run::new(rules, with_file);
    (0..8).for_each(|_| run.step(&[of_version("1.0.0")]));
    assert_eq!(run.told.len(), 1);
    let labels = run.alerts.list()[0].labels.clone();
    assert_eq!((labels.get("otel_scope_name"), labels.get("otel_scope_version")), (Some("shop"), None));
    let mut run = Run::after(run, MINUTE, rules, with_file);
    (0..40).for_each(|_| run.step(&[of_version("1.0.1")]));
    let list = run.alerts.list();
    assert_eq!((run.told.len(), list.len(), &list[0].labels), (0, 1, &labels));
    // Two versions of a package in one program are one alert.
    run.step(&[of_version("1.0.1"), of_version("2.0.0")]);
    assert!(run.alerts.failing().is_empty() && run.alerts.list().len() == 1);
    // What differs in more than the version is not.
    let rules = "[{name: QueueGrows, condition: queue_depth > 100, labels: {host: any}}]";
    let mut run = Run::new(rules, plain);
    let other = PointView { labels: &[("host", "b")], ..of_version("1.0.1") };
    run.step(&[of_version("1.0.1"), other]);
    assert!(format!("{:?}", run.alerts.failing()).contains("several series give an alert with the labels"));
}

/// A silence is in the state file at once, so that a crash right after does not lose it, and so is its end.
#[test]
fn a_silence_is_kept_at_once() {
    let file = scratch("silence");
    let with_file = |options| plain(options).state_file(&file);
    let mut run = Run::new(HOT, with_file);
    run.step(&[]);
    let kept = || std::fs::read_to_string(&file).unwrap();
    let id = run.alerts.silence(Silence::new([Matcher::equal("host", "x")], run.now, HOUR));
    assert!(kept().contains(&*id), "{}", kept());
    assert!(run.alerts.end_silence(&id) && !kept().contains(&*id));
}

/// An operator silences alerts in the file of rules, while the process runs.
#[test]
fn silences_of_the_file_of_rules_hold_when_it_is_read_again() {
    let (file, state) = (scratch("rules.yaml").with_extension("yaml"), scratch("rules-state"));
    let rules = "rules: [{name: Hot, condition: temperature > 80}]\n";
    let silence = "silences: [{matchers: [alertname=Hot], until: 2023-11-14T23:13:20Z, comment: 'the fan is being changed'}]\n";
    std::fs::write(&file, rules).unwrap();
    let options = || plain(AlertOptions::file(&file)).state_file(&state);
    let begin = || Run { alerts: Alerts::new(&options()).unwrap(), ..Run::new(HOT, |options| options) };
    let points = |_| vec![("temperature", "a", 95.0)];
    let mut run = begin();
    run.go(MINUTE, points);
    assert_eq!(run.alerts.list()[0].suppressed, None);
    std::fs::write(&file, format!("{rules}{silence}")).unwrap();
    run.go(MINUTE, points);
    let alert = &run.alerts.list()[0];
    assert_eq!(alert.suppressed, Some(Suppression::Silenced));
    let by = alert.suppressed_by.as_deref().unwrap();
    assert!(by.ends_with("until 2023-11-14T23:13:20.000Z: the fan is being changed"), "{by}");
    assert!(run.alerts.json().contains("the fan is being changed"));
    assert_eq!(run.alerts.silences().len(), 1);
    // A mistake changes nothing.
    std::fs::write(&file, format!("{rules}{}", silence.replace("until: 2023", "until: on 2023"))).unwrap();
    run.go(MINUTE, points);
    assert_eq!(run.alerts.silences().len(), 1);
    // It is not kept anywhere else, so it is over when it is taken out.
    std::fs::write(&file, rules).unwrap();
    let now = run.now;
    drop(run);
    let mut run = Run { now, ..begin() };
    run.step(&[]);
    assert!(run.alerts.silences().is_empty());
    // It ends by itself.
    std::fs::write(&file, format!("{rules}{silence}")).unwrap();
    run.go(HOUR, points);
    assert!(run.alerts.silences().is_empty());
    assert_eq!(run.alerts.list()[0].suppressed, None);
    std::fs::remove_file(file).unwrap();
}
