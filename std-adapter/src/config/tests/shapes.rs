//! Tests files that were written for other libraries.

use super::{errors, of_text, toml, value, warnings};
use crate::config::node::Language;

/// A file with everything below `telemetry`.
#[test]
fn a_file_with_the_root_telemetry_is_read() {
    let text = r#"
        [server]
        port = 8080

        [telemetry]
        enabled = true
        logging = true

        [telemetry.tracing]
        enabled = true

        [telemetry.tracing.otlp]
        endpoint = "http://localhost:4318"
        protocol = "http/protobuf"
        timeout_seconds = 10

        [telemetry.tracing.otlp.headers]
        authorization = "Bearer ${TOKEN}"

        [telemetry.tracing.otlp.batch]
        scheduled_delay_seconds = 5
        max_export_batch_size = 512
        max_queue_size = 2048

        [telemetry.tracing.sampling]
        strategy = "parent_based"
        probability = 0.25
        always_sample_errors = true
        always_sample_slow_seconds = 1.5

        [[telemetry.tracing.exporters]]
        type = "stdout"

        [[telemetry.tracing.exporters]]
        type = "jaeger"
        endpoint = "http://jaeger:4318"

        [telemetry.metrics]
        enabled = true

        [telemetry.metrics.otlp]
        endpoint = "http://localhost:4318"
        interval_seconds = 60

        [telemetry.profiling]
        enabled = true
        cpu.frequency = 100
    "#;
    let config = of_text(text, Language::Toml, &[("TOKEN", "hunter2")]);
    assert_eq!(errors(&config), Vec::<String>::new());
    for (key, expected) in [
        ("enabled", "true"),
        ("logging.enabled", "true"),
        ("tracing.otlp.endpoint", "\"http://jaeger:4318\""),
        ("tracing.otlp.timeout", "\"10s\""),
        ("tracing.otlp.headers", "{ \"authorization\" = \"Bearer hunter2\" }"),
        ("tracing.batch.scheduled_delay", "\"5s\""),
        ("tracing.batch.max_queue_size", "2048"),
        ("tracing.sampling.probability", "0.25"),
        ("tracing.sampling.always_sample_slow", "\"1500ms\""),
        ("tracing.exporters", "[\"stdout\", \"otlp\"]"),
        ("profiling.cpu.frequency", "100"),
        ("metrics.interval", "\"1m\""),
    ] {
        assert_eq!(value(&config, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!((config.share(), config.batch_interval.as_secs()), (0.25, 5));
    let told = warnings(&config);
    let without_profiles = usize::from(cfg!(not(feature = "profile")));
    assert_eq!(told.len(), without_profiles, "{told:?}");
    let line = "shop.toml:46: telemetry.profiling.enabled is not done: build throughline-std with the feature `profile`";
    assert_eq!(told.iter().filter(|it| *it == line).count(), without_profiles, "{told:?}");
    assert!(config.sampling_rules.errors);
    assert_eq!(config.sampling_rules.slow, Some(std::time::Duration::from_millis(1500)));
}

/// A file with everything below `observability`.
#[test]
fn a_file_with_the_root_observability_is_read() {
    let text = "
observability:
  logging:
    level: warn
    format: pretty
    output: stdout
    structured: true
    loki: {enabled: false, endpoint: 'http://loki:3100/loki/api/v1/push'}
  metrics: {enabled: true, collection_interval: 15s, retention: 7d}
  tracing:
    enabled: true
    endpoint: http://tempo:4318
    service_name: shop
    sample_rate: 0.1
    intelligent_sampling: true
  profiling: {enabled: true, interval: 1m}
  health: {enabled: false, port: 8081}
  alerts:
    enabled: true
    notification: {email: {recipients: [a@b]}}
";
    let config = of_text(text, Language::Yaml, &[]);
    assert_eq!(errors(&config), Vec::<String>::new());
    for (key, expected) in [
        ("logging.level", "\"warn\""),
        ("logging.output", "\"stdout\""),
        ("metrics.interval", "\"15s\""),
        ("tracing.otlp.endpoint", "\"http://tempo:4318\""),
        ("service.name", "\"shop\""),
        ("tracing.sampling.probability", "0.1"),
    ] {
        assert_eq!(value(&config, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(config.resource.get("service.name"), Some("shop"));
    assert!(config.sampling_rules.errors && config.sampling_rules.rare == 1);
    let told = warnings(&config).join("\n");
    for part in [
        "logging.structured is not needed",
        "metrics.retention is not done here",
        "alerts.enabled has no effect: alerting is not in this build",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("health"), "it is off: {told}");
}

/// JSON is read as YAML, and a file needs no root.
#[test]
fn json_is_read() {
    let config =
        of_text(r#"{"service": {"name": "shop", "version": 1.10}, "logging": false}"#, Language::Yaml, &[]);
    assert_eq!(errors(&config), Vec::<String>::new());
    assert_eq!(config.resource.get("service.version"), Some("1.10"), "not the number 1.1");
    assert!(!config.filters.logs_on);
}

#[test]
fn yaml_aliases_are_read_and_do_not_explode() {
    let config = of_text("service: &s {name: shop}\nobservability: {service: *s}", Language::Yaml, &[]);
    assert_eq!(value(&config, "service.name").as_deref(), Some("\"shop\""));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..20 {
        let list = vec![format!("*a{}", i - 1); 9].join(", ");
        bomb += &format!("a{i}: &a{i} [{list}]\n");
    }
    let told = errors(&of_text(&bomb, Language::Yaml, &[])).join("\n");
    assert!(told.contains("larger than 10000 values"), "{told}");
}

#[test]
fn bridges_are_asked_for_together_or_one_by_one() {
    let config = toml("bridges = true\n");
    assert_eq!(value(&config, "bridges.enabled").as_deref(), Some("true"));
    assert_eq!(config.bridges.all, Some(true));
    let config = toml("[bridges]\ntracing = true\nlog = true\nmetrics = false\nopentelemetry = true\n");
    let asked = config.bridges;
    assert_eq!(
        (asked.all, asked.tracing, asked.log, asked.metrics, asked.opentelemetry),
        (None, Some(true), Some(true), Some(false), Some(true))
    );
    let built = [
        ("tracing", cfg!(feature = "tracing")),
        ("log", cfg!(feature = "log")),
        ("opentelemetry", cfg!(feature = "opentelemetry")),
    ];
    let missing = built.iter().filter(|(_, is_built)| !is_built).map(|(name, _)| {
        let line =
            2 + ["tracing", "log", "metrics", "opentelemetry"].iter().position(|it| it == name).unwrap();
        format!(
            "shop.toml:{line}: bridges.{name} is not done: build throughline-std with the feature `{name}`"
        )
    });
    assert_eq!(warnings(&config), missing.collect::<Vec<_>>());
}
