//! The buffer that encoders append to. Short pieces are written through a window of fixed size, with a single
//! check for room.

/// Spare bytes that a growing buffer gets in addition, if that needs no allocation.
const AHEAD: usize = 4 * 1024;

/// A growing byte buffer, like a `Vec<u8>`, but with initialised spare bytes after the content. [`Out::room`]
/// returns a window of them after a single check of the capacity, so that several pieces can be written with
/// stores of fixed size. `Vec::extend` would check, copy and update the length for each piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Out {
    /// The content, followed by spare bytes without meaning.
    bytes: Vec<u8>,
    len: usize,
}

impl Out {
    /// An empty buffer that reuses the memory of `spare`.
    pub(crate) fn reusing(spare: Vec<u8>) -> Out {
        Out { bytes: spare, len: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len);
        self.bytes
    }

    /// The next `N` bytes, with arbitrary content. Call [`Out::advance`] to append what was written to them.
    #[inline(always)]
    pub(crate) fn room<const N: usize>(&mut self) -> &mut [u8; N] {
        if !self.has_room(N) {
            return self.grown_room();
        }
        match self.bytes[self.len..].first_chunk_mut() {
            Some(room) => room,
            None => unreachable!("there is room"),
        }
    }

    /// Whether there are `n` spare bytes. The condition has the form of the later slicing, and growing is a
    /// separate function, so that the compiler can remove the bounds checks of the slicing.
    #[inline(always)]
    fn has_room(&self, n: usize) -> bool {
        self.len <= self.bytes.len() && self.bytes.len() - self.len >= n
    }

    #[cold]
    #[inline(never)]
    fn grown_room<const N: usize>(&mut self) -> &mut [u8; N] {
        self.grow(N);
        self.room()
    }

    #[cold]
    #[inline(never)]
    fn extend_grown(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        self.extend_from_slice(bytes);
    }

    /// Appends the next `n` bytes with their present content.
    #[inline(always)]
    pub(crate) fn advance(&mut self, n: usize) {
        debug_assert!(n <= self.bytes.len() - self.len);
        self.len += n;
    }

    #[inline]
    pub(crate) fn push(&mut self, byte: u8) {
        *self.room() = [byte];
        self.advance(1);
    }

    #[inline(always)]
    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        if !self.has_room(bytes.len()) {
            return self.extend_grown(bytes);
        }
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    /// The `N` bytes of the content that begin at `at`.
    #[inline]
    pub(crate) fn written<const N: usize>(&mut self, at: usize) -> &mut [u8; N] {
        match self.bytes[at..self.len].first_chunk_mut() {
            Some(written) => written,
            None => unreachable!("they were appended"),
        }
    }

    /// Replaces the bytes `from..to` with `bytes`.
    #[cold]
    pub(crate) fn replace(&mut self, from: usize, to: usize, bytes: &[u8]) {
        self.bytes.truncate(self.len);
        self.bytes.splice(from..to, bytes.iter().copied());
        self.len = self.bytes.len();
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, n: usize) {
        let wanted = self.len + n;
        let len = if wanted <= self.bytes.capacity() {
            // Do not use the whole capacity, because zeroing spare bytes costs time, and a body is usually
            // about as long as the one before it.
            self.bytes.capacity().min(wanted + AHEAD)
        } else {
            2 * wanted
        };
        self.bytes.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_was_appended() {
        let mut out = Out::default();
        let mut expected = Vec::new();
        for n in 0..40_000u32 {
            out.push(n as u8);
            expected.push(n as u8);
            *out.room() = n.to_be_bytes();
            let kept = n as usize % 5;
            out.advance(kept);
            expected.extend_from_slice(&n.to_be_bytes()[..kept]);
        }
        let long = vec![7; 100_000];
        out.extend_from_slice(&long);
        expected.extend_from_slice(&long);
        assert_eq!((out.len(), out.as_slice()), (expected.len(), &expected[..]));
        *out.written(5) = [1, 2];
        expected[5..7].copy_from_slice(&[1, 2]);
        out.replace(0, 3, b"instead");
        expected.splice(0..3, *b"instead");
        assert_eq!(out.as_slice(), expected);
        out.truncate(9);
        assert_eq!(out.into_vec(), expected[..9]);
    }

    #[test]
    fn memory_is_used_again_and_what_was_in_it_is_gone() {
        let mut out = Out::reusing(vec![9; 50_000]);
        let memory = out.bytes.as_ptr();
        assert_eq!((out.len(), out.as_slice()), (0, &[][..]));
        out.extend_from_slice(&[1; 30_000]);
        let mut out = Out::reusing(out.into_vec());
        out.extend_from_slice(&[2; 50_000]);
        assert_eq!(out.as_slice(), [2; 50_000]);
        assert_eq!(out.bytes.as_ptr(), memory);
    }
}
