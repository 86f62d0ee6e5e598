//! Events to a real Kafka broker, read back by Kafka's own client.

use super::servers::Folder;
use super::support::{assert_balanced, in_own_process_with, in_own_process_within, until};
use broker::{Broker, Read};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throughline::{info, span};
use throughline_std::events::{Events, Kafka, Mechanism};
use throughline_std::{Config, DropReason, Guard, Hop, SpoolConfig};

#[path = "../support/kafka.rs"]
mod broker;

const TOPIC: &str = "shop-events";
const LONG: Duration = Duration::from_secs(30);
/// Brokers are started in a test, and programs in Java.
const WHOLE: Duration = Duration::from_secs(600);

/// Held by the test that runs, because each has Java programs that want the processors for themselves.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This program, for one test in a process of its own.
fn own_process(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--include-ignored", "--nocapture", "--test-threads=1"]);
    command
}

fn begin(events: Events<Kafka>) -> Guard {
    let config = Config::new("shop").without_otlp().terminal(false).report_errors(false);
    throughline_std::init(&config.exporter("events", events)).unwrap()
}

fn hop(guard: &Guard) -> Hop {
    guard.ledger().exporter("events")
}

/// The numbers of the events, and how many came more than once. They are told apart by their ids.
fn numbers(read: &[Read]) -> (BTreeSet<u64>, usize) {
    let ids: BTreeSet<&str> = read.iter().map(Read::id).collect();
    let numbers: BTreeSet<u64> =
        read.iter().map(|it| it.event["data"]["attributes"]["n"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), numbers.len(), "each event has an id of its own, which it keeps");
    (numbers, read.len() - ids.len())
}

/// The keys of a file; the order of what belongs together; what is too large for the topic.
#[test]
#[ignore = "needs Kafka: `cargo xtask interop`"]
fn each_event_is_read_back_once() {
    let _alone = alone();
    let variable = std::env::var("KAFKA_BROKER").unwrap_or_default();
    let run = |broker: &str, dead: &Path| {
        let name = "kafka::each_event_is_read_back_once";
        let dead = dead.display().to_string();
        in_own_process_with(name, &[("KAFKA_BROKER", broker), ("KAFKA_DEAD", &*dead)], || {
            let dead = std::env::var("KAFKA_DEAD").unwrap();
            let file = Path::new(&dead).with_file_name("shop.toml");
            let keys = format!(
                "[terminal]\nenabled = false\n[events.kafka]\nbrokers = [\"{variable}\"]\ntopic = \"{TOPIC}\"\n\
                 signals = [\"traces\", \"logs\"]\ndead_letters = \"{dead}\"\n"
            );
            std::fs::write(&file, keys).unwrap();
            let guard = throughline_std::init(&Config::load(&file).unwrap().without_otlp()).unwrap();
            for n in 0..500_u64 {
                let _span = span!(root: true, "order", n);
                info!("placed", step = 0_u64);
                info!("paid", step = 1_u64);
            }
            for n in 0..100_u64 {
                info!("alone", n);
            }
            // JSON takes six bytes for each of these.
            let large = "\u{1}".repeat(900);
            for part in 0..2_u64 {
                info!("large", part, text = &*large);
            }
            let report = guard.shutdown(LONG);
            assert_balanced(&report.ledger);
            let hop = report.ledger.exporter("events.kafka");
            assert_eq!(
                (hop.input, hop.output, hop.dropped_for(DropReason::Refused)),
                (1602, 1600, 2),
                "{hop:?}"
            );
        });
    };
    if !variable.is_empty() {
        return run("", Path::new(""));
    }
    let broker = Broker::started("read-back");
    // A few events in each request, and none of those with the long text.
    broker.create(TOPIC, 3, &["max.message.bytes=1800"]);
    let folder = Folder::new("kafka-dead");
    let dead = folder.path().join("dead.jsonl");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let begun = now();
    run(&broker.address, &dead);
    let (read, ended) = (broker.read(TOPIC), now());
    let ids: BTreeSet<&str> = read.iter().map(Read::id).collect();
    assert_eq!((read.len(), ids.len()), (1600, 1600));
    let mut traces: BTreeMap<&str, (Vec<&str>, BTreeSet<u32>)> = BTreeMap::new();
    for it in &read {
        assert_eq!(it.content_type, "application/cloudevents+json; charset=UTF-8");
        assert_eq!(it.key.as_deref(), it.event["partitionkey"].as_str(), "{it:?}");
        assert_eq!((it.event["specversion"].as_str(), it.event["data"].is_object()), (Some("1.0"), true));
        assert!(it.chosen.is_none_or(|chosen| chosen == it.partition), "{it:?}");
        assert!((begun..=ended).contains(&it.time_ms), "{it:?}");
        if let Some(key) = &it.key {
            let (steps, partitions) = traces.entry(key).or_default();
            partitions.insert(it.partition);
            steps.extend(it.event["data"]["message"].as_str());
        }
    }
    assert_eq!(traces.len(), 500);
    assert!(traces.values().all(|(steps, of)| *steps == ["placed", "paid"] && of.len() == 1), "{traces:?}");
    let used: BTreeSet<u32> = read.iter().map(|it| it.partition).collect();
    assert_eq!(used.len(), 3);
    let letters = std::fs::read_to_string(dead).unwrap();
    assert_eq!(letters.lines().count(), 2);
    assert!(letters.lines().all(|line| line.contains("\"large\"")), "{letters}");
}

/// A broker that comes after the program, one that is killed, and one that stands still lose nothing.
#[test]
#[ignore = "needs Kafka: `cargo xtask interop`"]
fn a_broker_that_is_down_loses_nothing() {
    const NAME: &str = "kafka::a_broker_that_is_down_loses_nothing";
    let _alone = alone();
    in_own_process_within(NAME, WHOLE, || {
        let mut broker = Broker::new("down");
        let guard = begin(Events::new("out", Kafka::new([&broker.address], TOPIC).unwrap()).batch(50));
        let mut n = 0_u64;
        let mut some = |guard: &Guard| {
            for _ in 0..500 {
                info!("event", n);
                n += 1;
            }
            guard.flush(Duration::from_secs(1));
        };
        some(&guard);
        let error = || guard.last_error().map(|error| error.to_string()).unwrap_or_default();
        until("the broker cannot be reached", || error().contains("cannot be reached"));
        broker.start();
        until("there is no topic", || error().contains("there is no topic `shop-events`; create it"));
        assert_eq!(hop(&guard).output, 0);
        broker.create(TOPIC, 2, &[]);
        until("what has waited is delivered", || hop(&guard).output == 500);
        some(&guard);
        // Whatever is on its way now.
        broker.kill();
        some(&guard);
        broker.start();
        until("all is delivered", || hop(&guard).output == 1500);
        let report = guard.shutdown(LONG);
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("events").dropped_total(), 0);
        let (numbers, twice) = numbers(&broker.read(TOPIC));
        assert_eq!(numbers, (0..1500).collect());
        println!("{twice} events came twice");
    });
}

/// A program that is killed while the broker has a batch and has not answered. The next run sends the rest; what the broker had comes twice, with the same
/// ids.
#[test]
#[ignore = "needs Kafka: `cargo xtask interop`"]
fn a_killed_program_loses_nothing_that_is_spooled() {
    const NAME: &str = "kafka::a_killed_program_loses_nothing_that_is_spooled";
    let _alone = alone();
    let part = std::env::var("KAFKA_RUN").unwrap_or_default();
    if part.is_empty() {
        let folder = Folder::new("kafka-spool");
        let broker = Broker::started("killed");
        broker.create(TOPIC, 2, &[]);
        let path = |name: &str| folder.path().join(name);
        let run = |part: &str| {
            let mut command = own_process(NAME);
            command
                .env("KAFKA_RUN", part)
                .env("KAFKA_BROKER", &broker.address)
                .env("KAFKA_FOLDER", folder.path());
            command.spawn().unwrap()
        };
        let mut first = run("killed");
        until("the first half is delivered", || path("half").exists() || first.try_wait().unwrap().is_some());
        broker.hold(true);
        std::fs::write(path("held"), "").unwrap();
        let ended = first.wait().unwrap();
        broker.hold(false);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(libc::SIGKILL));
        assert!(run("second").wait().unwrap().success());
        let (numbers, twice) = numbers(&broker.read(TOPIC));
        assert_eq!(numbers, (0..1000).collect());
        assert!(twice <= 10, "{twice} came twice, and a batch has 10");
        println!("{twice} events came twice");
        return;
    }
    let folder = std::env::var("KAFKA_FOLDER").unwrap();
    let spool = SpoolConfig::new(format!("{folder}/spool"));
    let kafka = Kafka::new([std::env::var("KAFKA_BROKER").unwrap()], TOPIC).unwrap();
    let guard = begin(Events::new("out", kafka).batch(10).spool(spool));
    if part == "killed" {
        for n in 0..500_u64 {
            info!("event", n);
        }
        until("the broker has the first half", || hop(&guard).output == 500);
        std::fs::write(format!("{folder}/half"), "").unwrap();
        until("the broker is held up", || Path::new(&folder).join("held").exists());
        for n in 500..1000_u64 {
            info!("event", n);
        }
        guard.flush(Duration::from_millis(100));
        until("the second half is on the disk", || hop(&guard).spooled == 500);
        // SAFETY: the call takes no memory. It ends this process, which is the test's own.
        unsafe { libc::raise(libc::SIGKILL) };
    }
    let report = guard.shutdown(LONG);
    assert_balanced(&report.ledger);
    let hop = report.ledger.exporter("events");
    assert_eq!((hop.input, hop.output), (500, 500), "{hop:?}");
}

/// TLS with an authority of one's own, and each way to log in. A wrong password is told, and not shown.
#[test]
#[ignore = "needs Kafka: `cargo xtask interop`"]
fn a_login_over_tls_is_accepted() {
    const NAME: &str = "kafka::a_login_over_tls_is_accepted";
    let _alone = alone();
    in_own_process_within(NAME, WHOLE, || {
        let broker = Broker::started("login");
        broker.create(TOPIC, 1, &[]);
        let kafka = |mechanism, password: &str| {
            let kafka = Kafka::new([&broker.secure], TOPIC).unwrap();
            kafka.ca_certificate(broker.authority()).unwrap().login(mechanism, "shop", password)
        };
        let mechanisms = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512];
        let mut config = Config::new("shop").without_otlp().terminal(false).report_errors(false);
        for mechanism in mechanisms {
            config = config.exporter(&format!("{mechanism:?}"), Events::new("out", kafka(mechanism, "hush")));
        }
        config = config.exporter("wrong", Events::new("out", kafka(Mechanism::ScramSha256, "sesame")));
        let guard = throughline_std::init(&config).unwrap();
        info!("event", n = 1_u64);
        until("a wrong password is told", || {
            let error = guard.last_error().map(|error| error.to_string()).unwrap_or_default();
            assert!(!error.contains("sesame"), "{error}");
            error.contains("Kafka cannot be reached: ")
                && error.contains("Sasl")
                && error.contains("the login")
        });
        let report = guard.shutdown(Duration::from_secs(5));
        for mechanism in mechanisms {
            let hop = report.ledger.exporter(&format!("{mechanism:?}"));
            assert_eq!((hop.input, hop.output), (1, 1), "{mechanism:?} {hop:?}");
        }
        assert_eq!(report.ledger.exporter("wrong").output, 0);
        assert_eq!(broker.read(TOPIC).len(), 3);
    });
}
