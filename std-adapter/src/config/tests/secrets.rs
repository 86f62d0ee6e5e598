//! Tests that no error, no listing and no `Debug` shows a secret, however it is mistyped.

use super::{bare, errors, of_text, warnings};
use crate::config::Config;
use crate::config::node::Language;

/// URLs with the secret `hunter2`, as people mistype them.
const URLS: &[&str] = &[
    "http://u:hunter2@h:4318",
    "http://u:hunter2@h:99999",
    "http://u:hunter2@",
    "http://u:hunter2@jaeger:14250",
    "http://u:hun/ter2@hunter2@h",
    "http://u:hunter2 @h",
    "htp://u:hunter2@h",
    "http:/u:hunter2@h",
    "u:hunter2@h:4318",
    "http://h:4318/?api_key=hunter2",
    "http://h:99999/?api_key=hunter2",
    "h?api_key=hunter2#hunter2",
    "https://h:4318/in?hunter2",
];

/// Everything that is said of a configuration.
fn said(config: &Config) -> String {
    let findings: Vec<String> = config.findings().iter().map(ToString::to_string).collect();
    let explained: Vec<String> = config.explain().iter().flat_map(|it| [it.to_string(), it.json()]).collect();
    let told = [errors(config), warnings(config), findings, explained].concat();
    format!("{}\n{config:?}", told.join("\n"))
}

#[test]
fn urls_are_shown_without_their_secrets() {
    let keys = [
        "otlp.endpoint",
        "tracing.otlp.endpoint",
        "tracing.zipkin.endpoint",
        "logging.loki.endpoint",
        "logging.elasticsearch.endpoint",
        "logging.syslog.endpoint",
        "metrics.pushgateway.endpoint",
        // Meant for another key.
        "otlp.protocol",
        "tracing.exporters",
        "metrics.interval",
        "recording.ring_slots",
        "logging.enabled",
    ];
    for url in URLS {
        for key in keys {
            let list = key == "tracing.exporters";
            let value = if list { format!("[\"{url}\"]") } else { format!("\"{url}\"") };
            let told = said(&of_text(&format!("{key} = {value}"), Language::Toml, &[]));
            assert!(!told.contains("hunter2"), "{key} = {url}:\n{told}");
            let variable = format!("THROUGHLINE_{}", key.replace('.', "_").to_uppercase());
            let told = said(&of_environment(&variable, url));
            assert!(!told.contains("hunter2"), "{variable}={url}:\n{told}");
        }
        for variable in
            ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_ZIPKIN_ENDPOINT", "OTEL_TRACES_EXPORTER"]
        {
            let told = said(&of_environment(variable, url));
            assert!(!told.contains("hunter2"), "{variable}={url}:\n{told}");
        }
    }
}

fn of_environment(name: &str, value: &str) -> Config {
    bare(&[(name, value)]).reading_env()
}

#[test]
fn maps_show_no_value_whose_name_is_secret() {
    let config = of_text("[service.attributes]\ndbPassword = 'hunter2'\nteam = 'a'", Language::Toml, &[]);
    let shown = config.explain().into_iter().find(|it| it.key == "service.attributes").unwrap().value;
    assert_eq!(shown, "{ \"dbPassword\" = \"[REDACTED]\", \"team\" = \"a\" }");
    let resource = config.detected_resource();
    assert_eq!((resource.get("dbPassword"), resource.get("team")), (Some("[REDACTED]"), Some("a")));
    let told = said(&of_environment("OTEL_RESOURCE_ATTRIBUTES", "api_key:hunter2"));
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_header_that_cannot_be_sent_is_found_and_not_shown() {
    for (text, expected) in [
        ("otlp.headers.authorization = \"Bearer hunter2\\n\"", "a line break in the value of authorization"),
        ("logging.loki.headers.x-key = \"hunter2\\u0007\"", "a control character in the value of x-key"),
        ("logging.elasticsearch.api_key = \"hunter2é\"", "has a character beyond ASCII"),
        ("tracing.zipkin.headers = { \"x key\" = \"hunter2\" }", "has `x key`, which is no name of a header"),
    ] {
        let told = errors(&of_text(text, Language::Toml, &[])).join("\n");
        assert!(told.contains(expected) && !told.contains("hunter2"), "{text}: {told}");
    }
}

/// A variable that is set and empty would sign with an empty key, or let everybody in.
#[test]
fn a_secret_that_is_empty_is_refused() {
    for key in [
        "admin.token",
        "alerts.notification.email.password",
        "alerts.notification.slack.webhook_url",
        "alerts.notification.webhook.secret",
        "events.kafka.password",
        "events.webhook.secret",
        "events.webhook.url",
        "logging.elasticsearch.api_key",
    ] {
        let text = format!("{key} = \"${{EMPTY}}\"");
        let told = errors(&of_text(&text, Language::Toml, &[("EMPTY", "")])).join("\n");
        let expected =
            format!("shop.toml:1: {key} is empty; set the variable or write the secret, or remove the key");
        assert!(told.contains(&expected), "{key}: {told}");
    }
    let observer = "[[observers]]\nname = 'a'\nwhen = 'level == \"error\"'\nactions = ['webhook']\nwebhook = { url = 'http://a', secret = ' ' }";
    let told = errors(&of_text(observer, Language::Toml, &[])).join("\n");
    assert!(told.contains("webhook.secret is empty; "), "{told}");
    let told = errors(&of_text("admin.token = 'hunter 2'", Language::Toml, &[])).join("\n");
    assert!(
        told.contains("admin.token has a space or a character beyond ASCII") && !told.contains("hunter"),
        "{told}"
    );
}

#[cfg(all(unix, feature = "events"))]
#[test]
fn a_file_of_a_secret_that_is_empty_is_refused() {
    let text = "events.webhook = { url = 'http://a', secret_file = '/dev/null' }";
    let found = said(&of_text(text, Language::Toml, &[]));
    let told = "events.webhook.secret_file cannot be used: `/dev/null` is empty; write the secret into it, or remove the key";
    assert!(found.contains(told), "{found}");
}

#[test]
fn targets_of_checks_are_shown_without_their_secrets() {
    for url in URLS {
        for key in ["health.http", "health.tcp", "health.dns"] {
            let told = said(&of_text(&format!("{key} = {{ a = \"{url}\" }}"), Language::Toml, &[]));
            assert!(!told.contains("hunter2"), "{key} = {url}:\n{told}");
        }
    }
}

#[test]
fn arguments_of_commands_are_shown_without_their_secrets() {
    let run = "['notify', '--token=hunter2', '--password', 'hunter2', 'http://u:hunter2@h', 'Authorization: Bearer hunter2hunter2', 'plain=1', '--to', 'ann']";
    let observer = format!("[[observers]]\nname = 'a'\nactions = ['command']\ncommand.run = {run}");
    for text in
        [format!("alerts.notification.command.run = {run}"), format!("otlp.token.command = {run}"), observer]
    {
        let config = of_text(&text, Language::Toml, &[]);
        let shown = config.explain().into_iter().find(|it| it.value.contains("notify")).unwrap().value;
        assert_eq!(
            shown.replace("[REDACTED]", "…"),
            r#"["notify", "--token=…", "--password", "…", "http://u:…@h", "Authorization: …", "plain=1", "--to", "ann"]"#,
            "{text}"
        );
        assert!(!said(&config).contains("hunter2"), "{text}");
    }
}
