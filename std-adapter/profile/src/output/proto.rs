//! Writes and reads the few parts of protocol buffers that pprof needs.

/// A message that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;

impl Message {
    pub(super) fn new() -> Message {
        Message::default()
    }

    /// What the bytes say, such as a text that is no message.
    pub(super) fn of(bytes: &[u8]) -> Message {
        Message(bytes.to_vec())
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number; 0, the default, is left out.
    pub(super) fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.present(field, value);
        }
    }

    /// A number; 0 is written too, as a choice between fields needs it.
    pub(super) fn present(&mut self, field: u64, value: u64) {
        self.raw_varint(field << 3 | VARINT);
        self.raw_varint(value);
    }

    /// A number of 8 bytes.
    pub(super) fn fixed(&mut self, field: u64, value: u64) {
        self.raw_varint(field << 3 | FIXED_64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Bytes, text or a message in a message.
    pub(super) fn bytes(&mut self, field: u64, value: &[u8]) {
        self.raw_varint(field << 3 | LENGTH);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    /// Several numbers as one field.
    pub(super) fn packed(&mut self, field: u64, values: impl IntoIterator<Item = u64>) {
        let mut all = Message::new();
        values.into_iter().for_each(|value| all.raw_varint(value));
        self.message(field, &all);
    }

    /// Several numbers as one field, which is left out if there are none.
    pub(super) fn packed_unless_empty(&mut self, field: u64, values: &[u64]) {
        if !values.is_empty() {
            self.packed(field, values.iter().copied());
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A field of a message that is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// 0 of a field of another type.
    pub(super) fn number(self) -> u64 {
        if let Value::Number(number) = self { number } else { 0 }
    }

    /// Nothing of a field of another type.
    pub(super) fn bytes(self) -> &'a [u8] {
        if let Value::Bytes(bytes) = self { bytes } else { &[] }
    }

    /// Adds the numbers of a repeated field, packed or not. `None` if they are cut off.
    pub(super) fn numbers(self, to: &mut Vec<u64>) -> Option<()> {
        match self {
            Value::Number(number) => to.push(number),
            Value::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    to.push(varint(&mut bytes)?);
                }
            }
        }
        Some(())
    }
}

/// Reads the fields of a message. The last item is `None` if it is cut off or has what no message has.
pub(super) fn fields(mut message: &[u8]) -> impl Iterator<Item = Option<(u64, Value<'_>)>> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let field = field(&mut message);
        if field.is_none() {
            message = &[];
        }
        Some(field)
    })
}

fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let key = varint(message)?;
    let bytes = |message: &mut &'a [u8], length: u64| {
        let (bytes, rest) = message.split_at_checked(usize::try_from(length).ok()?)?;
        *message = rest;
        Some(Value::Bytes(bytes))
    };
    let value = match key & 7 {
        VARINT => Value::Number(varint(message)?),
        FIXED_64 => bytes(message, 8)?,
        LENGTH => {
            let length = varint(message)?;
            bytes(message, length)?
        }
        5 => bytes(message, 4)?,
        _ => return None,
    };
    Some((key >> 3, value))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
