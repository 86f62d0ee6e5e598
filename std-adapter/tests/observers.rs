//! Observers of a process: what they find, what they do about it, and what they know after a restart.
#![cfg(feature = "observers")]

#[path = "support/hook.rs"]
mod hook;
#[path = "support/points.rs"]
mod points;
#[path = "support/servers.rs"]
mod servers;
mod support;

use hook::serve;
use points::Points;
use servers::Folder;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use support::keep::Keep;
use support::{assert_balanced, in_own_process, ours, stderr_of, until};
use throughline::{counter, event, info, span};
use throughline_std::observers::{Count, Listener, LogLine, Match, Observers};
use throughline_std::{Config, Deadline, DropReason, ExportError, Guard};

/// Delivers everything, twice: what observers do is recorded after what they have seen.
fn settle(guard: &Guard) {
    for _ in 0..2 {
        assert!(guard.flush(Duration::from_secs(30)));
    }
}

/// An action that passes on what is found.
fn told() -> (impl FnMut(&Match, &Deadline) -> Result<(), ExportError> + Send, mpsc::Receiver<Match>) {
    let (tell, found) = mpsc::channel();
    let action = move |found: &Match, _: &Deadline| {
        let _ = tell.send(found.clone());
        Ok(())
    };
    (action, found)
}

fn request(route: &str, user: u64, failed: bool) {
    let mut request = span!(root: true, "request", http.route = route, user);
    if failed {
        request.fail("broken");
    }
}

#[test]
fn spans_events_and_metrics_are_found_and_acted_on() {
    in_own_process("spans_events_and_metrics_are_found_and_acted_on", || {
        let (keep, points) = (Keep::default(), Points::default());
        let (failed, failures) = told();
        let (third, thirds) = told();
        let (order, orders) = told();
        let (grown, growths) = told();
        let observers = Observers::new()
            .listen(
                Listener::spans("failed")
                    .matching("http.route", "/cart*")
                    .when("status == 'error' && attributes.user > 3")
                    .action("tell", failed)
                    .action("count", Count::new("cart.failed").label("http.route"))
                    .action("log", LogLine::new("{http.route} failed for {user}")),
            )
            .listen(
                Listener::spans("third")
                    .when("name == 'request'")
                    .at_least(3, Duration::from_secs(60))
                    .by(["user"])
                    .action("tell", third),
            )
            .listen(
                Listener::events("order")
                    .sequence(
                        ["message.contains('timed out')", "message == 'again'"],
                        Duration::from_secs(60),
                    )
                    .action("tell", order),
            )
            .listen(Listener::metrics("grown").when("name == 'jobs' && value >= 5.0").action("tell", grown))
            .listen(Listener::spans("odd").when("attributes.user > 'x'"));
        let config = Config::new("shop")
            .without_otlp()
            .terminal(false)
            .report_errors(false)
            .observers(observers)
            .exporter("keep", keep.clone())
            .exporter("points", points.clone());
        let guard = throughline_std::init(&config).unwrap();

        request("/cart/7", 7, true);
        request("/cart/7", 1, true);
        request("/cart/7", 7, false);
        request("/stock", 7, true);
        for _ in 0..2 {
            request("/cart/7", 1, false);
        }
        {
            let _span = span!(root: true, "one");
            info!("the call {} timed out", 4);
        }
        info!("again");
        let trace = {
            let _span = span!(root: true, "two");
            info!("a call timed out");
            info!("again");
            throughline::current().unwrap().trace_id
        };
        counter!("jobs").add(4);
        settle(&guard);
        counter!("jobs").add(1);
        settle(&guard);
        counter!("jobs").add(1);
        settle(&guard);

        let found = failures.recv().unwrap();
        assert_eq!((&*found.name, found.record, &*found.status), ("request", "span", "error"));
        assert_eq!((found.get("http.route"), found.get("user")), (Some("/cart/7"), Some("7")));
        assert!(failures.try_recv().is_err());
        let users: Vec<_> = thirds.try_iter().map(|found| (found.key[0].1.clone(), found.count)).collect();
        assert_eq!(users, [("7".to_owned(), 3), ("1".to_owned(), 3)]);
        assert_eq!(orders.try_iter().map(|found| found.trace_id).collect::<Vec<_>>(), [trace.to_string()]);
        assert_eq!(
            growths.try_iter().map(|found| found.value).collect::<Vec<_>>(),
            [5.0],
            "it holds on, once"
        );

        let value =
            |name: &str, labels: &str| points.get(name, labels).unwrap_or_else(|| panic!("{name} {labels}"));
        assert_eq!(value("observer_events_processed_total", "observer=failed"), 8.0);
        assert_eq!(value("observer_event_duration_ms", "observer=failed"), 8.0);
        assert_eq!(value("observer_condition_matches_total", "observer=failed"), 1.0);
        assert_eq!(value("observer_condition_matches_total", "observer=third"), 6.0);
        assert_eq!(
            value("observer_actions_executed_total", "action=count,outcome=success,observer=failed"),
            1.0
        );
        assert_eq!(
            value("observer_actions_executed_total", "action=log,outcome=failure,observer=failed"),
            0.0
        );
        assert_eq!(value("observer_action_duration_ms", "action=log,observer=failed"), 1.0);
        assert_eq!(value("observer_errors_total", "error_type=condition,observer=odd"), 6.0);
        assert!(value("observer_batch_size", "") >= 1.0);
        assert_eq!(value("cart.failed", "http.route=/cart/7"), 1.0);

        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        let kept = keep.take();
        let log = kept.log("/cart/7 failed for 7");
        let failed = kept.spans.iter().find(|span| span.field("http.route") == "/cart/7").unwrap();
        assert_eq!((log.trace, log.span, log.field("observer")), (failed.trace, failed.span, "failed"));
        assert_eq!(report.ledger.exporter("observers.failed").output, 3);
    });
}

/// The keys of a file, all actions that leave the process, and what they say about a receiver that is slow to come.
#[test]
fn a_file_configures_observers() {
    in_own_process("a_file_configures_observers", || {
        let folder = Folder::new("observers");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (address, posts) = serve(&["503 Later", "200 OK"]);
        let config = format!(
            r#"
[terminal]
enabled = false
[[observers]]
name = "slow"
on = "span"
match = {{ name = "req*" }}
when = "attributes['http.route'] == '/cart'"
cooldown = "1h"
actions = [
    {{ type = "webhook", url = "http://{address}/x", secret = "hush", allow_private = true }},
    {{ type = "command", run = ["/bin/sh", "-c", "cat > {out}; echo $OBSERVER_NAME >> {out}"] }},
    {{ type = "dump", directory = "{dumps}" }},
]
[[observers]]
name = "burst"
on = ["span", "event"]
when = "name == 'request' || message == 'request'"
count = 4
within = "1m"
actions = ["log", "metric"]
log.message = "{{count}} within a minute"
log.level = "error"
metric.name = "bursts"
[observing]
state_file = "{state}"
"#,
            out = path("out"),
            dumps = path("dumps"),
            state = path("state"),
        );
        let file = folder.path().join("shop.toml");
        std::fs::write(&file, config).unwrap();
        let keep = Keep::default();
        let config = Config::load(&file).unwrap().without_otlp().exporter("keep", keep.clone());
        assert!(!format!("{config:?}").contains("hush"));
        let shown: Vec<String> = config.explain().iter().map(ToString::to_string).collect();
        assert!(
            shown.iter().any(|line| line.starts_with("observers.slow.cooldown = \"1h\"  # ")),
            "{shown:#?}"
        );
        let guard = throughline_std::init(&config).unwrap();
        for n in 0..3 {
            request("/cart", n, false);
        }
        event!(Info, "request");
        settle(&guard);
        posts.recv().unwrap();
        let post = posts.recv().unwrap();
        assert!(post.header("x-throughline-signature").starts_with("sha256="));
        let body = post.json();
        assert_eq!((&body["observer"], &body["attributes"]["user"]), (&"slow".into(), &0.into()));
        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        let out = std::fs::read_to_string(path("out")).unwrap();
        let (json, name) = out.split_at(out.find("}}").unwrap() + 2);
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!((&json["name"], name.trim()), (&"request".into(), "slow"));
        let dumps: Vec<_> =
            std::fs::read_dir(path("dumps")).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [dump] = &dumps[..] else { panic!("the cooldown allows one: {dumps:?}") };
        let dump = std::fs::read_to_string(dump).unwrap();
        let first: serde_json::Value = serde_json::from_str(dump.lines().next().unwrap()).unwrap();
        assert_eq!(first["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"], "request");
        assert_eq!(keep.take().log("4 within a minute").field("observer"), "burst");
        let state = std::fs::read_to_string(path("state")).unwrap();
        assert!(state.contains("cooldown\t") && !state.contains("job\t"), "{state}");
    });
}

#[test]
fn an_action_that_hangs_delays_nothing_and_what_finds_no_room_is_counted() {
    in_own_process("an_action_that_hangs_delays_nothing_and_what_finds_no_room_is_counted", || {
        let (go, may_go) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let hang = move |_: &Match, _: &Deadline| {
            let _ = (begun.send(()), may_go.recv());
            Ok(())
        };
        let (tell, found) = told();
        let tries = Arc::new(AtomicUsize::new(0));
        let tried = Arc::clone(&tries);
        let flaky = move |_: &Match, _: &Deadline| match tried.fetch_add(1, Ordering::SeqCst) {
            0 => Err(ExportError::new(DropReason::Unreachable, 1, "not yet")),
            1 => Ok(()),
            2 => panic!("as the test wants it"),
            _ => Err(ExportError::new(DropReason::Refused, 1, "never")),
        };
        let all = |name| Listener::spans(name).when("name == 'request'");
        let observers = Observers::new()
            .listen(all("x").queue(2).action("hang", hang))
            .listen(all("free").action("tell", tell))
            .listen(all("flaky").action("try", flaky));
        let config =
            Config::new("shop").without_otlp().terminal(false).report_errors(false).observers(observers);
        let guard = throughline_std::init(&config).unwrap();
        request("/", 0, false);
        has_begun.recv().unwrap();
        for n in 1..10 {
            request("/", n, false);
        }
        settle(&guard);
        (0..10).for_each(|_| drop(found.recv().unwrap()));
        until("the others are tried", || tries.load(Ordering::SeqCst) == 11);
        let hop = || guard.ledger().exporter("observers.x");
        // One hangs, two wait.
        until("what finds no room is counted", || hop().dropped_for(DropReason::QueueFull) == 7);
        drop(go);
        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("observers.x").output, 3);
        let flaky = report.ledger.exporter("observers.flaky");
        assert_eq!(
            (flaky.output, flaky.dropped_for(DropReason::ThreadDied), flaky.dropped_for(DropReason::Refused)),
            (1, 1, 8)
        );
    });
}

/// A configuration whose observers wait for what comes in another run.
fn resumed(
    state: &Path,
    keep: &Keep,
    fails: &Arc<AtomicBool>,
) -> (Config, mpsc::Receiver<Match>, mpsc::Receiver<Match>) {
    let (third, thirds) = told();
    let (tell, jobs) = mpsc::channel();
    let fails = Arc::clone(fails);
    let job = move |found: &Match, _: &Deadline| match fails.load(Ordering::SeqCst) {
        true => Err(ExportError::new(DropReason::Unreachable, 1, "away")),
        false => tell.send(found.clone()).map_err(|_| ExportError::new(DropReason::Ended, 1, "over")),
    };
    let observers = Observers::new()
        .state_file(state)
        .save_every(Duration::ZERO)
        .listen(
            Listener::spans("third")
                .when("name == 'request'")
                .at_least(3, Duration::from_secs(3600))
                .action("tell", third),
        )
        .listen(Listener::spans("job").when("name == 'request' && attributes.user == 0").action("send", job));
    let config = Config::new("shop").without_otlp().terminal(false).report_errors(false);
    (config.observers(observers).exporter("keep", keep.clone()), thirds, jobs)
}

#[test]
fn a_restart_resumes_windows_and_waiting_actions() {
    let name = "a_restart_resumes_windows_and_waiting_actions";
    let folder = Folder::new("observers-state");
    let state = std::env::var_os("OBSERVERS_STATE").map(PathBuf::from).unwrap_or_default();
    let first_of = |kill: bool| {
        let (config, thirds, _jobs) = resumed(&state, &Keep::default(), &Arc::new(AtomicBool::new(true)));
        let guard = throughline_std::init(&config).unwrap();
        request("/", 0, false);
        request("/", 1, false);
        settle(&guard);
        until("the state is written", || {
            std::fs::read_to_string(&state).is_ok_and(|text| text.contains("job\tsend\t"))
        });
        assert!(thirds.try_recv().is_err());
        if kill {
            // SAFETY: the call takes no memory. It ends this process, which is the test's own.
            unsafe { libc::raise(libc::SIGKILL) };
        }
        let report = guard.shutdown(Duration::from_millis(500));
        let hop = report.ledger.exporter("observers.job");
        assert_eq!((hop.spooled, hop.dropped_total()), (1, 0), "it waits on the disk");
    };
    match std::env::var("OBSERVERS_RUN").as_deref() {
        Ok("first") => first_of(false),
        Ok("killed") => first_of(true),
        Ok(part) => {
            let lock = (part == "late").then(|| {
                // As the process has it that this one replaces.
                let lock = std::fs::File::create(state.with_added_extension("lock")).unwrap();
                lock.try_lock().unwrap();
                lock
            });
            let (config, thirds, jobs) = resumed(&state, &Keep::default(), &Arc::default());
            let guard = throughline_std::init(&config).unwrap();
            if let Some(lock) = lock {
                drop(span!("other"));
                settle(&guard);
                assert!(jobs.try_recv().is_err());
                drop(lock);
                drop(span!("other"));
                settle(&guard);
            }
            let job = jobs.recv_timeout(Duration::from_secs(30)).unwrap();
            assert_eq!((job.get("user"), &*job.observer), (Some("0"), "job"));
            request("/", 2, false);
            settle(&guard);
            assert_eq!(thirds.recv().unwrap().count, 3, "two of the run before, and one of this one");
            assert_balanced(&guard.shutdown(Duration::from_secs(30)).ledger);
        }
        Err(_) => {
            for (first, second) in [("first", "second"), ("killed", "second"), ("first", "late")] {
                let ended = run(name, first, folder.path());
                assert_eq!(ended.success(), first == "first", "{first}: {ended}");
                let ended = run(name, second, folder.path());
                assert!(ended.success(), "{second} after {first}: {ended}");
            }
        }
    }
}

/// A condition that cannot be computed for a record is told with its observer, its text and its place.
#[test]
fn a_condition_that_cannot_be_computed_is_told_with_its_place() {
    let stderr = stderr_of("a_condition_that_cannot_be_computed_is_told_with_its_place", || {
        let folder = Folder::new("observers-wrong");
        let path = folder.path().join("shop.toml");
        let file = "[[observers]]\nname = \"odd\"\nwhen = \"attributes.user > 'x'\"\nactions = [\"log\"]\n";
        std::fs::write(&path, file).unwrap();
        let config = Config::load(&path).unwrap().without_otlp().terminal(false);
        let guard = throughline_std::init(&config.exporter("keep", Keep::default())).unwrap();
        request("/", 1, false);
        settle(&guard);
        assert_balanced(&guard.shutdown(Duration::from_secs(30)).ledger);
    });
    let Some(stderr) = stderr else { return };
    let expected = "shop.toml:3) cannot be computed: ";
    let lines: Vec<_> = ours(&stderr).into_iter().filter(|line| line.contains(expected)).collect();
    assert!(
        lines.len() == 1 && lines[0].contains("observers.odd: its condition `attributes.user > 'x'` ("),
        "{stderr}"
    );
}

/// Of two processes with one state file, the second one goes on without it and says so.
#[test]
fn a_state_file_has_one_process() {
    let stderr = stderr_of("a_state_file_has_one_process", || {
        let folder = Folder::new("observers-shared");
        let state = folder.path().join("state");
        // As another process has it.
        let lock = std::fs::File::create(folder.path().join("state.lock")).unwrap();
        lock.try_lock().unwrap();
        let (config, ..) = resumed(&state, &Keep::default(), &Arc::default());
        let guard = throughline_std::init(&config.report_errors(true)).unwrap();
        request("/", 1, false);
        settle(&guard);
        assert_balanced(&guard.shutdown(Duration::from_secs(30)).ledger);
        assert!(!state.exists());
    });
    let Some(stderr) = stderr else { return };
    let expected = "/state, is not used as long as another program uses it; if both are to go on, give each a file of its own";
    assert_eq!(ours(&stderr).iter().filter(|line| line.contains(expected)).count(), 1, "{stderr}");
}

/// Runs a part of the test in a process of its own, which finds the state in this folder.
fn run(test: &str, part: &str, folder: &Path) -> std::process::ExitStatus {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env("OBSERVERS_RUN", part).env("OBSERVERS_STATE", folder.join("made/state")).status().unwrap()
}

#[test]
fn mistakes_in_keys_are_told_with_their_place() {
    let folder = Folder::new("observers-mistakes");
    let told = |text: &str| {
        let path = folder.path().join("shop.toml");
        std::fs::write(&path, text).unwrap();
        match Config::load(&path) {
            Ok(config) => config.findings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            Err(error) => error.to_string(),
        }
    };
    for (text, expected) in [
        ("observers = 3", ":1: observers is a number, not observers; write [[observers]]"),
        (
            "[[observers]]\nwhen = 'true'",
            "the observer `observer-1` has no actions; name some of metric, log",
        ),
        (
            "[[observers]]\nwhen = 'duration > 3'\nactions = ['log']",
            ":2: observers[0].when cannot be used: the observer `observer-1`: `duration > 3` has the name duration",
        ),
        (
            "[[observers]]\nwhen = 'level > 3'\nactions = ['log']",
            ":2: observers[0].when cannot be used: the observer `observer-1`: `level > 3` cannot be computed for any record",
        ),
        ("[[observers]]\nwen = 'x'", ":2: observers[0].wen is not a key of an observer; did you mean when?"),
        ("[[observers]]\nname = 'a b'\nwhen = 'true'\nactions = ['log']", "has a name with other characters"),
        ("[observers.a]\nwhen = 'true'\nactions = ['mail']", "has `mail`, which is not metric, log"),
        ("[observers.a]\nwhen = 'true'\nactions = ['webhook']", "the action webhook wants webhook.url"),
        (
            "[observers.a]\nwhen = 'true'\nactions = [{type = 'webhook', url = 'ftp://hunter2'}]",
            "actions.url cannot be used: `[REDACTED]`",
        ),
        ("[observers.a]\nwhen = 'true'\nactions = [{type = 'log'}, {type = 'log'}]", "has two actions log"),
        ("[observers.a]\nwhen = 'true'\ncount = 3\nactions = ['log']", "has no time within which"),
        (
            "[observers.a]\nsequence = ['true']\nwithin = '1s'\nactions = ['log']",
            "has a sequence of 1; give 2 to 16",
        ),
        (
            "[observers.a]\nwhen = 'true'\nactions = ['log']\n[observers.b]\nwhen = '('\nactions = ['log']",
            "is no expression",
        ),
    ] {
        let told = told(text);
        assert!(told.contains(expected) && !told.contains("hunter2"), "{text}\n{told}");
    }
    assert_eq!(told("[observers.a]\nwhen = 'true'\nactions = ['log']"), "");
    assert_eq!(told("[observers.a]\nmatch.name = 'x*'\nsample.share = 0.5\nactions = ['sample']"), "");
}
