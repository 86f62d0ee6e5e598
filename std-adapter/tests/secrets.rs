//! Tests that secrets never leave the process and that a callsite that logs too much is limited, for OTLP,
//! the terminal and JSON lines.

#[path = "../export/tests/support/page.rs"]
mod page;
mod support;

use page::Page;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::in_own_process;
use support::look::body;
use support::receiver::{Receiver, attribute, int, text};
use throughline::{Level, counter, counter_family, info, instrument, record, span, warn};
use throughline_std::log::{Format, Lines};
use throughline_std::otlp::ClientConfig;
use throughline_std::terminal::Style;
use throughline_std::{Config, DropReason, REDACTED, Redaction};

const LONG: Duration = Duration::from_secs(30);

fn config(receiver: &Receiver) -> Config {
    let client = ClientConfig::new(&receiver.endpoint).unwrap().timeout(LONG);
    Config::new("svc").otlp_client(client).report_errors(false)
}

#[instrument(err)]
fn fails() -> Result<(), String> {
    Err("no login with password=hunter2 at postgres://app:hunter3@db/x".into())
}

/// Secrets in the texts of fields, errors, panics and values of messages.
fn within_texts() {
    let body = r#"{"user":"ann","apiKey":"hunter2"}"#;
    info!("body {body}");
    let url = "http://u:hunter2@host/x?token=hunter3&n=1";
    info!("call", url, error = %format_args!("Bearer hunter2-hunter2 for {url}"));
    assert!(fails().is_err());
    let _span = span!("with texts", url, n = 1, more = "password: hunter2", plain = "nothing: to hide");
    record!(_span, later = "pwd=hunter2");
    let list = ["plain", "HTTPS://u:hunter2@host", "token=hunter2"];
    record!(_span, list = ?list);
    let _scope = throughline_std::correlate(&[("caller", "http://u:hunter2@host")]);
    info!("within a scope");
    drop(span!("within a scope"));
    let panicked = std::panic::catch_unwind(|| {
        let _span = span!("panics");
        panic!("token=hunter2");
    });
    assert!(panicked.is_err());
}

#[test]
fn no_exporter_sees_a_secret() {
    in_own_process("no_exporter_sees_a_secret", || {
        let receiver = Receiver::start([]);
        let (terminal, json) = (Page::default(), Page::default());
        let config = config(&receiver)
            .terminal_to(Arc::new(Mutex::new(terminal.clone())), Style::PLAIN)
            .exporter("json", Lines::new(json.clone(), Format::Json))
            .redact(Redaction::default().with("*iban*"))
            .attribute("git.remote", "https://ci:hunter2@git.example/shop");
        let guard = throughline_std::init(&config).unwrap();
        {
            let span = span!("login", user = "ann", password = "hunter2", n = 1);
            record!(span, late_iban = "hunter2");
            record!(span, plain = "seen", session_token = 0xdead_beef_u64);
            span.record("db.password", "hunter2").record("shown", "as it is");
            info!(
                "{password} of {user}, {authorization:?}",
                user = "ann",
                password = "hunter2",
                authorization = "hunter2"
            );
            let p = "hunter2";
            warn!("login with password={p} failed");
            let _only = span!("only", api_key = "hunter2");
        }
        within_texts();
        for token in ["hunter2", "hunter3"] {
            counter_family!("logins", labels = ["token"], capacity = 8).add([token], 1);
        }
        counter!("fixed", secret = "hunter2").add(1);
        for n in ["hunter2", "hunter3"] {
            let peer = format!("postgres://app:{n}@db/shop");
            counter_family!("queries", labels = ["peer"], capacity = 8).add([&*peer], 1);
        }
        let _observed = throughline_std::observe::gauge("pool")
            .label("server", "redis://:hunter2@cache:6379")
            .with(|| Some(1));
        assert!(guard.shutdown(LONG).complete);

        let pages = format!("{}{}", terminal.text(), json.text());
        assert!(!pages.contains("hunter") && !pages.contains("3735928559"), "{pages}");
        assert!(json.text().contains(r#""message":"[REDACTED] of ann, "#), "{}", json.text());
        receiver.with(|received| {
            let all = format!("{:?}{:?}{:?}", received.spans, received.logs, received.metrics);
            assert!(!all.contains("hunter") && !all.contains("3735928559"), "{all}");
            let login = received.spans.iter().find(|span| span.name == "login").unwrap();
            let texts = received.spans.iter().find(|span| span.name == "with texts").unwrap();
            for (name, expected) in [
                ("url", "http://u:[REDACTED]@host/x?token=[REDACTED]&n=1"),
                ("more", "password: [REDACTED]"),
                ("plain", "nothing: to hide"),
                ("later", "pwd=[REDACTED]"),
                ("list", r#"["plain", "HTTPS://u:[REDACTED]@host", "token=[REDACTED]"]"#),
            ] {
                assert_eq!(text(&texts.attributes, name).as_deref(), Some(expected));
            }
            assert_eq!(int(&texts.attributes, "n"), Some(1));
            let failed = received.spans.iter().find(|span| span.name == "fails").unwrap();
            let message = "no login with password=[REDACTED] at postgres://app:[REDACTED]@db/x";
            assert_eq!(failed.status.as_ref().unwrap().message, message);
            for secret in ["password", "late_iban", "session_token", "db.password"] {
                assert_eq!(text(&login.attributes, secret).as_deref(), Some(REDACTED), "{secret}");
            }
            assert_eq!(text(&login.attributes, "plain").as_deref(), Some("seen"));
            assert_eq!(text(&login.attributes, "shown").as_deref(), Some("as it is"));
            assert_eq!(int(&login.attributes, "n"), Some(1));
            let series = |name: &str| {
                let metrics = received.metrics.last().unwrap();
                format!("{:?}", metrics.iter().find(|metric| metric.name == name).unwrap())
            };
            let (logins, queries, pool) = (series("logins"), series("queries"), series("pool"));
            assert_eq!(logins.matches(REDACTED).count(), 1, "the series of all tokens are one: {logins}");
            let peer = "\"postgres://app:[REDACTED]@db/shop\"";
            assert_eq!(queries.matches(peer).count(), 1, "the series of all passwords are one: {queries}");
            assert!(pool.contains("redis://:[REDACTED]@cache:6379"), "{pool}");
            let resource = text(&received.resource, "git.remote");
            assert_eq!(resource.as_deref(), Some("https://ci:[REDACTED]@git.example/shop"));
            for attributes in [
                &received.spans.iter().find(|span| span.name == "within a scope").unwrap().attributes,
                &received.logs.iter().find(|log| body(log) == "within a scope").unwrap().attributes,
            ] {
                assert_eq!(text(attributes, "caller").as_deref(), Some("http://u:[REDACTED]@host"));
            }
        });
    });
}

#[test]
fn a_callsite_that_logs_too_much_is_held_back_and_counted() {
    in_own_process("a_callsite_that_logs_too_much_is_held_back_and_counted", || {
        let receiver = Receiver::start([]);
        let json = Page::default();
        let config =
            config(&receiver).exporter("json", Lines::new(json.clone(), Format::Json)).log_rate_limit(3);
        let guard = throughline_std::init(&config).unwrap();
        // The loop takes at most a few seconds, so most of these records are held back.
        (0..1000).for_each(|i| warn!("flood {i}"));
        info!("calm");
        let report = guard.shutdown(LONG);
        assert!(report.complete);

        let held = report.ledger.pump.dropped_for(DropReason::RateLimited);
        let lines: Vec<serde_json::Value> =
            json.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines.iter().filter(|line| !line["fields"]["held_back"].is_null()).collect();
        let sum: u64 = told.iter().map(|line| line["fields"]["held_back"].as_u64().unwrap()).sum();
        assert!(held >= 900 && sum == held, "{held} {sum}");
        assert_eq!((&told[0]["level"], &told[0]["line"]), (&"WARN".into(), &lines[0]["line"]));
        let message = told[0]["message"].as_str().unwrap();
        assert!(message.ends_with(" more like this were held back within a second: flood {i}"), "{message}");
        let floods =
            lines.iter().filter(|line| line["message"].as_str().unwrap().starts_with("flood")).count();
        assert_eq!(floods as u64 + held, 1000);
        assert_eq!(lines.iter().filter(|line| line["message"] == "calm").count(), 1);
        receiver.with(|received| {
            assert_eq!(received.logs.len(), lines.len());
            let told =
                received.logs.iter().find(|log| attribute(&log.attributes, "held_back").is_some()).unwrap();
            assert_eq!(told.severity_text, Level::Warn.as_str());
        });
        let ledger = &report.ledger;
        assert!(ledger.is_settled(), "{ledger}");
        assert_eq!(ledger.exporter("json").output, lines.len() as u64, "{ledger}");
        assert_eq!(ledger.pump.input, ledger.pump.output + held, "{ledger}");
    });
}
