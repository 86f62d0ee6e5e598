//! QEMU's machine protocol: JSON objects, one per line, over a socket.
//!
//! Source: `docs/interop/qmp-spec` of QEMU.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// An answer takes far less than a millisecond; a QEMU that is silent for this long is stuck.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A connection after its greeting.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    pub(super) fn new(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let mut qmp = Self { stream: BufReader::new(stream) };
        let greeting = qmp.receive()?;
        if greeting.get("QMP").is_none() {
            bail!("QEMU's control socket greets with {greeting}");
        }
        qmp.execute("qmp_capabilities")?;
        Ok(qmp)
    }

    /// Runs a command without arguments and returns its result.
    pub(super) fn execute(&mut self, command: &str) -> Result<Value> {
        let mut line = json!({ "execute": command }).to_string();
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes()).context("QEMU has ended")?;
        loop {
            let mut answer = self.receive()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses `{command}`: {error}");
            }
            // Any other message is an event; events may arrive between a command and its answer.
        }
    }

    /// The address on which the character device `label`, a TCP server, listens.
    pub(super) fn tcp_address(&mut self, label: &str) -> Result<SocketAddr> {
        let filename = self.filename(label)?;
        listening_on(&filename).with_context(|| format!("no TCP address in QEMU's `{filename}`"))
    }

    /// Whether the character device `label`, a server, has a client.
    pub(super) fn is_connected(&mut self, label: &str) -> Result<bool> {
        Ok(!self.filename(label)?.starts_with("disconnected:"))
    }

    fn filename(&mut self, label: &str) -> Result<String> {
        let devices = self.execute("query-chardev")?;
        let mut devices = devices.as_array().into_iter().flatten();
        let device = devices.find(|device| device["label"] == label);
        let filename = device.and_then(|device| device["filename"].as_str());
        filename.map(str::to_owned).with_context(|| format!("QEMU has no character device `{label}`"))
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).context("QEMU doesn't answer")? == 0 {
            bail!("QEMU has ended");
        }
        serde_json::from_str(&line)
            .with_context(|| format!("QEMU answered something other than JSON: {line}"))
    }
}

/// The address in `disconnected:tcp:127.0.0.1:40123,server=on`.
fn listening_on(filename: &str) -> Option<SocketAddr> {
    let (_, address) = filename.split_once("tcp:")?;
    address.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scripted(answers: &str) -> (Result<Qmp>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&theirs).write_all(answers.as_bytes()).unwrap();
        (Qmp::new(ours), theirs)
    }

    #[test]
    fn events_between_command_and_answer_are_passed_over() {
        let (qmp, mut peer) = scripted("{\"QMP\": {}}\n{\"return\": {}}\n");
        peer.write_all(b"{\"event\": \"RESUME\"}\n{\"return\": 5}\n").unwrap();
        assert_eq!(qmp.unwrap().execute("cont").unwrap(), 5);
    }

    #[test]
    fn refusals_and_ends_are_told() {
        let (qmp, mut peer) = scripted("{\"QMP\": {}}\n{\"return\": {}}\n");
        let mut qmp = qmp.unwrap();
        peer.write_all(b"{\"error\": {\"class\": \"CommandNotFound\"}}\n").unwrap();
        assert!(qmp.execute("dance").unwrap_err().to_string().contains("refuses `dance`"));
        drop(peer);
        assert!(qmp.execute("cont").unwrap_err().to_string().contains("has ended"));
        assert!(scripted("{}\n").0.is_err());
    }

    #[test]
    fn addresses_are_found_in_names_of_devices() {
        let expected = Some(SocketAddr::from(([127, 0, 0, 1], 40123)));
        assert_eq!(listening_on("disconnected:tcp:127.0.0.1:40123,server=on"), expected);
        assert_eq!(listening_on("unix:/tmp/x,server=on"), None);
    }
}
