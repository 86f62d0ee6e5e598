//! `cargo xtask interop` runs tests against real servers that take too long to install for the everyday test
//! suite.
//!
//! Each server is downloaded or built into the cache of foreign programs, and started on free ports of the loopback
//! interface, here or by its test. Its process is killed at the end.

mod partners;

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use lexopt::Arg::{Long, Short};
use lexopt::ValueExt;

use self::partners::PARTNERS;
use crate::net;
use crate::process::{Cmd, log_tail, seconds, timed};
use crate::scratch::Scratch;
use crate::suite::{Entry, Verdict, table, workspace_tests};
use crate::workspace;

const HELP: &str = "\
usage: cargo xtask interop [--only NAME]... [--list]

Gets servers that people send to, starts each on free loopback ports, sends to it and reads back what arrived. A table
at the end names the versions. The first run takes a quarter of an hour: Jaeger, the newest Prometheus (0.315.0 is 3.15),
VictoriaLogs (in place of Loki and Elasticsearch) and VictoriaMetrics are built from their Go modules; Kafka (46 MB) and Zipkin (135 MB) are downloads by
Maven, which want Java 17, Kafka's tests with its compiler. They are kept in target/partners.

  --only NAME   only this server; may be given more than once (default: all)
  --list        print the servers and whether each is in the cache, run nothing
";

/// Longest time that a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(90);

/// A program that Throughline sends to, or that reads from it.
struct Partner {
    name: &'static str,
    version: &'static str,
    /// Creates [`Partner::file`] in this folder.
    get: fn(&Partner, &Path) -> Result<()>,
    /// The name of the program's file.
    file: &'static str,
    start: Start,
}

/// Who starts the program.
enum Start {
    /// [`Partner::check`] does.
    Here {
        /// The command that runs the file on these ports, with a folder for its data.
        command: fn(&Path, &[u16], &Path) -> Cmd,
        /// The variables that tell the tests the addresses; one for each port.
        variables: &'static [&'static str],
    },
    /// The tests do, each with a configuration of its own. The variable tells them the path of the file.
    ByTests(&'static str),
}

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
                for partner in PARTNERS {
                    let cached = if partner.is_cached() { "in the cache" } else { "not in the cache" };
                    println!("{:<16}  {:<8}  {cached}", partner.name, partner.version);
                }
                return Ok(());
            }
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected().into()),
        }
    }
    check(&only)
}

/// Runs the tests of the servers that `only` names; of all if it is empty.
///
/// # Errors
///
/// Like [`run`].
pub fn check(only: &[String]) -> Result<()> {
    let names: Vec<&str> = PARTNERS.iter().map(|it| it.name).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("no server `{unknown}`; there are: {}", names.join(", "));
    }
    let chosen = PARTNERS.iter().filter(|it| only.is_empty() || only.iter().any(|name| name == it.name));
    let mut entries = Vec::new();
    for partner in chosen {
        let start = Instant::now();
        // One that fails does not keep the others from being tried.
        let verdict = match partner.check() {
            Ok(()) => Verdict::Passed,
            Err(error) => {
                eprintln!("error: {error:#}");
                Verdict::Failed(format!("{error:#}"))
            }
        };
        println!("{}: {} in {}", partner.label(), verdict.word(), seconds(start.elapsed()));
        entries.push(Entry { name: partner.label(), verdict, time: start.elapsed(), cpu: None });
    }
    print!("\n{}", table(&entries));
    let failed: Vec<&str> =
        entries.iter().filter(|it| it.verdict.is_failure()).map(|it| it.name.as_str()).collect();
    if !failed.is_empty() {
        bail!("{} of {} servers failed: {}", failed.len(), entries.len(), failed.join(", "));
    }
    Ok(())
}

impl Partner {
    fn label(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    fn folder(&self) -> std::path::PathBuf {
        workspace::partners_dir().join(format!("{}-{}", self.name, self.version))
    }

    fn is_cached(&self) -> bool {
        self.folder().join(self.file).is_file()
    }

    /// Installs the program if it is not in the cache, and runs its tests.
    fn check(&self) -> Result<()> {
        let folder = self.folder();
        if !self.is_cached() {
            fs::create_dir_all(&folder).with_context(|| format!("can't create {}", folder.display()))?;
            timed(&format!("getting {}", self.label()), || (self.get)(self, &folder))?;
        }
        let mut test = workspace_tests(&["--test", "interop", "--", "--include-ignored"])
            .arg(self.name.replace('-', "_"));
        let mut running = None;
        match &self.start {
            Start::ByTests(variable) => test = test.env(*variable, folder.join(self.file)),
            Start::Here { command, variables } => {
                let server = running.insert(self.start(*command, variables.len())?);
                for (variable, port) in variables.iter().zip(&server.ports) {
                    test = test.env(*variable, format!("127.0.0.1:{port}"));
                }
            }
        }
        test.run()
    }

    /// Starts the program and waits until it listens on this many ports.
    fn start(&self, command: fn(&Path, &[u16], &Path) -> Cmd, ports: usize) -> Result<Running> {
        let scratch = Scratch::new(self.name)?;
        let log = scratch.path().join("log");
        let ports = net::free_ports::<MOST_PORTS>()?[..ports].to_vec();
        let file = self.folder().join(self.file);
        let child = command(&file, &ports, scratch.path()).spawn_logged(&log)?;
        let mut running = Running { ports, child, _scratch: scratch };
        net::wait_for(&format!("{} to listen", self.name), START_LIMIT, || {
            if let Some(status) = running.child.try_wait()? {
                bail!("{} ended by itself: {status}", self.name);
            }
            Ok(running.ports.iter().all(|port| net::listens(*port)).then_some(()))
        })
        .map_err(|error| anyhow!("{error:#}\n{}", log_tail(&log)))?;
        println!("{} listens on 127.0.0.1, ports {:?}", self.label(), running.ports);
        Ok(running)
    }
}

/// The most ports that a server needs.
const MOST_PORTS: usize = 3;

/// A running server. Dropping it kills the program and removes its data.
struct Running {
    ports: Vec<u16>,
    child: Child,
    _scratch: Scratch,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_server_is_named_with_those_that_exist() {
        let error = check(&["jager".into()]).unwrap_err().to_string();
        assert!(error.contains("no server `jager`") && error.contains("jaeger"), "{error}");
    }

    #[test]
    fn no_server_needs_more_ports_than_are_reserved() {
        for partner in PARTNERS {
            if let Start::Here { variables, .. } = &partner.start {
                assert!((1..=MOST_PORTS).contains(&variables.len()), "{}", partner.name);
            }
        }
    }

    #[test]
    fn the_page_about_backends_names_the_versions() {
        let page = fs::read_to_string(workspace::root().join("std-adapter/docs/backends.md")).unwrap();
        for partner in PARTNERS {
            assert!(page.contains(partner.version), "{} is not on the page", partner.label());
        }
    }

    /// Each line of the table ends with a test's name and its file.
    #[test]
    fn the_page_about_faults_names_tests_that_exist() {
        let adapter = workspace::root().join("std-adapter");
        let page = fs::read_to_string(adapter.join("docs/faults.md")).unwrap();
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert!(rows.len() > 30, "{} rows", rows.len());
        for row in rows {
            let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
            let words: Vec<_> = cell.split('`').collect();
            let ["", test, " in ", file, ""] = words[..] else { panic!("no test and its file: {row}") };
            let text =
                fs::read_to_string(adapter.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let lines: Vec<_> = text.lines().collect();
            let at = lines
                .iter()
                .position(|line| line.starts_with(&format!("fn {test}(")))
                .unwrap_or_else(|| panic!("no {test} in {file}"));
            // Attributes are between the mark of a test and its function.
            let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
            assert!(above.into_iter().any(|line| *line == "#[test]"), "{test} in {file} is no test");
        }
    }
}
