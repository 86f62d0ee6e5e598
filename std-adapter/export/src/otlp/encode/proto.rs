//! Protobuf primitives: varints, and lengths that are filled in when the message is complete.

use super::out::Out;

/// Appends `v` as a varint.
#[inline]
pub(crate) fn varint(out: &mut Out, v: u64) {
    if v < 0x80 {
        out.push(v as u8);
    } else {
        let (bytes, n) = varint_bytes(v);
        out.extend_from_slice(&bytes[..n]);
    }
}

/// Encodes `v` as a varint. Returns an array and the number of bytes used.
#[inline]
pub(super) fn varint_bytes(mut v: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut n = 0;
    while v >= 0x80 {
        bytes[n] = v as u8 | 0x80;
        v >>= 7;
        n += 1;
    }
    bytes[n] = v as u8;
    (bytes, n + 1)
}

/// Number of bytes of `v` as a varint.
#[inline]
pub(crate) const fn varint_len(v: usize) -> usize {
    let bits = usize::BITS - (v | 1).leading_zeros();
    (bits as usize * 9 + 64) / 64
}

/// Encodes `v`, which is below 2^56, as a varint in the low bytes of a word. Also returns the number of
/// bytes. It has no branches, because the lengths of integers vary too much to be predicted.
#[inline]
pub(super) const fn varint_word(v: u64) -> (u64, usize) {
    // Spread the value to seven bits per byte in three steps: to halves of 28 bits, to quarters of 14 bits,
    // to bytes of 7 bits.
    let v = v & 0x0fff_ffff | (v & 0x00ff_ffff_f000_0000) << 4;
    let v = v & 0x0000_3fff_0000_3fff | (v & 0x0fff_c000_0fff_c000) << 2;
    let v = v & 0x007f_007f_007f_007f | (v & 0x3f80_3f80_3f80_3f80) << 1;
    let len = (71 - (v | 1).leading_zeros()) / 8;
    // In all bytes except the last, the high bit says that another one follows.
    let more = 0x8080_8080_8080_8080 & ((1 << (8 * (len - 1))) - 1);
    (v | more, len as usize)
}

/// Appends a length-delimited field whose tag fits into one byte.
#[inline]
pub(crate) fn bytes_field(out: &mut Out, tag: u8, bytes: &[u8]) {
    out.push(tag);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends `tag` and room for a length of `WIDTH` bytes; [`close`] fills it in.
#[inline]
pub(crate) fn open<const WIDTH: usize>(out: &mut Out, tag: u8) -> usize {
    out.push(tag);
    out.extend_from_slice(&[0; WIDTH]);
    out.len()
}

/// Fills in the length of the message that [`open`] began, and whose first byte is at `start`. The varint is
/// padded to `WIDTH` bytes, which every protobuf reader accepts. A message of 2^(7·WIDTH) bytes or more is
/// moved to make room for a longer varint.
#[inline]
pub(crate) fn close<const WIDTH: usize>(out: &mut Out, start: usize) {
    let len = out.len() - start;
    if (len as u64) < 1 << (7 * WIDTH) {
        let mut rest = len;
        let mut bytes = [0; WIDTH];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = rest as u8 & 0x7f | if i + 1 < WIDTH { 0x80 } else { 0 };
            rest >>= 7;
        }
        *out.written(start - WIDTH) = bytes;
    } else {
        widen(out, start - WIDTH, start);
    }
}

/// Replaces the bytes `at..start` with the length of the message after them.
#[cold]
fn widen(out: &mut Out, at: usize, start: usize) {
    let (bytes, n) = varint_bytes((out.len() - start) as u64);
    out.replace(at, start, &bytes[..n]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varint_lengths_are_those_written() {
        for shift in 0..64 {
            for v in [1u64 << shift, (1u64 << shift) - 1, (1u64 << shift) | 1] {
                let mut out = Out::default();
                varint(&mut out, v);
                assert_eq!(out.len(), varint_len(v as usize), "{v}");
                if v < 1 << 56 {
                    let (word, len) = varint_word(v);
                    assert_eq!(&word.to_le_bytes()[..len], out.as_slice(), "{v}");
                }
            }
        }
    }

    #[test]
    fn a_long_message_pushes_its_length_wider() {
        for len in [0usize, 1, 127, 128, 16_383, 16_384, if cfg!(miri) { 20_000 } else { 3_000_000 }] {
            let mut out = Out::default();
            let start = open::<2>(&mut out, 0x12);
            out.extend_from_slice(&vec![7; len]);
            close::<2>(&mut out, start);
            let out = out.as_slice();
            assert_eq!(out[0], 0x12);
            let mut read = 0usize;
            let mut at = 1;
            loop {
                read |= usize::from(out[at] & 0x7f) << (7 * (at - 1));
                at += 1;
                if out[at - 1] < 0x80 {
                    break;
                }
            }
            assert_eq!((read, out.len() - at), (len, len));
        }
    }
}
