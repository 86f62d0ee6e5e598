//! Tests which of code, file and environment wins, and that no secret is shown.

use super::{bare, errors, of_text, toml, value, warnings};
use crate::config::keys;
use crate::config::node::Language;
use crate::config::value::MASK;
use crate::config::{Config, Origin};

#[test]
fn every_key_is_set_by_its_variable() {
    for key in keys::all() {
        let text = if key.default.is_empty() { key.example } else { key.default };
        let name = key.variable();
        let config = bare(&[(&name, text)]).reading_env();
        let setting = config.settings.get(key.path).unwrap_or_else(|| panic!("{name} sets nothing"));
        assert_eq!(setting.origin, Origin::Variable(name));
    }
}

#[test]
fn every_variable_of_a_standard_sets_its_key() {
    for (name, text, key, expected) in [
        ("OTEL_SDK_DISABLED", "TRUE", "enabled", "false"),
        ("OTEL_SERVICE_NAME", "shop", "service.name", "\"shop\""),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "a=b%20c,d=e",
            "service.attributes",
            "{ \"a\" = \"b c\", \"d\" = \"e\" }",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318", "otlp.endpoint", "\"http://a:4318\""),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a", "tracing.otlp.endpoint", "\"http://a/\""),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://a/l", "logging.otlp.endpoint", "\"http://a/l\""),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://a/m", "metrics.otlp.endpoint", "\"http://a/m\""),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "otlp.protocol", "\"grpc\""),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "k=v", "tracing.otlp.headers", "{ \"k\" = \"v\" }"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250", "otlp.timeout", "\"250ms\""),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "otlp.compression", "\"gzip\""),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca", "otlp.certificate", "\"/ca\""),
        ("OTEL_TRACES_EXPORTER", "otlp,console", "tracing.exporters", "[\"otlp\", \"stdout\"]"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "5000", "logging.batch.scheduled_delay", "\"5s\""),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "2048", "logging.batch.max_queue_size", "2048"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "64", "logging.batch.max_export_batch_size", "64"),
        ("OTEL_METRICS_EXPORTER", "none", "metrics.exporters", "[\"none\"]"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "tracing.sampling.strategy", "\"probability\""),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25", "tracing.sampling.probability", "0.25"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5000", "tracing.batch.scheduled_delay", "\"5s\""),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2048", "tracing.batch.max_queue_size", "2048"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "60000", "metrics.interval", "\"1m\""),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7", "limits.attribute_count", "7"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9", "tracing.limits.attribute_value_length", "9"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "3", "logging.limits.attribute_count", "3"),
        ("RUST_LOG", "info,shop=debug", "logging.filter", "\"info,shop=debug\""),
    ] {
        let config = bare(&[(name, text)]).reading_env();
        assert_eq!((errors(&config), warnings(&config)), (vec![], vec![]), "{name}");
        assert_eq!(value(&config, key).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn samplers_of_the_environment() {
    let share = |sampler, arg| {
        let variables = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", arg)];
        let config = bare(&variables).reading_env();
        (config.share(), warnings(&config).len() + errors(&config).len())
    };
    assert_eq!(share("always_off", ""), (0.0, 0));
    assert_eq!(share("parentbased_always_on", ""), (1.0, 0));
    assert_eq!(share("parentbased_traceidratio", "0.25"), (0.25, 0));
    assert_eq!(share("traceidratio", "2"), (1.0, 1));
    assert_eq!(share("jaeger_remote", ""), (1.0, 1));
    assert_eq!(share("", ""), (1.0, 0));
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_code() {
    let text = "[tracing.sampling]\nprobability = 0.5\n[service.attributes]\nteam = \"a\"\nzone.name = \"z\"";
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", "team=b")];
    let mut config = bare(&variables).sample_ratio(0.1);
    assert_eq!(config.share(), 0.1);
    let file = of_text(text, Language::Toml, &[]);
    assert_eq!((file.share(), file.resource.get("team")), (0.5, Some("a")));
    let reading =
        crate::config::load::read_text(text, Language::Toml, "shop.toml".as_ref(), &config.variables);
    config.take(reading);
    let config = config.reading_env();
    assert_eq!((config.share(), config.resource.get("team")), (0.5, Some("b")));
    assert_eq!(config.resource.get("zone.name"), Some("z"));
    let variables = [("THROUGHLINE_TRACING_SAMPLING_PROBABILITY", "0.7"), ("OTEL_TRACES_SAMPLER_ARG", "0.6")];
    let config = of_text(text, Language::Toml, &variables).reading_env();
    assert_eq!(config.share(), 0.7, "ours before OpenTelemetry's");
    let explained = config.explain().into_iter().find(|it| it.key == "tracing.sampling.probability").unwrap();
    assert_eq!(
        explained.to_string(),
        "tracing.sampling.probability = 0.7  # THROUGHLINE_TRACING_SAMPLING_PROBABILITY"
    );
    let explained = toml(text).explain();
    let line = |key| explained.iter().find(|it| it.key == key).unwrap().to_string();
    assert_eq!(line("tracing.sampling.probability"), "tracing.sampling.probability = 0.5  # shop.toml:2");
    assert_eq!(line("metrics.interval"), "metrics.interval = \"10s\"  # default");
}

#[test]
fn a_section_makes_its_exporter_and_its_switch_unmakes_it() {
    let sections = [
        ("syslog", "logging.syslog.endpoint = 'udp://127.0.0.1:514'", "logging.syslog"),
        ("journald", "logging.journald.enabled = true", "logging.journald"),
        (
            "loki",
            "logging.loki = { endpoint = 'http://a:3100', labels.env = 'x', tenant = 't' }",
            "logging.loki",
        ),
        (
            "elasticsearch",
            "logging.elasticsearch = { endpoint = 'http://a', api_key = 'k' }",
            "logging.elasticsearch",
        ),
        ("zipkin", "tracing.zipkin.endpoint = 'http://a:9411'", "tracing.zipkin"),
        ("log", "logging.format = 'json'", ""),
        ("otlp-file", "otlp.file.path = '/tmp/throughline-test.jsonl'", "otlp.file"),
        #[cfg(feature = "prometheus")]
        (
            "pushgateway",
            "metrics.pushgateway = { endpoint = 'http://a:9091', grouping.i = '1' }",
            "metrics.pushgateway",
        ),
        #[cfg(feature = "prometheus")]
        (
            "remote-write",
            "metrics.remote_write = { endpoint = 'http://a:9090', headers.a = 'b', interval = '15s' }",
            "metrics.remote_write",
        ),
    ];
    let names = |config: &Config| {
        let made = crate::config::exporters::exporters(config).unwrap();
        made.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&toml("")), Vec::<String>::new());
    for (name, text, section) in sections {
        let on = toml(text);
        assert_eq!(names(&on), [name], "{text}");
        assert!(!on.draws(true) && toml("").draws(false));
        if !section.is_empty() {
            let name = format!("THROUGHLINE_{}_ENABLED", section.replace('.', "_").to_uppercase());
            let off = of_text(text, Language::Toml, &[(&name, "false")]).reading_env();
            assert_eq!(names(&off), Vec::<String>::new(), "{text}");
        }
    }
    // OpenTelemetry's variable for Zipkin's address turns Zipkin on only if the exporter is named too.
    let zipkin =
        [("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://a:9411/api/v2/spans"), ("OTEL_TRACES_EXPORTER", "zipkin")];
    assert_eq!(names(&bare(&zipkin[..1]).reading_env()), Vec::<String>::new());
    assert_eq!(names(&bare(&zipkin).reading_env()), ["zipkin"]);
}

#[test]
fn sums_and_histograms_are_sent_over_otlp_as_the_keys_say() {
    let client = |text: &str| {
        let config = toml(&format!("otlp.endpoint = 'http://a:4318'\n{text}"));
        format!("{:?}", crate::config::exporters::client(&config).unwrap().unwrap())
    };
    let usual = client("");
    assert!(
        usual.contains("temporality: Cumulative") && usual.contains("histograms: Exponential"),
        "{usual}"
    );
    let other = client("metrics.temporality = 'lowmemory'\nmetrics.histograms = 'explicit'");
    assert!(other.contains("temporality: LowMemory") && other.contains("histograms: Explicit"), "{other}");
}

#[test]
fn a_signal_that_goes_nowhere_beside_others_is_told() {
    let unsent = |text: &str| {
        let config = toml(text);
        let client = crate::config::exporters::client(&config).unwrap();
        config.unsent(client.as_ref(), false)
    };
    let one = "tracing.otlp.endpoint = 'http://a:4318'\n";
    let told = unsent(one);
    assert_eq!(
        told,
        [
            "logs go nowhere: give logging.otlp.endpoint or otlp.endpoint, or set logging.exporters to none",
            "metrics go nowhere: give metrics.otlp.endpoint or otlp.endpoint, or set metrics.exporters to none",
        ]
    );
    assert_eq!(unsent("otlp.endpoint = 'http://a:4318'"), Vec::<String>::new());
    let others = "logging.syslog.facility = 'user'\nmetrics.pushgateway.endpoint = 'http://a:9091'";
    assert_eq!(unsent(&format!("{one}{others}")), Vec::<String>::new());
    assert_eq!(
        unsent(&format!("{one}logging.format = 'json'\nmetrics.exporters = ['none']")),
        Vec::<String>::new()
    );
    assert_eq!(
        unsent(&format!("{one}logging.enabled = false\nmetrics.enabled = false")),
        Vec::<String>::new()
    );
}

#[test]
fn secrets_are_never_shown() {
    let text = r#"
        [otlp]
        endpoint = "https://user:hunter1@collector:4318"
        headers = { authorization = "Bearer hunter2" }
        [service]
        version = "${DEPLOY_TOKEN}"
        [logging.loki]
        labels = "hunter5"
        batch_size = "${LOKI_PASSWORD}"
        headers.authorization = "hunter4"
    "#;
    let variables = [
        ("DEPLOY_TOKEN", "hunter3"),
        ("LOKI_PASSWORD", "hunter6"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter7"),
        ("THROUGHLINE_METRICS_OTLP_HEADERS", "x=hunter8"),
        ("THROUGHLINE_LOGGING_ELASTICSEARCH_API_KEY", "hunter9"),
    ];
    let config = of_text(text, Language::Toml, &variables).reading_env();
    let mut shown =
        format!("{:?}\n{}\n{}", config.settings, errors(&config).join("\n"), warnings(&config).join("\n"));
    for explained in config.explain() {
        shown += &format!("\n{explained}\n{}", explained.json());
    }
    let found: Vec<&str> = shown.lines().filter(|line| line.contains("hunter")).collect();
    assert!(found.is_empty(), "{found:#?}");
    assert!(shown.contains(MASK) && shown.contains("https://[REDACTED]@collector:4318"), "{shown}");
    // Attributes of the resource may be shown, because they are sent; headers must not be in a debug text.
    let config = bare(&[("OTEL_EXPORTER_OTLP_HEADERS", "k=hunter2"), ("OTHER", "hunter3")]).reading_env();
    assert!(!format!("{config:?}").contains("hunter"));
}

#[test]
fn an_export_has_the_time_that_the_standards_variables_give_it() {
    let config = bare(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "700"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "3000"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "4000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "0"),
    ])
    .reading_env();
    assert_eq!((errors(&config), warnings(&config)), (Vec::new(), Vec::new()));
    let client = format!("{:?}", crate::config::exporters::client(&config).unwrap().unwrap());
    for times in
        ["timeout: 3s, retry_for: 3s,", "timeout: 700ms, retry_for: 4s,", "timeout: 10s, retry_for: 60s,"]
    {
        assert!(client.contains(times), "{times} in {client}");
    }
}

#[test]
fn logs_have_batches_of_their_own_if_a_key_says_so() {
    let limits = |text: &str| {
        let (all, logs) = toml(text).limits();
        let three = |limits: throughline_export::Limits| {
            (limits.batch_bytes, limits.interval.as_millis(), limits.queue)
        };
        (three(all), three(logs))
    };
    let usual = (512 * 1024, 1000, 16);
    assert_eq!(limits(""), (usual, usual));
    assert_eq!(limits("tracing.batch.scheduled_delay = '2s'").1, (512 * 1024, 2000, 16));
    let text = "[logging.batch]\nscheduled_delay = '3s'\nmax_export_batch_size = 64\nmax_queue_size = 640";
    assert_eq!(limits(text), (usual, (64 * 1024, 3000, 10)));
}

#[test]
fn standard_output_is_drawn_on_if_a_list_names_it() {
    let draws = |text: &str| {
        let config = toml(text);
        (config.draws(true), config.draws_on_stdout())
    };
    assert_eq!(draws("[[telemetry.tracing.exporters]]\ntype = 'stdout'"), (true, true));
    assert_eq!(draws("tracing.exporters = ['console']"), (true, false));
    assert_eq!(draws("tracing.exporters = ['stdout']\nterminal.output = 'stderr'"), (true, false));
    let env = bare(&[("OTEL_TRACES_EXPORTER", "console")]).reading_env();
    assert!(env.draws(true) && env.draws_on_stdout(), "OpenTelemetry's console is standard output");
}
