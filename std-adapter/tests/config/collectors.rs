//! Where OTLP goes: to several collectors, to backends that are known, to a spool, and to a file.

use super::support::receiver::Receiver;
use super::support::{in_own_process, in_own_process_with, stderr_of};
use super::{LONG, file};
use std::time::Duration;
use throughline::{counter, info, span, warn};
use throughline_std::Config;

/// The value of a header of the last request.
fn header<'r>(headers: &'r [String], name: &str) -> Option<&'r str> {
    headers.iter().find_map(|header| header.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_file_sends_to_several_collectors_each_with_its_own_headers_and_filter() {
    in_own_process(
        "collectors::a_file_sends_to_several_collectors_each_with_its_own_headers_and_filter",
        || {
            let (first, second) = (Receiver::start([]), Receiver::start([]));
            let toml = format!(
                "[otlp]\nendpoint = \"{}\"\nheaders.x-key = \"one\"\n[logging.otlp]\nfilter = \"error\"\n\
             [[otlp.also]]\nname = \"archive\"\nendpoint = \"{}\"\nheaders.x-key = \"two\"\n\
             signals = [\"logs\"]\nfilter = \"warn\"\n",
                first.endpoint, second.endpoint,
            );
            let guard = throughline_std::init(&Config::load(file("several.toml", &toml)).unwrap()).unwrap();
            drop(span!("work"));
            info!("a");
            warn!("b");
            throughline::error!("c");
            let report = guard.shutdown(LONG);
            assert!(report.complete, "{}", report.ledger);
            first.with(|r| {
                assert_eq!((r.spans.len(), r.logs.len(), header(&r.headers, "x-key")), (1, 1, Some("one")));
            });
            second.with(|r| {
                assert_eq!((r.spans.len(), r.logs.len(), header(&r.headers, "x-key")), (0, 2, Some("two")));
                assert!(r.metrics.is_empty());
            });
            assert_eq!(report.ledger.exporter("archive.logs").output, 2, "{}", report.ledger);
        },
    );
}

#[test]
fn presets_send_the_documented_headers() {
    for (at, (keys, expected)) in [
        ("preset = \"honeycomb\"\napi_key = \"k\"", &[("x-honeycomb-team", "k")][..]),
        (
            "preset = \"honeycomb\"\napi_key = \"k\"\ndataset = \"shop\"",
            &[("x-honeycomb-team", "k"), ("x-honeycomb-dataset", "shop")],
        ),
        ("preset = \"newrelic\"\napi_key = \"k\"", &[("api-key", "k")]),
        (
            "preset = \"grafana_cloud\"\ninstance_id = \"Aladdin\"\napi_key = \"open sesame\"",
            &[("authorization", "basic qwxhzgrpbjpvcgvuihnlc2ftzq==")],
        ),
        (
            "preset = \"gcp\"\nproject = \"p\"\ntoken.command = [\"echo\", \"t\"]",
            &[("authorization", "bearer t"), ("x-goog-user-project", "p")],
        ),
        ("preset = \"newrelic\"\napi_key = \"k\"\nheaders.api-key = \"mine\"", &[("api-key", "mine")]),
    ]
    .into_iter()
    .enumerate()
    {
        let number = at.to_string();
        in_own_process_with(
            "collectors::presets_send_the_documented_headers",
            &[("PRESET", &number)],
            || {
                if std::env::var("PRESET").as_deref() != Ok(&number) {
                    return;
                }
                let receiver = Receiver::start([]);
                let toml = format!("[otlp]\n{keys}\nendpoint = \"{}\"\n", receiver.endpoint);
                let config = Config::load(file("preset.toml", &toml)).unwrap();
                let guard = throughline_std::init(&config).unwrap();
                info!("sent");
                assert!(guard.shutdown(LONG).complete);
                receiver.with(|r| {
                    for (name, value) in expected {
                        assert_eq!(header(&r.headers, name), Some(*value), "{keys}: {:?}", r.headers);
                    }
                    let of_key = r.headers.iter().filter(|header| header.starts_with("api-key")).count();
                    assert!(of_key <= 1, "{:?}", r.headers);
                });
            },
        );
    }
}

#[test]
fn two_services_cannot_share_a_spool() {
    in_own_process("collectors::two_services_cannot_share_a_spool", || {
        let folder = std::env::temp_dir().join(format!("throughline-shared-spool-{}", std::process::id()));
        let toml = format!(
            "[otlp]\nendpoint = \"http://127.0.0.1:1\"\nspool.directory = \"{}\"\n",
            folder.display()
        );
        let config = Config::load(file("spool.toml", &toml)).unwrap();
        assert_eq!(config.findings(), []);
        assert!(!folder.exists(), "findings leave nothing");
        std::fs::create_dir_all(folder.join("otlp.logs")).unwrap();
        // The lock of another service.
        let lock = std::fs::File::create(folder.join("otlp.logs/lock")).unwrap();
        lock.try_lock().unwrap();
        let error = throughline_std::init(&config).unwrap_err().to_string();
        let expected = format!(
            "otlp.spool.directory cannot be used: the spool in {}/otlp.logs cannot be used: another program uses it; give each a folder of its own",
            folder.display()
        );
        assert!(error.ends_with(&expected), "{error}");
        drop(lock);
        let guard = throughline_std::init(&config).unwrap();
        info!("kept");
        let report = guard.shutdown(Duration::from_secs(2));
        assert_eq!(report.ledger.exporter("otlp.logs").spooled, 1, "{}", report.ledger);
        std::fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_file_of_otlp_lines_has_everything_and_a_filter_holds_for_the_console() {
    let test = "collectors::a_file_of_otlp_lines_has_everything_and_a_filter_holds_for_the_console";
    let stderr = stderr_of(test, || {
        let path = file("otlp.jsonl", "");
        let toml = format!(
            "service.name = \"shop\"\notlp.file.path = \"{}\"\nlogging.format = \"text\"\nterminal.filter = \"warn\"\n",
            path.display()
        );
        let guard = throughline_std::init(&Config::load(file("otlp-file.toml", &toml)).unwrap()).unwrap();
        {
            let _span = span!("checkout");
            info!("placed");
            warn!("late");
            counter!("orders").add(2);
        }
        let report = guard.shutdown(LONG);
        assert!(report.complete, "{}", report.ledger);
        let text = std::fs::read_to_string(path).unwrap();
        for part in
            ["resourceSpans", "resourceLogs", "resourceMetrics", "\"checkout\"", "placed", "late", "orders"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    });
    if let Some(stderr) = stderr {
        assert!(stderr.contains(" late") && !stderr.contains("placed"), "{stderr}");
    }
}
