//! A serial port, opened raw: without echo and without changing any byte. When it disappears (a cable is
//! pulled, a board resets), it is opened again.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use serial2::SerialPort;

use super::CHUNK;
use super::live::{Arrival, Arrivals, now_ns, spawn};
use crate::error::CliError;
use crate::say;

/// How often the tool looks for a port that disappeared.
const AGAIN: Duration = Duration::from_millis(250);

/// Opens the port and reads it forever.
pub(super) fn open(port: &Path, baud: u32) -> Result<Arrivals, CliError> {
    let opened = SerialPort::open(port, baud).map_err(|source| CliError::Serial {
        path: port.to_owned(),
        next: next_step(&source),
        source,
    })?;
    let port = port.to_owned();
    Ok(spawn(move |sender| read(&port, baud, opened, &sender)))
}

fn read(path: &Path, baud: u32, mut port: SerialPort, sender: &SyncSender<Arrival>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let arrival = match port.read(&mut buffer) {
            Ok(0) => reopen(path, baud, &mut port, "it was closed at the other end"),
            Ok(n) => Arrival::Bytes(buffer[..n].to_vec(), now_ns()),
            Err(e) if matches!(e.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => continue,
            Err(e) => reopen(path, baud, &mut port, &e.to_string()),
        };
        if sender.send(arrival).is_err() {
            return;
        }
    }
}

/// Waits until the port can be opened again.
fn reopen(path: &Path, baud: u32, port: &mut SerialPort, why: &str) -> Arrival {
    say(&format_args!("{} went away ({why}); waiting for it, Ctrl-C ends", path.display()));
    loop {
        std::thread::sleep(AGAIN);
        if let Ok(opened) = SerialPort::open(path, baud) {
            *port = opened;
            say(&format_args!("{} is back", path.display()));
            return Arrival::Reopened;
        }
    }
}

/// What the user can do about a port that cannot be opened.
fn next_step(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "you need the right to open it: on Linux join the group that `ls -l` shows for it, such as \
             `sudo usermod -aG dialout $USER`, and log in again"
                .to_owned()
        }
        _ => format!("check the name and the cable; {}", available()),
    }
}

fn available() -> String {
    let mut ports: Vec<PathBuf> = SerialPort::available_ports().unwrap_or_default();
    ports.sort();
    if ports.is_empty() {
        return "this machine has no serial port at the moment".to_owned();
    }
    let names: Vec<_> = ports.iter().map(|port| port.display().to_string()).collect();
    format!("this machine has {}", names.join(", "))
}
