//! Field values as a reader sees them; how they are packed into words is in [`crate::record`].

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// A field's value, borrowed from a record.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A truth value.
    Bool(bool),
    /// An unsigned integer.
    U64(u64),
    /// A signed integer.
    I64(i64),
    /// A float recorded as `f32`.
    F32(f32),
    /// A float recorded as `f64`.
    F64(f64),
    /// Text; `truncated` when the record could not hold all of it.
    Str {
        /// What was kept.
        text: &'a str,
        /// Whether that is less than was given.
        truncated: bool,
    },
    /// Bytes; `truncated` when the record could not hold all of them.
    Bytes {
        /// What was kept.
        bytes: &'a [u8],
        /// Whether that is less than was given.
        truncated: bool,
    },
    /// A value in postcard encoding, of a type the reader must know.
    Postcard {
        /// The encoding.
        bytes: &'a [u8],
        /// Whether it was cut; it then cannot be decoded whole.
        truncated: bool,
    },
    /// Text that already has the form in which the message shows it.
    Shown {
        /// What was kept.
        text: &'a str,
        /// Whether that is less than was given.
        truncated: bool,
    },
    /// A value of a type that is rarer or larger: [`Extended::get`] reads it.
    Extended(Extended<'a>),
    /// No value: that of a `None`. Outputs leave the field out.
    Absent,
}

impl Value<'_> {
    /// Whether the recorder kept less than it was given.
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

/// A value in its extended encoding (§5 of `core/docs/wire-format.md`), read when someone asks, so that a [`Value`] stays small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extended<'a> {
    /// The kind, and then the bytes.
    encoding: &'a [u8],
    truncated: bool,
}

/// What an [`Extended`] value is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExtendedValue<'a> {
    /// A character.
    Char(char),
    /// An unsigned integer of 128 bits.
    U128(u128),
    /// A signed integer of 128 bits.
    I128(i128),
    /// A span of time.
    Duration(Duration),
    /// An IP address.
    Ip(IpAddr),
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A list of scalars.
    List(List<'a>),
    /// A value of a kind that is not known here, or that makes no sense: the bytes it is.
    Unknown(&'a [u8]),
}

impl<'a> Extended<'a> {
    /// A value in this encoding.
    pub const fn new(encoding: &'a [u8], truncated: bool) -> Extended<'a> {
        Extended { encoding, truncated }
    }

    /// As it stands in a record.
    pub const fn encoding(self) -> &'a [u8] {
        self.encoding
    }

    /// Reads it.
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
                // A whole second or more of them is nothing that a recorder writes, and could overflow.
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

/// A list of scalars of one type, as it lies in a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct List<'a> {
    /// The type nibble of its elements, 1 to 7.
    code: u8,
    /// 1, 4 or 8 bytes each, little-endian.
    elements: &'a [u8],
}

impl<'a> List<'a> {
    /// Its elements.
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

/// How a span ended, in OpenTelemetry's words and one of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[repr(u8)]
pub enum Status {
    /// Nothing was said; backends take it as success.
    #[default]
    Unset = 0,
    /// Said to have gone well.
    Ok = 1,
    /// Said to have failed.
    Error = 2,
    /// A future dropped before it was done.
    Cancelled = 3,
}

impl Status {
    /// The status with this number, 0 to 3.
    pub const fn from_u8(n: u8) -> Status {
        match n & 3 {
            1 => Status::Ok,
            2 => Status::Error,
            3 => Status::Cancelled,
            _ => Status::Unset,
        }
    }
}

/// The role of a span in a call between processes, as OpenTelemetry names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[repr(u8)]
pub enum SpanKind {
    /// Work within a process.
    #[default]
    Internal = 0,
    /// Answers a remote request.
    Server = 1,
    /// Makes a remote request.
    Client = 2,
    /// Hands a message over.
    Producer = 3,
    /// Takes a message.
    Consumer = 4,
}

impl SpanKind {
    /// The kind with this number; unknown ones are internal.
    pub const fn from_u8(n: u8) -> SpanKind {
        match n {
            1 => SpanKind::Server,
            2 => SpanKind::Client,
            3 => SpanKind::Producer,
            4 => SpanKind::Consumer,
            _ => SpanKind::Internal,
        }
    }
}

/// Why records were lost on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[repr(u8)]
#[non_exhaustive]
pub enum LossReason {
    /// The ring was full and keeps what is oldest.
    RingFull = 0,
    /// The ring was full and keeps what is newest.
    Overwritten = 1,
    /// The record does not fit into a frame of the device, even with its texts cut.
    TooLarge = 2,
    /// A signal handler made the record while it interrupted its own thread in the writing of another.
    Reentrant = 3,
}

impl LossReason {
    /// The reason with this number.
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
