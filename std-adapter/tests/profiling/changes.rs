//! Alerts of a process that is profiled name a picture of what changed.

use crate::support::{assert_balanced, in_own_process};
use crate::{Folder, price};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use throughline_std::admin::AdminOptions;
use throughline_std::alert::{AlertOptions, AlertState, Notice, Routing, Rules};
use throughline_std::profiling::{CpuOptions, ProfilingOptions};
use throughline_std::{Config, Deadline, Guard, init, observe};

/// How long a test waits for what happens by itself.
const LONG: Duration = Duration::from_secs(50);

/// What the alert takes time for.
#[inline(never)]
fn discount(time: Duration) -> u64 {
    std::hint::black_box(price(time) + 1)
}

/// A process that is profiled in windows of a second, if there is a folder, with an alert that fires when the gauge is above 1; and the notices.
fn begin(
    folder: Option<&Path>,
    heat: &Arc<AtomicI64>,
    change: impl FnOnce(AlertOptions) -> AlertOptions,
) -> (Guard, Receiver<Notice>) {
    let (tell, told) = channel();
    let rules =
        Rules::parse("rules.yaml", "[{name: Hot, condition: heat > 1}, {name: Hotter, condition: heat > 2}]")
            .unwrap();
    let routing = Routing::default().group_wait(Duration::ZERO).group_by(["alertname"]);
    let notify = move |notice: &Notice, _: &Deadline| {
        let _ = tell.send(notice.clone());
        Ok(())
    };
    let options =
        AlertOptions::new(rules).interval(Duration::from_millis(50)).notify("test", Some(routing), notify);
    let config = Config::new("shop").without_otlp().terminal(false).admin(AdminOptions::default().port(0));
    let mut config = config.alerts(change(options));
    if let Some(folder) = folder {
        let cpu = CpuOptions::default().frequency(499);
        config = config.profiling(ProfilingOptions::new(folder).cpu(cpu).window(Duration::from_secs(1)));
    }
    let guard = init(&config).unwrap();
    let heat = Arc::clone(heat);
    observe::gauge("heat").with(move || heat.load(Ordering::Relaxed)).keep();
    (guard, told)
}

/// The evidence of the next notice.
fn evidence(told: &Receiver<Notice>) -> Option<String> {
    let notice = told.recv_timeout(LONG).unwrap();
    assert_eq!(notice.state(), AlertState::Firing);
    notice.alerts[0].evidence.as_deref().map(str::to_owned)
}

#[test]
fn an_alert_names_a_picture_of_what_has_changed_since_before() {
    let name = "changes::an_alert_names_a_picture_of_what_has_changed_since_before";
    in_own_process(name, || {
        let folder = Folder::new("changes");
        let heat = Arc::new(AtomicI64::new(0));
        let (guard, told) = begin(Some(&folder.0), &heat, |options| options);
        let begun = Instant::now();
        let wait = |what: &str| assert!(begun.elapsed() < LONG, "{what}: {:?}", folder.names());
        while !folder.names().iter().any(|name| name.starts_with("cpu-") && name.ends_with(".pb.gz")) {
            wait("no window has ended");
            price(Duration::from_millis(20));
        }
        heat.store(2, Ordering::Relaxed);
        let path = evidence(&told).expect("no evidence");
        // A second alert within the window has the same picture.
        heat.store(3, Ordering::Relaxed);
        let other = evidence(&told).expect("no evidence");
        while !Path::new(&path).exists() || !Path::new(&other).exists() {
            wait("there is no picture");
            discount(Duration::from_millis(20));
        }
        let picture = std::fs::read_to_string(&path).unwrap();
        assert!(Path::new(&path).is_absolute() && path.contains("/change-"), "{path}");
        assert!(
            picture.contains("what changed when Hot fired") && picture.contains("red: a larger share"),
            "{picture}"
        );
        let frame = picture.split("<g").find(|frame| frame.contains("changes::discount")).expect(&picture);
        let fill = frame.split("fill=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(is_red(fill), "{frame}");
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
        assert_balanced(&throughline_std::ledger());
        assert_eq!(throughline_std::ledger().exporter("profiles.file").dropped_total(), 0);
    });
}

/// Whether a colour such as `rgb(245,90,90)` has more red than anything else.
fn is_red(colour: &str) -> bool {
    let parts = colour.trim_matches(|c: char| !c.is_ascii_digit()).split(',');
    let parts: Vec<u32> = parts.map(|part| part.parse().unwrap()).collect();
    parts[0] > parts[1] && parts[0] > parts[2]
}

#[test]
fn there_is_none_without_a_profile_before() {
    in_own_process("changes::there_is_none_without_a_profile_before", || {
        let (folder, heat) = (Folder::new("changes-first"), Arc::new(AtomicI64::new(2)));
        let (guard, told) = begin(Some(&folder.0), &heat, |options| options);
        assert_eq!(evidence(&told), None);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

#[test]
fn there_is_none_without_profiles() {
    in_own_process("changes::there_is_none_without_profiles", || {
        let heat = Arc::new(AtomicI64::new(2));
        let (guard, told) = begin(None, &heat, |options| options);
        assert_eq!(evidence(&told), None);
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}

#[test]
fn evidence_of_the_program_comes_first() {
    let name = "changes::evidence_of_the_program_comes_first";
    in_own_process(name, || {
        let folder = Folder::new("changes-own");
        let heat = Arc::new(AtomicI64::new(2));
        let (guard, told) = begin(Some(&folder.0), &heat, |options| options.evidence(|_| Some("own".into())));
        assert_eq!(evidence(&told).as_deref(), Some("own"));
        assert!(guard.shutdown(Duration::from_secs(30)).complete);
    });
}
