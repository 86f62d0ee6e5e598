//! The frame of a batch, which is a header with two checksums and the body.

/// Number of bytes of the header.
pub(super) const HEADER: usize = 32;
const MAGIC: [u8; 4] = *b"TLS1";

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) body_len: u32,
    /// Records appended before this frame.
    pub(super) before: u64,
    pub(super) records: u64,
    pub(super) body_crc: u32,
}

impl Header {
    pub(super) fn of(body: &[u8], before: u64, records: u64) -> Option<Header> {
        let body_len = u32::try_from(body.len()).ok()?;
        Some(Header { body_len, before, records, body_crc: crc32(body) })
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.before.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.records.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Returns `None` if the header is damaged.
    pub(super) fn read(bytes: &[u8; HEADER]) -> Option<Header> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let is_whole = bytes[..4] == MAGIC && u32_at(28) == crc32(&bytes[..28]);
        let header =
            Header { body_len: u32_at(4), before: u64_at(8), records: u64_at(16), body_crc: u32_at(24) };
        (is_whole && header.before.checked_add(header.records).is_some()).then_some(header)
    }

    /// Records appended up to the end of this frame.
    pub(super) fn after(&self) -> u64 {
        self.before + self.records
    }

    pub(super) fn frame_len(&self) -> u64 {
        HEADER as u64 + u64::from(self.body_len)
    }
}

/// Computes the CRC-32 of Ethernet and gzip.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_header_with_any_bit_wrong_is_damaged() {
        let header = Header::of(b"body", 7, 3).unwrap();
        let bytes = header.to_bytes();
        assert_eq!(Header::read(&bytes), Some(header));
        for bit in 0..8 * HEADER {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::read(&damaged), None, "bit {bit}");
        }
    }
}
