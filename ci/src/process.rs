//! Runs other programs. Every command is shown before it runs, and a failed one is named in the error.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::workspace;

/// The toolchain for everything that needs nightly: Miri, and the sanitizers for fuzzing.
pub const NIGHTLY: &str = "nightly";

/// A command, shown as one would type it.
#[derive(Clone, Debug)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(String, OsString)>,
    dir: PathBuf,
    is_test: bool,
}

impl Cmd {
    /// A command that runs in the workspace's root.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            envs: Vec::new(),
            dir: workspace::root().to_owned(),
            is_test: false,
        }
    }

    /// A `cargo` command of the workspace's own toolchain.
    #[must_use]
    pub fn cargo() -> Self {
        Self::new("cargo")
    }

    /// A `cargo` command of the nightly toolchain.
    #[must_use]
    pub fn cargo_nightly() -> Self {
        Self::new("cargo").arg(format!("+{NIGHTLY}"))
    }

    /// A `cargo test` command, which [must run a test](Self::must_run_tests).
    #[must_use]
    pub fn cargo_test() -> Self {
        Self::cargo().arg("test").must_run_tests()
    }

    /// Makes [`Self::run`] fail if not a single test runs, as happens when a feature that the tests need is off, or
    /// when no test has the name of the filter. Cargo itself would call that a success. Without a filter, each program
    /// of a `--test` must run one.
    #[must_use]
    pub fn must_run_tests(mut self) -> Self {
        self.is_test = true;
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.envs.push((key.into(), value.into()));
        self
    }

    /// Sets the folder to run in.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = dir.into();
        self
    }

    /// The folder to run in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// Shows the command, runs it with this process's own terminal, and waits.
    ///
    /// # Errors
    ///
    /// Fails if the program cannot be started or does not succeed, or if it ran no test and [must](Self::must_run_tests).
    pub fn run(&self) -> Result<()> {
        println!("$ {self}");
        if self.is_test {
            return self.run_tests();
        }
        let status = self.to_command().status().with_context(|| self.cannot_start())?;
        self.check(status)
    }

    /// Runs the command and counts the tests that passed in the lines of its output, which is shown unchanged.
    fn run_tests(&self) -> Result<()> {
        let mut command = self.to_command();
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| self.cannot_start())?;
        let (mut passed, mut without) = (0, 0);
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            // Nothing is lost if nobody reads it.
            let _ = io::stdout().write_all(&line);
            passed += tests_passed(&String::from_utf8_lossy(&line));
            without += u64::from(line == b"running 0 tests\n");
            line.clear();
        }
        self.check(child.wait()?)?;
        if passed == 0 || without > 0 && self.names_all_tests() {
            bail!(
                "`{self}` ran no test: is a feature off that the tests need, or does no test have that name?"
            );
        }
        Ok(())
    }

    /// Whether it names programs of tests, and runs all of their tests.
    fn names_all_tests(&self) -> bool {
        let mut parts = self.args.split(|arg| arg == "--");
        let is_filter = |arg: &OsString| !arg.to_string_lossy().starts_with('-');
        parts.next().is_some_and(|args| args.iter().any(|arg| arg == "--test"))
            && !parts.flatten().any(is_filter)
    }

    /// Runs the command without showing it, and returns what it wrote to standard output.
    ///
    /// # Errors
    ///
    /// Like [`Self::run`]. The error contains what the program wrote to standard error.
    pub fn output(&self) -> Result<String> {
        let output = self.to_command().output().with_context(|| self.cannot_start())?;
        self.check(output.status).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        String::from_utf8(output.stdout).with_context(|| format!("`{self}` wrote something else than UTF-8"))
    }

    /// Whether the command can be started and succeeds. Its output is discarded.
    #[must_use]
    pub fn succeeds(&self) -> bool {
        let mut command = self.to_command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Shows the command, runs it with all its output appended to the file `log`, and waits.
    ///
    /// # Errors
    ///
    /// Like [`Self::run`]. The error contains the last lines of the log and its path.
    pub fn run_logged(&self, log: &Path) -> Result<()> {
        println!("$ {self}");
        let status = self.spawn_logged(log)?.wait()?;
        self.check(status).map_err(|error| anyhow!("{error}\n{}", log_tail(log)))
    }

    /// Starts the command with all its output appended to the file `log`.
    ///
    /// # Errors
    ///
    /// Fails if the log can't be opened or the program can't be started.
    pub fn spawn_logged(&self, log: &Path) -> Result<Child> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.with_context(|| format!("can't open the log {}", log.display()))?;
        let mut command = self.to_command();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        command.spawn().with_context(|| self.cannot_start())
    }

    /// The same command as a [`Command`] of the standard library, for everything that this type does not do.
    #[must_use]
    pub fn to_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.dir);
        // `cargo run` sets variables about this package, which must not reach a nested `cargo`.
        for (key, _) in std::env::vars_os() {
            if key.to_str().is_some_and(describes_this_package) {
                command.env_remove(key);
            }
        }
        command.envs(self.envs.iter().map(|(key, value)| (key, value)));
        command
    }

    fn check(&self, status: ExitStatus) -> Result<()> {
        if !status.success() {
            bail!("`{self}` failed: {status}");
        }
        Ok(())
    }

    fn cannot_start(&self) -> String {
        format!("can't start `{}`: is it installed?", self.program.display())
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, value) in &self.envs {
            write!(f, "{key}={} ", quoted(value))?;
        }
        f.write_str(&quoted(&self.program))?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        if let Ok(below) = self.dir.strip_prefix(workspace::root())
            && below != Path::new("")
        {
            write!(f, "   # in {}", below.display())?;
        }
        Ok(())
    }
}

/// Runs every command, even after one has failed, because it helps to know which ones fail.
///
/// # Errors
///
/// Fails if any command failed. The error lists the failed ones.
pub fn run_all(commands: &[Cmd]) -> Result<()> {
    let mut errors = Vec::new();
    for command in commands {
        if let Err(error) = command.run() {
            eprintln!("error: {error:#}");
            errors.push(error);
        }
    }
    match errors.len() {
        0 => Ok(()),
        1 if commands.len() == 1 => Err(errors.remove(0)),
        failed => {
            let list: String = errors.iter().map(|error| format!("\n    {error:#}")).collect();
            bail!("{failed} of {} commands failed:{list}", commands.len())
        }
    }
}

/// Runs `work` between a line with its name and a line with its time.
///
/// # Errors
///
/// Errors of `work`.
pub fn timed<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("{name} …");
    let start = Instant::now();
    let result = work();
    let verdict = if result.is_ok() { "done" } else { "FAILED" };
    println!("{name}: {verdict} in {}", seconds(start.elapsed()));
    result
}

/// A duration in tenths of a second, with minutes if there are any.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    let (minutes, rest) = (tenths / 600, tenths % 600);
    if minutes == 0 {
        format!("{}.{} s", rest / 10, rest % 10)
    } else {
        format!("{minutes} min {:02} s", rest / 10)
    }
}

/// The last lines of a log file and its path, as the text of an error.
#[must_use]
pub fn log_tail(log: &Path) -> String {
    const LINES: usize = 20;
    let mut tail = VecDeque::with_capacity(LINES);
    if let Ok(file) = fs::File::open(log) {
        for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
            if tail.len() == LINES {
                tail.pop_front();
            }
            tail.push_back(format!("    {}\n", String::from_utf8_lossy(&line)));
        }
    }
    let lines: String = tail.into_iter().collect();
    format!("The last lines of {}:\n{lines}", log.display())
}

fn describes_this_package(key: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|it| key.starts_with(it))
}

/// The number in a line such as `test result: ok. 3 passed; 0 failed; …`; 0 for any other line.
fn tests_passed(line: &str) -> u64 {
    let counts = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "));
    let passed = counts.and_then(|(_, counts)| counts.split_once(" passed"));
    passed.and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}

fn quoted(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-_=./:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn commands_are_shown_as_typed() {
        let cmd = Cmd::cargo().args(["test", "-p", "a b"]).env("RUSTFLAGS", "--cfg loom").dir("/");
        assert_eq!(cmd.to_string(), "RUSTFLAGS='--cfg loom' cargo test -p 'a b'");
        assert_eq!(Cmd::new("make").dir(workspace::root().join("core")).to_string(), "make   # in core");
    }

    #[test]
    fn quotes_survive_quoting() {
        assert_eq!(quoted(OsStr::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(OsStr::new("")), "''");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(seconds(Duration::from_millis(3_260)), "3.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Cmd::new("no-such-program-at-all").run().unwrap_err();
        assert!(error.to_string().contains("no-such-program-at-all"), "{error:#}");
    }

    #[cfg(unix)]
    #[test]
    fn all_commands_run_and_the_failed_ones_are_listed() {
        let (good, bad) = (Cmd::new("true"), Cmd::new("false"));
        assert!(run_all(&[good.clone(), good.clone()]).is_ok());
        let error = run_all(&[bad.clone(), good, bad.clone()]).unwrap_err().to_string();
        assert!(error.starts_with("2 of 3 commands failed:\n    `false`"), "{error}");
        assert!(run_all(&[bad]).unwrap_err().to_string().starts_with("`false` failed"));
    }

    #[cfg(unix)]
    #[test]
    fn a_test_command_that_runs_no_test_fails() {
        let script = |lines: &str| {
            let line = |n: &str| format!("test result: ok. {n} passed; 0 failed; 0 ignored; 0 measured");
            let text: Vec<String> = lines.split(' ').map(line).collect();
            Cmd::new("sh").args(["-c", &format!("echo '{}'", text.join("\n"))]).must_run_tests()
        };
        assert!(script("0 12 0").run().is_ok());
        let error = script("0 0").run().unwrap_err().to_string();
        assert!(error.contains("ran no test"), "{error}");
        let counts = |args: &[&str]| Cmd::new("sh").args(args.iter().copied()).must_run_tests();
        let echo = "echo 'running 0 tests'; echo 'test result: ok. 1 passed; 0 failed'";
        assert!(counts(&["-c", echo]).run().is_ok());
        assert!(counts(&["-c", echo, "--test", "a", "--", "--ignored", "filter"]).run().is_ok());
        assert!(counts(&["-c", echo, "--test", "a", "--", "--ignored"]).run().is_err());
        let failed = Cmd::new("false").must_run_tests().run();
        assert!(failed.unwrap_err().to_string().starts_with("`false` failed"));
        assert_eq!(tests_passed("running 3 tests"), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_command_shows_the_end_of_its_log() {
        let scratch = Scratch::new("xtask-test").unwrap();
        let log = scratch.path().join("log");
        let error =
            Cmd::new("sh").args(["-c", "seq 1 50; echo why >&2; exit 3"]).run_logged(&log).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("    50\n    why\n") && !text.contains("    30\n"), "{text}");
    }
}
