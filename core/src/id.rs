//! Span and trace ids: short local ids in memory and on the wire, and W3C ids derived from them, so that a
//! device never sends W3C ids.

use core::fmt;

/// A span's id within one boot (or process), as wide as the machine's word; 0 means none. Ids repeat after
/// 2^30 spans on a 32-bit machine and never within a process on a 64-bit one.
/// [`is_remote`](crate::adapter::record::is_remote) tells whether the id stands for a span of another
/// process.
pub type LocalId = usize;

/// A W3C trace id: 128 bits, never zero.
///
/// ```
/// use throughline::TraceId;
/// let id = TraceId::from_bytes([0x4b; 16]).unwrap();
/// assert_eq!(format!("{id}"), "4b".repeat(16));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// A W3C span id: 64 bits, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

macro_rules! id_type {
    ($name:ident, $len:literal) => {
        impl $name {
            /// Makes an id from its big-endian bytes. `None` when all of them are zero, which W3C Trace
            /// Context forbids.
            pub const fn from_bytes(bytes: [u8; $len]) -> Option<Self> {
                let mut i = 0;
                while i < $len {
                    if bytes[i] != 0 {
                        return Some(Self(bytes));
                    }
                    i += 1;
                }
                None
            }

            /// The id's big-endian bytes.
            pub const fn to_bytes(self) -> [u8; $len] {
                self.0
            }

            /// Parses lower- or upper-case hexadecimal digits. `None` when the length is wrong, a character
            /// is not a digit, or all digits are zero.
            pub fn from_hex(hex: &str) -> Option<Self> {
                Self::from_bytes(decode_hex(hex.as_bytes(), EITHER_CASE)?)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=[u8]:02x}", &self.0[..]);
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
    };
}
id_type!(TraceId, 16);
id_type!(SpanId, 8);

/// Derives W3C ids from local ids. The key is made of the device's (or process's) id and its boot epoch. The
/// algorithm is §7 of `core/docs/wire-format.md`: SplitMix64's finaliser, a bijection, so the span ids of one
/// boot never collide.
///
/// ```
/// use throughline::adapter::IdKey;
/// let (a, b) = (IdKey::new(7, 0), IdKey::new(7, 1));
/// assert_ne!(a.span_id(1), a.span_id(2));
/// assert_ne!(a.trace_id(1), b.trace_id(1), "a reboot does not repeat ids");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdKey(u64);

impl IdKey {
    /// The key of a device (or process) in boot number `epoch`.
    pub const fn new(device_id: u64, epoch: u32) -> IdKey {
        IdKey(mix(device_id.wrapping_add(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(epoch as u64 + 1))))
    }

    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> IdKey {
        IdKey(bits)
    }

    /// The W3C id of the span with this local id.
    pub const fn span_id(self, id: u64) -> SpanId {
        let x = mix(self.0 ^ id);
        SpanId(if x == 0 { 1u64 } else { x }.to_be_bytes())
    }

    /// The W3C id of the trace whose root span has this local id.
    pub const fn trace_id(self, root: u64) -> TraceId {
        let high = mix(self.0.wrapping_add(0xD1B5_4A32_D192_ED03) ^ root);
        let low = mix(!self.0 ^ root);
        let low = if low == 0 { 1 } else { low };
        TraceId((((high as u128) << 64) | low as u128).to_be_bytes())
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood, 2014).
const fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A position in a trace that travels between processes: W3C Trace Context, version 00.
///
/// ```
/// use throughline::TraceContext;
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent = TraceContext::parse(header).unwrap();
/// assert!(parent.sampled());
/// assert_eq!(parent.traceparent().as_str(), header);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TraceContext {
    /// The trace's id.
    pub trace_id: TraceId,
    /// The id of the span that is the parent of the spans that follow.
    pub span_id: SpanId,
    /// W3C flags; bit 0 means *sampled*.
    pub flags: u8,
}

/// Why a `traceparent` header was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TraceparentError {
    /// The length is wrong for the version, or a dash is missing.
    Shape,
    /// A field has a character that is not a lower-case hexadecimal digit.
    Digit,
    /// The version is `ff`, which W3C Trace Context forbids.
    Version,
    /// The trace id or the span id is all zeros.
    ZeroId,
}

impl fmt::Display for TraceparentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "traceparent is not `00-<32 hex>-<16 hex>-<2 hex>`",
            Self::Digit => "traceparent has a character that is not a lower-case hex digit",
            Self::Version => "traceparent has version ff, which W3C Trace Context forbids",
            Self::ZeroId => "traceparent has a trace or span id of zeros, which W3C Trace Context forbids",
        })
    }
}

impl core::error::Error for TraceparentError {}

impl TraceContext {
    /// Parses a `traceparent` header. Version 00 must match exactly; of later versions only the first four
    /// fields are read, as W3C Trace Context requires.
    ///
    /// # Errors
    ///
    /// [`TraceparentError`] says which rule the header breaks.
    pub fn parse(header: &str) -> Result<TraceContext, TraceparentError> {
        use TraceparentError::*;
        let b = header.as_bytes();
        if b.len() < 55 || b[2] != b'-' || b[35] != b'-' || b[52] != b'-' {
            return Err(Shape);
        }
        let [version] = decode_hex(&b[..2], LOWER_CASE).ok_or(Digit)?;
        let trace = decode_hex(&b[3..35], LOWER_CASE).ok_or(Digit)?;
        let span = decode_hex(&b[36..52], LOWER_CASE).ok_or(Digit)?;
        let [flags] = decode_hex(&b[53..55], LOWER_CASE).ok_or(Digit)?;
        match version {
            0xff => return Err(Version),
            0 if b.len() != 55 => return Err(Shape),
            _ if b.len() > 55 && b[55] != b'-' => return Err(Shape),
            _ => {}
        }
        Ok(TraceContext {
            trace_id: TraceId::from_bytes(trace).ok_or(ZeroId)?,
            span_id: SpanId::from_bytes(span).ok_or(ZeroId)?,
            flags,
        })
    }

    /// Formats the `traceparent` header: 55 bytes, no allocation.
    pub fn traceparent(&self) -> Traceparent {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-00";
        encode_hex(&self.trace_id.0, &mut out[3..35]);
        encode_hex(&self.span_id.0, &mut out[36..52]);
        encode_hex(&[self.flags], &mut out[53..]);
        Traceparent(out)
    }

    /// Encodes the context for a device link or a message queue: 26 bytes, §9 of `core/docs/wire-format.md`.
    ///
    /// ```
    /// use throughline::TraceContext;
    /// let parent = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    /// assert_eq!(TraceContext::from_bytes(&parent.to_bytes()), Some(parent));
    /// ```
    pub const fn to_bytes(&self) -> [u8; 26] {
        let mut out = [0; 26];
        let (version_and_trace, span_and_flags) = out.split_at_mut(17);
        version_and_trace.split_at_mut(1).1.copy_from_slice(&self.trace_id.0);
        span_and_flags.split_at_mut(8).0.copy_from_slice(&self.span_id.0);
        out[25] = self.flags;
        out
    }

    /// Decodes the form of [`TraceContext::to_bytes`]. `None` if the length is wrong for the version, the
    /// version is 255, or an id is all zeros. Of later versions the first 26 bytes are read.
    pub fn from_bytes(bytes: &[u8]) -> Option<TraceContext> {
        let (first, rest) = bytes.split_first_chunk::<26>()?;
        let [version, trace_and_span @ .., flags] = first;
        if *version == 0xff || (*version == 0 && !rest.is_empty()) {
            return None;
        }
        Some(TraceContext {
            trace_id: TraceId::from_bytes(*trace_and_span.first_chunk()?)?,
            span_id: SpanId::from_bytes(*trace_and_span.last_chunk()?)?,
            flags: *flags,
        })
    }

    /// Whether the *sampled* flag is set: the caller records this trace.
    pub const fn sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

/// A formatted `traceparent` header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Traceparent([u8; 55]);

impl Traceparent {
    /// The header's text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl core::ops::Deref for Traceparent {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn encode_hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, b) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(b >> 4)];
        pair[1] = DIGITS[usize::from(b & 15)];
    }
}

/// The bit by which lower-case letters differ from capitals.
const EITHER_CASE: u8 = 0x20;
const LOWER_CASE: u8 = 0;

/// Decodes hexadecimal digits. `None` if a character is not a digit or their number is not 2 · `N`. `case` is
/// set in each character before it is compared with a letter: [`EITHER_CASE`] accepts capitals too. There is no
/// branch for each digit, so that the compiler can decode several at once.
fn decode_hex<const N: usize>(hex: &[u8], case: u8) -> Option<[u8; N]> {
    let digit = |c: u8| match (c.wrapping_sub(b'0'), (c | case).wrapping_sub(b'a')) {
        (decimal @ 0..10, _) => decimal,
        (_, letter @ 0..6) => letter + 10,
        _ => 0xFF,
    };
    let pairs: &[[u8; 2]; N] = hex.as_chunks().0.first_chunk()?;
    let mut all = 0;
    let bytes = pairs.map(|pair| {
        let [high, low] = pair.map(digit);
        all |= high | low;
        high << 4 | low
    });
    (all < 16 && hex.len() == 2 * N).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_w3c_refuses() {
        use TraceparentError::*;
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let cases = [
            ("", Shape),
            (&good[..54], Shape),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", Shape),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", Shape),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Version),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", Digit),
            ("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", Digit),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", ZeroId),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", ZeroId),
        ];
        for (text, error) in cases {
            assert_eq!(TraceContext::parse(text), Err(error), "{text}");
        }
        assert!(TraceContext::parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later").is_ok());
    }

    #[test]
    fn the_binary_form_is_fixed_by_the_wire_format() {
        let parent = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let bytes = parent.to_bytes();
        let hex: std::string::String = bytes.iter().map(|b| std::format!("{b:02x}")).collect();
        assert_eq!(hex, "004bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b701");
        assert_eq!(TraceContext::from_bytes(&bytes), Some(parent));
        let with = |at: usize, byte: u8| {
            let mut changed = bytes;
            changed[at] = byte;
            changed
        };
        let longer = |first: u8| [&with(0, first)[..], &[7]].concat();
        assert_eq!(TraceContext::from_bytes(&longer(1)), Some(parent), "a later version may be longer");
        let mut no_trace = bytes;
        no_trace[1..17].fill(0);
        let mut no_span = bytes;
        no_span[17..25].fill(0);
        for bad in [&[][..], &bytes[..25], &longer(0), &with(0, 0xff), &longer(0xff), &no_trace, &no_span] {
            assert_eq!(TraceContext::from_bytes(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn derivation_is_fixed_by_the_wire_format() {
        let key = IdKey::new(0x1122_3344_5566_7788, 3);
        assert_eq!(std::format!("{}", key.span_id(1)), GOLDEN_SPAN);
        assert_eq!(std::format!("{}", key.trace_id(1)), GOLDEN_TRACE);
    }

    /// Computed from §7 of the wire format with another program.
    const GOLDEN_SPAN: &str = "d615d3450d7e4943";
    const GOLDEN_TRACE: &str = "1a8f10619983c8107cb8c38021fe614b";
}
