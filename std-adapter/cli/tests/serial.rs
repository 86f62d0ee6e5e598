//! Serial ports, as pairs of pseudo terminals: opened raw, opened again when they disappear, and refused in
//! line mode.
#![cfg(unix)]

#[path = "../../decode/tests/common/mod.rs"]
mod common;
mod tool;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use common::scenario::{program, round};
use common::{Device, F, Rec, elf};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tool::{Bench, LONG, Lines, said, tool};

/// The device's end of a pseudo terminal, and the name of the other end.
struct Port {
    device: File,
    name: String,
}

impl Port {
    fn new() -> Port {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&device).unwrap();
        unlockpt(&device).unwrap();
        let name = ptsname(&device, Vec::new()).unwrap().into_string().unwrap();
        Port { device: device.into(), name }
    }

    /// Whether bytes that the device sends are echoed to it.
    fn echoes(&self) -> bool {
        tcgetattr(&self.device).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits until the tool has set the port up.
    fn wait_until_raw(&self, tool: &mut Running) {
        let begun = Instant::now();
        while self.echoes() {
            assert!(tool.0.try_wait().unwrap().is_none(), "the tool ended before it set up {}", self.name);
            assert!(begun.elapsed() < LONG, "the tool did not turn off the echo of {}", self.name);
            std::thread::yield_now();
        }
    }

    /// Sends bytes as a device does. Fails instead of waiting when the other end takes nothing, as a port in
    /// line mode does once its line is full.
    fn send(&mut self, bytes: &[u8]) {
        rustix::io::ioctl_fionbio(&self.device, true).unwrap();
        let (begun, mut sent) = (Instant::now(), 0);
        while sent < bytes.len() {
            match self.device.write(&bytes[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("{}: {error}", self.name),
            }
            assert!(begun.elapsed() < LONG, "{} took only {sent} of {} bytes", self.name, bytes.len());
        }
    }
}

/// The running tool. A test that fails must not leave it behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(bench: &Bench, port: &Path) -> Running {
    let args = ["decode", "--elf", "fw.elf", "--baud", "115200", "--serial"];
    let mut command = tool();
    command.current_dir(bench.0.path()).args(args).arg(port);
    Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// A device that sends bytes which a terminal in line mode would change: line feeds, carriage returns, Ctrl-C, Ctrl-D, DEL.
fn device_with_control_bytes() -> Device {
    let (_, ids) = program();
    let mut device = Device::new(32);
    device.preamble();
    (0..40).for_each(|n| _ = device.batch(n * 2_000, 10, &round(&ids, n * 2_000, 10 + 4 * n)));
    let text = F::Text("\n\r\x03\x04\x7f\x11\x13\x15\x16\x1a\x1c".to_owned(), false);
    device.batch(
        80_000,
        1,
        &[Rec::Event { callsite: ids.low, time: 80_000, span: None, fields: vec![text] }],
    );
    device
}

#[test]
fn a_serial_port_is_read_raw_and_nothing_is_echoed_29() {
    let (bench, mut port) = (Bench::new(b""), Port::new());
    let mut running = start(&bench, port.name.as_ref());
    let device = device_with_control_bytes();
    let (first, rest) = device.wire.split_at(device.frames[2].0.start);
    // The port must be raw before anything is read from it. The first trace shows that it is being read.
    port.wait_until_raw(&mut running);
    port.send(first);
    let mut lines = Lines::of(running.0.stdout.take().unwrap());
    assert!(lines.any(|line| line.contains("1.24 ms  measure")));
    port.send(rest);
    let more = lines.by_ref().filter(|line| line.contains("1.24 ms  measure")).take(39).count();
    assert_eq!(more, 39);
    kill_process(Pid::from_child(&running.0), Signal::INT).unwrap();
    let summary = lines.last().unwrap();
    assert!(summary.contains("161 records emitted, 161 decoded"), "{summary}");
    assert!(summary.ends_with("no damage"), "{summary}");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    // Echoed bytes would be waiting here.
    let nothing = port.device.read(&mut [0; 4096]);
    assert!(!matches!(nothing, Ok(n) if n > 0), "echoed to the device: {nothing:?}");
}

#[test]
fn a_port_that_goes_away_is_opened_anew_29() {
    let bench = Bench::new(b"");
    let (mut before, mut after) = (Port::new(), Port::new());
    // The name stays but points to another port, as when a USB adapter is plugged in again.
    let link = bench.path("ttyACM0");
    symlink(&before.name, &link).unwrap();
    let mut running = start(&bench, &link);
    let (mut lines, mut said) =
        (Lines::of(running.0.stdout.take().unwrap()), Lines::of(running.0.stderr.take().unwrap()));
    before.wait_until_raw(&mut running);
    let device = device_with_control_bytes();
    // The port disappears within a frame, and comes back within a later one.
    let cut = |frame: usize| device.frames[frame].0.start + 10;
    before.send(&device.wire[..cut(3)]);
    assert!(lines.any(|line| line.contains("1.24 ms  measure")));
    std::fs::remove_file(&link).unwrap();
    drop(before);
    let gone = said.next().unwrap();
    assert!(gone.contains("ttyACM0 went away") && gone.contains("Ctrl-C"), "{gone}");
    symlink(&after.name, &link).unwrap();
    let back = said.next().unwrap();
    assert!(back.ends_with("ttyACM0 is back"), "{back}");
    assert!(!after.echoes());
    after.send(&device.wire[cut(9)..]);
    // Frames 3 to 9 are lost: 28 records, which the next frame reveals.
    let (mut lost, mut measured) = (0, 0);
    while lost == 0 || measured < device.frames.len() - 11 {
        let line = lines.next().expect("the tool goes on");
        lost += usize::from(line.contains("28 records lost here: on the link, in 7 frames"));
        measured += usize::from(line.contains("1.24 ms  measure"));
    }
    kill_process(Pid::from_child(&running.0), Signal::INT).unwrap();
    let summary = lines.last().unwrap();
    assert!(summary.ends_with("28 on the link (in 7 frames); no damage"), "{summary}");
    assert_eq!(running.0.wait().unwrap().code(), Some(2));
}

#[test]
fn a_terminal_in_line_mode_is_refused_with_what_to_type_29() {
    let (bench, port) = (Bench::new(b""), Port::new());
    let output = bench.run(&["decode", "--elf", "fw.elf", &port.name]);
    let (code, out, err) = said(&output);
    assert_eq!((code, out), (1, ""));
    let next = format!("throughline decode --elf fw.elf --serial {} --baud 115200\n", port.name);
    assert!(err.starts_with(&format!("throughline: {} is a terminal in line mode", port.name)), "{err}");
    assert!(err.ends_with(&next), "{err}");
    // The same on standard input. A user's own terminal is not a port, so the advice differs.
    let stdin = File::options().read(true).write(true).open(&port.name).unwrap();
    let output =
        tool().current_dir(bench.0.path()).args(["decode", "--elf", "fw.elf"]).stdin(stdin).output().unwrap();
    let (code, _, err) = said(&output);
    assert_eq!(code, 1);
    assert!(err.starts_with("throughline: standard input is a terminal; pass a capture file"), "{err}");
}

#[test]
fn a_port_that_cannot_be_opened_says_what_to_do_29() {
    let bench = Bench::new(b"");
    bench.put("other.elf", &elf(Some(&common::scenario::sites()), "", &[]).0);
    for args in [["--serial", "/dev/none"], ["--serial", "fw.elf"]] {
        let output = bench.run(&["decode", "--elf", "fw.elf", args[0], args[1]]);
        let (code, _, err) = said(&output);
        assert_eq!(code, 1);
        assert!(err.starts_with(&format!("throughline: cannot open {}: ", args[1])), "{err}");
        assert!(err.contains("check the name and the cable; this machine has "), "{err}");
    }
    let output = bench.run(&["decode", "--elf", "fw.elf", "--serial", "/dev/none", "capture.bin"]);
    assert_eq!(said(&output).0, 1, "a port and a file");
}
