//! Programs of others, started on loopback for one test: Prometheus, VictoriaMetrics, the Pushgateway and the
//! Collector.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use crate::support::free_address;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to start, or to do what is waited for. Both take under two seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("throughline-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running program that answers HTTP; it ends when this is dropped.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
    log: PathBuf,
    _folder: Folder,
}

impl Server {
    /// Debian's Prometheus, which scrapes `target` five times a second.
    pub fn prometheus(name: &str, target: SocketAddr, features: &str) -> Server {
        Server::configured_prometheus("prometheus", name, &scrape_config(target), features, None)
    }

    /// A Prometheus that scrapes nothing and takes remote write.
    pub fn receiving_prometheus(name: &str, features: &str) -> Server {
        let option = Some("--web.enable-remote-write-receiver");
        Server::configured_prometheus("prometheus", name, "", features, option)
    }

    /// The newest Prometheus, at the path `THROUGHLINE_PROMETHEUS`, which takes remote write.
    pub fn newest_prometheus(name: &str) -> Server {
        let program = std::env::var("THROUGHLINE_PROMETHEUS").unwrap_or_default();
        assert!(!program.is_empty(), "THROUGHLINE_PROMETHEUS is not set: run `cargo xtask interop`");
        let option = Some("--web.enable-remote-write-receiver");
        Server::configured_prometheus(&program, name, "", "exemplar-storage", option)
    }

    fn configured_prometheus(
        program: &str,
        name: &str,
        config: &str,
        features: &str,
        option: Option<&str>,
    ) -> Server {
        let folder = Folder::new(name);
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let data = folder.path().join("data");
        Server::start(program, "/-/ready", folder, |address| {
            let mut args = vec![
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address={address}"),
            ];
            if !features.is_empty() {
                args.push(format!("--enable-feature={features}"));
            }
            args.extend(option.map(str::to_owned));
            args
        })
    }

    /// The VictoriaMetrics at the path `THROUGHLINE_VICTORIA_METRICS`, which scrapes `target` five times a second.
    pub fn victoria_metrics(name: &str, target: SocketAddr) -> Server {
        let program = std::env::var("THROUGHLINE_VICTORIA_METRICS").unwrap_or_default();
        assert!(!program.is_empty(), "THROUGHLINE_VICTORIA_METRICS is not set: run `cargo xtask interop`");
        let folder = Folder::new(name);
        let config = folder.path().join("scrape.yml");
        std::fs::write(&config, scrape_config(target)).unwrap();
        let data = folder.path().join("data");
        Server::start(&program, "/health", folder, |address| {
            vec![
                format!("-promscrape.config={}", config.display()),
                format!("-storageDataPath={}", data.display()),
                format!("-httpListenAddr={address}"),
                "-retentionPeriod=100y".into(),
                // Answers show what has just arrived.
                "-search.latencyOffset=0s".into(),
                "-search.disableCache".into(),
            ]
        })
    }

    /// A Pushgateway.
    pub fn pushgateway(name: &str) -> Server {
        let folder = Folder::new(name);
        Server::start("prometheus-pushgateway", "/-/ready", folder, |address| {
            vec![format!("--web.listen-address={address}")]
        })
    }

    /// The Collector at the path `THROUGHLINE_COLLECTOR_PROGRAM`, which takes OTLP over this protocol, `http` or `grpc`,
    /// at `address` and writes it to `file`, a request in a line.
    pub fn collector(name: &str, protocol: &str, address: SocketAddr, file: &Path) -> Server {
        Server::collector_of(name, protocol, address, file, &["traces", "metrics", "logs"], &[])
    }

    /// The same for profiles, which want a gate.
    pub fn profile_collector(name: &str, protocol: &str, address: SocketAddr, file: &Path) -> Server {
        let gate = ["--feature-gates=service.profilesSupport"];
        Server::collector_of(name, protocol, address, file, &["profiles"], &gate)
    }

    fn collector_of(
        name: &str,
        protocol: &str,
        address: SocketAddr,
        file: &Path,
        signals: &[&str],
        options: &[&str],
    ) -> Server {
        let program = std::env::var("THROUGHLINE_COLLECTOR_PROGRAM").unwrap_or_default();
        assert!(
            !program.is_empty(),
            "THROUGHLINE_COLLECTOR_PROGRAM is not set: run `cargo xtask test --only collector`"
        );
        let folder = Folder::new(name);
        let config = folder.path().join("config.yaml");
        let pipelines: String = signals
            .iter()
            .map(|signal| format!("    {signal}: {{receivers: [otlp], exporters: [file]}}\n"))
            .collect();
        let text = format!(
            "receivers:\n  otlp: {{protocols: {{{protocol}: {{endpoint: \"{address}\"}}}}}}\nexporters:\n  file: {{path: {file:?}, flush_interval: 10ms}}\nservice:\n  telemetry:\n    metrics: {{level: none}}\n    logs: {{level: warn}}\n  pipelines:\n{pipelines}"
        );
        std::fs::write(&config, text).unwrap();
        let mut args: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        args.extend(["--config".into(), config.display().to_string()]);
        let listens = |server: &Server| TcpStream::connect(server.address).is_ok();
        Server::start_at(address, &program, listens, folder, args)
    }

    /// An Alertmanager that tells nobody, and joins no cluster.
    pub fn alertmanager(name: &str) -> Server {
        let folder = Folder::new(name);
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
        let data = folder.path().join("data");
        Server::start("prometheus-alertmanager", "/-/ready", folder, |address| {
            vec![
                format!("--config.file={}", file.display()),
                format!("--storage.path={}", data.display()),
                format!("--web.listen-address={address}"),
                "--cluster.listen-address=".into(),
            ]
        })
    }

    fn start(program: &str, ready: &str, folder: Folder, args: impl Fn(SocketAddr) -> Vec<String>) -> Server {
        let address = free_address();
        let is_ready = |server: &Server| server.get(ready).is_some_and(|(status, _)| status == 200);
        Server::start_at(address, program, is_ready, folder, args(address))
    }

    fn start_at(
        address: SocketAddr,
        program: &str,
        is_ready: impl Fn(&Server) -> bool,
        folder: Folder,
        args: Vec<String>,
    ) -> Server {
        let log = folder.path().join("log");
        let output = std::fs::File::create(&log).unwrap();
        let child = Command::new(program)
            .args(args)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{program} cannot be started: {error}; is it installed (Debian's package of that name)?"
                )
            });
        let mut server = Server { address, child, log, _folder: folder };
        server.wait_for("it to be ready", |server| is_ready(server).then_some(()));
        server
    }

    /// Waits until `look` finds something.
    pub fn wait_for<T>(&mut self, what: &str, mut look: impl FnMut(&Server) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() || Instant::now() > deadline {
                panic!("waited for {what}, {ended:?}\n{}", std::fs::read_to_string(&self.log).unwrap());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Status and body; `None` when nothing listens.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.request("GET", path, "", "")
    }

    /// Status and body of the answer to a POST of JSON; `None` when nothing listens.
    pub fn post_json(&self, path: &str, body: &str) -> Option<(u16, String)> {
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        self.request("POST", path, &headers, body)
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // As HTTP/1.0, so that the answer comes in one piece and the connection ends with it.
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: {}\r\n{headers}\r\n{body}", self.address).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// What Prometheus's API says.
    pub fn api(&self, path: &str) -> Value {
        let (status, body) = self.get(path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<Value>(&body).unwrap()["data"].clone()
    }

    /// The series that a query finds: labels and values.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let result = self.api(&format!("/api/v1/query?query={}", encoded(query)))["result"].clone();
        let value = |series: &Value| series["value"][1].as_str().unwrap().parse().unwrap();
        result.as_array().unwrap().iter().map(|series| (series["metric"].clone(), value(series))).collect()
    }

    /// The value of the only series that a query finds, once it finds one that is a number.
    pub fn value(&mut self, query: &str) -> f64 {
        let found = self.wait_for(query, |server| {
            let found = server.query(query);
            (!found.is_empty() && !found[0].1.is_nan()).then_some(found)
        });
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        found[0].1
    }
}

/// A configuration of Prometheus, which VictoriaMetrics reads too.
fn scrape_config(target: SocketAddr) -> String {
    format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
         scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Percent-encoded for a URL's query.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
