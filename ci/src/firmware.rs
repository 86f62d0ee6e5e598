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
use crate::workspace;

/// Up-channel of RTT that the firmware sends on.
const RTT_CHANNEL: u32 = 0;

/// How long a guest may live. The longest run takes some seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// How the firmware sends, and how it is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Over the serial port, linked with `throughline.x`.
    Serial,
    /// Over RTT, linked with `throughline.x`.
    Rtt,
    /// Over the serial port, linked without the fragment: the callsites lie in flash.
    NoFragment,
}

impl Variant {
    /// A word for it.
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
/// When something can't be installed.
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
    /// Builds them.
    ///
    /// # Errors
    ///
    /// When the build fails; the compiler has said why.
    pub fn build(machine: Machine, variant: Variant) -> Result<Self> {
        let target_dir = workspace::target_dir().join("firmware");
        Cmd::cargo()
            .dir(workspace::root().join("examples/firmware"))
            .env("CARGO_TARGET_DIR", &target_dir)
            .args(["build", "--release", "--bins", "--target", machine.target()])
            .args(variant.features().iter().copied())
            .run()?;
        // The ELFs are copied, because the next variant's build replaces them.
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

    /// Boots a binary, sends it `input` on its serial port, and takes what it sends until it exits. Time counts instructions, so a run repeats.
    ///
    /// `live` gets the bytes as they come.
    ///
    /// # Errors
    ///
    /// When it can't be booted, is killed because its time is up, or exits with failure.
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

    /// As [`Self::run`], whether it exits with success or with failure.
    ///
    /// # Errors
    ///
    /// When it can't be booted.
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

/// What a run sent.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The ELF that ran.
    pub elf: PathBuf,
    /// All bytes of the link.
    pub bytes: Vec<u8>,
    /// How it ended, and what it said over semihosting.
    pub outcome: Outcome,
}

impl Capture {
    /// The words after `name` in a line of what it said over semihosting.
    ///
    /// # Errors
    ///
    /// When there is no such line.
    pub fn said(&self, name: &str) -> Result<Vec<&str>> {
        let lines = self.outcome.semihosting.lines();
        let mut words = lines
            .map(|line| line.split(' '))
            .filter_map(|mut words| (words.next() == Some(name)).then_some(words));
        let line = words
            .next()
            .with_context(|| format!("the firmware didn't say `{name}`: {}", self.outcome.semihosting));
        Ok(line?.collect())
    }

    /// The number after `name`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn number(&self, name: &str) -> Result<u64> {
        let words = self.said(name)?;
        let number = words.first().and_then(|word| word.parse().ok());
        number.with_context(|| format!("the firmware said `{name} {}`, no number", words.join(" ")))
    }

    /// Bytes per record, from the number of records and the bytes they took after `name`.
    ///
    /// # Errors
    ///
    /// When there are no two numbers.
    pub fn bytes_each(&self, name: &str) -> Result<f64> {
        let words = self.said(name)?;
        let numbers: Vec<f64> = words.iter().map_while(|word| word.parse().ok()).collect();
        match numbers[..] {
            [records, bytes] => Ok(bytes / records),
            _ => bail!("the firmware said `{name} {}`, not records and bytes", words.join(" ")),
        }
    }
}

/// The host tool, built.
#[derive(Clone, Debug)]
pub struct Tool(PathBuf);

impl Tool {
    /// Builds it.
    ///
    /// # Errors
    ///
    /// When the build fails; the compiler has said why.
    pub fn build() -> Result<Self> {
        Cmd::cargo().args(["build", "--package", "throughline-cli"]).run()?;
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
    /// When the capture is damaged or the tool fails.
    pub fn tree(&self, capture: &Capture) -> Result<String> {
        self.decode(capture, &["--format", "tree"])
    }

    /// Decodes a capture to JSON objects.
    ///
    /// # Errors
    ///
    /// As [`Self::tree`].
    pub fn json(&self, capture: &Capture) -> Result<Vec<Value>> {
        objects(&self.decode(capture, &["--format", "json"])?)
    }

    /// Sends a capture, whose first record is of `anchor_unix_ns`, to a collector's OTLP/HTTP endpoint, and gives the same as JSON objects.
    ///
    /// # Errors
    ///
    /// As [`Self::tree`], and when the collector doesn't take everything.
    pub fn forward(&self, capture: &Capture, otlp: &str, anchor_unix_ns: u64) -> Result<Vec<Value>> {
        let anchor = anchor_unix_ns.to_string();
        objects(&self.decode(capture, &["--format", "json", "--otlp", otlp, "--anchor", &anchor])?)
    }

    /// Begins decoding a live stream to a tree; `show` gets each line as it is drawn.
    ///
    /// # Errors
    ///
    /// When the tool can't be started.
    pub fn live(&self, elf: &Path, mut show: impl FnMut(&str) + Send + 'static) -> Result<Live> {
        let mut command = Command::new(&self.0);
        // On a busy machine a board may take long between two records of a trace; it is drawn as a whole all the same.
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
            // Sending fails only when the receiver has gone, which is no error.
            let _ = sender.send(all);
        });
        Ok(Live { input: child.stdin.take(), child, text })
    }

    /// Decodes a capture with the ELF of another build; gives the exit code and all that the tool says.
    ///
    /// # Errors
    ///
    /// When the tool can't be started.
    pub fn decode_with(&self, capture: &Capture, elf: &Path) -> Result<(Option<i32>, String)> {
        let scratch = Scratch::new("capture")?;
        let path = scratch.path().join("capture.bin");
        fs::write(&path, &capture.bytes)?;
        let output = Command::new(&self.0).arg("decode").arg("--elf").arg(elf).arg(path).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
    }

    fn decode(&self, capture: &Capture, options: &[&str]) -> Result<String> {
        // The capture is read from a file, because the times of a stream depend on when it arrives.
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

/// The host tool at work on a live stream.
#[derive(Debug)]
pub struct Live {
    child: Child,
    input: Option<ChildStdin>,
    text: Receiver<String>,
}

impl Live {
    /// Gives it bytes.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().context("the stream has ended")?;
        input.write_all(bytes).and_then(|()| input.flush()).context("`throughline decode` has ended")
    }

    /// Ends the stream, and gives all that was drawn.
    ///
    /// # Errors
    ///
    /// When the stream was damaged or the tool failed.
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

/// Where a stream's records went, as the host tool counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Made by the firmware.
    pub emitted: u64,
    /// Read.
    pub decoded: u64,
    /// Lost on the device, each counted there.
    pub lost_device: u64,
    /// Lost on the link.
    pub lost_link: u64,
    /// Bytes of the stream.
    pub bytes: u64,
    /// Frames.
    pub frames: u64,
}

impl Balance {
    /// The one in the tool's summary.
    ///
    /// # Errors
    ///
    /// When there is no summary, it is not of one boot, or `emitted = decoded + lost` doesn't hold.
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
