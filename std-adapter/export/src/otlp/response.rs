//! What a collector answers: partial success, and the reason of a refusal.

/// A `partial_success`, whose shape is the same for the three signals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartialSuccess {
    /// Records the collector took the request without.
    pub(super) rejected: u64,
    /// Why, or a warning when none was rejected.
    pub(super) message: String,
}

/// Reads an `Export…ServiceResponse`. Total: what is malformed counts as nothing rejected.
pub(super) fn partial_success(body: &[u8]) -> PartialSuccess {
    let mut result = PartialSuccess::default();
    for (field, value) in Fields(body) {
        if let (1, Wire::Bytes(inner)) = (field, value) {
            for (field, value) in Fields(inner) {
                match (field, value) {
                    (1, Wire::Varint(n)) => result.rejected = i64::try_from(n).unwrap_or(0) as u64,
                    (2, Wire::Bytes(text)) => result.message = String::from_utf8_lossy(text).into_owned(),
                    _ => {}
                }
            }
        }
    }
    result
}

/// The reason in the body of a refusal: the message of a protobuf `google.rpc.Status`, or the text itself; at most 200 characters.
pub(super) fn refusal(content_type: &str, body: &[u8]) -> String {
    let text = if content_type.starts_with("application/x-protobuf") {
        let message = Fields(body).find_map(|(field, value)| match (field, value) {
            (2, Wire::Bytes(text)) => Some(text),
            _ => None,
        });
        String::from_utf8_lossy(message.unwrap_or_default())
    } else {
        String::from_utf8_lossy(body)
    };
    text.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a protobuf message; ends at the first malformed one.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Wire<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => self.take(8).map(|_| Wire::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(|_| Wire::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut v = 0u64;
        for shift in (0..64).step_by(7) {
            let (&b, rest) = self.0.split_first()?;
            self.0 = rest;
            v |= u64::from(b & 0x7f) << shift;
            if b < 0x80 {
                return Some(v);
            }
        }
        None
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use prost::Message;

    #[test]
    fn reads_what_prost_writes() {
        let response = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 300,
                error_message: "too old".into(),
            }),
        };
        let expected = PartialSuccess { rejected: 300, message: "too old".into() };
        assert_eq!(partial_success(&response.encode_to_vec()), expected);
        assert_eq!(partial_success(&[]), PartialSuccess::default());
    }

    #[test]
    fn survives_any_bytes() {
        for b in 0..=255u8 {
            for len in 0..16 {
                partial_success(&vec![b; len]);
                refusal("application/x-protobuf", &vec![b; len]);
            }
        }
        assert_eq!(refusal("text/plain", b" no such\npath "), "no such path");
        assert_eq!(refusal("application/x-protobuf", &[0x08, 3, 0x12, 2, b'n', b'o']), "no");
    }
}
