//! Writes the few parts of protocol buffers that pprof needs.

/// A message that is being written.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Message {
    pub(super) fn new() -> Message {
        Message::default()
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
            self.raw_varint(field << 3 | VARINT);
            self.raw_varint(value);
        }
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

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
