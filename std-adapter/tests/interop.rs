//! Sends records to real servers and checks what they stored: Zipkin, and VictoriaLogs in place of Loki and
//! Elasticsearch. `cargo xtask interop` installs and starts the servers, and passes their addresses in
//! variables.

#[path = "../export/tests/support/scrape.rs"]
mod scrape;
mod support;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::in_own_process;
use throughline::{Context, Status, info, span, warn};
use throughline_std::log::{Elastic, Loki};
use throughline_std::zipkin::Zipkin;
use throughline_std::{Config, Deadline, Exporter};

const LONG: Duration = Duration::from_secs(30);

fn address(variable: &str) -> SocketAddr {
    let at = std::env::var(variable).unwrap_or_default();
    at.parse().unwrap_or_else(|_| panic!("{variable} is `{at}`: run `cargo xtask interop`"))
}

/// Runs `work` with only this exporter. All of its records must have been delivered at the end.
fn with_exporter<R>(exporter: impl Exporter + 'static, work: impl FnOnce() -> R) -> R {
    let config = Config::new("interop").without_otlp().exporter("partner", exporter);
    let guard = throughline_std::init(&config).unwrap();
    let result = work();
    let report = guard.shutdown(LONG);
    let hop = report.ledger.exporter("partner");
    assert!(report.complete && hop.dropped_total() == 0 && hop.input > 0, "{}", report.ledger);
    result
}

/// Repeats the request until the answer is complete.
fn ask(address: SocketAddr, path: &str, is_complete: impl Fn(&str) -> bool) -> String {
    let deadline = Deadline::within(LONG);
    loop {
        let answer = scrape::get(address, path, "Connection: close\r\nAccept-Encoding: identity\r\n");
        let text = unchunked(&answer);
        if answer.status == 200 && is_complete(&text) {
            return text;
        }
        assert!(deadline.pause(Duration::from_millis(100)), "{path} answers {}: {text}", answer.status);
    }
}

/// The body of the answer. Chunks are joined.
fn unchunked(answer: &scrape::Answer) -> String {
    if !answer
        .headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked")
    {
        return answer.text().to_owned();
    }
    let (mut rest, mut body) = (answer.text(), String::new());
    while let Some((length, tail)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        body += &tail[..length];
        rest = tail[length..].trim_start_matches("\r\n");
    }
    body
}

/// A word that no earlier run has used, because servers may keep older records.
fn unique() -> String {
    format!("w{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos())
}

#[test]
#[ignore = "needs Zipkin: `cargo xtask interop`"]
fn zipkin_shows_the_trace() {
    in_own_process("zipkin_shows_the_trace", || {
        let address = address("THROUGHLINE_ZIPKIN");
        let zipkin = Zipkin::new(&format!("http://{address}"), "shop").unwrap();
        let trace_id = with_exporter(zipkin, || {
            let mut outer = span!(kind: Server, "GET /orders", user = "ann\"\n", n = 7);
            outer.set_status(Status::Error);
            let _inner = span!(kind: Client, "query");
            Context::current().trace_context().unwrap().trace_id.to_string()
        });
        let trace = ask(address, &format!("/api/v2/trace/{trace_id}"), |text| text.contains("query"));
        let spans: Vec<serde_json::Value> = serde_json::from_str(&trace).unwrap();
        let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
        // Zipkin converts names to lower case.
        let (outer, inner) = (named("get /orders"), named("query"));
        assert_eq!((&outer["kind"], &inner["kind"]), (&"SERVER".into(), &"CLIENT".into()));
        assert_eq!((&inner["parentId"], &outer["parentId"]), (&outer["id"], &serde_json::Value::Null));
        assert_eq!((&outer["tags"]["user"], &outer["tags"]["n"]), (&"ann\"\n".into(), &"7".into()));
        assert_eq!(outer["tags"]["otel.status_code"], "ERROR");
        assert_eq!(outer["localEndpoint"]["serviceName"], "shop");
        assert!(outer["duration"].as_u64() >= inner["duration"].as_u64());
    });
}

/// Logs two records with this word, the second one in a span. Returns the span's trace id.
fn log_two(word: &str) -> String {
    warn!("lone {n} of {word}", n = 1, word = word);
    let _span = span!("request");
    info!("left {n} of {word}", n = 7, word = word);
    Context::current().trace_context().unwrap().trace_id.to_string()
}

/// The two records that VictoriaLogs returns for a query, once it has both.
fn stored(address: SocketAddr, query: &str) -> Vec<serde_json::Value> {
    let path = format!("/select/logsql/query?query={}", query.replace(' ', "%20").replace('|', "%7C"));
    let text = ask(address, &path, |text| text.lines().count() == 2);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[ignore = "needs VictoriaLogs: `cargo xtask interop`"]
fn victoria_logs_takes_what_loki_gets() {
    in_own_process("victoria_logs_takes_what_loki_gets", || {
        let address = address("THROUGHLINE_VICTORIA_LOGS");
        let loki = Loki::new(&format!("http://{address}/insert/loki/api/v1/push"), "shop").unwrap();
        let word = unique();
        let trace_id = with_exporter(loki.label("env", "test"), || log_two(&word));
        let lines = stored(address, &format!("word:{word} | sort by (_time)"));
        assert_eq!(lines[0]["_msg"], format!("lone 1 of {word}"));
        assert_eq!(lines[0]["trace_id"], serde_json::Value::Null);
        assert_eq!(lines[1]["_msg"], format!("left 7 of {word}"));
        assert_eq!((&lines[1]["trace_id"], &lines[1]["n"]), (&trace_id.into(), &"7".into()));
        let stream = lines[1]["_stream"].as_str().unwrap();
        assert!(stream.contains("service_name=\"shop\"") && stream.contains("level=\"info\""), "{stream}");
    });
}

#[test]
#[ignore = "needs VictoriaLogs: `cargo xtask interop`"]
fn victoria_logs_takes_what_elasticsearch_gets() {
    in_own_process("victoria_logs_takes_what_elasticsearch_gets", || {
        let address = address("THROUGHLINE_VICTORIA_LOGS");
        let options = "_msg_field=message&_time_field=@timestamp&_stream_fields=service.name";
        let url = format!("http://{address}/insert/elasticsearch/_bulk?{options}");
        let elastic = Elastic::new(&url, "logs-shop-default", "shop").unwrap();
        let word = unique();
        let trace_id = with_exporter(elastic, || log_two(&word));
        let lines = stored(address, &format!("labels.word:{word} | sort by (_time)"));
        assert_eq!(lines[0]["_msg"], format!("lone 1 of {word}"));
        assert_eq!(
            (&lines[0]["log.level"], &lines[0]["trace.id"]),
            (&"warn".into(), &serde_json::Value::Null)
        );
        assert_eq!((&lines[1]["trace.id"], &lines[1]["labels.n"]), (&trace_id.into(), &"7".into()));
        assert_eq!(lines[1]["log.origin.file.name"], file!());
    });
}
