//! Events out: CloudEvents to a webhook, in batches, signed, and what becomes of them when the receiver or the process is gone.
#![cfg(feature = "events")]

#[path = "support/hook.rs"]
mod hook;
#[path = "support/servers.rs"]
mod servers;
mod support;

use hook::{Posted, serve};
use serde_json::Value;
use servers::Folder;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;
use support::{assert_balanced, in_own_process, limit_files, ours, stderr_of, stderr_of_with, until};
use throughline::{info, span, warn};
use throughline_std::events::{Events, Mode, Sink, Webhook};
use throughline_std::{Config, DropReason, Guard, SpoolConfig};

fn webhook(url: &str) -> Webhook {
    Webhook::new(url).unwrap().allow_private()
}

fn begin(events: Events<Webhook>) -> Guard {
    let config = Config::new("shop").without_otlp().terminal(false).report_errors(false);
    throughline_std::init(&config.attribute("service.namespace", "a b").exporter("events", events)).unwrap()
}

/// The events of a batch, each checked for what CloudEvents wants.
fn batch(post: &Posted) -> Vec<Value> {
    assert_eq!(post.header("content-type"), "application/cloudevents-batch+json; charset=UTF-8");
    let events: Vec<Value> = serde_json::from_str(&post.body).unwrap();
    for event in &events {
        let text = |name: &str| event[name].as_str().unwrap_or_else(|| panic!("{name} in {event}"));
        assert_eq!(text("specversion"), "1.0");
        assert!(!text("id").is_empty() && text("source").starts_with('/') && !text("type").is_empty());
        assert!(text("time").len() == 30 && text("time").ends_with('Z'), "{event}");
        // Names of attributes are of lower-case letters and digits (§3.1).
        let is_name =
            |name: &String| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        assert!(event.as_object().unwrap().keys().all(is_name), "{event}");
        assert!(event["data"].is_object() && text("datacontenttype") == "application/json");
    }
    events
}

#[test]
fn a_batch_is_signed_and_sent_again_until_it_is_taken() {
    in_own_process("a_batch_is_signed_and_sent_again_until_it_is_taken", || {
        let (address, posts) = serve(&["503 Later", "202 Accepted"]);
        let url = format!("http://{address}/in");
        let guard = begin(Events::new("out", webhook(&url).secret("hush")).signals(true, true).batch(3));
        let trace = {
            let _span = span!(root: true, "order", id = 7);
            info!("placed {}", 7);
            warn!(name: "shop.order.late", "late");
            throughline::current().unwrap().trace_id.to_string()
        };
        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("events").output, 3);
        let [first, second] = [posts.recv().unwrap(), posts.recv().unwrap()];
        assert_eq!(first.body, second.body);
        let (events, timestamp) = (batch(&second), second.header("x-throughline-timestamp"));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"hush");
        let tag = ring::hmac::sign(&key, format!("{timestamp}.{}", second.body).as_bytes());
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(second.header("x-throughline-signature"), format!("sha256={digits}"));
        assert_eq!(events.len(), 3);
        let of = |kind: &str| events.iter().find(|event| event["type"] == kind).unwrap();
        let (span, log, late) = (of("throughline.span"), of("throughline.log"), of("shop.order.late"));
        assert!(span["source"].as_str().unwrap().starts_with("/a%20b/shop/"), "{span}");
        assert_eq!((&span["data"]["name"], &span["data"]["attributes"]["id"]), (&"order".into(), &7.into()));
        assert_eq!(
            (&log["data"]["message"], &log["severitytext"], &log["severitynumber"]),
            (&"placed 7".into(), &"INFO".into(), &9.into())
        );
        assert_eq!(late["data"]["message"], "late");
        for event in [span, log, late] {
            assert_eq!(event["partitionkey"], *trace);
            let parent = event["traceparent"].as_str().unwrap();
            assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-01"), "{parent}");
        }
    });
}

#[test]
fn single_events_are_json_or_headers() {
    in_own_process("single_events_are_json_or_headers", || {
        let (address, posts) = serve(&["200 OK"]);
        let url = format!("http://{address}/in");
        let both = [Mode::Structured, Mode::Binary]
            .map(|mode| Events::new(format!("{mode:?}"), webhook(&url).mode(mode)).batch(1));
        let [structured, binary] = both;
        let config = Config::new("shop")
            .without_otlp()
            .terminal(false)
            .exporter("s", structured)
            .exporter("b", binary);
        let guard = throughline_std::init(&config).unwrap();
        info!(name: "größe \"%\"", "one");
        assert_balanced(&guard.shutdown(Duration::from_secs(30)).ledger);
        let mut posts = [posts.recv().unwrap(), posts.recv().unwrap()];
        posts.sort_by_key(|post| post.header("content-type").to_owned());
        let [structured, binary] = posts;
        assert_eq!(structured.header("content-type"), "application/cloudevents+json; charset=UTF-8");
        let json: Value = serde_json::from_str(&structured.body).unwrap();
        assert_eq!((&json["type"], &json["data"]["message"]), (&"größe \"%\"".into(), &"one".into()));
        assert_eq!(binary.header("content-type"), "application/json");
        assert_eq!(
            (binary.header("ce-specversion"), binary.header("ce-type")),
            ("1.0", "gr%C3%B6%C3%9Fe%20%22%25%22")
        );
        assert!(!binary.header("ce-id").is_empty() && binary.header("ce-source").starts_with("/shop/"));
        let data: Value = serde_json::from_str(&binary.body).unwrap();
        assert_eq!(data, json["data"]);
    });
}

#[test]
fn what_is_refused_is_a_dead_letter_and_counted() {
    in_own_process("what_is_refused_is_a_dead_letter_and_counted", || {
        let folder = Folder::new("dead-letters");
        let dead = folder.path().join("dead.jsonl");
        let (address, posts) = serve(&["400 Bad Request\n\nno such event"]);
        let file = throughline_std::log::RollingFile::new(&dead);
        let guard = begin(
            Events::new("out", webhook(&format!("http://{address}/")))
                .filter("warn".parse().unwrap())
                .dead_letters(file),
        );
        warn!("one");
        info!("not sent");
        warn!("two");
        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        let hop = report.ledger.exporter("events");
        assert_eq!((hop.input, hop.dropped_for(DropReason::Refused)), (2, 2));
        let sent = batch(&posts.recv().unwrap());
        let lines = std::fs::read_to_string(&dead).unwrap();
        let letters: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(letters, sent);
        // An address that is not public is refused before anything is sent.
        let mut private = Webhook::new("http://127.0.0.1:1/").unwrap();
        let error =
            private.send(&[], &throughline_std::Deadline::within(Duration::from_secs(9))).unwrap_err();
        assert!(
            error.reason == DropReason::Refused && error.message.contains("no public address"),
            "{error}"
        );
    });
}

/// A process that is killed in the middle of its batches loses nothing that it had taken over: the next run sends the rest. A receiver that drops what has
/// an id that it knows has each event once.
#[test]
fn a_killed_process_loses_nothing_that_is_spooled() {
    let name = "a_killed_process_loses_nothing_that_is_spooled";
    let folder = Folder::new("events-spool");
    let part = std::env::var("EVENTS_RUN").unwrap_or_default();
    if part.is_empty() {
        // The first run has two batches taken, then its receiver hangs.
        let (address, posts) = serve(&["200 OK", "200 OK", "503 Later"]);
        let run = |part: &str, url: String| {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env("NO_PROXY", "127.0.0.1");
            command
                .env("EVENTS_RUN", part)
                .env("EVENTS_URL", url)
                .env("EVENTS_SPOOL", folder.path())
                .status()
                .unwrap()
        };
        let ended = run("killed", format!("http://{address}/"));
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(libc::SIGKILL));
        let taken: Vec<Value> = posts.try_iter().take(2).flat_map(|post| batch(&post)).collect();
        let (address, posts) = serve(&["200 OK"]);
        assert!(run("second", format!("http://{address}/")).success());
        let rest: Vec<Value> = posts.try_iter().flat_map(|post| batch(&post)).collect();
        let number = |event: &Value| event["data"]["attributes"]["n"].as_u64().unwrap();
        let ids: BTreeSet<_> = taken.iter().chain(&rest).map(|event| event["id"].to_string()).collect();
        let numbers: BTreeSet<u64> = taken.iter().chain(&rest).map(number).collect();
        assert_eq!((ids.len(), numbers), (1000, (0..1000).collect()), "{} and {}", taken.len(), rest.len());
        return;
    }
    let spool = SpoolConfig::new(std::env::var("EVENTS_SPOOL").unwrap());
    let events =
        Events::new("out", webhook(&std::env::var("EVENTS_URL").unwrap())).batch(10).spool(spool.clone());
    let guard = begin(events);
    if part == "killed" {
        for n in 0..1000_u64 {
            info!("event", n);
            if n % 100 == 0 {
                guard.flush(Duration::from_secs(1));
            }
        }
        until("all are on the disk or delivered", || {
            let hop = guard.ledger().exporter("events");
            hop.spooled + hop.output == 1000 && hop.output > 0
        });
        // SAFETY: the call takes no memory. It ends this process, which is the test's own.
        unsafe { libc::raise(libc::SIGKILL) };
    }
    let report = guard.shutdown(Duration::from_secs(30));
    assert_balanced(&report.ledger);
    let hop = report.ledger.exporter("events");
    assert!(hop.input == hop.output && hop.input > 900, "{hop:?}");
}

/// What is under way or waits in the queue at the deadline is on the disk then, and counts as spooled: the next run delivers it.
#[test]
fn a_shutdown_spools_what_a_hanging_receiver_holds_up() {
    let name = "a_shutdown_spools_what_a_hanging_receiver_holds_up";
    let folder = Folder::new("events-hanging");
    let path = || folder.path().to_owned();
    let told = stderr_of_with(name, &[("EVENTS_SPOOL", path().to_str().unwrap())], || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let spool = SpoolConfig::new(std::env::var("EVENTS_SPOOL").unwrap());
        let config = Config::new("shop").without_otlp().terminal(false).queue(100);
        // Batches of the queue are small too.
        let config = config.batch(1, Duration::ZERO);
        let guard = throughline_std::init(
            &config.exporter("events", Events::new("out", webhook(&url)).batch(10).spool(spool)),
        )
        .unwrap();
        (0..25_u64).for_each(|n| info!("event", n));
        // It is connected to, and never answers.
        let _under_way = listener.accept().unwrap();
        (25..50_u64).for_each(|n| info!("event", n));
        let report = guard.shutdown(Duration::from_millis(300));
        let hop = report.ledger.exporter("events");
        assert_eq!((hop.input, hop.output, hop.spooled), (50, 0, 50), "{}", report.ledger);
        assert!(report.complete && !report.in_time, "all of it is in the spool: {report:?}");
    });
    let Some(told) = told else { return };
    assert!(!told.contains("lost 50") && !told.contains("not everything was delivered"), "{told}");
    let (address, posts) = serve(&["200 OK"]);
    let part = "helper_that_delivers_what_was_spooled";
    let ran = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", part, "--ignored", "--nocapture"])
        .env("NO_PROXY", "127.0.0.1")
        .env("EVENTS_URL", format!("http://{address}/"))
        .env("EVENTS_SPOOL", path())
        .status()
        .unwrap();
    assert!(ran.success());
    let numbers = posts.try_iter().flat_map(|post| batch(&post));
    let numbers: Vec<u64> = numbers.map(|event| event["data"]["attributes"]["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
}

#[test]
#[ignore = "the program that finds a spool, started by another test"]
fn helper_that_delivers_what_was_spooled() {
    let (Ok(url), Ok(dir)) = (std::env::var("EVENTS_URL"), std::env::var("EVENTS_SPOOL")) else { return };
    let guard = begin(Events::new("out", webhook(&url)).batch(10).spool(SpoolConfig::new(dir)));
    let report = guard.shutdown(Duration::from_secs(30));
    assert!(report.complete, "{report:?}");
    assert_balanced(&report.ledger);
}

/// While the disk is full, events go on from memory; a line says so, and another one that it is over.
#[test]
fn a_full_disk_costs_nothing_while_the_receiver_takes_events() {
    let told = stderr_of("a_full_disk_costs_nothing_while_the_receiver_takes_events", || {
        let (folder, (address, posts)) = (Folder::new("events-full"), serve(&["200 OK"]));
        let events = Events::new("out", webhook(&format!("http://{address}/"))).batch(10);
        let config = Config::new("shop").without_otlp().terminal(false);
        limit_files(64);
        let guard =
            throughline_std::init(&config.exporter("events", events.spool(SpoolConfig::new(folder.path()))))
                .unwrap();
        let flush = || assert!(guard.flush(Duration::from_secs(30)));
        for n in 0..50_u64 {
            info!("event", n);
            flush();
        }
        assert_eq!(guard.ledger().exporter("events").output, 50, "{}", guard.ledger());
        assert!(guard.last_error().unwrap().contains(folder.path().join("out").to_str().unwrap()));
        limit_files(libc::RLIM_INFINITY);
        until("the spool is used again", || {
            info!("event", n = 0_u64);
            flush();
            guard.last_error().is_none()
        });
        // Deleting it costs nothing either.
        std::fs::remove_dir_all(folder.path()).unwrap();
        info!("event", n = 50_u64);
        let report = guard.shutdown(Duration::from_secs(30));
        assert!(report.complete, "{}", report.ledger);
        assert!(folder.path().join("out/lock").exists());
        let numbers = posts.try_iter().flat_map(|post| batch(&post));
        let numbers: BTreeSet<_> =
            numbers.map(|event| event["data"]["attributes"]["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..51).collect());
    });
    let Some(told) = told else { return };
    // Others cannot write their files either.
    let lines: Vec<_> = ours(&told).into_iter().filter(|line| line.contains(": events: ")).collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(
        lines[0].contains("out cannot be written: ") && lines[0].contains("a crash would lose it"),
        "{told}"
    );
    assert!(
        lines[1].contains("events: keeps nothing in memory any more that its spool should have after "),
        "{told}"
    );
    assert!(lines[1].ends_with("; 0 records lost"), "{told}");
}

/// In an outage each reason for a loss has its line and its count, whatever it began with.
#[test]
fn each_reason_of_an_outage_is_told_and_counted() {
    let told = stderr_of("each_reason_of_an_outage_is_told_and_counted", || {
        let (folder, (address, _posts)) = (Folder::new("events-reasons"), serve(&["400 No", "503 Later"]));
        let events = Events::new("out", webhook(&format!("http://{address}/"))).batch(1);
        let events = events.spool(SpoolConfig::new(folder.path()).max_bytes(4000));
        let config = Config::new("shop").without_otlp().terminal(false);
        let guard = throughline_std::init(&config.exporter("events", events)).unwrap();
        for n in 0..50_u64 {
            info!("event", n);
            guard.flush(Duration::from_secs(30));
        }
        let ledger = guard.shutdown(Duration::from_millis(50)).ledger;
        let hop = ledger.exporter("events");
        let full = hop.dropped_for(DropReason::SpoolFull);
        assert_eq!((hop.dropped_for(DropReason::Refused), hop.output), (1, 0), "{ledger}");
        assert!(full > 0 && hop.spooled > 0 && 1 + full + hop.spooled == 50, "{ledger}");
    });
    let Some(told) = told else { return };
    let lines: Vec<_> = ours(&told).into_iter().filter(|line| line.contains(": events: ")).collect();
    let reasons =
        ["answered 400", "did not take events: status 503", "the spool is full", "still failing at the end"];
    let found: Vec<_> =
        reasons.iter().map(|text| lines.iter().filter(|line| line.contains(text)).count()).collect();
    assert_eq!(found, [1; 4], "{told}");
}
