//! The tool as a process, in a directory of its own with an ELF and a capture.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses a part of it.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::common::Device;
use crate::common::scenario::{program, round};

pub fn tool() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
    command.env_remove("NO_COLOR");
    command
}

/// A directory with the right ELF, `fw.elf`, and one capture, `capture.bin`.
pub struct Bench(pub TempDir);

impl Bench {
    pub fn new(capture: &[u8]) -> Bench {
        let bench = Bench(TempDir::new().unwrap());
        bench.put("fw.elf", &program().0);
        bench.put("capture.bin", capture);
        bench
    }

    pub fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn run(&self, args: &[&str]) -> Output {
        tool().current_dir(self.0.path()).args(args).output().unwrap()
    }
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Exit code, standard output, standard error.
pub fn said(output: &Output) -> (i32, &str, &str) {
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A device that measures three times, nothing lost.
pub fn healthy() -> Device {
    let (_, ids) = program();
    let mut device = Device::new(32);
    device.preamble();
    (0..3).for_each(|n| _ = device.batch(n * 2_000, 10, &round(&ids, n * 2_000, 10 + 4 * n)));
    device
}
