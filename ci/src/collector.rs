//! A real OpenTelemetry Collector: built once from Go modules, then started on free loopback ports.
//!
//! It writes what it receives over OTLP to a file, one OTLP JSON message per line: ids are in hex and 64-bit
//! integers are strings. A test compares that file with what was sent.

mod build;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use lexopt::Arg::{Long, Short};

use crate::net;
use crate::process::{Cmd, log_tail};
use crate::scratch::Scratch;

const HELP: &str = "\
usage: cargo xtask collector [--build-only] [--debug]

Builds the OpenTelemetry Collector into target/partners/ (minutes the first time, instant after that), starts it
on free loopback ports, prints where it listens and where it writes, and runs until Ctrl-C.

  --build-only  build, print the program's path, don't start
  --debug       also write every message to the log in full (default: only to the file)
";

/// Longest time for a start. On an idle machine it takes less than a second.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Runs `cargo xtask collector`.
///
/// # Errors
///
/// Fails if it can't be built or started, or ends before Ctrl-C.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let (mut build_only, mut debug) = (false, false);
    while let Some(arg) = args.next()? {
        match arg {
            Long("build-only") => build_only = true,
            Long("debug") => debug = true,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let collector = Collector::build()?;
    if build_only {
        println!("{}", collector.program().display());
        return Ok(());
    }
    // Install the handler before the start, so that Ctrl-C never leaves the program running.
    let (stop, stopped) = mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = stop.send(());
    })?;
    let mut running = collector.start_with(Options { debug })?;
    println!("OTLP over HTTP  {}", running.http_endpoint);
    println!("OTLP over gRPC  {}", running.grpc_endpoint);
    println!("writes to       {}", running.output.display());
    println!("its own log     {}", running.log.display());
    println!("Ctrl-C ends it and removes both files");
    while stopped.recv_timeout(Duration::from_millis(200)).is_err() {
        running.check_alive()?;
    }
    Ok(())
}

/// A Collector that is built and can be started.
#[derive(Clone, Debug)]
pub struct Collector {
    program: PathBuf,
}

/// Options of a Collector that is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Also write every message to its log, in full.
    pub debug: bool,
}

impl Collector {
    /// Builds the Collector into the cache, or finds it there.
    ///
    /// Several processes may call it at once: the others wait for the first.
    ///
    /// # Errors
    ///
    /// Fails if Go is missing or the build fails. The error contains the last lines of the log and advice.
    pub fn build() -> Result<Self> {
        Ok(Self { program: build::ensure()? })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts it and waits until it accepts OTLP over HTTP.
    ///
    /// # Errors
    ///
    /// Fails if it ends early or does not listen within 30 s. The error contains the last lines of the log.
    pub fn start(&self) -> Result<Running> {
        self.start_with(Options::default())
    }

    /// [`Self::start`] with options.
    ///
    /// # Errors
    ///
    /// Like [`Self::start`].
    pub fn start_with(&self, options: Options) -> Result<Running> {
        // Another process may take the port between finding and binding it; that is rare, so one retry is enough.
        self.try_start(options).or_else(|_| self.try_start(options))
    }

    fn try_start(&self, options: Options) -> Result<Running> {
        let scratch = Scratch::new("otelcol")?;
        let [http, grpc] = net::free_ports()?;
        let output = scratch.path().join("telemetry.jsonl");
        let log = scratch.path().join("collector.log");
        let config = scratch.path().join("config.yaml");
        fs::write(&output, "")?;
        fs::write(&config, configuration(http, grpc, &output, options))?;

        let child = Cmd::new(&self.program).arg("--config").arg(&config).spawn_logged(&log)?;
        let mut running = Running {
            http_endpoint: format!("http://127.0.0.1:{http}"),
            grpc_endpoint: format!("http://127.0.0.1:{grpc}"),
            output,
            log,
            child,
            _scratch: scratch,
        };
        let ready = net::wait_for("the Collector to listen", START_LIMIT, || {
            running.check_not_ended()?;
            Ok((net::listens(http) && net::listens(grpc)).then_some(()))
        });
        ready.map_err(|error| anyhow!("{error:#}\n{}", log_tail(&running.log)))?;
        running.check_answers(http)?;
        Ok(running)
    }
}

/// A Collector that is listening. Dropping it ends the program and removes its files.
#[derive(Debug)]
pub struct Running {
    /// `http://127.0.0.1:PORT`, to which `/v1/traces`, `/v1/metrics` and `/v1/logs` are appended.
    pub http_endpoint: String,
    /// `http://127.0.0.1:PORT` for OTLP over gRPC.
    pub grpc_endpoint: String,
    /// The file with everything received, one OTLP JSON message per line. Each is written within 10 ms.
    pub output: PathBuf,
    /// The Collector's own log.
    pub log: PathBuf,
    child: Child,
    // The folder with the files above. It is dropped, and so removed, after the program has ended.
    _scratch: Scratch,
}

impl Running {
    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the received data satisfies `enough`, and returns it.
    ///
    /// `enough` gets the whole text of the file each time it has grown.
    ///
    /// # Errors
    ///
    /// Fails if `limit` has passed or the Collector has ended.
    pub fn wait_for_output(&mut self, limit: Duration, enough: impl Fn(&str) -> bool) -> Result<String> {
        let mut seen = None;
        let output = self.output.clone();
        net::wait_for("the Collector to write what was sent", limit, || {
            let length = fs::metadata(&output)?.len();
            if seen == Some(length) {
                self.check_alive()?;
                return Ok(None);
            }
            seen = Some(length);
            let text = fs::read_to_string(&output)?;
            Ok(enough(&text).then_some(text))
        })
    }

    /// Fails if the Collector has ended by itself.
    ///
    /// # Errors
    ///
    /// Fails if it has ended. The error contains the last lines of the log.
    pub fn check_alive(&mut self) -> Result<()> {
        self.check_not_ended().map_err(|error| anyhow!("{error:#}\n{}", log_tail(&self.log)))
    }

    fn check_not_ended(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the Collector has ended: {status}"),
            None => Ok(()),
        }
    }

    /// Sends an empty message, because an open port alone does not prove that the receiver works.
    fn check_answers(&self, http: u16) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, http));
        let status = net::post(address, "/v1/traces", "application/json", b"{}")?;
        if status != 200 {
            bail!("the Collector answered {status} to an empty message\n{}", log_tail(&self.log));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail only if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(http: u16, grpc: u16, output: &Path, options: Options) -> String {
    let exporters = if options.debug { "[file, debug]" } else { "[file]" };
    // YAML double-quoted strings have the same syntax as JSON strings.
    let output = serde_json::Value::from(output.to_string_lossy());
    let pipelines: String = ["traces", "metrics", "logs"]
        .iter()
        .map(|signal| format!("    {signal}: {{receivers: [otlp], exporters: {exporters}}}\n"))
        .collect();
    // Without a batch processor and the Collector's own telemetry, exactly what arrives is written.
    format!(
        "\
receivers:
  otlp:
    protocols:
      http: {{endpoint: \"127.0.0.1:{http}\"}}
      grpc: {{endpoint: \"127.0.0.1:{grpc}\"}}
exporters:
  file: {{path: {output}, flush_interval: 10ms}}
  debug: {{verbosity: detailed}}
service:
  telemetry:
    metrics: {{level: none}}
    logs: {{level: {level}}}
  pipelines:
{pipelines}",
        level = if options.debug { "info" } else { "warn" },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_ports_and_file() {
        let text = configuration(4318, 4317, Path::new("/tmp/a b.jsonl"), Options::default());
        assert!(text.contains("http: {endpoint: \"127.0.0.1:4318\"}"), "{text}");
        assert!(text.contains("path: \"/tmp/a b.jsonl\""), "{text}");
        assert!(text.contains("logs: {receivers: [otlp], exporters: [file]}"), "{text}");
        let text = configuration(1, 2, Path::new("x"), Options { debug: true });
        assert!(text.contains("exporters: [file, debug]"), "{text}");
    }

    #[test]
    fn options_that_are_not_taken_are_refused() {
        let error = run(lexopt::Parser::from_args(["--port", "1"])).unwrap_err();
        assert!(error.is::<lexopt::Error>());
    }
}
