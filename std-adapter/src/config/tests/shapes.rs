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
    let replaced = "shop.toml:36: telemetry.tracing.exporters.endpoint replaces telemetry.tracing.otlp.endpoint of line 13, which means the same key; remove one of them";
    assert!(told.iter().any(|it| it == replaced), "{told:?}");
    assert_eq!(told.len(), without_profiles + 1, "{told:?}");
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
    for part in ["logging.structured is not needed", "metrics.retention is not done here"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("health"), "it is off: {told}");
    let is_missing =
        told.contains("alerts.enabled is not done: build throughline-std with the feature `alerts`");
    assert_eq!(is_missing, cfg!(not(feature = "alerts")), "{told}");
}

/// The keys of files for other libraries, in TOML below `telemetry` and in YAML below `observability`. Each is read, or
/// answered with what to do instead.
const OTHERS: &[(&str, &str)] = &[
    ("enabled", "true"),
    ("logging", "true"),
    ("tracing.enabled", "true"),
    ("tracing.otlp.endpoint", "\"http://localhost:4318\""),
    ("tracing.otlp.protocol", "\"grpc\""),
    ("tracing.otlp.protocol", "\"http/protobuf\""),
    ("tracing.otlp.timeout_seconds", "10"),
    ("tracing.otlp.headers.authorization", "\"Bearer ${TOKEN}\""),
    ("tracing.otlp.batch.scheduled_delay_seconds", "5"),
    ("tracing.otlp.batch.max_export_batch_size", "512"),
    ("tracing.otlp.batch.max_queue_size", "2048"),
    ("tracing.sampling.strategy", "\"always_on\""),
    ("tracing.sampling.strategy", "\"always_off\""),
    ("tracing.sampling.strategy", "\"probability\""),
    ("tracing.sampling.strategy", "\"parent_based\""),
    ("tracing.sampling.probability", "0.1"),
    ("tracing.sampling.always_sample_errors", "true"),
    ("tracing.sampling.always_sample_slow_seconds", "1.0"),
    ("tracing.exporters", "[{ type = \"stdout\" }]"),
    ("tracing.exporters", "[{ type = \"jaeger\", endpoint = \"http://jaeger:4318\" }]"),
    ("metrics.enabled", "true"),
    ("metrics.prometheus.enabled", "true"),
    ("metrics.prometheus.port", "9090"),
    ("metrics.prometheus.path", "\"/metrics\""),
    ("metrics.otlp.endpoint", "\"http://localhost:4318\""),
    ("metrics.otlp.protocol", "\"http/protobuf\""),
    ("metrics.otlp.interval_seconds", "60"),
    ("profiling.enabled", "true"),
    ("profiling.cpu.enabled", "true"),
    ("profiling.cpu.frequency", "100"),
    ("profiling.cpu.continuous", "true"),
    ("profiling.cpu.duration_seconds", "30"),
    ("profiling.memory.enabled", "true"),
    ("profiling.memory.track_allocations", "true"),
    ("profiling.memory.sampling_rate", "100"),
    ("profiling.memory.heap_profiling", "true"),
    ("profiling.exporter.type", "\"pyroscope\""),
    ("profiling.exporter.type", "\"gcp\""),
    ("profiling.exporter.type", "\"file\""),
    ("profiling.exporter.pyroscope_endpoint", "\"http://pyroscope:4040\""),
    ("profiling.exporter.application_name", "\"shop\""),
    ("profiling.exporter.gcp_project_id", "\"shop\""),
    ("profiling.exporter.gcp_service_name", "\"shop\""),
    ("profiling.exporter.file_output_dir", "\"./profiles\""),
    ("logging.level", "\"info\""),
    ("logging.format", "\"json\""),
    ("logging.format", "\"text\""),
    ("logging.output", "\"stdout\""),
    ("logging.structured", "true"),
    ("logging.loki.enabled", "false"),
    ("logging.loki.endpoint", "\"http://loki:3100/loki/api/v1/push\""),
    ("logging.loki.labels", "{ app = \"shop\" }"),
    ("logging.loki.batch_size", "100"),
    ("logging.loki.flush_interval", "\"1s\""),
    ("metrics.port", "9090"),
    ("metrics.path", "\"/metrics\""),
    ("metrics.namespace", "\"shop\""),
    ("metrics.collection_interval", "\"15s\""),
    ("metrics.retention", "\"7d\""),
    ("tracing.endpoint", "\"http://tempo:4318\""),
    ("tracing.service_name", "\"shop\""),
    ("tracing.sample_rate", "0.1"),
    ("tracing.intelligent_sampling", "true"),
    ("profiling.interval", "\"1m\""),
    ("profiling.pyroscope_endpoint", "\"http://pyroscope:4040\""),
    ("profiling.pgo_enabled", "true"),
    ("health.enabled", "true"),
    ("health.port", "8081"),
    ("health.path", "\"/health\""),
    ("health.timeout", "\"5s\""),
    ("health.interval", "\"30s\""),
    ("alerts.enabled", "true"),
    ("alerts.rules_file", "\"rules.yaml\""),
    ("alerts.notification.slack.webhook_url", "\"https://hooks.example/x\""),
    ("alerts.notification.email.smtp_server", "\"mail:25\""),
    ("alerts.notification.email.recipients", "[\"a@b\"]"),
];

#[test]
fn each_key_of_other_libraries_files_is_read_or_answered() {
    for (key, value) in OTHERS {
        for root in ["telemetry", "observability"] {
            let config = of_text(&format!("{root}.{key} = {value}"), Language::Toml, &[("TOKEN", "t")]);
            assert_eq!(errors(&config), Vec::<String>::new(), "{key}");
            let is_read = config.settings.iter().any(|setting| setting.written.starts_with(root));
            let told = warnings(&config);
            let is_answered = told.iter().any(|told| told.contains(&format!("{root}.{key} ")));
            assert!(is_read || is_answered, "{key}: {told:?}");
        }
    }
    // Retired protocols are answered with the address to write instead.
    for (key, value, answer) in [
        ("tracing.exporters", "[{ type = \"jaeger\", endpoint = \"http://jaeger:14250\" }]", "4317"),
        ("tracing.endpoint", "\"http://jaeger:14268/api/traces\"", "4318"),
    ] {
        let told =
            errors(&of_text(&format!("observability.{key} = {value}"), Language::Toml, &[])).join("\n");
        assert!(told.contains(answer), "{key}: {told}");
    }
}

/// An application has sections whose names are ours.
#[test]
fn what_is_beside_a_root_belongs_to_the_application() {
    for root in ["throughline", "telemetry", "observability"] {
        let config = toml(&format!(
            "otlp = 1\n[service]\nname = 'app'\nport = 80\n[logging]\nlevel = 'loud'\n[loging]\nx = 1\n[{root}.service]\nname = 'shop'"
        ));
        assert_eq!(value(&config, "service.name").as_deref(), Some("\"shop\""), "{root}");
        assert_eq!(value(&config, "logging.level"), None, "{root}");
        // A key that both have is told, as it is easily mistaken for ours.
        let told = format!(
            "shop.toml:3: service.name is not read, as what is beside the section {root} belongs to the application; {root}.service.name holds"
        );
        assert_eq!(warnings(&config), [told]);
    }
    let config = of_text("throughline:\n  # service: shop\nservice: {name: app}\n", Language::Yaml, &[]);
    assert_eq!((errors(&config), value(&config, "service.name")), (Vec::new(), None));
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
