//! Mistakes that a file can hold although each of its values has the right type: each is told when the file is read or checked, not by requests that fail
//! later.

use super::{bare, of_text, warnings};
use crate::config::node::Language;

/// Everything that `throughline config check` would call a mistake, whatever features this build has.
fn findings(text: &str) -> Vec<String> {
    let findings = of_text(text, Language::Toml, &[]).findings();
    findings.iter().filter(|it| it.feature.is_none()).map(ToString::to_string).collect()
}

/// Checks that the text has exactly this one mistake.
fn assert_mistake(text: &str, told: &str) {
    let found = findings(text);
    assert!(found.len() == 1 && found[0].contains(told), "{text}\n{told}\n{found:#?}");
}

/// Checks that the text has no mistake, and exactly this one warning.
fn assert_doubt(text: &str, told: &str) {
    let config = of_text(text, Language::Toml, &[]);
    assert_eq!(findings(text), Vec::<String>::new(), "{text}");
    let found = warnings(&config);
    assert!(found.len() == 1 && found[0].contains(told), "{text}\n{told}\n{found:#?}");
}

fn assert_fine(text: &str) {
    let config = of_text(text, Language::Toml, &[]);
    assert_eq!((findings(text), warnings(&config)), (vec![], vec![]), "{text}");
}

#[test]
fn places_of_pages() {
    assert_mistake(
        "metrics.prometheus.host = 'not a host'",
        "host = `not a host` is not an address to listen on; write one such as 127.0.0.1",
    );
    assert_mistake(
        "metrics.prometheus.path = 'metrics'",
        "path = `metrics` is not the path of a page; write one that begins with a slash",
    );
    assert_mistake("health.path = 'health'", "is not the path of a page");
    assert_mistake("insights.path = 'insights'", "is not the path of a page");
    assert_mistake("admin.host = ''", "is not an address to listen on");
    #[cfg(all(feature = "prometheus", feature = "admin"))]
    for host in ["127.0.0.1", "0.0.0.0", "::1", "[::1]", "localhost", "fe80::1%eth0"] {
        assert_fine(&format!(
            "metrics.prometheus = {{ host = '{host}', path = '/m', port = 0 }}\nadmin.host = '{host}'"
        ));
    }
}

#[test]
fn targets_of_checks() {
    for (text, told) in [
        (
            "http = { a = '127.0.0.1:1/ok' }",
            "health.http has a = `127.0.0.1:1/ok`, which is no URL; write http:// or https:// and a host, such as http://stock:8080/healthz",
        ),
        ("http = { a = 'ftp://h' }", "health.http has a = `ftp://h`, which is no URL"),
        ("http = { a = 'http://h:99999' }", "health.http has a = `http://h:99999`, which is no URL"),
        (
            "tcp = { b = '127.0.0.1' }",
            "health.tcp has b = `127.0.0.1`, which is no host and port; write both, such as db:5432",
        ),
        ("tcp = { b = 'h:' }", "health.tcp has b = `h:`, which is no host and port"),
        ("tcp = { b = '::1:80' }", "health.tcp has b = `::1:80`, which is no host and port"),
        ("tcp = { b = 'http://h:80' }", "health.tcp has b = `http://h:80`, which is no host and port"),
        (
            "dns = { c = 'http://h' }",
            "health.dns has c = `http://h`, which is no name of a host; write one such as",
        ),
        ("dns = { c = '' }", "health.dns has c = ``, which is no name of a host"),
    ] {
        let found = findings(&format!("[health]\n{text}"));
        assert!(found.len() == 1 && found[0].contains(told), "{text}: {found:#?}");
    }
    let fine = "http = { a = 'https://h/ok', b = 'http://[::1]:80' }\ntcp = { c = 'db:5432', d = '[::1]:80' }\ndns = { e = 'mail.example' }";
    assert_eq!(findings(&format!("[health]\n{fine}")), [""; 0]);
}

#[cfg(all(unix, feature = "observers"))]
#[test]
fn a_folder_for_dumps_that_cannot_be_written() {
    assert_mistake(
        "[[observers]]\nname = 'a'\nwhen = 'level == \"error\"'\nactions = ['dump']\ndump.directory = '/dev/null/dumps'",
        "dump.directory cannot be used: /dev/null/dumps/",
    );
}

#[test]
fn headers_that_requests_have_of_their_own() {
    for name in
        ["content-length", "Host", "content-type", "transfer-encoding", "connection", "content-encoding"]
    {
        for section in ["otlp", "tracing.otlp", "tracing.zipkin", "logging.loki"] {
            let text = format!(
                "otlp.endpoint = 'http://a'\n{section}.headers.{name} = '1'\n{section}.endpoint = 'http://a'"
            );
            let text =
                if section == "otlp" { text.replace("otlp.endpoint = 'http://a'\no", "o") } else { text };
            assert_mistake(
                &text,
                &format!("headers has {name}, which is set for each request by itself; remove it"),
            );
        }
    }
    assert_mistake(
        "[[otlp.also]]\nendpoint = 'http://a'\nheaders.host = 'b'",
        "headers has host, which is set for each request by itself",
    );
    assert_fine("otlp = { endpoint = 'http://a', headers.authorization = 'x', headers.user-agent = 'y' }");
}

#[test]
fn no_time_and_no_room() {
    for (text, told) in [
        (
            "otlp = { endpoint = 'http://a', timeout = '0s' }",
            "otlp.timeout is 0, which leaves no time at all; give more, or remove it (the default is 10s)",
        ),
        (
            "tracing.otlp = { endpoint = 'http://a', timeout = '0' }",
            "tracing.otlp.timeout is 0, which leaves no time at all; give more, or remove it",
        ),
        ("[[otlp.also]]\nendpoint = 'http://a'\ntimeout = '0s'", "timeout is 0"),
        ("metrics.interval = '0s'", "metrics.interval is 0"),
        ("reload.interval = '0s'", "reload.interval is 0"),
        ("insights.window = '0s'", "insights.window is 0"),
        ("events.webhook.spool.max_size = 0", "events.webhook.spool.max_size is 0"),
        ("events.kafka.spool.max_size = 0", "events.kafka.spool.max_size is 0"),
        ("health.interval = '0s'\nhealth.enabled = false", "health.interval is 0"),
        (
            "logging.file = { path = '/tmp/throughline-zero.log', max_size = 0 }",
            "max_size is 0, which leaves no room at all",
        ),
    ] {
        assert_mistake(text, told);
    }
    // Here 0 has a meaning.
    assert_fine(
        "otlp = { endpoint = 'http://a', retry_for = '0s' }\ntracing.batch.export_timeout = '0s'\nrecording.shutdown_timeout = '0s'",
    );
    for name in
        ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "OTEL_METRIC_EXPORT_INTERVAL"]
    {
        let config = bare(&[(name, "0")]).reading_env();
        let told = warnings(&config);
        assert!(
            told.len() == 1
                && told[0].starts_with(&format!("{name} is 0, which leaves no time at all; "))
                && told[0].ends_with("it is not honoured"),
            "{told:?}"
        );
        assert!(config.settings.iter().next().is_none());
    }
}

#[test]
fn files_that_two_outputs_would_write() {
    assert_mistake(
        "otlp.file.path = '/tmp/throughline-same'\nlogging.file.path = '/tmp/./throughline-same'",
        "otlp.file.path names the same file as logging.file.path; each needs a file of its own",
    );
    assert_mistake(
        "tracing.chrome.path = '/tmp/throughline-same'\nlogging.file.path = '/tmp/throughline-same'",
        "names the same file as",
    );
    assert_fine(
        "logging.file.path = '/tmp/throughline-same'\notlp.file = { path = '/tmp/throughline-same', enabled = false }",
    );
}

#[test]
fn filters_with_characters_that_no_target_has() {
    for (filter, told) in [
        ("info;debug", "`info;debug` is not a log directive: no target has a ';'"),
        (",", "`,` is not a log directive: there is no directive in it"),
        ("warn,*=info", "`*=info` is not a log directive: patterns are not supported"),
        ("svc*=info", "`svc*=info` is not a log directive: patterns are not supported"),
        ("", "is empty, so nothing would be taken; write off for that"),
    ] {
        for key in ["logging.filter", "tracing.filter", "terminal.filter"] {
            assert_mistake(&format!("{key} = '{filter}'"), told);
        }
    }
    assert_mistake(
        "logging.file = { path = '/tmp/throughline-filter.log', filter = 'svc*' }",
        "`svc*` is not a log directive",
    );
}

#[test]
fn names_of_services() {
    assert_mistake(
        "service.name = ''",
        "service.name is empty, so no backend could tell the service from others",
    );
    assert_mistake("service.name = '  '", "service.name is empty");
    assert_doubt(
        "[service]\nname = 'a'\n[throughline.service]\nname = 'b'",
        "shop.toml:2: service.name is not read, as what is beside the section throughline belongs to the application; throughline.service.name holds",
    );
    // What the application has beside ours is its own.
    assert_fine("[logging]\nlevel = 'loud'\n[throughline.service]\nname = 'b'");
}

#[test]
fn keys_that_mean_the_same() {
    assert_doubt(
        "[tracing]\nendpoint = 'http://a:4318'\n[[tracing.exporters]]\ntype = 'tempo'\nendpoint = 'http://b:4318'",
        "shop.toml:5: tracing.exporters.endpoint replaces tracing.endpoint of line 2, which means the same key; remove one of them",
    );
    assert_doubt(
        "[metrics]\ninterval = '1s'\ncollection_interval = '2s'",
        "metrics.collection_interval replaces metrics.interval of line 2",
    );
    assert_fine("[metrics]\ninterval = '1s'\ncollection_interval = '1s'");
}

#[test]
fn headers_without_a_token() {
    let config =
        |text: &str| format!("otlp = {{ endpoint = 'http://a', headers = {{ authorization = '{text}' }} }}");
    for scheme in ["Bearer ", "bearer", "Basic ${THROUGHLINE_NO_SUCH_TOKEN:-}"] {
        assert_doubt(
            &config(scheme),
            "otlp.headers has a header `authorization` without a token; if a variable holds it, set that, or remove the header",
        );
    }
    assert_doubt(&config(" "), "otlp.headers has a header `authorization` without a value");
    assert_fine(&config("Bearer s3cr3t"));
}

#[test]
fn words_beside_a_level_in_a_filter() {
    for (word, level) in [("inf", "info"), ("Wran", "warn"), ("of", "off"), ("debugg", "debug")] {
        assert_doubt(
            &format!("logging.file = {{ path = '/tmp/throughline-doubt.log', filter = 'svc=info,{word}' }}"),
            &format!(
                "logging.file.filter has `{word}`, which is no level and so holds for targets that begin like that; did you mean {level}? If not, write {word}=trace"
            ),
        );
    }
    assert_fine(
        "logging.file = { path = '/tmp/throughline-doubt.log', filter = 'INFO,inf=trace,trail,svc' }",
    );
}

#[test]
fn what_has_no_effect_or_another_one() {
    assert_doubt(
        "otlp = { endpoint = 'http://a', token.file = '/nope' }",
        "otlp.token.file names a file that cannot be read: No such file",
    );
    assert_doubt(
        "otlp.endpoint = 'http://a:4318/v1/traces'",
        "otlp.endpoint ends in /v1/traces, to which /v1/traces and so on are appended; leave that out, or write it in tracing.otlp.endpoint",
    );
    assert_doubt("[[otlp.also]]\nendpoint = 'http://a/v1/logs/'", "ends in /v1/logs");
    assert_fine("tracing.otlp.endpoint = 'http://a:4318/v1/traces'");
    assert_doubt(
        "otlp = { endpoint = 'http://a', spool = { directory = '/tmp/throughline-small-spool', max_size = '64KiB' } }",
        "= 64KiB has not room for two batches, which have up to 512KiB each (tracing.batch.max_export_batch_size); batches that find no room are dropped and counted: give 1MiB or more",
    );
    assert_fine(
        "otlp = { endpoint = 'http://a', spool = { directory = '/tmp/throughline-small-spool', max_size = '1MiB' } }",
    );
    assert_doubt(
        "otlp.spool.directory = '/tmp/throughline-idle-spool'",
        "otlp.spool.directory has no effect, as nothing is sent by OTLP; give otlp.endpoint too",
    );
    assert_doubt(
        "tracing.sampling = { strategy = 'always_off', critical_paths = ['/pay'] }",
        "strategy = always_off does not hold for traces that fit tracing.sampling.critical_paths, which are kept all the same",
    );
    assert_doubt(
        "tracing.sampling = { strategy = 'always_off', rules = { '/pay' = 0.5 } }",
        "does not hold for traces that fit tracing.sampling.rules",
    );
    assert_fine("tracing.sampling.strategy = 'always_off'");
}

#[test]
fn what_a_later_layer_mends_is_not_told() {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318")];
    let config = of_text("otlp.spool.directory = '/tmp/throughline-idle-spool'", Language::Toml, &variables);
    assert_eq!(warnings(&config).len(), 1);
    assert_eq!(warnings(&config.reading_env()), Vec::<String>::new());
}

#[test]
fn placeholders_that_do_not_end() {
    let text = |message: &str| {
        format!("[[observers]]\nname = 'a'\nwhen = 'true'\nactions = ['log']\nlog.message = '{message}'")
    };
    assert_mistake(&text("slow: {name"), "log.message has a `{` without a `}` after its name; close it");
    assert_mistake(&text("{a {name}"), "log.message has a `{` without a `}`");
    for fine in ["{name}", "{{ {name:.1} }}", "no braces", "{{"] {
        assert_eq!(findings(&text(fine)), Vec::<String>::new(), "{fine}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text =
        "otlp.preset = 'grafana_cloud'\nlogging.level = 'loud'\nlogging.file.path = '/proc/none/shop.log'\n";
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grcp"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1s"),
    ];
    let config = of_text(text, Language::Toml, &variables).reading_env();
    let error = config.check().unwrap_err();
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    let begins = [
        "OTEL_EXPORTER_OTLP_ENDPOINT = `ftp://x` is not an http:// URL",
        "shop.toml:1: otlp.preset = grafana_cloud wants otlp.instance_id too",
        "shop.toml:1: otlp.preset = grafana_cloud wants otlp.api_key too",
        "shop.toml:1: otlp.preset = grafana_cloud wants otlp.region too",
        "shop.toml:2: logging.level = `loud` is not",
        "shop.toml:3: logging.file.path cannot be used: ",
        "warning: OTEL_EXPORTER_OTLP_PROTOCOL = `grcp` is not",
        "warning: OTEL_BSP_SCHEDULE_DELAY = `1s` is not a number of milliseconds",
    ];
    assert!(
        lines.len() == begins.len() && lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)),
        "{lines:#?}"
    );
    assert_eq!((error.problems().len(), error.warnings().len()), (6, 2));
}

#[cfg(feature = "observers")]
#[test]
fn all_that_is_wrong_with_observers_is_told_at_once() {
    let text = "[[observers]]\nname = 'a'\nactions = ['webhook', 'command']\nwhen = 'true'\n[[observers]]\nname = 'b'\nwhen = 'true'\nactions = ['dump']\n";
    let found = findings(text);
    let told = ["the action webhook wants", "the action command wants", "the action dump wants"];
    assert!(
        found.len() == told.len() && found.iter().zip(told).all(|(it, told)| it.contains(told)),
        "{found:#?}"
    );
}

/// Checks that the text has exactly these mistakes, each of which has a part of its own.
fn assert_mistakes(text: &str, told: &[&str]) {
    let found = findings(text);
    let is_told = |part: &&str| found.iter().filter(|it| it.contains(*part)).count() == 1;
    assert!(found.len() == told.len() && told.iter().all(is_told), "{text}\n{told:#?}\n{found:#?}");
}

#[cfg(feature = "alerts")]
#[test]
fn all_that_is_wrong_with_alerts_is_told_at_once() {
    assert_mistakes(
        "[alerts]\nrules_file = '/none/rules.yaml'\nescalate_after = { pager = '30m', slack = '1h', webhook = 'soon' }\n\
         [alerts.notification]\nslack.webhook_url = 'not a url'\nwebhook = { url = 'ftp://h', secret_file = '/none/secret' }\n\
         alertmanager.url = 'nowhere'\ncommand.run = []\n",
        &[
            "alerts.rules_file cannot be used: ",
            "alerts.escalate_after cannot be used: there is no receiver `pager`",
            "alerts.escalate_after cannot be used: `soon` is no duration",
            "slack.webhook_url cannot be used: ",
            "webhook.url cannot be used: ",
            "webhook.secret_file cannot be used: `/none/secret` cannot be read",
            "alertmanager.url cannot be used: ",
            "command.run cannot be used: it is empty",
        ],
    );
}

/// What a file that a key names holds does not follow from a mistake beside it.
#[cfg(feature = "alerts")]
#[test]
fn a_missing_file_is_told_beside_an_unknown_key() {
    let told = |text: &str| {
        let config = of_text(text, Language::Toml, &[]);
        config.check().unwrap_err().problems().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let both = told("[alerts]\nrules_file = '/none/rules.yaml'\nintervall = '5s'\n");
    assert!(both.len() == 2 && both[0].contains("alerts.rules_file cannot be used: /none/"), "{both:#?}");
    assert!(both[1].contains("alerts.intervall is not a key"), "{both:#?}");
    // The key that is missing here may be meant by the other.
    assert_eq!(told("[alerts]\nenabled = true\nrule_file = '/none/rules.yaml'\n").len(), 1);
}

#[cfg(feature = "health")]
#[test]
fn all_that_is_wrong_with_health_is_told_at_once() {
    assert_mistakes(
        "admin.certificate = '/none/cert.pem'\n[health]\nport = 1\noptional = ['a', 'b', 'stock']\ntcp = { stock = 'h:1', data = 'h:2' }\ndns = { data = 'h' }\n",
        &[
            "admin.certificate wants admin.certificate_key too",
            "admin.certificate cannot be used: `/none/cert.pem` cannot be read",
            "health.optional cannot be used: there is no check `a`",
            "health.optional cannot be used: there is no check `b`",
            "health.dns cannot be used: there are two checks `data`",
        ],
    );
}

#[test]
fn all_that_is_wrong_with_an_exporter_is_told_at_once() {
    let filter = "`svc*` is not a log directive";
    for (section, rest, told) in [
        ("logging.file", "path = '/proc/none/shop.log'", "logging.file.path cannot be used: "),
        ("logging.syslog", "endpoint = 'carrier://pigeon'", "logging.syslog.endpoint cannot be used: "),
        ("logging.loki", "endpoint = 'ftp://a'", "logging.loki.endpoint = `ftp://a` is not"),
        ("logging.loki", "tenant = 'a'", "wants logging.loki.endpoint too"),
        ("logging.elasticsearch", "index = 'a'", "wants logging.elasticsearch.endpoint too"),
    ] {
        assert_mistakes(&format!("[{section}]\n{rest}\nfilter = 'svc*'"), &[told, filter]);
    }
    assert_mistakes(
        "[otlp]\nendpoint = 'http://a'\nspool.max_size = '1MiB'\n[logging.otlp]\nfilter = 'svc*'\n[[otlp.also]]\nendpoint = 'http://b'\nfilter = 'svc=loud'",
        &["wants otlp.spool.directory too", filter, "`svc=loud` is not a log directive"],
    );
}

#[cfg(feature = "tls")]
#[test]
fn all_that_is_wrong_with_the_certificates_of_signals_is_told_at_once() {
    let of = |signal: &str| {
        let pair = "client_certificate = '/dev/null', client_key = '/dev/null'";
        format!("{signal}.otlp = {{ endpoint = 'https://a', certificate = '/dev/null', {pair} }}\n")
    };
    assert_mistakes(
        &(of("tracing") + &of("metrics")),
        &[
            "tracing.otlp.certificate cannot be used",
            "tracing.otlp.client_certificate cannot be used",
            "metrics.otlp.certificate cannot be used",
            "metrics.otlp.client_certificate cannot be used",
        ],
    );
}

#[cfg(feature = "events-kafka")]
#[test]
fn all_that_is_wrong_with_events_is_told_at_once() {
    let rest = "filter = 'svc*'\nspool.directory = '/proc/none'\ndead_letters = '/proc/none/dead'";
    let of_all = |section: &str| {
        [
            format!("{section}.filter cannot be used"),
            format!("{section}.spool.directory cannot be used"),
            format!("{section}.dead_letters cannot be used"),
        ]
    };
    for (section, own, told) in [
        (
            "events.webhook",
            "url = 'ftp://a'\nsecret_file = '/none/secret'",
            ["events.webhook.url cannot be used", "events.webhook.secret_file cannot be used"],
        ),
        (
            "events.kafka",
            "topic = 'no topic'\nbrokers = ['a:9092']\nusername = 'u'",
            ["events.kafka.topic cannot be used", "username wants password"],
        ),
    ] {
        let all = of_all(section);
        let told: Vec<&str> = told.into_iter().chain(all.iter().map(String::as_str)).collect();
        assert_mistakes(&format!("[{section}]\n{own}\n{rest}"), &told);
    }
}

#[test]
fn words_that_are_no_value_with_or_without_quotes() {
    let yaml = |text: &str| of_text(text, Language::Yaml, &[]).findings()[0].to_string();
    assert_mistake(
        "recording.max_threads = 'many'",
        "max_threads = `many` is not a whole number from 1 to 4294967296",
    );
    assert_mistake(
        "recording.max_threads = '64'",
        "max_threads = `64` must be a whole number from 1 to 4294967296, without quotes",
    );
    assert_mistake("logging.enabled = 'on'", "logging.enabled = `on` is not true or false; write true");
    assert_eq!(
        yaml("logging:\n  enabled: no"),
        "shop.yaml:2: logging.enabled = `no` is not true or false; write false"
    );
    assert!(!findings("recording.max_threads = 'many'")[0].contains("quotes"));
}

#[test]
fn a_file_that_cannot_be_read_is_told_once() {
    assert_mistake(
        "otlp = { endpoint = 'https://a', certificate = '/none/ca.pem' }",
        "otlp.certificate cannot be used: `/none/ca.pem` cannot be read",
    );
    let pair = "client_certificate = '/none/client.pem', client_key = '/none/client.key'";
    let found = findings(&format!("otlp = {{ endpoint = 'https://a', {pair} }}"));
    assert!(
        found.len() == 2 && found[0].contains("client.pem") && found[1].contains("client.key"),
        "{found:#?}"
    );
}

#[test]
fn schemes_in_capitals() {
    let config = of_text("otlp.endpoint = 'HTTP://Collector:4318'", Language::Toml, &[]);
    assert_eq!(config.settings.get("otlp.endpoint").unwrap().value.text(), "http://Collector:4318");
    assert_eq!(config.findings(), []);
    throughline_export::otlp::ClientConfig::new("HTTP://collector:4318").unwrap();
}
