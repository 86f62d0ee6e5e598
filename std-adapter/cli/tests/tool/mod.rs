//! The tool as a process, in its own directory with an ELF and a capture.
#![allow(dead_code, unreachable_pub, missing_docs)] // Each test binary uses a part of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

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

/// How long a test waits for the tool before it fails.
pub const LONG: Duration = Duration::from_secs(60);

/// The lines that a running tool prints. A line that does not come in time fails the test, so that a test never
/// hangs.
pub struct Lines {
    lines: Receiver<String>,
    last: String,
}

impl Lines {
    pub fn of(output: impl Read + Send + 'static) -> Lines {
        let (send, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Lines { lines, last: String::new() }
    }
}

impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        match self.lines.recv_timeout(LONG) {
            Ok(line) => {
                self.last.clone_from(&line);
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the tool printed nothing for {} s; its last line was {:?}", LONG.as_secs(), self.last)
            }
        }
    }
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Exit code, standard output, standard error.
pub fn said(output: &Output) -> (i32, &str, &str) {
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A device that measures three times and loses nothing.
pub fn healthy() -> Device {
    let (_, ids) = program();
    let mut device = Device::new(32);
    device.preamble();
    (0..3).for_each(|n| _ = device.batch(n * 2_000, 10, &round(&ids, n * 2_000, 10 + 4 * n)));
    device
}

/// Answers requests on one connection until it is closed. Returns their paths and bodies.
pub fn collect(listener: &TcpListener) -> Vec<(String, Vec<u8>)> {
    let mut requests = Vec::new();
    collect_each(listener, |path, body| requests.push((path, body)));
    requests
}

/// Answers requests on one connection until it is closed, and passes on their paths and bodies as they come.
pub fn collect_each(listener: &TcpListener, mut each: impl FnMut(String, Vec<u8>)) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        let mut len = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                return;
            }
            if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
                len = n.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line);
        }
        let mut body = vec![0; len];
        reader.read_exact(&mut body).unwrap();
        each(head[0].split(' ').nth(1).unwrap().to_owned(), body);
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}
