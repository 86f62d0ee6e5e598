//! Field values as a reader sees them; how they are packed into words is in [`crate::record`].

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
}

impl LossReason {
    /// The reason with this number.
    pub const fn from_u8(n: u8) -> Option<LossReason> {
        match n {
            0 => Some(LossReason::RingFull),
            1 => Some(LossReason::Overwritten),
            2 => Some(LossReason::TooLarge),
            _ => None,
        }
    }
}
