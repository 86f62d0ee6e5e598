//! CRC-32/ISO-HDLC, computed four bits at a time with a table of 64 bytes.
//!
//! A bitwise version is 20 bytes smaller and three times slower; the usual table of 1 KiB is twice as fast.

/// The initial value of the register. The CRC is the complement of the register after the last byte.
pub(super) const BEGIN: u32 = !0;

/// Updates the register with one byte.
#[inline(always)]
pub(super) fn step(crc: u32, byte: u8) -> u32 {
    let crc = crc ^ u32::from(byte);
    let crc = crc >> 4 ^ TABLE[(crc & 15) as usize];
    crc >> 4 ^ TABLE[(crc & 15) as usize]
}

static TABLE: [u32; 16] = table();

const fn table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, step};

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(BEGIN, |crc, byte| step(crc, *byte))
    }

    #[test]
    fn check_value_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
