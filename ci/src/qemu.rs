//! Boots firmware in QEMU, and gives access to its serial port, its RTT channels, its memory and its exit
//! code.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use std::{path::Path, time::Duration};
//! use xtask::qemu::{Machine, Options, Qemu, Source};
//!
//! let mut qemu = Qemu::boot(Machine::Mps2An386, Path::new("firmware.elf"), &Options::default())?;
//! let mut rtt = qemu.rtt(0)?;
//! let bytes = rtt.read_until(Duration::from_secs(5), |bytes| bytes.ends_with(b"done\n"))?;
//! let outcome = qemu.wait()?;
//! # Ok(())
//! # }
//! ```
//!
//! The guest starts halted, all channels are connected, and only then does it run, so nothing that it sends
//! at boot is lost. Nothing hangs: a guest that runs longer than [`Options::limit`] is killed, and every read
//! then ends.

mod guest;
mod qmp;
mod qtest;
mod rtt;
mod serial;
mod symbols;

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::guest::Guest;
pub use self::guest::Outcome;
use self::qmp::Qmp;
pub use self::qtest::QTest;
pub use self::rtt::{Memory, Rtt};
pub use self::serial::{SerialReader, Source};
pub use self::symbols::address_of;
use crate::net;
use crate::process::Cmd;
use crate::scratch::Scratch;

/// QEMU's name for the character device of the serial port.
const SERIAL: &str = "serial0";

/// Longest time until QEMU notices our own connection. It takes some milliseconds.
const CLIENT_LIMIT: Duration = Duration::from_secs(20);

/// A board that QEMU knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Arm's MPS2 board with image AN386: a Cortex-M4F with 4 MiB of flash at 0 and of RAM at `0x2000_0000`, a
    /// SysTick of 25 MHz and a CMSDK UART at `0x4000_4000`.
    Mps2An386,
    /// BBC micro:bit: a Cortex-M0 (nRF51822) with 256 KiB of flash at 0 and 16 KiB of RAM at `0x2000_0000`.
    Microbit,
}

impl Machine {
    /// Every board.
    pub const ALL: [Self; 2] = [Self::Mps2An386, Self::Microbit];

    /// QEMU's name for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mps2An386 => "mps2-an386",
            Self::Microbit => "microbit",
        }
    }

    /// The Rust target of its firmware.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::Mps2An386 => "thumbv7em-none-eabihf",
            Self::Microbit => "thumbv6m-none-eabi",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Mps2An386 | Self::Microbit => "qemu-system-arm",
        }
    }
}

/// Where the guest's first serial port is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serial {
    /// To [`Qemu::take_serial`] and from [`Qemu::write_serial`].
    #[default]
    Pipe,
    /// To the first client of [`Qemu::serial_address`]. Bytes sent without a client are lost. So set
    /// [`Options::hold`], connect, call [`Qemu::wait_for_client`], and then [`Qemu::resume`].
    Tcp,
    /// Nowhere.
    None,
}

/// How to boot.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where the serial port is connected. Default: [`Serial::Pipe`].
    pub serial: Serial,
    /// Count one instruction as 1 ns of the guest's time (`-icount shift=0`), so that SysTick counts
    /// instructions and a run is repeatable. Default: `false`, the guest's time is the host's time.
    pub count_instructions: bool,
    /// Leave the guest halted until [`Qemu::resume`]. Default: `false`.
    pub hold: bool,
    /// How long the guest may exist, halted or not, before it is killed. Default: 60 s.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            serial: Serial::default(),
            count_instructions: false,
            hold: false,
            limit: Duration::from_secs(60),
        }
    }
}

/// A reader of a guest's RTT channel, which may be moved to another thread.
pub type RttReader = Rtt<Arc<Mutex<QTest>>>;

/// A booted guest. Dropping it kills it.
#[derive(Debug)]
pub struct Qemu {
    elf: PathBuf,
    guest: Arc<Guest>,
    qmp: Qmp,
    memory: Arc<Mutex<QTest>>,
    serial_output: Option<SerialReader>,
    serial_input: Option<UnixStream>,
    serial_address: Option<SocketAddr>,
    // The folder with the sockets. It is removed after the guest has exited.
    _scratch: Scratch,
}

impl Qemu {
    /// Boots `elf` on `machine`.
    ///
    /// Semihosting is on: the firmware's exit ends QEMU with its code, and its output is in
    /// [`Outcome::semihosting`].
    ///
    /// # Errors
    ///
    /// Fails if QEMU is not installed or refuses the firmware.
    pub fn boot(machine: Machine, elf: &Path, options: &Options) -> Result<Self> {
        let elf = elf.canonicalize().with_context(|| format!("no firmware at {}", elf.display()))?;
        // QEMU would run a file that is not ELF as raw instructions.
        if !fs::read(&elf)?.starts_with(b"\x7fELF") {
            bail!("{} is not ELF", elf.display());
        }
        let scratch = Scratch::new("qemu")?;
        let channels = Channels::below(scratch.path());
        let cmd = command(machine, &elf, options, &channels);
        let mut command = cmd.to_command();
        // Which of the two the firmware prints to depends on the semihosting call and on QEMU's version.
        let (output, both) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(both.try_clone()?).stderr(both);
        let child = command.spawn();
        // The command holds the other end of the pipe, so the output would never end while it exists.
        drop(command);
        let child =
            child.with_context(|| format!("can't start `{cmd}`: `cargo xtask setup` installs QEMU"))?;
        let guest = Arc::new(Guest::watch(child, output, options.limit));

        let connected = (|| -> Result<_> {
            let mut qmp = Qmp::new(guest.connect(&channels.qmp)?)?;
            let memory = QTest::new(guest.connect(&channels.qtest)?)?;
            let (mut address, mut serial) = (None, None);
            match options.serial {
                Serial::Pipe => {
                    serial = Some(guest.connect(&channels.serial)?);
                    wait_for_client(&mut qmp, CLIENT_LIMIT)?;
                }
                Serial::Tcp => address = Some(qmp.tcp_address(SERIAL)?),
                Serial::None => {}
            }
            Ok((qmp, memory, serial, address))
        })();
        let (qmp, memory, serial_input, serial_address) =
            connected.with_context(|| format!("QEMU didn't come up: `{cmd}` wrote: {}", guest.output()))?;
        let serial_output = serial_input.as_ref().map(UnixStream::try_clone).transpose()?;
        let mut qemu = Self {
            elf,
            guest,
            qmp,
            memory: Arc::new(Mutex::new(memory)),
            serial_output: serial_output.map(SerialReader::new),
            serial_input,
            serial_address,
            _scratch: scratch,
        };
        if !options.hold {
            qemu.resume()?;
        }
        Ok(qemu)
    }

    /// Runs a guest that was booted with [`Options::hold`] or halted with [`Self::halt`].
    ///
    /// # Errors
    ///
    /// Fails if QEMU has ended.
    pub fn resume(&mut self) -> Result<()> {
        self.qmp.execute("cont").map(drop)
    }

    /// Halts the guest. Its memory can still be read.
    ///
    /// # Errors
    ///
    /// Fails if QEMU has ended.
    pub fn halt(&mut self) -> Result<()> {
        self.qmp.execute("stop").map(drop)
    }

    /// What the firmware has printed over semihosting so far.
    #[must_use]
    pub fn semihosting(&self) -> String {
        self.guest.output()
    }

    /// The reader of the guest's serial port. `None` after the first call, and if [`Options::serial`] is
    /// something else.
    pub fn take_serial(&mut self) -> Option<SerialReader> {
        self.serial_output.take()
    }

    /// Sends bytes to the guest's serial port.
    ///
    /// # Errors
    ///
    /// Fails if QEMU has ended, or [`Options::serial`] isn't [`Serial::Pipe`].
    pub fn write_serial(&mut self, bytes: &[u8]) -> io::Result<()> {
        let input = self.serial_input.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        input.write_all(bytes)
    }

    /// The address of the serial port for a client, with [`Serial::Tcp`].
    #[must_use]
    pub fn serial_address(&self) -> Option<SocketAddr> {
        self.serial_address
    }

    /// A reader of the RTT up-channel `channel`. It never pauses the guest.
    ///
    /// What is in the channel when the guest exits is lost with its memory, so firmware must wait until its
    /// channel is empty before it exits.
    ///
    /// # Errors
    ///
    /// Fails if the firmware has no symbol `_SEGGER_RTT`.
    pub fn rtt(&self, channel: u32) -> Result<RttReader> {
        let address = address_of(&self.elf, rtt::SYMBOL)?;
        Ok(Rtt::new(Arc::clone(&self.memory), address, channel))
    }

    /// Reads the guest's memory.
    ///
    /// # Errors
    ///
    /// Fails if QEMU has ended.
    pub fn read_memory(&self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).read(address, buffer)
    }

    /// The address of a symbol of the firmware.
    ///
    /// # Errors
    ///
    /// Fails if there is none of that name.
    pub fn symbol(&self, name: &str) -> Result<u64> {
        address_of(&self.elf, name)
    }

    /// Waits until a client has connected to [`Self::serial_address`].
    ///
    /// # Errors
    ///
    /// Fails if `limit` passes first, or there is no such address.
    pub fn wait_for_client(&mut self, limit: Duration) -> Result<()> {
        wait_for_client(&mut self.qmp, limit)
    }

    /// QEMU's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.guest.pid()
    }

    /// Waits until the firmware exits or the limit passes.
    ///
    /// # Errors
    ///
    /// Fails if the system does not return the exit status.
    pub fn wait(&mut self) -> Result<Outcome> {
        self.guest.wait()
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Kill the guest here as well as in `Guest`, because an `Rtt` may keep the `Guest` alive.
        self.guest.kill();
    }
}

/// Waits for a client, because bytes of a guest that runs earlier are lost.
fn wait_for_client(qmp: &mut Qmp, limit: Duration) -> Result<()> {
    net::wait_for("a client of the serial port", limit, || Ok(qmp.is_connected(SERIAL)?.then_some(())))
}

/// QEMU's sockets, in a folder of their own.
struct Channels {
    qmp: PathBuf,
    qtest: PathBuf,
    serial: PathBuf,
}

impl Channels {
    fn below(folder: &Path) -> Self {
        Self { qmp: folder.join("qmp"), qtest: folder.join("qtest"), serial: folder.join("serial") }
    }
}

fn command(machine: Machine, elf: &Path, options: &Options, channels: &Channels) -> Cmd {
    let socket = |path: &Path| format!("unix:{},server=on,wait=off", path.display());
    // With qtest, QEMU executes instructions only if an accelerator is named.
    let mut cmd = Cmd::new(machine.program())
        .args(["-machine", machine.name(), "-accel", "tcg", "-nographic", "-monitor", "none", "-S"])
        .args(["-qmp", &socket(&channels.qmp), "-qtest", &socket(&channels.qtest), "-qtest-log", "none"])
        .args(["-semihosting-config", "enable=on,target=native"]);
    cmd = match options.serial {
        // Use a socket for the serial port, because semihosting output would mix with its bytes on standard
        // output.
        Serial::Pipe => {
            let path = channels.serial.display();
            cmd.args(["-chardev", &format!("socket,id={SERIAL},path={path},server=on,wait=off")])
                .args(["-serial", &format!("chardev:{SERIAL}")])
        }
        // With port 0, QEMU chooses a free port and reports it, so no other process can take it first.
        Serial::Tcp => cmd
            .args(["-chardev", &format!("socket,id={SERIAL},host=127.0.0.1,port=0,server=on,wait=off")])
            .args(["-serial", &format!("chardev:{SERIAL}")]),
        Serial::None => cmd.args(["-serial", "none"]),
    };
    if options.count_instructions {
        cmd = cmd.args(["-icount", "shift=0"]);
    }
    cmd.arg("-kernel").arg(elf)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(options: &Options) -> String {
        command(Machine::Microbit, Path::new("/f.elf"), options, &Channels::below(Path::new("/s")))
            .to_string()
    }

    #[test]
    fn the_guest_starts_halted_with_its_channels() {
        let shown = shown(&Options::default());
        for part in [
            "-machine microbit",
            " -S",
            "-serial chardev:serial0",
            "path=/s/serial,",
            "-qtest unix:/s/qtest,server=on",
            "-kernel /f.elf",
        ] {
            assert!(shown.contains(part), "no `{part}` in {shown}");
        }
        assert!(!shown.contains("-icount"));
    }

    #[test]
    fn options_reach_the_command() {
        let options = Options { serial: Serial::Tcp, count_instructions: true, ..Options::default() };
        let shown = shown(&options);
        assert!(shown.contains("port=0") && shown.contains("-icount shift=0"), "{shown}");
    }

    #[test]
    fn missing_firmware_is_named() {
        let error =
            Qemu::boot(Machine::Mps2An386, Path::new("/no/such.elf"), &Options::default()).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such.elf"));
    }
}
