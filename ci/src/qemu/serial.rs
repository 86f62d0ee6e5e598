//! What a guest sends: a stream that can be polled, waited for, and read like any other.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often an empty source is polled.
///
/// Between two polls, a guest can send only what its channel holds, so this limits the rate: 1 KiB of RTT
/// each 0.5 ms is 2 MiB/s. Each poll costs 0.15 ms.
const POLL: Duration = Duration::from_micros(500);

/// A stream of bytes from a guest.
pub trait Source {
    /// Fills the start of `buffer` with what is there, without waiting.
    ///
    /// `Ok(None)` if there is nothing yet, `Ok(Some(0))` if nothing more will come.
    ///
    /// # Errors
    ///
    /// Fails if the guest is there but its data is invalid.
    fn poll_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Waits for bytes. `Ok(0)` if nothing more will come.
    ///
    /// # Errors
    ///
    /// Like [`Self::poll_read`].
    fn wait_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = self.poll_read(buffer)? {
                return Ok(count);
            }
            thread::sleep(POLL);
        }
    }

    /// Reads until `enough` accepts everything read so far, and returns it.
    ///
    /// # Errors
    ///
    /// Fails if `limit` passes or the stream ends first. The error shows how many bytes there were and the last
    /// ones.
    fn read_until(&mut self, limit: Duration, mut enough: impl FnMut(&[u8]) -> bool) -> Result<Vec<u8>>
    where
        Self: Sized,
    {
        let deadline = Instant::now() + limit;
        let mut all = Vec::new();
        let mut chunk = [0; 4096];
        while !enough(&all) {
            match self.poll_read(&mut chunk)? {
                Some(0) => bail!("the guest ended after {} bytes: {}", all.len(), end_of(&all)),
                Some(count) => all.extend_from_slice(&chunk[..count]),
                None if Instant::now() >= deadline => {
                    let seconds = limit.as_secs_f32();
                    bail!("after {seconds} s there were only {} bytes: {}", all.len(), end_of(&all))
                }
                None => thread::sleep(POLL),
            }
        }
        Ok(all)
    }
}

/// The guest's serial port.
///
/// A thread reads the bytes from QEMU as they arrive, because a full socket would stop QEMU and thus the
/// guest.
#[derive(Debug)]
pub struct SerialReader {
    chunks: Receiver<Vec<u8>>,
    rest: Vec<u8>,
}

impl SerialReader {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self::reading(stream)
    }

    fn reading(mut stream: impl Read + Send + 'static) -> Self {
        let (sender, chunks) = mpsc::channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    // The reader has gone, but the socket must still be emptied, or the guest would stall.
                    let _ = io::copy(&mut stream, &mut io::sink());
                }
            }
        });
        Self { chunks, rest: Vec::new() }
    }
}

impl Source for SerialReader {
    fn poll_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.rest.is_empty() {
            match self.chunks.try_recv() {
                Ok(chunk) => self.rest = chunk,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Ok(Some(0)),
            }
        }
        let count = buffer.len().min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(Some(count))
    }
}

impl Read for SerialReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_read(buffer)
    }
}

/// The last bytes, for an error message.
fn end_of(bytes: &[u8]) -> String {
    const SHOWN: usize = 80;
    let start = bytes.len().saturating_sub(SHOWN);
    format!("{}\"{}\"", if start > 0 { "… " } else { "" }, bytes[start..].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_come_in_order_and_then_the_end() {
        let sent: Vec<u8> = (0..10_000_u32).map(|it| it as u8).collect();
        let mut reader = SerialReader::reading(io::Cursor::new(sent.clone()));
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        assert_eq!(received, sent);
    }

    #[test]
    fn reading_until_a_condition_says_why_it_ended() {
        let limit = Duration::from_secs(20);
        let reader = || SerialReader::reading(io::Cursor::new(b"one\ntwo\n"));
        let all = reader().read_until(limit, |bytes| bytes.ends_with(b"two\n")).unwrap();
        assert_eq!(all, b"one\ntwo\n");
        let error = reader().read_until(limit, |bytes| bytes.ends_with(b"three\n")).unwrap_err().to_string();
        assert!(error.contains("ended after 8 bytes") && error.contains(r"two\n"), "{error}");
    }

    #[test]
    fn a_silent_source_is_given_up() {
        struct Silent;
        impl Source for Silent {
            fn poll_read(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
                Ok(None)
            }
        }
        let error = Silent.read_until(Duration::from_millis(10), |_| false).unwrap_err().to_string();
        assert!(error.contains("only 0 bytes"), "{error}");
    }
}
