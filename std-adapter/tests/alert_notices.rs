//! Notices of alerts to Slack, webhooks, a command, a real Alertmanager and a real mail server.
#![cfg(feature = "alerts")]

#[path = "support/hook.rs"]
mod hook;
#[path = "../export/tests/support/points.rs"]
mod points;
#[path = "support/servers.rs"]
mod servers;
mod support;

use hook::serve;
use points::point;
use servers::{Folder, Server};
use std::time::{Duration, SystemTime};
use support::{assert_balanced, free_address, in_own_process, until};
use throughline_std::alert::{
    AlertOptions, AlertState, Alertmanager, Alerts, Notice, Notifier, Routing, Rules, RunCommand, Slack,
    Webhook,
};
use throughline_std::prometheus::PageOptions;
use throughline_std::view::PointData;
use throughline_std::{Config, Deadline, DropReason};

/// A deadline that no test reaches but those that wait for it.
fn long() -> Deadline {
    Deadline::within(Duration::from_secs(60))
}

/// What is told of so many hosts that are down; the second notice says that they are up again.
fn notices(hosts: usize) -> [Notice; 2] {
    let rules = "
rules:
  - name: Down
    condition: up == 0
    severity: critical
    summary: '{{ $labels.host }} <is> down & out'
    description: 'value {{ $value }}'
";
    let rules = Rules::parse("r.yaml", rules).unwrap();
    let routing = Routing::default().group_wait(Duration::ZERO).group_interval(Duration::ZERO);
    let options = AlertOptions::new(rules)
        .page(PageOptions::default().scope_labels(false))
        .receiver("team", Some(routing));
    let alerts = Alerts::new(&options).unwrap();
    let names: Vec<String> = (0..hosts).map(|n| format!("host-{n:03} `\"\u{202e}")).collect();
    let labels: Vec<_> = names.iter().map(|name| [("host", &**name)]).collect();
    let told = |now, up| {
        let points: Vec<_> =
            labels.iter().map(|labels| point("up", "", labels, PointData::GaugeInt(up))).collect();
        alerts.evaluate(now, &points).remove(0)
    };
    let now = SystemTime::now();
    [told(now, 0), told(now + Duration::from_secs(60), 1)]
}

#[test]
fn slack_gets_blocks_within_its_limits() {
    let (address, posts) = serve(&[
        "429 Too Many\nRetry-After: 0",
        "200 OK\n\nok",
        "200 OK\n\nok",
        "200 OK\n\nno_text",
        "404 Not Found\n\nno_service",
    ]);
    let url = format!("http://{address}/services/T0/B0/hunter2");
    let mut slack = Slack::new(&url, "shop & co").unwrap();
    assert!(!format!("{slack:?}").contains("hunter2"));
    let [firing, resolved] = notices(60);
    slack.notify(&firing, &long()).unwrap();
    assert_eq!(posts.recv().unwrap().path, "/services/T0/B0/hunter2", "asked again after 429");
    let body = posts.recv().unwrap().json();
    let attachment = &body["attachments"][0];
    let blocks = attachment["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50 && attachment["color"] == "#c0392b");
    assert_eq!(blocks[0]["type"], "header");
    assert_eq!(blocks[0]["text"]["type"], "plain_text");
    let heading = blocks[0]["text"]["text"].as_str().unwrap();
    assert_eq!(heading, "🔥 60 alerts fire: Down in shop & co");
    assert_eq!(body["text"], "🔥 60 alerts fire: Down in shop &amp; co");
    for block in &blocks[1..] {
        assert_eq!((&block["type"], &block["text"]["type"]), (&"section".into(), &"mrkdwn".into()));
        assert!(block["text"]["text"].as_str().unwrap().chars().count() <= 3000);
    }
    let first = blocks[1]["text"]["text"].as_str().unwrap();
    assert!(first.starts_with("*Down* · critical · firing\nhost-000 `\""), "{first}");
    assert!(first.contains("&lt;is&gt; down &amp; out\nvalue 0\n`host=host-000 '"), "{first}");
    assert_eq!(blocks.last().unwrap()["text"]["text"], "… and 40 more");
    slack.notify(&resolved, &long()).unwrap();
    let body = posts.recv().unwrap().json();
    assert_eq!(
        (&body["attachments"][0]["color"], &body["text"]),
        (&"#27ae60".into(), &"✅ 60 alerts are resolved: Down in shop &amp; co".into())
    );
    // What is not ok is a loss with a reason, and nothing of the address is told.
    let error = slack.notify(&resolved, &long()).unwrap_err();
    assert_eq!((error.reason, error.message.contains("hunter2")), (DropReason::Rejected, false), "{error}");
    let error = slack.notify(&resolved, &long()).unwrap_err();
    assert_eq!(error.reason, DropReason::Refused);
    assert!(
        error.message.ends_with(
            "answered 404 (no_service): the webhook is gone, or its channel is; make another one in Slack"
        ),
        "{error}"
    );
    assert!(!error.message.contains("hunter2"));
}

#[test]
fn a_webhook_gets_the_format_of_an_alertmanager_and_a_signature() {
    let (address, posts) = serve(&["500 Oops", "202 Accepted"]);
    let url = format!("http://u:hunter2@{address}/hook");
    let webhook = || Webhook::new(&url, "shop").unwrap().secret("s3cret").header("authorization", "Bearer t");
    let [firing, resolved] = notices(2);
    let error = webhook().notify(&firing, &long()).unwrap_err();
    assert_eq!(error.reason, DropReason::Refused);
    assert!(
        error.message.contains("127.0.0.1 is no public address; if it is meant, set allow_private = true")
            && error.message.contains(&format!("http://{address}/"))
            && !error.message.contains("hunter2"),
        "{error}"
    );
    let mut webhook = webhook().allow_private();
    webhook.notify(&firing, &long()).unwrap();
    posts.recv().unwrap();
    let posted = posts.recv().unwrap();
    assert_eq!((&*posted.path, posted.header("authorization")), ("/hook", "Bearer t"));
    // Made anew from the documentation: HMAC-SHA256 of the timestamp, a dot, and the body.
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cret");
    let signature = posted.header("x-throughline-signature").strip_prefix("sha256=").unwrap();
    let bytes: Vec<u8> =
        (0..32).map(|i| u8::from_str_radix(&signature[2 * i..2 * i + 2], 16).unwrap()).collect();
    let timestamp = posted.header("x-throughline-timestamp");
    let signed = format!("{timestamp}.{}", posted.body);
    ring::hmac::verify(&key, signed.as_bytes(), &bytes).unwrap();
    assert!(ring::hmac::verify(&key, posted.body.as_bytes(), &bytes).is_err());
    let body = posted.json();
    assert_eq!(
        (&body["version"], &body["status"], &body["receiver"]),
        (&"4".into(), &"firing".into(), &"team".into())
    );
    assert_eq!(body["groupLabels"]["alertname"], "Down");
    assert_eq!(body["commonLabels"], serde_json::json!({"alertname": "Down", "severity": "critical"}));
    assert_eq!(body["commonAnnotations"], serde_json::json!({"description": "value 0"}));
    let alert = &body["alerts"][0];
    assert_eq!(
        (&alert["status"], &alert["value"], &alert["endsAt"]),
        (&"firing".into(), &0.into(), &"0001-01-01T00:00:00Z".into())
    );
    assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
    webhook.notify(&resolved, &long()).unwrap();
    let body = posts.recv().unwrap().json();
    let alert = &body["alerts"][1];
    assert_eq!((&body["status"], &alert["status"]), (&"resolved".into(), &"resolved".into()));
    assert!(alert["endsAt"].as_str().unwrap() > alert["startsAt"].as_str().unwrap());
    assert_eq!(body["truncatedAlerts"], 0);
    // Of many alerts the first ones are sent, and how many are left out.
    webhook.max_alerts(2).notify(&notices(5)[0], &long()).unwrap();
    let body = posts.recv().unwrap().json();
    assert_eq!((body["alerts"].as_array().unwrap().len(), &body["truncatedAlerts"]), (2, &3.into()));
}

#[test]
fn a_receiver_that_is_away_is_tried_until_the_deadline() {
    let gone = free_address();
    let mut webhook = Webhook::new(&format!("http://{gone}"), "shop").unwrap().allow_private();
    let error = webhook.notify(&notices(1)[0], &Deadline::within(Duration::from_millis(700))).unwrap_err();
    assert_eq!(error.reason, DropReason::Unreachable, "{error}");
    assert!(error.message.contains("did not take a notice of alerts"), "{error}");
    let (address, _posts) = serve(&["503 Busy\nRetry-After: 3600"]);
    let mut webhook = Webhook::new(&format!("http://{address}"), "shop").unwrap().allow_private();
    let error = webhook.notify(&notices(1)[0], &long()).unwrap_err();
    assert_eq!(error.reason, DropReason::Unreachable, "an hour is beyond the deadline: {error}");
}

#[cfg(unix)]
#[test]
fn a_command_gets_the_notice() {
    let folder = Folder::new("command");
    let out = folder.path().join("out");
    let script = |text: &str| RunCommand::new("/bin/sh", ["-c", text, "sh", out.to_str().unwrap()], "shop");
    let [firing, _] = notices(3);
    script("{ echo $ALERT_STATUS $ALERT_NAMES $ALERT_COUNT; cat; } > \"$1\"; echo noise")
        .notify(&firing, &long())
        .unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    let (first, body) = text.split_once('\n').unwrap();
    assert_eq!(first, "firing Down 3");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((body["alerts"].as_array().unwrap().len(), &body["service"]), (3, &"shop".into()));
    for (text, reason, expected) in [
        ("exit 3", DropReason::Refused, "failed with exit status: 3"),
        ("exec 0<&-; sleep 1000; true", DropReason::Unreachable, "had not ended in time, and was killed"),
    ] {
        let error =
            script(text).notify(&notices(300)[0], &Deadline::within(Duration::from_millis(300))).unwrap_err();
        assert!(error.reason == reason && error.message.contains(expected), "{error}");
    }
    let error = RunCommand::new("/none/page", [""; 0], "shop").notify(&firing, &long()).unwrap_err();
    assert!(error.message.starts_with("the command /none/page cannot be run: "), "{error}");
}

/// The keys of a file make the receivers; a service tells them, and the ledger balances.
#[test]
fn keys_configure_who_is_told() {
    in_own_process("keys_configure_who_is_told", || {
        let folder = Folder::new("keys");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (slack, to_slack) = serve(&["200 OK\n\nok"]);
        let (webhook, to_webhook) = serve(&["200 OK"]);
        let rules =
            file("alerts.yaml", "rules: [{name: Errors, condition: shop_errors_total > 2, severity: page}]");
        let secret = file("slack", &format!("http://{slack}/services/x\n"));
        let state = folder.path().join("state").display().to_string();
        let config = file(
            "shop.yaml",
            &format!(
                "observability:
  metrics: {{namespace: shop}}
  terminal: {{enabled: false}}
  admin: {{port: 0}}
  alerts:
    enabled: true
    rules_file: {rules}
    interval: 10ms
    state_file: {state}
    group_by: [severity]
    group_wait: 0s
    notification:
      slack: {{webhook_url_file: {secret}}}
      webhook: {{url: 'http://{webhook}/x', secret: hush, allow_private: true}}
      command: {{run: [/bin/false]}}
"
            ),
        );
        let config = Config::load(config).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
        let guard = throughline_std::init(&config).unwrap();
        throughline::counter!("errors").add(3);
        let body = to_webhook.recv().unwrap().json();
        assert_eq!(
            (&body["groupLabels"], &body["receiver"]),
            (&serde_json::json!({"severity": "page"}), &"webhook".into())
        );
        assert!(to_slack.recv().unwrap().json()["text"].as_str().unwrap().contains("Errors fires"));
        until("the command has failed", || {
            guard.last_error().is_some_and(|error| error.contains("/bin/false failed"))
        });
        until("the state is kept", || {
            std::fs::read_to_string(&state).is_ok_and(|text| text.contains("Errors"))
        });
        let report = guard.shutdown(Duration::from_secs(30));
        assert_balanced(&report.ledger);
        assert_eq!(report.ledger.exporter("alerts.slack").output, 1);
        assert_eq!(report.ledger.exporter("alerts.command").dropped_for(DropReason::Refused), 1);
    });
}

#[test]
fn mistakes_in_keys_are_told_with_their_place() {
    let folder = Folder::new("mistakes");
    let rules = folder.path().join("alerts.yaml");
    std::fs::write(&rules, "rules: [{name: A, condition: up == 0}]").unwrap();
    let rules = rules.display().to_string();
    let told = |text: &str| {
        let path = folder.path().join("shop.yaml");
        std::fs::write(&path, text.replace("RULES", &format!("rules_file: {rules}"))).unwrap();
        let config = Config::load(&path).unwrap();
        config.findings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (text, expected) in [
        ("alerts: {enabled: true}", ":1: alerts.enabled wants alerts.rules_file too"),
        (
            "alerts: {rules_file: /none/a.yaml}",
            ":1: alerts.rules_file cannot be used: /none/a.yaml: cannot be read: ",
        ),
        (
            "alerts: {RULES, notification: {slack: {webhook_url: hooks.slack.com/hunter2}}}",
            "slack.webhook_url cannot be used: ",
        ),
        (
            "alerts: {RULES, notification: {slack: {webhook_url_file: /none/x}}}",
            "slack.webhook_url_file cannot be used: `/none/x` cannot be read",
        ),
        (
            "alerts: {RULES, notification: {webhook: {secret: hunter2}}}",
            "wants alerts.notification.webhook.url too",
        ),
        (
            "alerts: {RULES, notification: {webhook: {url: 'http://a', secret: hunter2, secret_file: /x}}}",
            "secret_file cannot be used: alerts.notification.webhook.secret is given too",
        ),
        (
            "alerts: {RULES, notification: {alertmanager: {url: 'ftp://a'}}}",
            "alertmanager.url cannot be used: `ftp://a` is not an http:// or https:// URL",
        ),
        (
            "alerts: {RULES, notification: {command: {run: []}}}",
            "command.run cannot be used: it is empty; name a program",
        ),
    ] {
        let told = told(text);
        assert!(told.contains(expected) && !told.contains("hunter2"), "{text}\n{told}");
    }
    // What the rules say is told with their place too, and so is a range that holds fewer than two values at this interval.
    for (text, expected) in [
        ("rules: []", "alerts.rules_file cannot be used: RULES: there are no rules; write"),
        (
            "- {name: A, condition: 'rate(x_total[5s]) > 1'}",
            "alerts.rules_file cannot be used: RULES:1:1: rule A: the range [5s] is less than twice the interval of 5s at which rules are looked at; write [10s] or more",
        ),
    ] {
        let file = folder.path().join("wrong.yaml");
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        let told = told(&format!("alerts: {{rules_file: {file}, interval: 5s}}"));
        assert!(told.contains(&expected.replace("RULES", &file)), "{text}\n{told}");
    }
    assert_eq!(told("alerts: {RULES}"), "");
    assert_eq!(told("alerts: {enabled: false, rules_file: /none}"), "");
}

/// Alerts arrive at a real Alertmanager, under their own labels and those of the process, and end there when they end here.
#[test]
#[ignore = "needs an Alertmanager: cargo xtask test --only alertmanager"]
fn a_real_alertmanager_takes_alerts() {
    let mut server = Server::alertmanager("alertmanager");
    let mut alertmanager =
        Alertmanager::new(&format!("http://{}", server.address)).unwrap().label("job", "shop");
    let [firing, resolved] = notices(3);
    let active = |server: &mut Server, expected: usize| {
        server.wait_for("the alerts to be there", |server| {
            let (status, body) = server.get("/api/v2/alerts?active=true")?;
            let body: serde_json::Value = serde_json::from_str(&body).ok()?;
            (status == 200 && body.as_array()?.len() == expected).then_some(body)
        })
    };
    alertmanager.notify(&firing, &long()).unwrap();
    let there = active(&mut server, 3);
    let labels = &there[0]["labels"];
    assert_eq!(
        (&labels["alertname"], &labels["job"], &labels["severity"]),
        (&"Down".into(), &"shop".into(), &"critical".into())
    );
    assert_eq!(there[0]["annotations"]["description"], "value 0");
    // Told again, it is the same alerts.
    alertmanager.notify(&firing, &long()).unwrap();
    active(&mut server, 3);
    let mut over = resolved.clone();
    over.alerts.iter_mut().for_each(|alert| alert.resolved_at = Some(firing.time + Duration::from_millis(1)));
    assert_eq!(over.state(), AlertState::Resolved);
    alertmanager.notify(&over, &long()).unwrap();
    active(&mut server, 0);
    let mut wrong = Alertmanager::new(&format!("http://{}/elsewhere", server.address)).unwrap();
    assert!(wrong.notify(&firing, &long()).unwrap_err().message.contains("answered 404"));
}

#[cfg(feature = "alerts-email")]
mod mail {
    use super::*;
    use throughline_std::alert::{Email, EmailTls};

    /// A mail server in Python that takes STARTTLS and a login, and prints what comes.
    const SERVER: &str = "tests/support/mail_server.py";

    #[test]
    fn what_cannot_be_sent_is_told() {
        let email = |server: &str| Email::new(server, "shop").recipient("ops@example.org");
        assert_eq!(email("mail.example").check(), Ok(()));
        for (email, expected) in [
            (email("mail.example:port"), "the mail server is no host and port"),
            (
                email("mail.example").login("a", "hunter2").tls(EmailTls::None),
                "without encryption no password is sent",
            ),
            (Email::new("mail.example", "shop"), "nobody gets mail; name recipients"),
            (email("mail.example").recipient("nobody"), "`nobody` is no mail address"),
            (email("mail.example").sender("x@"), "`x@` is no mail address"),
        ] {
            let told = email.check().unwrap_err();
            assert!(told.contains(expected) && !format!("{email:?}").contains("hunter2"), "{told}");
        }
        let gone = free_address();
        let mut email = email(&gone.to_string()).tls(EmailTls::None);
        let error = email.notify(&notices(1)[0], &Deadline::within(Duration::from_secs(1))).unwrap_err();
        assert_eq!(error.reason, DropReason::Unreachable, "{error}");
    }

    #[test]
    #[ignore = "needs aiosmtpd: cargo xtask test --only smtp"]
    fn a_real_mail_server_takes_mail() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};
        let folder = Folder::new("mail");
        let python = std::env::var("THROUGHLINE_PYTHON").unwrap_or_else(|_| "python3".into());
        let mut child = Command::new(python)
            .args([SERVER.as_ref(), folder.path().as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let port = lines.next().expect("the server says its port");
        let email = || {
            Email::new(&format!("localhost:{port}"), "shop")
                .recipient("Ops <ops@example.org>")
                .recipient("b@example.org")
        };
        let certificate = folder.path().join("certificate.pem");
        let [firing, resolved] = notices(1);
        let mut good = email().certificate(&certificate).login("shop", "s3cret");
        good.notify(&firing, &long()).unwrap();
        let mail: Vec<String> = lines.by_ref().take_while(|line| line != "END").collect();
        let mail = mail.join("\n");
        for part in [
            "tls yes",
            "login shop",
            "to ops@example.org b@example.org",
            "from alerts@example.org",
            "Down fires in shop",
            "value: 0",
        ] {
            assert!(mail.contains(part), "{part}:\n{mail}");
        }
        assert!(mail.contains("Subject: [FIRING] shop: Down fires"), "{mail}");
        good.notify(&resolved, &long()).unwrap();
        assert!(
            lines
                .by_ref()
                .take_while(|line| line != "END")
                .any(|line| line.contains("[RESOLVED] shop: Down is resolved"))
        );
        for (mut wrong, expected) in [
            (email().certificate(&certificate).login("shop", "wrong"), "refused mail"),
            (email().login("shop", "s3cret"), "refused mail"),
            (email().certificate("/none.pem"), "the certificate /none.pem cannot be used"),
        ] {
            let error = wrong.notify(&firing, &long()).unwrap_err();
            assert_eq!(error.reason, DropReason::Refused, "{error}");
            assert!(error.message.contains(expected) && !error.message.contains("s3cret"), "{error}");
        }
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
