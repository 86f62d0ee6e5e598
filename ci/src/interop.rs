//! `cargo xtask interop` runs tests against real servers that take too long to install for the everyday test
//! suite.
//!
//! Each server is downloaded or built into the cache of foreign programs, and started on a free port of the
//! loopback interface. Its process is killed at the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use lexopt::Arg::{Long, Short};
use lexopt::ValueExt;

use crate::net;
use crate::process::{Cmd, log_tail, run_all, timed};
use crate::scratch::Scratch;
use crate::setup::{self, Need};
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask interop [--only NAME]... [--list]

Gets servers that people send to, starts each on a free loopback port, sends to it and reads back what arrived.
The first run takes minutes: Zipkin is a download of 135 MB by Maven, which wants Java 17; VictoriaLogs, which stands
in for Loki and Elasticsearch, is built from its Go module. They are kept in target/partners.

  --only NAME   only this server; may be given more than once (default: all)
  --list        print the servers, run nothing
";

/// Longest time that a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A server that the tests send to.
struct Partner {
    name: &'static str,
    version: &'static str,
    /// Creates the file that [`Partner::start`] runs, in this folder.
    get: fn(&Partner, &Path) -> Result<()>,
    /// The name of the file.
    file: &'static str,
    /// Returns the command that runs the file on a port, with a folder for its data.
    start: fn(&Path, u16, &Path) -> Cmd,
    /// The variable that tells the tests the server's address.
    variable: &'static str,
}

const PARTNERS: &[Partner] = &[
    Partner {
        name: "zipkin",
        version: "3.6.1",
        get: get_zipkin,
        file: "zipkin.jar",
        start: |file, port, _| {
            Cmd::new("java")
                .env("QUERY_PORT", port.to_string())
                .env("COLLECTOR_SCRIBE_ENABLED", "false")
                .args(["-Xmx256m", "-jar"])
                .arg(file)
        },
        variable: "THROUGHLINE_ZIPKIN",
    },
    Partner {
        name: "victoria-logs",
        version: "1.52.1",
        get: get_victoria_logs,
        file: "victoria-logs",
        start: |file, port, data| {
            Cmd::new(file)
                .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                .arg(format!("-storageDataPath={}", data.join("data").display()))
                // Keep records of any age, whatever times the tests give them.
                .arg("-retentionPeriod=100y")
        },
        variable: "THROUGHLINE_VICTORIA_LOGS",
    },
];

/// Runs `cargo xtask interop`.
///
/// # Errors
///
/// Fails if a server cannot be installed or started, or if a test fails.
pub fn run(mut args: lexopt::Parser) -> Result<()> {
    let mut only: Vec<String> = Vec::new();
    while let Some(arg) = args.next()? {
        match arg {
            Long("only") => only.push(args.value()?.string()?),
            Long("list") => {
                PARTNERS.iter().for_each(|it| println!("{:<14} {}", it.name, it.version));
                return Ok(());
            }
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let names: Vec<&str> = PARTNERS.iter().map(|it| it.name).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("no server `{unknown}`; there are: {}", names.join(", "));
    }
    let chosen = PARTNERS.iter().filter(|it| only.is_empty() || only.iter().any(|name| name == it.name));
    let running = chosen.map(Partner::run).collect::<Result<Vec<_>>>()?;
    let test = |partner: &Running| {
        Cmd::cargo()
            .args(["test", "-p", "throughline-std", "--test", "interop", "--", "--include-ignored"])
            .arg(partner.name.replace('-', "_"))
            .env(partner.variable, format!("127.0.0.1:{}", partner.port))
    };
    run_all(&running.iter().map(test).collect::<Vec<_>>())
}

/// A running server. Dropping it kills the program and removes its data.
struct Running {
    name: &'static str,
    variable: &'static str,
    port: u16,
    child: Child,
    _scratch: Scratch,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Partner {
    /// Installs the server if it is not in the cache, and starts it.
    fn run(&self) -> Result<Running> {
        let folder = workspace::partners_dir().join(format!("{}-{}", self.name, self.version));
        let file = folder.join(self.file);
        if !file.is_file() {
            fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
            timed(&format!("getting {} {}", self.name, self.version), || (self.get)(self, &folder))?;
        }
        let scratch = Scratch::new(self.name)?;
        let log = scratch.path().join("log");
        let [port] = net::free_ports()?;
        let mut child = (self.start)(&file, port, scratch.path()).spawn_logged(&log)?;
        let ready = net::wait_for(&format!("{} to listen", self.name), START_LIMIT, || {
            if let Some(status) = child.try_wait()? {
                bail!("{} ended by itself: {status}", self.name);
            }
            Ok(net::listens(port).then_some(()))
        });
        let running = Running { name: self.name, variable: self.variable, port, child, _scratch: scratch };
        ready.map_err(|error| anyhow!("{error:#}\n{}", log_tail(&log)))?;
        println!("{} {} listens on 127.0.0.1:{port}", self.name, self.version);
        Ok(running)
    }
}

fn get_zipkin(partner: &Partner, folder: &Path) -> Result<()> {
    let log = folder.join("get.log");
    Cmd::new("mvn")
        .args(["-q", "dependency:copy"])
        .arg(format!("-Dartifact=io.zipkin:zipkin-server:{}:jar:exec", partner.version))
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .dir(folder)
        .run_logged(&log)
        .map_err(|error| {
            anyhow!("{error:#}What to do: install Java 17 and Maven (Debian: maven), and run it again.")
        })?;
    let jar = folder.join(format!("zipkin-server-{}-exec.jar", partner.version));
    Ok(fs::rename(jar, folder.join(partner.file))?)
}

fn get_victoria_logs(partner: &Partner, folder: &Path) -> Result<()> {
    go_program(partner, folder, "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs")
}

/// Builds a Go program from a package of a module.
fn go_program(partner: &Partner, folder: &Path, package: &str) -> Result<()> {
    setup::ensure(&[Need::Go])?;
    let log = folder.join("get.log");
    let scratch = Scratch::new("go-program")?;
    let sources = scratch.path();
    fs::write(sources.join("go.mod"), "module partner\n")?;
    fs::write(sources.join("tools.go"), format!("package main\n\nimport _ \"{package}\"\n"))?;
    let unfinished: PathBuf = folder.join("unfinished");
    let go = || Cmd::new("go").dir(sources);
    let advice = |error: anyhow::Error| {
        anyhow!("{error:#}What to do: see in the log which module could not be had from $GOPROXY.")
    };
    go().arg("get").arg(format!("{package}@v{}", partner.version)).run_logged(&log).map_err(advice)?;
    let build = go().args(["build", "-mod=mod", "-ldflags=-s -w", "-o"]).arg(&unfinished).arg(package);
    build.run_logged(&log).map_err(advice)?;
    Ok(fs::rename(unfinished, folder.join(partner.file))?)
}
