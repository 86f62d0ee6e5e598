//! SEGGER RTT on the host's side: finds the control block, reads an up-channel, and frees the space.
//!
//! Layout on a 32-bit little-endian target, offsets in bytes:
//!
//! | offset | field |
//! |---|---|
//! | 0..16 | `SEGGER RTT` and zeros; written last, so the rest is valid once it is there |
//! | 16..20, 20..24 | number of up-channels, number of down-channels |
//! | 24 + 24 × n | up-channel n: name, buffer, size, write offset, read offset, flags; 4 bytes each |
//!
//! The target writes the write offset and the host writes the read offset. They are equal if the channel is
//! empty.
//! Source: SEGGER, "J-Link / J-Trace User Guide" (UM08001), chapter RTT.

use std::io::{self, Read};

use super::serial::Source;

/// The symbol of the control block.
pub(super) const SYMBOL: &str = "_SEGGER_RTT";

const ID: [u8; 16] = *b"SEGGER RTT\0\0\0\0\0\0";
const HEADER: usize = 24;
const DESCRIPTOR: usize = 24;
const READ_OFFSET: u64 = 16;

/// No target has more channels; a larger count is not a control block.
const MOST_CHANNELS: u32 = 64;

/// A target's memory, through a probe or an emulator.
pub trait Memory {
    /// Reads the bytes at `address`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof`, `BrokenPipe` or `ConnectionReset` when the target is gone; another kind when it is
    /// there but refuses.
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes bytes to `address`.
    ///
    /// # Errors
    ///
    /// Like [`Self::read`].
    fn write(&mut self, address: u64, data: &[u8]) -> io::Result<()>;
}

/// A reader of one up-channel. It ends when the target ends.
#[derive(Debug)]
pub struct Rtt<M> {
    memory: M,
    control_block: u64,
    channel: u32,
    found: bool,
}

impl<M: Memory> Rtt<M> {
    /// A reader of up-channel `channel` of the control block at this address. The block need not be
    /// initialised yet.
    pub fn new(memory: M, control_block: u64, channel: u32) -> Self {
        Self { memory, control_block, channel, found: false }
    }

    /// Whether the target has initialised its control block.
    pub fn is_found(&self) -> bool {
        self.found
    }

    /// Number of bytes that the target has written and nobody has read.
    ///
    /// # Errors
    ///
    /// Fails if the target is gone or its control block is invalid.
    pub fn pending(&mut self) -> io::Result<usize> {
        Ok(if self.find()? { self.ring()?.pending() } else { 0 })
    }

    fn find(&mut self) -> io::Result<bool> {
        if self.found {
            return Ok(true);
        }
        let mut header = [0; HEADER];
        self.memory.read(self.control_block, &mut header)?;
        let Some(channels) = up_channels(&header) else { return Ok(false) };
        if channels > MOST_CHANNELS {
            return Err(io::Error::other(format!("the RTT control block claims {channels} up-channels")));
        }
        if self.channel >= channels {
            let text = format!("there is no RTT up-channel {}: the firmware has {channels}", self.channel);
            return Err(io::Error::other(text));
        }
        self.found = true;
        Ok(true)
    }

    fn descriptor(&self) -> u64 {
        self.control_block + HEADER as u64 + u64::from(self.channel) * DESCRIPTOR as u64
    }

    fn ring(&mut self) -> io::Result<Ring> {
        let mut bytes = [0; DESCRIPTOR];
        self.memory.read(self.descriptor(), &mut bytes)?;
        let ring = Ring::parse(&bytes);
        ring.ok_or_else(|| {
            io::Error::other(format!("RTT up-channel {} makes no sense: {bytes:02x?}", self.channel))
        })
    }

    fn poll(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.find()? {
            return Ok(None);
        }
        let ring = self.ring()?;
        let mut count = 0;
        for (address, available) in ring.parts() {
            let part = &mut buffer[count..];
            let length = part.len().min(available);
            self.memory.read(address, &mut part[..length])?;
            count += length;
        }
        if count == 0 {
            return Ok(None);
        }
        // Write the read offset last, because the target may reuse the space from then on.
        let read = ring.advanced(count);
        self.memory.write(self.descriptor() + READ_OFFSET, &read.to_le_bytes())?;
        Ok(Some(count))
    }
}

impl<M: Memory> Source for Rtt<M> {
    fn poll_read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        if buffer.is_empty() {
            return Ok(Some(0));
        }
        match self.poll(buffer) {
            // The target has exited, and its memory is gone with it.
            Err(error) if matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) => Ok(Some(0)),
            other => other,
        }
    }
}

impl<M: Memory> Read for Rtt<M> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_read(buffer)
    }
}

/// The number of up-channels, or `None` if this is not (yet) a control block.
fn up_channels(header: &[u8; HEADER]) -> Option<u32> {
    (header[..16] == ID).then(|| word(header, 16))
}

/// The state of a channel's ring buffer at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ring {
    buffer: u32,
    size: u32,
    write: u32,
    read: u32,
}

impl Ring {
    /// `None` if an offset is outside of the buffer, or the buffer is outside of a 32-bit address space.
    fn parse(descriptor: &[u8; DESCRIPTOR]) -> Option<Self> {
        let [buffer, size, write, read] = [4, 8, 12, 16].map(|offset| word(descriptor, offset));
        buffer.checked_add(size)?;
        // A channel that was never set up has a buffer of size 0 and counts as empty.
        let is_empty = size == 0 && write == 0 && read == 0;
        (is_empty || (write < size && read < size)).then_some(Self { buffer, size, write, read })
    }

    fn pending(self) -> usize {
        self.parts().iter().map(|(_, length)| length).sum()
    }

    /// The readable parts as address and length: first up to the buffer's end, then from its start.
    fn parts(self) -> [(u64, usize); 2] {
        let part = |from: u32, to: u32| (u64::from(self.buffer) + u64::from(from), (to - from) as usize);
        if self.read <= self.write {
            [part(self.read, self.write), part(0, 0)]
        } else {
            [part(self.read, self.size), part(0, self.write)]
        }
    }

    /// The read offset after `count` more bytes, at most [`Self::pending`].
    fn advanced(self, count: usize) -> u32 {
        let offset = (self.read as usize + count) % self.size as usize;
        u32::try_from(offset).expect("less than a 32-bit size")
    }
}

fn word(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x2000_0000;
    const BUFFER: u64 = 0x100;
    const SIZE: u32 = 8;

    /// A target with one up-channel of eight bytes, which can be removed.
    struct Fake {
        bytes: Vec<u8>,
        gone: bool,
    }

    impl Fake {
        fn new() -> Self {
            let mut fake = Self { bytes: vec![0; 0x200], gone: false };
            for (offset, value) in [(16, 1), (20, 0), (28, BASE as u32 + BUFFER as u32), (32, SIZE)] {
                fake.set(offset, value);
            }
            fake
        }

        fn initialise(&mut self) {
            self.bytes[..16].copy_from_slice(&ID);
        }

        fn set(&mut self, offset: usize, value: u32) {
            self.bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        }

        /// Sends like a target: as much as fits, with one byte always free.
        fn send(&mut self, data: &[u8]) -> usize {
            let (mut write, read) = (word(&self.bytes, 36), word(&self.bytes, 40));
            let mut sent = 0;
            for byte in data {
                let next = (write + 1) % SIZE;
                if next == read {
                    break;
                }
                self.bytes[BUFFER as usize + write as usize] = *byte;
                write = next;
                sent += 1;
            }
            self.set(36, write);
            sent
        }
    }

    impl Memory for &mut Fake {
        fn read(&mut self, address: u64, buffer: &mut [u8]) -> io::Result<()> {
            if self.gone {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let start = (address - BASE) as usize;
            buffer.copy_from_slice(&self.bytes[start..start + buffer.len()]);
            Ok(())
        }

        fn write(&mut self, address: u64, data: &[u8]) -> io::Result<()> {
            let start = (address - BASE) as usize;
            self.bytes[start..start + data.len()].copy_from_slice(data);
            Ok(())
        }
    }

    #[test]
    fn nothing_is_read_before_the_block_is_initialised() {
        let mut fake = Fake::new();
        assert_eq!(Rtt::new(&mut fake, BASE, 0).poll_read(&mut [0; 4]).unwrap(), None);
        fake.initialise();
        let mut rtt = Rtt::new(&mut fake, BASE, 0);
        assert_eq!(rtt.poll_read(&mut [0; 4]).unwrap(), None);
        assert!(rtt.is_found());
    }

    #[test]
    fn every_byte_comes_once_whatever_the_sizes() {
        for chunk in 1..=9 {
            let mut fake = Fake::new();
            fake.initialise();
            let sent: Vec<u8> = (0..100).collect();
            let (mut received, mut rest) = (Vec::new(), &sent[..]);
            while received.len() < sent.len() {
                rest = &rest[fake.send(rest)..];
                let mut buffer = vec![0; chunk];
                if let Some(count) = Rtt::new(&mut fake, BASE, 0).poll_read(&mut buffer).unwrap() {
                    received.extend_from_slice(&buffer[..count]);
                }
            }
            assert_eq!(received, sent, "in chunks of {chunk}");
            assert_eq!(Rtt::new(&mut fake, BASE, 0).pending().unwrap(), 0);
        }
    }

    #[test]
    fn a_target_that_is_gone_ends_the_stream() {
        let mut fake = Fake::new();
        fake.initialise();
        fake.gone = true;
        assert_eq!(Rtt::new(&mut fake, BASE, 0).read(&mut [0; 4]).unwrap(), 0);
    }

    #[test]
    fn a_missing_channel_and_a_broken_one_are_errors() {
        let mut fake = Fake::new();
        fake.initialise();
        let error = Rtt::new(&mut fake, BASE, 1).poll_read(&mut [0; 4]).unwrap_err().to_string();
        assert!(error.contains("no RTT up-channel 1"), "{error}");
        fake.set(36, SIZE);
        assert!(Rtt::new(&mut fake, BASE, 0).poll_read(&mut [0; 4]).is_err());
        fake.set(16, 1_000_000);
        assert!(Rtt::new(&mut fake, BASE, 0).poll_read(&mut [0; 4]).is_err());
    }

    #[test]
    fn a_wrapped_ring_has_two_parts() {
        let ring = Ring { buffer: 100, size: 8, write: 3, read: 6 };
        assert_eq!(ring.parts(), [(106, 2), (100, 3)]);
        assert_eq!(ring.pending(), 5);
        assert_eq!(ring.advanced(5), 3);
        assert_eq!(Ring { read: 3, ..ring }.pending(), 0);
    }
}
