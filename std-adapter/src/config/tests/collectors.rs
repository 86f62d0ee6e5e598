//! Tests of several collectors, presets, tokens, spools and filters of outputs.

use super::{errors, of_text, toml, warnings};
use crate::config::exporters::{client, further};
use crate::config::node::Language;
use throughline_export::otlp::Signal;

#[test]
fn a_list_adds_collectors_with_settings_of_their_own() {
    let config = toml(
        "[otlp]\nendpoint = 'http://a:4318'\nheaders.x-key = 'hunter2'\n\
         [[otlp.also]]\nname = 'archive'\nendpoint = 'http://b:4318'\nsignals = ['logs']\nfilter = 'warn'\n\
         [[otlp.also]]\nendpoint = 'http://c:4318'\nspool.directory = '/s'\n",
    );
    let first = client(&config).unwrap().unwrap();
    let others: Vec<_> = further(&config).into_iter().map(Result::unwrap).collect();
    let names: Vec<&str> = others.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["archive", "otlp-3"]);
    let sent = |at: usize| Signal::ALL.map(|signal| others[at].1.sends(signal));
    assert_eq!((sent(0), sent(1)), ([false, true, false], [true; 3]));
    assert_eq!(others[0].1.url(Signal::Logs), "http://b:4318/v1/logs");
    assert_eq!(first.url(Signal::Logs), "http://a:4318/v1/logs");
    assert!(!format!("{others:?}").contains("x-key"), "the first one's headers are its own");
    let folders = others[1].1.spool_folders("otlp-3");
    assert_eq!(folders[0], std::path::Path::new("/s/otlp-3.traces"));
    assert_eq!(others[0].1.spool_folders("archive"), [] as [std::path::PathBuf; 0]);
    let explained: Vec<String> = config.explain().iter().map(ToString::to_string).collect();
    for line in [
        "otlp.also.archive.endpoint = \"http://b:4318\"  # shop.toml:6",
        "otlp.also.otlp-3.spool.directory = \"/s\"  # shop.toml:11",
    ] {
        assert!(explained.iter().any(|it| it == line), "{line} in {explained:#?}");
    }
}

#[test]
fn a_list_of_exporters_may_name_otlp_more_than_once() {
    let config = toml(
        "[telemetry.tracing]\nenabled = true\n\
         [[telemetry.tracing.exporters]]\ntype = 'otlp'\nendpoint = 'http://a:4318'\n\
         [[telemetry.tracing.exporters]]\ntype = 'tempo'\nendpoint = 'http://b:4318/in'\n",
    );
    let first = client(&config).unwrap().unwrap();
    assert_eq!(first.url(Signal::Traces), "http://a:4318/v1/traces");
    let others: Vec<_> = further(&config).into_iter().map(Result::unwrap).collect();
    assert_eq!((others.len(), others[0].1.url(Signal::Traces)), (1, "http://b:4318/in"));
    assert!(!others[0].1.sends(Signal::Logs));
}

#[test]
fn named_sections_are_collectors_too() {
    let config = toml("[otlp.also.archive]\nendpoint = 'http://b'\n[otlp.also.audit]\nendpoint = 'http://c'");
    let names: Vec<_> = further(&config).into_iter().map(|client| client.unwrap().0).collect();
    assert_eq!(names, ["archive", "audit"]);
    assert!(!config.draws(true));
    let one = toml("[otlp.also]\nendpoint = 'http://b'");
    assert_eq!(further(&one).len(), 1);
}

#[test]
fn a_later_file_replaces_the_list() {
    let mut config = toml("[[otlp.also]]\nendpoint = 'http://b'\n[[otlp.also]]\nendpoint = 'http://c'");
    let text = "[[otlp.also]]\nendpoint = 'http://d'";
    let reading = crate::config::load::read_text(text, Language::Toml, "b.toml".as_ref(), &config.variables);
    config.take(reading);
    let all: Vec<_> = further(&config).into_iter().map(|client| client.unwrap().1).collect();
    assert_eq!((all.len(), all[0].url(Signal::Traces)), (1, "http://d/v1/traces"));
}

/// The endpoints and headers as these backends document them.
#[test]
#[cfg(feature = "tls")]
fn presets_have_the_documented_endpoints() {
    for (keys, url) in [
        ("preset = 'jaeger'", "http://localhost:4318/v1/traces"),
        ("preset = 'tempo'", "http://localhost:4318/v1/traces"),
        ("preset = 'datadog'", "http://localhost:4318/v1/traces"),
        ("preset = 'honeycomb'\napi_key = 'k'", "https://api.honeycomb.io/v1/traces"),
        ("preset = 'honeycomb'\napi_key = 'k'\nregion = 'eu'", "https://api.eu1.honeycomb.io/v1/traces"),
        ("preset = 'newrelic'\napi_key = 'k'", "https://otlp.nr-data.net/v1/traces"),
        ("preset = 'newrelic'\napi_key = 'k'\nregion = 'eu'", "https://otlp.eu01.nr-data.net/v1/traces"),
        (
            "preset = 'grafana_cloud'\napi_key = 'k'\ninstance_id = '1'\nregion = 'prod-eu-west-2'",
            "https://otlp-gateway-prod-eu-west-2.grafana.net/otlp/v1/traces",
        ),
        ("preset = 'gcp'\nproject = 'p'", "https://telemetry.googleapis.com/v1/traces"),
    ] {
        let config = toml(&format!("[otlp]\n{keys}"));
        assert_eq!(client(&config).unwrap().unwrap().url(Signal::Traces), url, "{keys}");
    }
}

#[test]
fn jaeger_and_tempo_get_traces_alone_unless_more_is_said() {
    let sent = |text: &str| {
        let config = toml(text);
        let first = client(&config).unwrap().map(|client| Signal::ALL.map(|signal| client.sends(signal)));
        let other = further(&config).pop();
        first
            .or(other.map(|other| Signal::ALL.map(|signal| other.as_ref().unwrap().1.sends(signal))))
            .unwrap()
    };
    let traces = [true, false, false];
    assert_eq!(sent("otlp.preset = 'jaeger'"), traces);
    assert_eq!(sent("otlp = { preset = 'tempo', endpoint = 'http://tempo:4318' }"), traces);
    assert_eq!(sent("otlp.preset = 'jaeger'\nlogging.otlp.endpoint = 'http://logs'"), [true, true, false]);
    assert_eq!(sent("otlp.preset = 'jaeger'\nmetrics.exporters = ['otlp']"), [true, false, true]);
    assert_eq!(sent("[[otlp.also]]\npreset = 'jaeger'"), traces);
    assert_eq!(sent("[[otlp.also]]\npreset = 'jaeger'\nsignals = ['traces', 'logs']"), [true, true, false]);
    assert_eq!(sent("otlp.preset = 'datadog'"), [true; 3]);
}

#[test]
fn a_mistake_in_one_collector_does_not_hide_that_of_another() {
    let config = of_text(
        "[[otlp.also]]\nendpont = 'http://a'\nendpoint = 'http://a'\n[[otlp.also]]\npreset = 'honeycomb'\n\
         [[otlp.also]]\npreset = 'newrelic'\n[[otlp.also]]\nname = 'otlp'\nendpoint = 'http://a'",
        Language::Toml,
        &[],
    );
    let told = errors(&config);
    let expected = [
        "shop.toml:2: otlp.also[0].endpont is not a key",
        "shop.toml:5: otlp.also[1].preset = honeycomb wants otlp.api_key",
        "shop.toml:7: otlp.also[2].preset = newrelic wants otlp.api_key",
        "shop.toml:9: otlp.also[3] has the name of another collector",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:#?}");
}

#[test]
#[cfg(profiled)]
fn a_folder_of_profiles_that_cannot_be_written_is_found_by_the_check() {
    let findings = |text: &str| toml(text).findings().iter().map(ToString::to_string).collect::<Vec<_>>();
    let found = findings("profiling = { enabled = true, exporter.file_output_dir = '/proc/none' }");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("shop.toml:1: profiling.exporter.file_output_dir cannot be used: /proc/none/"),
        "{found:?}"
    );
    assert_eq!(findings("profiling = { enabled = false, exporter.file_output_dir = '/proc/none' }"), [""; 0]);
    let found =
        findings("profiling = { enabled = true, exporter.type = 'gcp', exporter.gcp_project_id = 'My' }");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("shop.toml:1: profiling.exporter.gcp_project_id cannot be used: `My` is no id"),
        "{found:?}"
    );
    let good = "profiling = { enabled = true, exporter = { type = 'gcp', gcp_project_id = 'my-project-1', gcp_service_name = 'shop' } }";
    assert_eq!(findings(good), [""; 0]);
}

#[test]
#[cfg(profiled)]
fn profiles_go_where_the_keys_say() {
    let options =
        |text: &str| format!("{:?}", toml(&format!("service.name = 'shop'\n{text}")).profiling_of_keys().0);
    assert!(!options("profiling.enabled = true").contains("ProfileClient"));
    assert!(!options("profiling.exporter.type = 'file'").contains("ProfileClient"));
    for (text, url) in [
        ("profiling.exporter.type = 'pyroscope'", "\"http://localhost:4040\", .. }, application: \"shop{}\""),
        ("profiling.pyroscope_endpoint = 'http://p:1'", "\"http://p:1\", .. }, application: \"shop{}\""),
        (
            "profiling.exporter = { type = 'otlp', endpoint = 'http://c:1' }",
            "url: \"http://c:1/v1development/profiles\"",
        ),
        (
            "profiling.exporter = { type = 'gcp', gcp_project_id = 'my-project-1' }",
            "endpoint: \"https://cloudprofiler.googleapis.com\"",
        ),
    ] {
        let told = options(text);
        assert!(told.contains(url), "{text}: {told}");
    }
}

#[test]
fn presets_want_what_their_backends_want() {
    let delta =
        |text: &str| format!("{:?}", client(&toml(text)).unwrap().unwrap()).contains("temporality: Delta");
    assert!(delta("otlp.preset = 'datadog'") && !delta("otlp.preset = 'jaeger'"));
    assert!(!delta("otlp.preset = 'datadog'\nmetrics.temporality = 'cumulative'"));
    let gcp = toml("otlp = { preset = 'gcp', project = 'p', endpoint = 'http://a' }");
    assert_eq!(gcp.resource.get("gcp.project_id"), Some("p"));
}

#[test]
fn what_is_wrong_with_collectors_is_told() {
    let said = |text: &str| {
        let config = of_text(text, Language::Toml, &[]);
        let findings: Vec<String> = config.findings().iter().map(ToString::to_string).collect();
        assert_eq!(warnings(&config), [""; 0]);
        (errors(&config), findings).1.join("\n")
    };
    for (text, expected) in [
        ("otlp.also = 3", "is a number, not further collectors; write [[otlp.also]]"),
        ("[[otlp.also]]\nname = 'a'", "otlp.also[0] has no endpoint; give one such as"),
        ("[[otlp.also]]\nendpoint = 'http://a'\nname = 'otlp'", "has the name of another collector"),
        ("[[otlp.also]]\nendpoint = 'http://a'\nname = 'a/b'", "has a name with other characters"),
        (
            "[[otlp.also]]\nendpont = 'http://a'",
            "shop.toml:2: otlp.also[0].endpont is not a key; did you mean",
        ),
        (
            "[[otlp.also]]\nendpoint = 'http://a'\nsignals = ['trace']",
            "has `trace`, which is not traces, logs or metrics",
        ),
        ("[[otlp.also]]\nendpoint = 'http://a'\nheaders.x = \"a\\n\"", "has a line break in the value of x"),
        ("[[otlp.also]]\nendpoint = 'https://a'\ncertificate = '/none'", "`/none` cannot be read"),
        (
            "[otlp.also.a]\nendpoint = 'http://a'\nfilter = 'x=loud'",
            "otlp.also.a.filter cannot be used: `x=loud` is not",
        ),
        (
            "otlp.preset = 'honeycomb'",
            "= honeycomb wants otlp.api_key too; write api_key = \"${HONEYCOMB_API_KEY}\"",
        ),
        (
            "otlp.preset = 'grafana_cloud'",
            "= grafana_cloud wants otlp.instance_id too; write instance_id = \"123456\"",
        ),
        (
            "otlp = { preset = 'newrelic', api_key = 'k', region = 'mars' }",
            "otlp.region has no such region of newrelic",
        ),
        ("otlp.api_key = 'k'", "otlp.api_key has no meaning without otlp.preset"),
        (
            "otlp = { endpoint = 'http://a', spool.max_size = '1MiB' }",
            "otlp.spool.max_size wants otlp.spool.directory too",
        ),
        (
            "otlp = { endpoint = 'http://a', spool.directory = '/proc/none' }",
            "otlp.spool.directory cannot be used: /proc/none/otlp.traces/lock cannot be opened for writing",
        ),
        (
            "otlp = { token.command = ['a'], token.file = '/dev/null' }",
            "otlp.token.file has no meaning beside otlp.token.command",
        ),
        ("terminal.filter = 'x=loud'", "terminal.filter = `x=loud` is not a log directive"),
        (
            "otlp.endpoint = 'http://a'\nlogging.otlp.filter = 'x=loud'",
            "logging.otlp.filter cannot be used: `x=loud`",
        ),
    ] {
        let told = said(text);
        assert!(told.contains(expected), "{text}:\n{told}");
    }
}
