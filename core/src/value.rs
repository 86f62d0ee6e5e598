//! Field values as a reader sees them. [`crate::record`] reads them from the words of a record.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// A field's value, borrowed from a record.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A boolean.
    Bool(bool),
    /// An unsigned integer.
    U64(u64),
    /// A signed integer.
    I64(i64),
    /// A float that was recorded as `f32`.
    F32(f32),
    /// A float that was recorded as `f64`.
    F64(f64),
    /// Text.
    Str {
        /// The text that was kept.
        text: &'a str,
        /// Whether the record could not hold all of the text.
        truncated: bool,
    },
    /// Bytes.
    Bytes {
        /// The bytes that were kept.
        bytes: &'a [u8],
        /// Whether the record could not hold all of the bytes.
        truncated: bool,
    },
    /// A value in postcard encoding. The reader must know its type.
    Postcard {
        /// The encoding.
        bytes: &'a [u8],
        /// Whether the encoding was cut; a cut value cannot be decoded completely.
        truncated: bool,
    },
    /// Text that the recorder has already formatted as the message's placeholder asks.
    Shown {
        /// The text that was kept.
        text: &'a str,
        /// Whether the record could not hold all of the text.
        truncated: bool,
    },
    /// A value of a rarer or larger type; [`Extended::get`] decodes it.
    Extended(Extended<'a>),
    /// No value: a field that was `None`. Exporters leave the field out.
    Absent,
}

impl Value<'_> {
    /// Whether the recorder kept only a part of the value.
    #[inline]
    pub fn is_truncated(&self) -> bool {
        match self {
            Value::Str { truncated, .. }
            | Value::Bytes { truncated, .. }
            | Value::Postcard { truncated, .. }
            | Value::Shown { truncated, .. }
            | Value::Extended(Extended { truncated, .. }) => *truncated,
            _ => false,
        }
    }
}

/// A value in the extended encoding (§5 of `core/docs/wire-format.md`). It is decoded on request, so that
/// [`Value`] stays small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extended<'a> {
    /// The kind's byte, then the value's bytes.
    encoding: &'a [u8],
    truncated: bool,
}

/// A decoded [`Extended`] value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExtendedValue<'a> {
    /// A character.
    Char(char),
    /// An unsigned integer of 128 bits.
    U128(u128),
    /// A signed integer of 128 bits.
    I128(i128),
    /// A duration.
    Duration(Duration),
    /// An IP address.
    Ip(IpAddr),
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A list of scalars.
    List(List<'a>),
    /// The undecoded bytes, kind included, of a value whose kind is unknown here or whose bytes are invalid.
    Unknown(&'a [u8]),
}

impl<'a> Extended<'a> {
    /// Wraps an encoded value. `truncated` says that the record could not hold all of it.
    pub const fn new(encoding: &'a [u8], truncated: bool) -> Extended<'a> {
        Extended { encoding, truncated }
    }

    /// The encoded bytes, kind included, as they are in the record.
    pub const fn encoding(self) -> &'a [u8] {
        self.encoding
    }

    /// Decodes the value. Bytes that cannot be decoded come back as [`ExtendedValue::Unknown`].
    pub fn get(self) -> ExtendedValue<'a> {
        self.read().unwrap_or(ExtendedValue::Unknown(self.encoding))
    }

    fn read(self) -> Option<ExtendedValue<'a>> {
        let (kind, bytes) = self.encoding.split_first()?;
        Some(match kind {
            1 => ExtendedValue::Char(char::from_u32(u32::from_le_bytes(bytes.try_into().ok()?))?),
            2 => ExtendedValue::U128(u128::from_le_bytes(bytes.try_into().ok()?)),
            3 => ExtendedValue::I128(i128::from_le_bytes(bytes.try_into().ok()?)),
            4 => {
                let (seconds, nanos) = bytes.split_first_chunk::<8>()?;
                let nanos = u32::from_le_bytes(nanos.try_into().ok()?);
                // Recorders write less than a second's nanoseconds. More could make `Duration::new` overflow
                // and panic.
                let nanos = Some(nanos).filter(|n| *n < 1_000_000_000)?;
                ExtendedValue::Duration(Duration::new(u64::from_le_bytes(*seconds), nanos))
            }
            5 => ExtendedValue::Ip(ip(bytes)?),
            6 => {
                let (address, port) = bytes.split_last_chunk::<2>()?;
                ExtendedValue::Socket(SocketAddr::new(ip(address)?, u16::from_le_bytes(*port)))
            }
            7 => {
                let (&code, elements) = bytes.split_first()?;
                ExtendedValue::List((1..=7).contains(&code).then_some(List { code, elements })?)
            }
            _ => return None,
        })
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => None,
    }
}

/// A list of scalars of one type, as it is stored in a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct List<'a> {
    /// The type nibble of the elements, 1 to 7.
    code: u8,
    /// The elements, 1, 4 or 8 bytes each, little-endian.
    elements: &'a [u8],
}

impl<'a> List<'a> {
    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + Clone + use<'a> {
        let code = self.code;
        let width = match code {
            1 => 1,
            2 | 3 | 6 => 4,
            _ => 8,
        };
        self.elements.chunks_exact(width).map(move |element| {
            let mut bits = [0; 8];
            bits[..width].copy_from_slice(element);
            let bits = u64::from_le_bytes(bits);
            match code {
                1 => Value::Bool(bits != 0),
                2 | 4 => Value::U64(bits),
                3 => Value::I64((bits as i32).into()),
                5 => Value::I64(bits as i64),
                6 => Value::F32(f32::from_bits(bits as u32)),
                _ => Value::F64(f64::from_bits(bits)),
            }
        })
    }
}

/// How a span ended: OpenTelemetry's three statuses, and `Cancelled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[repr(u8)]
pub enum Status {
    /// No status was set; backends treat the span as successful.
    #[default]
    Unset = 0,
    /// The code reported success.
    Ok = 1,
    /// The code reported a failure.
    Error = 2,
    /// The span's future was dropped before it completed.
    Cancelled = 3,
}

impl Status {
    /// The status with this number. Only the low two bits of `n` count.
    pub const fn from_u8(n: u8) -> Status {
        match n & 3 {
            1 => Status::Ok,
            2 => Status::Error,
            3 => Status::Cancelled,
            _ => Status::Unset,
        }
    }

    /// The name in lower case, such as `unset`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Unset => "unset",
            Status::Ok => "ok",
            Status::Error => "error",
            Status::Cancelled => "cancelled",
        }
    }
}

/// The role of a span in a call between processes, as OpenTelemetry names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[repr(u8)]
pub enum SpanKind {
    /// Work inside a process.
    #[default]
    Internal = 0,
    /// Answers a request from another process.
    Server = 1,
    /// Sends a request to another process.
    Client = 2,
    /// Sends a message to a queue or broker.
    Producer = 3,
    /// Processes a message from a queue or broker.
    Consumer = 4,
}

impl SpanKind {
    /// The kind with this number; unknown numbers give `Internal`.
    pub const fn from_u8(n: u8) -> SpanKind {
        match n {
            1 => SpanKind::Server,
            2 => SpanKind::Client,
            3 => SpanKind::Producer,
            4 => SpanKind::Consumer,
            _ => SpanKind::Internal,
        }
    }

    /// The name in lower case, such as `server`.
    pub const fn as_str(self) -> &'static str {
        match self {
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        }
    }
}

/// Why records were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[repr(u8)]
#[non_exhaustive]
pub enum LossReason {
    /// The ring was full, and it keeps the oldest records.
    RingFull = 0,
    /// The ring was full, and it keeps the newest records.
    Overwritten = 1,
    /// The record does not fit in a frame of the device, even with its texts cut.
    TooLarge = 2,
    /// A signal handler made the record after interrupting its own thread while that thread was writing a
    /// record.
    Reentrant = 3,
}

impl LossReason {
    /// The reason with this number; `None` for an unknown one.
    pub const fn from_u8(n: u8) -> Option<LossReason> {
        match n {
            0 => Some(LossReason::RingFull),
            1 => Some(LossReason::Overwritten),
            2 => Some(LossReason::TooLarge),
            3 => Some(LossReason::Reentrant),
            _ => None,
        }
    }
}
