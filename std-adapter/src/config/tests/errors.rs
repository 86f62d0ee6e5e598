//! Compares the text of every error with `errors.txt`. Builds with features that would remove an error do not
//! run this test.
#![cfg(not(any(feature = "grpc", feature = "zstd", feature = "tls", feature = "prometheus")))]

use super::{assert_committed, errors, of_text, warnings};
use crate::config::node::Language;
use std::fmt::Write;

const TOML: &[&str] = &[
    "tracing.sampling.probabilty = 0.1",
    "tracing.probability = 0.1",
    "[servce]\nname = \"shop\"",
    "[service]\nnmae = \"shop\"\nVersion = \"1\"",
    "nonsense.at.all = 1",
    "service.name = 3",
    "service.name = [\"a\"]",
    "service = \"shop\"",
    "logging.enabled = \"yes\"",
    "logging.enabled = 1",
    "logging.level = \"verbose\"",
    "logging.filter = \"shop=loud\"",
    "tracing.sampling.probability = 10",
    "tracing.sampling.probability = \"0.1\"",
    "tracing.batch.scheduled_delay = 5",
    "tracing.batch.scheduled_delay = \"5 seconds\"",
    "tracing.batch.max_queue_size = 0",
    "tracing.batch.max_queue_size = 1.5",
    "tracing.exporters = [\"zipkn\"]",
    "tracing.exporters = [\"none\", \"otlp\"]",
    "[[tracing.exporters]]\ntype = \"stdotu\"",
    "[[tracing.exporters]]\nendpoint = \"http://a:4318\"",
    "[[tracing.exporters]]\ntype = \"jaeger\"\nendpoint = \"http://jaeger:14250\"",
    "tracing.endpoint = \"http://jaeger:14268/api/traces\"",
    "otlp.endpoint = \"localhost:4318\"",
    "otlp.endpoint = \"http://localhost:431800\"",
    "otlp.endpoint = \"${COLLECTOR}\"",
    "otlp.endpoint = \"http://${COLLECTOR\"",
    "otlp.endpoint = \"http://${BAD NAME}\"",
    "otlp.protocol = \"thrift\"",
    "otlp.headers = \"k=v\"",
    "otlp.headers.authorization = [1]",
    "otlp.headers.authorization = \"Bearer x\\n\"",
    "otlp.headers = { \"x key\" = \"y\" }",
    "[[otlp.also]]\nname = \"archive\"",
    "otlp.timeout = \"${TIMEOUT}\"",
    "otlp.client_certificate = \"/c.pem\"",
    "otlp.client_key = \"/c.key\"",
    "[otlp]\nendpoint = \"http://a\"\ncertificate = \"/ca.pem\"",
    "[tracing.sampling]\nstrategy = \"always_on\"\nprobability = 0.1",
    "tracing.file.path = \"/var/log/traces.jsonl\"",
    "logging.loki = { endpoint = \"http://loki:3100\", flush_interval = \"1s\" }",
    "logging.format = \"xml\"",
    "logging.syslog.facility = \"local9\"",
    "tracing.sampling.rules = { \"/health\" = 2 }",
    "tracing.sampling.slow_routes = { \"/export\" = \"long\" }",
    "propagation.rules = { \"/a\" = \"deny\" }",
    "propagation.formats = [\"b3\", \"none\"]",
    "alerts = { enabled = true, rules_file = \"a.yaml\" }\nhealth.enabled = false",
    "health.prot = 8081",
    "alerts.notification.slack.webhook_url = 3",
    "service.name = \"a\"\nservice.name = \"b\"",
    "[service\nname = \"a\"",
    "service.name = 'a\nlogging.level = \"info\"",
];

const YAML: &[&str] = &[
    "service: {name: shop, name: shop2}",
    "service:\n  name: shop\n name: x",
    "- a\n- b",
    "just text",
    "service:\n  name:",
    "logging:\n  enabled: yes",
    "service: {[a]: b}",
    "<<: {a: b}",
    "service: {name: a}\n---\nservice: {name: b}",
    "tracing:\n  batch: 5",
    "observability:\n  metrics:\n    retention: 7d\n  logging:\n    structured: true\n  tracing:\n    intelligent_sampling: true",
];

const VARIABLES: &[&[(&str, &str)]] = &[
    &[("THROUGHLINE_LOGGING_LEVEL", "verbose")],
    &[("THROUGHLINE_TRACING_SAMPLING_PROBABILITY", "10")],
    &[("THROUGHLINE_OTLP_HEADERS", "secret")],
    &[("THROUGHLINE_TRACING_EXPORTERS", "zipkn")],
    &[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317")],
    &[("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")],
    &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/thrift")],
    &[("OTEL_EXPORTER_OTLP_HEADERS", "secret")],
    &[("OTEL_TRACES_SAMPLER", "jaeger_remote")],
    &[("OTEL_TRACES_SAMPLER_ARG", "ten")],
    &[("OTEL_TRACES_EXPORTER", "datadog")],
    &[("OTEL_SDK_DISABLED", "1")],
    &[("OTEL_RESOURCE_ATTRIBUTES", "team")],
    &[("RUST_LOG", "loud=shop")],
    &[("OTEL_CONFIG_FILE", "otel.yaml")],
];

/// Files that are read without errors, but fail when the exporters start.
const STARTS: &[&str] = &[
    "logging.file.format = \"json\"",
    "logging.file.path = \"/proc/none/shop.log\"",
    "logging.file = { path = \"/tmp/throughline-test.log\", filter = \"loud=shop\" }",
    "logging.syslog.endpoint = \"loghost\"",
    "tracing.chrome.path = \"/proc/none/trace.json\"",
    "otlp.endpoint = \"http://u:p@a:4318\"",
    "otlp = { endpoint = \"http://a:4317\", protocol = \"grpc\" }",
    "tracing.otlp = { endpoint = \"http://a:4318\", compression = \"zstd\" }",
    "otlp.endpoint = \"https://a:4318\"",
    "metrics.prometheus.port = 9090",
    "metrics.pushgateway.endpoint = \"http://localhost:9091\"",
    "otlp.preset = \"newrelic\"",
    "otlp = { endpoint = \"http://a:4318\", spool.directory = \"/proc/none\" }",
    "logging.loki.labels.job = \"shop\"",
    "metrics.exporters = [\"prometheus\"]",
    "otlp.certificate = \"/none/ca.pem\"",
    "otlp.endpoint = \"http://u:p@a:4318\"\nlogging.file.path = \"/proc/none/shop.log\"\nlogging.syslog.endpoint = \"loghost\"",
];

#[test]
fn every_error_reads_as_it_is_committed() {
    let mut out = String::new();
    for (texts, language) in [(TOML, Language::Toml), (YAML, Language::Yaml)] {
        for text in texts {
            let config = of_text(text, language, &[("TIMEOUT", "hunter2")]);
            let indented = text.lines().map(|line| format!("    {line}\n"));
            show(&mut out, &indented.collect::<String>(), &errors(&config), &warnings(&config));
        }
    }
    for variables in VARIABLES {
        let config = super::bare(variables).reading_env();
        let set = variables.iter().map(|(name, value)| format!("    {name}={value}\n"));
        show(&mut out, &set.collect::<String>(), &errors(&config), &warnings(&config));
    }
    for text in STARTS {
        let config = super::toml(text);
        let told: Vec<String> = config.findings().iter().map(ToString::to_string).collect();
        let indented = text.lines().map(|line| format!("    {line}\n"));
        show(&mut out, &indented.collect::<String>(), &told, &[]);
    }
    assert!(!out.contains("hunter2"));
    assert_committed("src/config/tests/errors.txt", &out);
}

fn show(out: &mut String, input: &str, errors: &[String], warnings: &[String]) {
    assert!(!(errors.is_empty() && warnings.is_empty()), "nothing is said of\n{input}");
    out.push_str(input);
    for error in errors {
        let _ = writeln!(out, "{error}");
    }
    for warning in warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out.push('\n');
}
