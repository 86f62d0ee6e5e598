//! QEMU's test protocol, for reading and writing the memory of a running guest.
//!
//! A gdb stub could do the same, but it pauses the guest each time. Source: `softmmu/qtest.c` of QEMU.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::rtt::Memory;

/// An answer takes about 0.15 ms; a QEMU that is silent for this long is stuck.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A connection. QEMU accepts one at a time.
#[derive(Debug)]
pub struct QTest {
    stream: BufReader<UnixStream>,
}

impl QTest {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a command and returns the text after `OK`.
    fn command(&mut self, command: &str) -> io::Result<String> {
        self.stream.get_mut().write_all(command.as_bytes())?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match answer.trim_end().strip_prefix("OK") {
            Some(rest) => Ok(rest.trim_start().to_owned()),
            None => Err(io::Error::other(format!("QEMU answers `{}` with `{answer}`", command.trim_end()))),
        }
    }
}

impl Memory for QTest {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        // The protocol does not allow a read of zero bytes.
        if buffer.is_empty() {
            return Ok(());
        }
        let answer = self.command(&format!("read {address:#x} {:#x}\n", buffer.len()))?;
        unhex(&answer, buffer).ok_or_else(|| io::Error::other(format!("QEMU reads memory as `{answer}`")))
    }

    fn write(&mut self, address: u64, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        self.command(&format!("write {address:#x} {:#x} 0x{hex}\n", data.len())).map(drop)
    }
}

impl Memory for Arc<Mutex<QTest>> {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).read(address, buffer)
    }

    fn write(&mut self, address: u64, data: &[u8]) -> io::Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).write(address, data)
    }
}

/// Decodes `0x0123…` into exactly `buffer`.
fn unhex(text: &str, buffer: &mut [u8]) -> Option<()> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    if digits.len() != buffer.len() * 2 {
        return None;
    }
    for (byte, pair) in buffer.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answering(answer: &str) -> (QTest, BufReader<UnixStream>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (&theirs).write_all(answer.as_bytes()).unwrap();
        (QTest::new(ours).unwrap(), BufReader::new(theirs))
    }

    #[test]
    fn memory_is_read_and_written_in_the_protocols_words() {
        let (mut qtest, mut peer) = answering("OK 0x00ff10\nOK\n");
        let mut buffer = [0; 3];
        qtest.read(0x2000_0000, &mut buffer).unwrap();
        assert_eq!(buffer, [0x00, 0xff, 0x10]);
        qtest.write(0x10, &[1, 0xab]).unwrap();
        let mut sent = String::new();
        peer.read_line(&mut sent).unwrap();
        peer.read_line(&mut sent).unwrap();
        assert_eq!(sent, "read 0x20000000 0x3\nwrite 0x10 0x2 0x01ab\n");
    }

    #[test]
    fn refusals_short_answers_and_ends_are_errors() {
        let (mut qtest, peer) = answering("FAIL Unknown command\nOK 0x00\n");
        assert!(qtest.read(0, &mut [0; 2]).unwrap_err().to_string().contains("FAIL"));
        assert!(qtest.read(0, &mut [0; 2]).is_err());
        drop(peer);
        assert!(qtest.read(0, &mut [0; 2]).is_err());
    }
}
