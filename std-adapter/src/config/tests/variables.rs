//! Tests which variables of the environment are honoured, and what is told of the others.

use super::{bare, errors, of_text, value, warnings};
use crate::config::node::Language;

#[test]
fn variables_that_are_not_honoured_are_told() {
    let variables = [
        ("OTEL_BSP_SCHEDULE_DELAY", "1s"),
        ("RUST_LOG", "shop[span]=info"),
        ("THROUGHLINE_LOGING_LEVEL", "info"),
        ("THROUGHLINE_SERVICE_HOST", "10.0.0.1"),
        ("THROUGHLINE_PORT_4318_TCP", "tcp://10.0.0.1:4318"),
        ("THROUGHLINE_SOMETHING_OF_THE_PROGRAMS_OWN", "1"),
        ("JAEGER_GRPC_ENDPOINT", "jaeger:14250"),
    ];
    let config = bare(&variables).reading_env();
    assert_eq!(errors(&config), Vec::<String>::new());
    let mut told = warnings(&config);
    told.sort();
    assert_eq!(
        told,
        [
            "JAEGER_GRPC_ENDPOINT is not honoured: Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4317 and OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
            "OTEL_BSP_SCHEDULE_DELAY = `1s` is not a number of milliseconds; give one such as 5000; it is not honoured",
            "RUST_LOG has a wrong part: `shop[span]=info` is not a log directive: directives for spans and fields, in `[]`, are not supported; write `target=level`; it is not honoured",
            "RUST_LOG has no part that can be used: `trace` holds for logs",
            "THROUGHLINE_LOGING_LEVEL is not a variable of ours; did you mean THROUGHLINE_LOGGING_LEVEL?",
            "THROUGHLINE_SOMETHING_OF_THE_PROGRAMS_OWN is not a variable of ours, so it has no effect here; `throughline config reference` lists the keys that variables are named after",
        ]
    );
}

#[test]
fn a_wrong_part_of_a_list_does_not_spoil_the_others() {
    for (name, text, key, kept, told) in [
        (
            "RUST_LOG",
            "svc=off, hyper=loud,b=warn",
            "logging.filter",
            Some("\"svc=off,b=warn\""),
            &[
                "RUST_LOG has a wrong part: `hyper=loud` is not a log directive: after `=` comes a level; write trace, debug, info, warn, error or off; the other parts hold",
            ][..],
        ),
        (
            "OTEL_PROPAGATORS",
            "b3,foo",
            "propagation.formats",
            Some("[\"b3\"]"),
            &["OTEL_PROPAGATORS has `foo`, which is not "],
        ),
        (
            "OTEL_TRACES_EXPORTER",
            "otlp,datadog,console",
            "tracing.exporters",
            Some("[\"otlp\", \"stdout\"]"),
            &["OTEL_TRACES_EXPORTER has `datadog`, which is not "],
        ),
        (
            "OTEL_LOGS_EXPORTER",
            "foo",
            "logging.exporters",
            None,
            &["OTEL_LOGS_EXPORTER has `foo`, which is not "],
        ),
        (
            "RUST_LOG",
            "a=loud,b=loud",
            "logging.filter",
            None,
            &[
                "RUST_LOG has a wrong part: `a=loud`",
                "RUST_LOG has a wrong part: `b=loud`",
                "RUST_LOG has no part that can be used: `trace` holds for logs",
            ],
        ),
        (
            "RUST_LOG",
            ",",
            "logging.filter",
            None,
            &["RUST_LOG has no part that can be used: `trace` holds for logs"],
        ),
    ] {
        let config = bare(&[(name, text)]).reading_env();
        assert_eq!((errors(&config), value(&config, key).as_deref()), (vec![], kept), "{name}={text}");
        let found = warnings(&config);
        assert!(
            found.len() == told.len() && found.iter().zip(told).all(|(it, told)| it.starts_with(told)),
            "{found:#?}"
        );
        let rest = if kept.is_some() { "; the other parts hold" } else { "; it is not honoured" };
        assert!(
            found.iter().all(|it| it.ends_with(rest) || it.contains("no part that can be used")),
            "{found:#?}"
        );
    }
    // What the file says holds, and is told once, although the file is read before the environment.
    let config = of_text("logging.level = \"warn\"", Language::Toml, &[("RUST_LOG", "a=loud")]).reading_env();
    assert_eq!(warnings(&config)[1..], ["RUST_LOG has no part that can be used: `warn` holds for logs"]);
}

#[test]
fn mistyped_variables_are_told_with_the_nearest_one_and_others_are_not() {
    for (name, value, near) in [
        ("THROUGHLINE_SAMPLING_PROBABILITY", "0.1", Some("THROUGHLINE_TRACING_SAMPLING_PROBABILITY")),
        ("THROUGHLINE_OTLP_ENDPOINT_URL", "http://a", Some("THROUGHLINE_OTLP_ENDPOINT")),
        ("THROUGHLINE_OTLP_URI", "http://a", Some("THROUGHLINE_OTLP_")),
        ("THROUGHLINE_SERVICENAME", "shop", Some("THROUGHLINE_SERVICE_NAME")),
        ("THROUGHLINE_TRACING_PROBABILITY", "1", Some("THROUGHLINE_TRACING_")),
        ("THROUGHLINE_LEVEL", "info", None),
        ("THROUGHLINE_COLLECTOR_SERVICE_HOST", "10.0.0.1", None),
        ("THROUGHLINE_OTLP_SERVICE_PORT_GRPC", "4317", None),
        ("THROUGHLINE_OTLP_PORT", "tcp://10.0.0.1:4318", None),
        ("THROUGHLINE_OTLP_PORT_4318_TCP_ADDR", "10.0.0.1", None),
    ] {
        let told = warnings(&bare(&[(name, value)]).reading_env());
        assert_eq!(told.len(), usize::from(near.is_some()), "{name}: {told:?}");
        let text = format!("{name} is not a variable of ours; did you mean {}", near.unwrap_or_default());
        assert!(told.iter().all(|told| told.starts_with(&text)), "{told:?}");
    }
    for (name, near) in [
        ("OTEL_EXPORTER_OTLP_ENDPONT", Some("OTEL_EXPORTER_OTLP_ENDPOINT")),
        ("OTEL_METRIC_EXPORTER", Some("OTEL_METRICS_EXPORTER")),
        ("OTEL_EXPORTER_OTLP_LOG_ENDPOINT", Some("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")),
        ("OTEL_EXPORTER_JAEGER_ENDPOIN", Some("OTEL_EXPORTER_JAEGER_ENDPOINT")),
        ("OTEL_INSTRUMENTATION_COMMON_DEFAULT_ENABLED", None),
        ("OTEL_JAVAAGENT_LOGGING", None),
        ("OTLP_ENDPOINT", None),
    ] {
        let told = warnings(&bare(&[(name, "x")]).reading_env());
        let text = near.map(|near| {
            format!("{name} is not a variable of OpenTelemetry that is known here; did you mean {near}?")
        });
        assert_eq!(told, Vec::from_iter(text), "{name}");
    }
}

/// The variables of OpenTelemetry's page "Environment Variable Specification" and of the pages that it names, each with a
/// value that is not the default.
const SPECIFIED: &[(&str, &str)] = &[
    ("OTEL_SDK_DISABLED", "TRUE"),
    ("OTEL_ENTITIES", "service{service.name=a}"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=b"),
    ("OTEL_SERVICE_NAME", "shop"),
    ("OTEL_LOG_LEVEL", "debug"),
    ("OTEL_PROPAGATORS", "b3,baggage"),
    ("OTEL_TRACES_SAMPLER", "Parentbased_TraceIdRatio"),
    ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
    ("OTEL_BSP_SCHEDULE_DELAY", "700"),
    ("OTEL_BSP_EXPORT_TIMEOUT", "700"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "700"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "70"),
    ("OTEL_BLRP_SCHEDULE_DELAY", "700"),
    ("OTEL_BLRP_EXPORT_TIMEOUT", "700"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "700"),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "70"),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "70"),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", "70"),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "70"),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "70"),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", "70"),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", "70"),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "70"),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "70"),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "70"),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "70"),
    ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"),
    ("OTEL_EXPORTER_PROMETHEUS_PORT", "9090"),
    ("OTEL_EXPORTER_ZIPKIN_ENDPOINT", "http://zipkin:9411/api/v2/spans"),
    ("OTEL_EXPORTER_ZIPKIN_TIMEOUT", "700"),
    ("OTEL_TRACES_EXPORTER", "OTLP,console"),
    ("OTEL_METRICS_EXPORTER", "none"),
    ("OTEL_LOGS_EXPORTER", "console"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "700"),
    ("OTEL_METRIC_EXPORT_TIMEOUT", "700"),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
    ("OTEL_CONFIG_FILE", "otel.yaml"),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "otel.yaml"),
    ("OTEL_EXPORTER_OTLP_SPAN_INSECURE", "true"),
    ("OTEL_EXPORTER_OTLP_METRIC_INSECURE", "true"),
    ("OTEL_EXPORTER_JAEGER_ENDPOINT", "http://jaeger:14250"),
    ("OTEL_EXPORTER_JAEGER_PROTOCOL", "grpc"),
    ("OTEL_EXPORTER_JAEGER_AGENT_HOST", "jaeger"),
    ("OTEL_EXPORTER_JAEGER_AGENT_PORT", "6831"),
    ("OTEL_EXPORTER_JAEGER_TIMEOUT", "700"),
    ("OTEL_EXPORTER_JAEGER_USER", "ann"),
    ("OTEL_EXPORTER_JAEGER_PASSWORD", "hunter2"),
];
/// Those of `OTEL_EXPORTER_OTLP_`, which each signal has too.
const OF_SIGNALS: &[(&str, &str)] = &[
    ("ENDPOINT", "http://collector:4318"),
    ("INSECURE", "true"),
    ("CERTIFICATE", "/ca.pem"),
    ("CLIENT_KEY", "/client.key"),
    ("CLIENT_CERTIFICATE", "/client.pem"),
    ("HEADERS", "a=b"),
    ("COMPRESSION", "GZIP"),
    ("TIMEOUT", "700"),
    ("PROTOCOL", "http/json"),
];

#[test]
fn every_variable_of_the_specification_is_honoured_or_told_once() {
    let of_signals = ["", "TRACES_", "METRICS_", "LOGS_"].into_iter().flat_map(|signal| {
        OF_SIGNALS.iter().map(move |(name, value)| (format!("OTEL_EXPORTER_OTLP_{signal}{name}"), *value))
    });
    let all = SPECIFIED.iter().map(|(name, value)| ((*name).to_owned(), *value)).chain(of_signals);
    for (name, value) in all {
        let config = bare(&[(&name, value)]).reading_env();
        let is_honoured = config.settings.iter().any(|setting| setting.written == name);
        let told: Vec<String> =
            warnings(&config).into_iter().filter(|told| told.starts_with(&name)).collect();
        assert_eq!(told.len(), usize::from(!is_honoured), "{name}: {told:?}");
        assert!(!told.concat().contains("hunter2"), "{name}: {told:?}");
        // A certificate without its key is an error, which is another way to be told.
        assert!(errors(&config).is_empty() || name.contains("CLIENT_"), "{name}: {:?}", errors(&config));
    }
}

#[test]
fn switches_of_other_programs_are_answered_once_and_only_when_they_are_on() {
    for (name, value, expected) in [
        ("ENABLE_PROFILING", "true", Some("is not honoured: set THROUGHLINE_PROFILING_ENABLED=true")),
        ("ENABLE_PROFILING", "false", None),
        ("CHROME_TRACING", "1", Some("is not honoured: set THROUGHLINE_TRACING_CHROME_PATH=trace.json")),
        ("CHROME_TRACING", "0", None),
        ("JAEGER_AGENT_HOST", "jaeger", Some("Jaeger takes OTLP: set OTEL_EXPORTER_OTLP_ENDPOINT=")),
        ("JAEGER_GRPC_ENDPOINT", "j:14250", Some("OTEL_EXPORTER_OTLP_PROTOCOL=grpc")),
    ] {
        let told = warnings(&bare(&[(name, value)]).reading_env());
        assert_eq!(told.len(), usize::from(expected.is_some()), "{name}={value}: {told:?}");
        assert!(told.iter().all(|told| told.contains(expected.unwrap_or_default())), "{told:?}");
    }
}
