//! The demo's service: `examples/server`, which runs to its end or until it is stopped.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail, ensure};

use crate::process::Cmd;
use crate::workspace;

/// The service, built.
#[derive(Clone, Debug)]
pub(super) struct Server(PathBuf);

impl Server {
    pub(super) fn build() -> Result<Self> {
        Cmd::cargo().args(["build", "--package", "server-example"]).run()?;
        let program = format!("server-example{}", std::env::consts::EXE_SUFFIX);
        Ok(Self(workspace::target_dir().join("debug").join(program)))
    }

    /// The drawing of the run that the firmware also makes.
    pub(super) fn deterministic(&self) -> Result<String> {
        let drawn = self.command().arg("--deterministic").output()?;
        ensure!(drawn.contains(" trace "), "the service drew no trace: {drawn}");
        Ok(drawn)
    }

    /// Sends requests to it. Returns one of the traces and the ledger.
    pub(super) fn drive(&self, requests: u32) -> Result<String> {
        let args = ["--listen", "127.0.0.1:0", "--drive", &requests.to_string()];
        let output = self.command().args(args).to_command().output().context("can't start the service")?;
        let (out, drawn) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            bail!("the service says {}: {out}{drawn}", output.status);
        }
        let answered = format!("{requests} of {requests} requests answered");
        ensure!(out.contains(&answered), "not all requests were answered: {out}");
        let sample =
            blocks(&drawn).into_iter().find(|block| block.contains("control.round")).unwrap_or_default();
        let ledger = drawn
            .lines()
            .filter(|line| ["ring: ", "pump: ", "terminal: "].iter().any(|hop| line.starts_with(hop)));
        let ledger: Vec<&str> = ledger.collect();
        ensure!(!ledger.is_empty(), "the service did not print its ledger: {drawn}");
        ensure!(!drawn.contains("dropped"), "records were dropped: {}", ledger.join("; "));
        let requests = drawn
            .lines()
            .filter(|line| line.starts_with("client.requests") || line.starts_with("http.requests"));
        let requests: String = requests.map(|line| format!("{line}\n")).collect();
        Ok(format!(
            "one of its traces:\n{sample}\n{requests}\n{answered}; what became of the records:\n{}\n",
            ledger.join("\n")
        ))
    }

    /// Starts it on a free port.
    pub(super) fn start(&self) -> Result<Running> {
        let mut command = self.command().args(["--listen", "127.0.0.1:0"]).to_command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("can't start the service")?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let errors = child.stderr.take().context("its errors are a pipe")?;
        let mut running =
            Running { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), drawn: Some(collect(errors)) };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address =
            line.trim_end().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        running.address =
            address.with_context(|| format!("the service didn't say where it listens: {line}"))?;
        Ok(running)
    }

    fn command(&self) -> Cmd {
        // The demo shows the terminal output, so the environment must not redirect it to a collector.
        Cmd::new(&self.0).env("OTEL_SDK_DISABLED", "").env("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    }
}

/// A service that listens. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    drawn: Option<JoinHandle<String>>,
}

impl Running {
    /// Stops it as Ctrl-C does. Returns what it drew.
    #[cfg(unix)]
    pub(super) fn stop(mut self) -> Result<String> {
        Cmd::new("kill").args(["-INT", &self.child.id().to_string()]).output()?;
        let status = self.child.wait()?;
        let drawn = self.drawn.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        ensure!(status.success(), "the service says {status}: {drawn}");
        Ok(drawn)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail only if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The drawing of each trace in a text, with its head.
pub(super) fn blocks(drawn: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut within = false;
    for line in drawn.lines() {
        if line.get(15..).is_some_and(|rest| rest.starts_with(" trace ")) {
            within = true;
            blocks.push(String::new());
        } else {
            // A trace's lines begin with spaces; any other line ends the trace.
            within &= line.starts_with(' ');
        }
        if within && let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

/// Reads everything that is written, so that the writer never blocks.
fn collect(mut errors: ChildStderr) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let _ = errors.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_told_from_what_is_around_them() {
        let text = "\
listening
05:22:12.653808 trace 04dd274791c9ba04f303bae5cfe621eb
   3.35 ms  a
   21.6 µs  └─ b
05:22:12.653809 INFO outside
05:22:12.657163 trace a81a214ef33f7e0bb92ec56f242077ca
   2.07 ms  c
metric .. 1
";
        let blocks = blocks(text);
        assert_eq!(blocks.len(), 2);
        assert!(blocks[0].ends_with("└─ b\n") && blocks[1].ends_with("  c\n"), "{blocks:?}");
    }
}
