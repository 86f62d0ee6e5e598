//! Consistent Overhead Byte Stuffing (Cheshire & Baker, 1999), in place.

/// Bytes that must be free before `len` bytes of data, for [`encode`] never to write what it has not yet read.
pub(super) const fn headroom(len: usize) -> usize {
    1 + len / 254
}

/// Encodes `buf[start..end]` to the front of `buf` and says how long it is, without a delimiter. `start` must be at least
/// [`headroom`] of the length.
pub(super) fn encode(buf: &mut [u8], start: usize, end: usize) -> usize {
    let (mut code_at, mut to) = (0, 1);
    for from in start..end {
        let byte = buf[from];
        buf[to] = byte;
        // A zero becomes the place of the next code; so does the place after 254 bytes without one.
        if byte == 0 {
            buf[code_at] = (to - code_at) as u8;
            code_at = to;
        } else if to - code_at == 254 {
            buf[code_at] = 255;
            to += 1;
            code_at = to;
        }
        to += 1;
    }
    buf[code_at] = (to - code_at) as u8;
    to
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn decode(bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), bytes);
        while let Some((code, after)) = rest.split_first() {
            let (data, after) = after.split_at(usize::from(*code) - 1);
            assert!(!data.contains(&0));
            out.extend(data);
            rest = after;
            if *code != 255 && !rest.is_empty() {
                out.push(0);
            }
        }
        out
    }

    fn round_trip(data: &[u8]) -> Vec<u8> {
        let start = headroom(data.len());
        let mut buf = vec![0xAA; start];
        buf.extend(data);
        let end = buf.len();
        let len = encode(&mut buf, start, end);
        buf.truncate(len);
        assert!(!buf.contains(&0), "{data:?}");
        assert_eq!(decode(&buf), data);
        buf
    }

    #[test]
    fn examples_of_the_paper() {
        assert_eq!(round_trip(&[]), [1]);
        assert_eq!(round_trip(&[0]), [1, 1]);
        assert_eq!(round_trip(&[0x11, 0x22, 0, 0x33]), [3, 0x11, 0x22, 2, 0x33]);
        assert_eq!(round_trip(&[0x11, 0, 0, 0]), [2, 0x11, 1, 1, 1]);
    }

    #[test]
    fn long_runs_around_the_block_length() {
        for len in [253, 254, 255, 507, 508, 509, 762, 4096] {
            round_trip(&vec![7; len]);
            for zero in [0, len / 2, 253.min(len - 1), len - 1] {
                let mut data = vec![7; len];
                data[zero] = 0;
                round_trip(&data);
            }
        }
    }
}
