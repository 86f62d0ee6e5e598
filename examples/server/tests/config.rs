//! The service with its configuration file: every output that needs no other server.

use std::process::Command;

use throughline_std::Config;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/throughline.toml");

#[test]
fn one_file_turns_every_output_on() {
    let folder = std::env::temp_dir().join(format!("throughline-server-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (log, trace) = (folder.join("thermostat.log"), folder.join("trace.json"));
    let otlp = folder.join("otlp.jsonl");
    let mut command = Command::new(env!("CARGO_BIN_EXE_server-example"));
    command.args(["--config", FILE, "--listen", "127.0.0.1:0", "--drive", "20"]);
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("OTEL_") || key == "RUST_LOG") {
        command.env_remove(key);
    }
    // The environment overrides the file: ports may be taken on this machine.
    command.env("THROUGHLINE_METRICS_PROMETHEUS_PORT", "0").env("THROUGHLINE_ADMIN_PORT", "0");
    let output =
        command.env("LOG_FILE", &log).env("TRACE_FILE", &trace).env("OTLP_FILE", &otlp).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("http.request") && told.contains("log-file: "),
        "the terminal draws, the ledger is told: {told}"
    );
    let lines = std::fs::read_to_string(&log).unwrap();
    assert!(lines.lines().count() > 0);
    for line in lines.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["trace_id"].is_string(), "{line}");
        assert_ne!(object["level"], "DEBUG", "the file takes info and above");
    }
    assert!(std::fs::read_to_string(&trace).unwrap().contains("\"http.request\""));
    let requests = std::fs::read_to_string(&otlp).unwrap();
    for signal in ["{\"resourceSpans\":", "{\"resourceLogs\":", "{\"resourceMetrics\":"] {
        assert!(requests.lines().any(|line| line.starts_with(signal)), "{signal}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_commented_out_is_right_too() {
    let text: String = std::fs::read_to_string(FILE)
        .unwrap()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let path = std::env::temp_dir().join(format!("throughline-server-all-{}.toml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let loaded = Config::load(&path);
    std::fs::remove_file(&path).unwrap();
    let config = loaded.unwrap();
    assert_eq!(config.warnings(), []);
    // Only what this build lacks may be missing for the servers that are commented out.
    assert!(config.findings().iter().all(|problem| problem.feature.is_some()), "{:?}", config.findings());
    let said: Vec<String> = config
        .explain()
        .into_iter()
        .filter(|it| it.origin.to_string() != "default")
        .map(|it| it.key)
        .collect();
    for section in
        ["otlp.endpoint", "otlp.spool.directory", "logging.loki.endpoint", "metrics.pushgateway.endpoint"]
    {
        assert!(said.iter().any(|key| key == section), "{section} in {said:?}");
    }
}
