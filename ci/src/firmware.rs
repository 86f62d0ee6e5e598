//! The example firmware: built for a board, booted, captured, and decoded with the host tool.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::Cmd;
use crate::qemu::{Machine, Options, Outcome, Qemu};
use crate::scratch::Scratch;
use crate::setup::{self, Need};
use crate::{suite, workspace};

/// The RTT up-channel on which the firmware sends.
const RTT_CHANNEL: u32 = 0;

/// Longest time for a guest. The longest run takes some seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// How the firmware sends, and how it is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Over the serial port, linked with `throughline.x`.
    Serial,
    /// Over RTT, linked with `throughline.x`.
    Rtt,
    /// Over the serial port, linked without `throughline.x`: the callsites are in flash.
    NoFragment,
}

impl Variant {
    /// A name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Rtt => "rtt",
            Self::NoFragment => "no-fragment",
        }
    }

    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Serial => &[],
            Self::Rtt => &["--features", "rtt"],
            Self::NoFragment => &["--no-default-features"],
        }
    }
}

/// Installs what building and booting firmware needs.
///
/// # Errors
///
/// Fails if something can't be installed.
pub fn ensure_tools(machines: &[Machine]) -> Result<()> {
    setup::ensure(&[Need::Qemu])?;
    machines.iter().try_for_each(|machine| setup::ensure(&[Need::Target(machine.target())]))
}

/// All binaries of the example firmware for one board.
#[derive(Clone, Debug)]
pub struct Firmware {
    machine: Machine,
    variant: Variant,
    folder: PathBuf,
}

impl Firmware {
    /// Builds them for one board.
    ///
    /// # Errors
    ///
    /// Fails if the build fails. The compiler has printed the reason.
    pub fn build(machine: Machine, variant: Variant) -> Result<Self> {
        let target_dir = workspace::target_dir().join("firmware");
        Cmd::cargo()
            .dir(workspace::root().join("examples/firmware"))
            .env("CARGO_TARGET_DIR", &target_dir)
            .args(["build", "--release", "--bins", "--target", machine.target()])
            .args(variant.features().iter().copied())
            .run()?;
        // Copy the ELFs, because the next variant's build replaces them.
        let built = target_dir.join(machine.target()).join("release");
        let folder = target_dir.join(format!("{}-{}", machine.name(), variant.name()));
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(workspace::root().join("examples/firmware/src/bin"))? {
            let path = entry?.path();
            let name = path.file_stem().context("a source file has a name")?;
            fs::copy(built.join(name), folder.join(name))
                .with_context(|| format!("the build made no {}", built.join(name).display()))?;
        }
        Ok(Self { machine, variant, folder })
    }

    /// The ELF of a binary.
    #[must_use]
    pub fn elf(&self, binary: &str) -> PathBuf {
        self.folder.join(binary)
    }

    /// Boots a binary, sends `input` to its serial port, and collects what it sends until it exits. Its time
    /// counts instructions, so a run is repeatable.
    ///
    /// `live` gets the bytes as they arrive.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be booted, is killed after the time limit, or exits with failure.
    pub fn run(&self, binary: &str, input: &[u8], live: impl FnMut(&[u8]) -> Result<()>) -> Result<Capture> {
        let capture = self.run_to_end(binary, input, live)?;
        let Outcome { semihosting, timed_out, .. } = &capture.outcome;
        if !capture.outcome.is_success() {
            let said = if semihosting.is_empty() { "nothing" } else { semihosting.trim_end() };
            let end = if *timed_out { "did not end in time" } else { "failed" };
            let (board, bytes) = (self.machine.name(), capture.bytes.len());
            bail!("{binary} on {board} {end} after {bytes} bytes; it said: {said}");
        }
        Ok(capture)
    }

    /// Like [`Self::run`], but also accepts an exit with failure.
    ///
    /// # Errors
    ///
    /// Fails if it can't be booted.
    pub fn run_to_end(
        &self,
        binary: &str,
        input: &[u8],
        mut live: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<Capture> {
        let elf = self.elf(binary);
        let options = Options { count_instructions: true, hold: true, limit: LIMIT, ..Options::default() };
        let mut qemu = Qemu::boot(self.machine, &elf, &options)?;
        let mut source: Box<dyn Read> = match self.variant {
            Variant::Rtt => Box::new(qemu.rtt(RTT_CHANNEL)?),
            Variant::Serial | Variant::NoFragment => {
                Box::new(qemu.take_serial().context("the serial port leads here")?)
            }
        };
        qemu.resume()?;
        if !input.is_empty() {
            qemu.write_serial(input)?;
        }
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match source.read(&mut chunk)? {
                0 => break,
                count => {
                    bytes.extend_from_slice(&chunk[..count]);
                    live(&chunk[..count])?;
                }
            }
        }
        let outcome = qemu.wait()?;
        Ok(Capture { elf, bytes, outcome })
    }
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The ELF that ran.
    pub elf: PathBuf,
    /// All bytes sent over the link.
    pub bytes: Vec<u8>,
    /// How it ended, and what it printed over semihosting.
    pub outcome: Outcome,
}

impl Capture {
    /// The words after `name` in a line that it printed over semihosting.
    ///
    /// # Errors
    ///
    /// Fails if there is no such line.
    pub fn said(&self, name: &str) -> Result<Vec<&str>> {
        let lines = self.outcome.semihosting.lines();
        let mut words = lines
            .map(|line| line.split(' '))
            .filter_map(|mut words| (words.next() == Some(name)).then_some(words));
        let line = words
            .next()
            .with_context(|| format!("the firmware did not print `{name}`: {}", self.outcome.semihosting));
        Ok(line?.collect())
    }

    /// The number after `name`.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub fn number(&self, name: &str) -> Result<u64> {
        let words = self.said(name)?;
        let number = words.first().and_then(|word| word.parse().ok());
        number.with_context(|| {
            format!("the firmware printed `{name} {}`, which is not a number", words.join(" "))
        })
    }

    /// Bytes per record, from the number of records and the bytes they took after `name`.
    ///
    /// # Errors
    ///
    /// Fails if there are no two numbers.
    pub fn bytes_each(&self, name: &str) -> Result<f64> {
        let words = self.said(name)?;
        let numbers: Vec<f64> = words.iter().map_while(|word| word.parse().ok()).collect();
        match numbers[..] {
            [records, bytes] => Ok(bytes / records),
            _ => bail!("the firmware printed `{name} {}`, not records and bytes", words.join(" ")),
        }
    }
}

/// The host tool, built.
#[derive(Clone, Debug)]
pub struct Tool(PathBuf);

impl Tool {
    /// Builds it; in a step of the suite in a way that shares what its tests have built.
    ///
    /// # Errors
    ///
    /// Fails if the build fails. The compiler has printed the reason.
    pub fn build() -> Result<Self> {
        let build = match suite::is_running() {
            true => suite::workspace_build(&["throughline"]),
            false => Cmd::cargo().args(["build", "--package", "throughline-cli"]),
        };
        build.run()?;
        Ok(Self(
            workspace::target_dir()
                .join("debug")
                .join(format!("throughline{}", std::env::consts::EXE_SUFFIX)),
        ))
    }

    /// Decodes a capture to a tree.
    ///
    /// # Errors
    ///
    /// Fails if the capture is damaged or the tool fails.
    pub fn tree(&self, capture: &Capture) -> Result<String> {
        self.decode(capture, &["--format", "tree"])
    }

    /// Decodes a capture to JSON objects.
    ///
    /// # Errors
    ///
    /// Like [`Self::tree`].
    pub fn json(&self, capture: &Capture) -> Result<Vec<Value>> {
        objects(&self.decode(capture, &["--format", "json"])?)
    }

    /// The profile of a capture in one of the tool's formats, which the end of `file` names.
    ///
    /// # Errors
    ///
    /// Like [`Self::tree`].
    pub fn profile(&self, capture: &Capture, file: &str) -> Result<String> {
        let scratch = Scratch::new("profile")?;
        let path = scratch.path().join(file);
        let options = ["--format", "none", "--profile", path.to_str().context("its path is UTF-8")?];
        self.decode(capture, &options)?;
        fs::read_to_string(&path).with_context(|| format!("the tool made no {file}"))
    }

    /// What `throughline profile` says about files or folders of profiles of a service. The command is shown.
    ///
    /// # Errors
    ///
    /// Fails if the tool does.
    pub fn profiles(&self, options: &[&str], inputs: &[&Path]) -> Result<String> {
        let cmd = Cmd::new(&self.0).arg("profile").args(options).args(inputs);
        println!("$ {cmd}");
        cmd.output()
    }

    /// Sends a capture to a collector's OTLP/HTTP endpoint, and returns it as JSON objects. `anchor_unix_ns`
    /// is the time of its first record.
    ///
    /// # Errors
    ///
    /// Like [`Self::tree`], and when the collector does not take everything.
    pub fn forward(&self, capture: &Capture, otlp: &str, anchor_unix_ns: u64) -> Result<Vec<Value>> {
        let anchor = anchor_unix_ns.to_string();
        objects(&self.decode(capture, &["--format", "json", "--otlp", otlp, "--anchor", &anchor])?)
    }

    /// Starts to decode a live stream as a tree. `show` gets each line as it is drawn.
    ///
    /// # Errors
    ///
    /// Fails if the tool can't be started.
    pub fn live(&self, elf: &Path, mut show: impl FnMut(&str) + Send + 'static) -> Result<Live> {
        let mut command = Command::new(&self.0);
        // On a busy machine, a board may pause long between two records of a trace; this keeps the trace in
        // one piece.
        command.args(["decode", "--patience", "10m", "--metrics", "last", "--elf"]).arg(elf).arg("-");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("can't start {}", self.0.display()))?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let (sender, text) = mpsc::channel();
        thread::spawn(move || {
            let mut all = String::new();
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                show(&line);
                all.push_str(&line);
                all.push('\n');
            }
            // Sending fails only if the receiver has gone, which is not an error.
            let _ = sender.send(all);
        });
        Ok(Live { input: child.stdin.take(), child, text })
    }

    /// Decodes a capture with the ELF of another build. Returns the exit code and all output of the tool.
    ///
    /// # Errors
    ///
    /// Fails if the tool can't be started.
    pub fn decode_with(&self, capture: &Capture, elf: &Path) -> Result<(Option<i32>, String)> {
        let scratch = Scratch::new("capture")?;
        let path = scratch.path().join("capture.bin");
        fs::write(&path, &capture.bytes)?;
        let output = Command::new(&self.0).arg("decode").arg("--elf").arg(elf).arg(path).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
    }

    fn decode(&self, capture: &Capture, options: &[&str]) -> Result<String> {
        // Read the capture from a file, because the times of a stream depend on its arrival.
        let scratch = Scratch::new("capture")?;
        let path = scratch.path().join("capture.bin");
        fs::write(&path, &capture.bytes)?;
        let cmd = Cmd::new(&self.0).arg("decode").arg("--elf").arg(&capture.elf);
        cmd.args(options.iter().copied()).arg(path).output()
    }
}

fn objects(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
}

/// The host tool, decoding a live stream.
#[derive(Debug)]
pub struct Live {
    child: Child,
    input: Option<ChildStdin>,
    text: Receiver<String>,
}

impl Live {
    /// Passes it bytes.
    ///
    /// # Errors
    ///
    /// Fails if it has ended.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().context("the stream has ended")?;
        input.write_all(bytes).and_then(|()| input.flush()).context("`throughline decode` has ended")
    }

    /// Ends the stream and returns everything that was drawn.
    ///
    /// # Errors
    ///
    /// Fails if the stream was damaged or the tool failed.
    pub fn finish(mut self) -> Result<String> {
        self.input = None;
        let text = self.text.recv().context("`throughline decode` drew nothing")?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("`throughline decode` says {status}");
        }
        Ok(text)
    }
}

/// Where the records of a stream went, according to the host tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Records made by the firmware.
    pub emitted: u64,
    /// Records decoded.
    pub decoded: u64,
    /// Records lost and counted on the device.
    pub lost_device: u64,
    /// Records lost on the link.
    pub lost_link: u64,
    /// Bytes of the stream.
    pub bytes: u64,
    /// Number of frames.
    pub frames: u64,
}

impl Balance {
    /// The balance in the tool's summary.
    ///
    /// # Errors
    ///
    /// Fails if there is no summary, it covers several boots, or `emitted = decoded + lost` does not hold.
    pub fn of(objects: &[Value]) -> Result<Self> {
        let summary = objects.iter().find(|object| object["kind"] == "summary").context("no summary")?;
        let count = |name: &str| summary[name].as_u64().with_context(|| format!("no `{name}` in {summary}"));
        let balance = Self {
            emitted: count("emitted")?,
            decoded: count("decoded")?,
            lost_device: count("lost_device")?,
            lost_link: count("lost_link")?,
            bytes: count("bytes")?,
            frames: count("frames")?,
        };
        if count("boots")? != 1
            || balance.emitted != balance.decoded + balance.lost_device + balance.lost_link
        {
            bail!("emitted is not decoded + lost: {summary}");
        }
        Ok(balance)
    }
}
