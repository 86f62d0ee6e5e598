//! Asks a real Prometheus for every panel of every dashboard, while it scrapes a service under load and a Collector that gets the
//! records of a device. The configurations are those of `examples/deploy`, on other ports.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use super::model::Query;
use super::{alerts, boards, deploy_folder, rules};
use crate::collector::Collector;
use crate::net;
use crate::process::{Cmd, log_tail};
use crate::scratch::Scratch;
use crate::workspace;

/// How long the panels may take to have data. It takes some ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// The window of rates, in place of the minutes of a production system.
const WINDOW: &str = "10s";

/// Runs everything and asks for every panel. The shop and the host tool must have been built.
///
/// # Errors
///
/// The error names the panels that stayed empty, with their expressions.
pub(super) fn every_panel_has_data(collector: &Collector) -> Result<()> {
    let folder = Scratch::new("dashboards")?;
    // In place of Jaeger and of Loki.
    let mut backend = collector.start()?;
    let [grpc, http, metrics, shop, page, health, prometheus, nobody] = net::free_ports()?;
    let _collector = Program::start(
        "the Collector of examples/deploy",
        Cmd::new(collector.program())
            .arg("--config")
            .arg(deploy_folder().join("collector/collector.yaml"))
            .env("TRACES_ENDPOINT", &backend.http_endpoint)
            .env("LOGS_ENDPOINT", &backend.http_endpoint)
            .env("OTLP_GRPC_PORT", grpc.to_string())
            .env("OTLP_HTTP_PORT", http.to_string())
            .env("METRICS_PORT", metrics.to_string()),
        &folder.path().join("collector.log"),
        &[http, metrics],
    )?;
    let (pyroscope, profiles) = pyroscope()?;
    let config = folder.path().join("shop.toml");
    fs::write(&config, shop_config(nobody, folder.path())?)?;
    let _shop = Program::start(
        "the shop",
        Cmd::new(workspace::target_dir().join("debug/shop-example"))
            .arg("--config")
            .arg(&config)
            .args(["--listen".into(), format!("127.0.0.1:{shop}"), "--load".into(), "100".to_owned()])
            .env("COLLECTOR", format!("http://127.0.0.1:{http}"))
            .env("PYROSCOPE", format!("http://{pyroscope}"))
            .env("THROUGHLINE_PROFILING_CPU_DURATION", "2s")
            .env("THROUGHLINE_PROFILING_EXPORTER_FILE_OUTPUT_DIR", folder.path().join("profiles"))
            .env("THROUGHLINE_INSIGHTS_WINDOW", "5s")
            .env("THROUGHLINE_METRICS_PROMETHEUS_HOST", "127.0.0.1")
            .env("THROUGHLINE_METRICS_PROMETHEUS_PORT", page.to_string())
            .env("THROUGHLINE_ADMIN_HOST", "127.0.0.1")
            .env("THROUGHLINE_ADMIN_PORT", health.to_string())
            .env("THROUGHLINE_ALERTS_RULES_FILE", deploy_folder().join("alerts.yaml"))
            .env("THROUGHLINE_OTLP_SPOOL_DIRECTORY", folder.path().join("spool")),
        &folder.path().join("shop.log"),
        &[shop, page, health],
    )?;
    devices(http, folder.path())?;
    let prometheus = Prometheus::start(prometheus, page, metrics, folder.path())?;
    prometheus.asked_for_every_panel()?;
    prometheus.knows_every_metric_of_the_rules()?;
    prometheus.has_exemplars()?;
    backend.wait_for_output(PATIENCE, |text| {
        ["resourceSpans", "resourceLogs", "POST /orders/{id}", "is packed"].iter().all(|it| text.contains(it))
    })?;
    println!("traces and logs of the shop have passed the Collector");
    let profile = profiles.recv_timeout(PATIENCE).context("no profile was sent")?;
    if !profile.starts_with("POST /ingest?") || !profile.contains("name=shop") {
        bail!("Pyroscope was asked for something else: {profile}");
    }
    println!("profiles of the shop are sent to Pyroscope");
    Ok(())
}

/// In place of Pyroscope: answers every request, and passes on its first line.
fn pyroscope() -> Result<(SocketAddr, Receiver<String>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (address, (lines, received)) = (listener.local_addr()?, channel());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            // The body is left unread: whether the backend takes it is tested elsewhere.
            if stream.read_line(&mut line).is_ok() {
                let _ = stream
                    .get_mut()
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = lines.send(line);
            }
        }
    });
    Ok((address, received))
}

/// The shop's configuration, with a second collector where nobody listens, so that there are retries and a spool, and with an observer whose action fails.
fn shop_config(nobody: u16, folder: &Path) -> Result<String> {
    let text = fs::read_to_string(deploy_folder().join("shop.toml"))?;
    let spool = Value::from(folder.join("away").to_string_lossy());
    let endpoint = format!("http://127.0.0.1:{nobody}");
    Ok(format!(
        "{text}\n[[observers]]\nname = \"fails\"\nwhen = \"kind == 'server'\"\ncount = 20\nwithin = \"1h\"\nactions = [\"command\"]\n\
         command.run = [\"/bin/false\"]\n\n[[otlp.also]]\nname = \"away\"\nendpoint = \"{endpoint}\"\nretry_for = \"2s\"\nspool.directory = {spool}\n"
    ))
}

/// Sends what two devices have recorded, one of them with damage, through the host tool to the Collector.
fn devices(http: u16, folder: &Path) -> Result<()> {
    let captures = workspace::root().join("std-adapter/decode/tests/captures");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos();
    for capture in ["v1-everything-64.bin", "v1-damaged.bin"] {
        let tool = Cmd::new(workspace::target_dir().join("debug/throughline"))
            .args(["decode", "--format", "none", "--service-name", "thermostat", "--elf"])
            .arg(captures.join("v1.elf"))
            .args(["--otlp".into(), format!("http://127.0.0.1:{http}"), "--anchor".into(), now.to_string()])
            .arg(captures.join(capture));
        println!("$ {tool}");
        let status = tool.spawn_logged(&folder.join("devices.log"))?.wait()?;
        // 2 means that the capture is damaged, which one is on purpose.
        if !matches!(status.code(), Some(0 | 2)) {
            bail!("`{tool}` failed: {status}\n{}", log_tail(&folder.join("devices.log")));
        }
    }
    Ok(())
}

/// A program that ends when it is dropped.
struct Program(Child);

impl Program {
    /// Starts it and waits until it listens on these ports.
    fn start(what: &str, command: Cmd, log: &Path, ports: &[u16]) -> Result<Program> {
        println!("$ {command}");
        let mut program = Program(command.spawn_logged(log)?);
        net::wait_for(&format!("{what} to listen"), PATIENCE, || {
            if let Some(status) = program.0.try_wait()? {
                bail!("{what} has ended: {status}");
            }
            Ok(ports.iter().all(|port| net::listens(*port)).then_some(()))
        })
        .map_err(|error| anyhow!("{error:#}\n{}", log_tail(log)))?;
        Ok(program)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both calls fail only if the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running Prometheus with the configuration of `examples/deploy`.
struct Prometheus {
    port: u16,
    _program: Program,
}

impl Prometheus {
    fn start(port: u16, page: u16, metrics: u16, folder: &Path) -> Result<Prometheus> {
        let text = fs::read_to_string(deploy_folder().join("prometheus/prometheus.yaml"))?;
        let replaced = [
            ("15s", "500ms".to_owned()),
            ("shop:9464", format!("127.0.0.1:{page}")),
            ("collector:8889", format!("127.0.0.1:{metrics}")),
        ];
        let text = replaced.iter().try_fold(text, |text, (old, new)| {
            if !text.contains(old) {
                bail!("prometheus.yaml has no `{old}` any more: say in {} what to replace", file!());
            }
            Ok(text.replace(old, new))
        })?;
        fs::write(folder.join("prometheus.yaml"), text)?;
        fs::copy(deploy_folder().join("prometheus/rules.yaml"), folder.join("rules.yaml"))?;
        let command = Cmd::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--enable-feature=exemplar-storage");
        let program = Program::start("Prometheus", command, &folder.join("prometheus.log"), &[port])?;
        let started = Prometheus { port, _program: program };
        // It listens before it answers.
        net::wait_for("Prometheus to be ready", PATIENCE, || Ok(started.has_data("vector(1)").ok()))?;
        Ok(started)
    }

    /// Asks until every query of every panel has data.
    fn asked_for_every_panel(&self) -> Result<()> {
        let mut left: Vec<(String, String)> = Vec::new();
        for panel in boards::ALL.iter().flat_map(|it| it.rows).flat_map(|it| it.panels) {
            for query in panel.queries {
                left.push((panel.title.to_owned(), expression(query)));
            }
        }
        let (all, start) = (left.len(), Instant::now());
        loop {
            let mut missing = Vec::new();
            for (title, expr) in left {
                if !self.has_data(&expr).with_context(|| format!("the panel {title}: {expr}"))? {
                    missing.push((title, expr));
                }
            }
            left = missing;
            if left.is_empty() {
                println!("all {all} queries of the panels have data");
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let list: String = left.iter().map(|(title, expr)| format!("\n  {title}: {expr}")).collect();
                bail!("{} of {all} queries have no data:{list}", left.len());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Whether an expression has a value that is a number.
    fn has_data(&self, expr: &str) -> Result<bool> {
        let found = self.ask(&format!("/api/v1/query?query={}", encoded(expr)))?;
        let series = found["result"].as_array().context("no vector")?;
        let is_number = |value: &Value| value["value"][1].as_str().is_some_and(|text| text != "NaN");
        Ok(series.iter().any(is_number))
    }

    /// Whether there is a series for each metric that an alert or a recording rule names.
    fn knows_every_metric_of_the_rules(&self) -> Result<()> {
        let mut names: Vec<&str> = Vec::new();
        for rule in alerts::ALL.iter().flat_map(|it| it.rules) {
            names.extend(metrics(match rule {
                rules::Rule::Record { expr, .. } => expr,
                rules::Rule::Alert(alert) => alert.expr,
            }));
        }
        names.sort_unstable();
        names.dedup();
        // A rule is evaluated once a minute, so what the rules record is not there yet.
        names.retain(|name| !name.contains(':'));
        // It begins with the first step of the clock, which cannot be had here.
        names.retain(|name| *name != "throughline_clock_steps_total");
        for name in &names {
            if !self.has_data(name)? {
                bail!("the rules name `{name}`, but there is no such series");
            }
        }
        println!("all {} metrics of the rules are there", names.len());
        Ok(())
    }

    /// Whether latencies lead to traces.
    fn has_exemplars(&self) -> Result<()> {
        let path = format!(
            "/api/v1/query_exemplars?query={}&start=0&end=9999999999",
            encoded("http_server_request_duration_seconds_bucket")
        );
        let found = self.ask(&path)?;
        let id = found[0]["exemplars"][0]["labels"]["trace_id"].as_str().unwrap_or_default();
        if id.len() != 32 {
            bail!("latencies have no exemplars with the label `trace_id`: {found}");
        }
        println!("latencies have exemplars, such as of trace {id}");
        Ok(())
    }

    fn ask(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // As HTTP/1.0, so that the answer comes in one piece and the connection ends with it.
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: Value = serde_json::from_str(body).with_context(|| format!("no JSON: {answer}"))?;
        match body["status"].as_str() {
            Some("success") => Ok(body["data"].clone()),
            _ => bail!("{body}"),
        }
    }
}

fn expression(query: &Query) -> String {
    query.with("job=~\".+\", instance=~\".+\"", WINDOW)
}

/// The names of metrics in an expression, known by their beginnings.
fn metrics(expr: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expr.split(move |c| !is_part(c));
    let beginnings = ["health_", "http_server_", "job:", "process_", "rpc_server_", "throughline_"];
    words.filter(move |word| *word == "up" || beginnings.iter().any(|it| word.starts_with(it)))
}

/// Percent-encoded for a URL's query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_found_in_expressions() {
        let expr =
            "sum by (job) (rate(throughline_records_total{hop=\"link\"}[5m])) / up > 0 and job:x:rate5m";
        assert_eq!(metrics(expr).collect::<Vec<_>>(), ["throughline_records_total", "up", "job:x:rate5m"]);
    }
}
