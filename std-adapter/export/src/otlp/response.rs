//! Reads a collector's answer: partial success, or the reason for a refusal.

use super::json::{find_number, find_text};
use super::protobuf::{Fields, Wire};
use crate::text::said;

/// A `partial_success`, which has the same shape for all three signals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartialSuccess {
    /// Number of records that the collector rejected.
    pub(super) rejected: u64,
    /// The reason, or a warning if no record was rejected.
    pub(super) message: String,
}

/// Reads an `Export…ServiceResponse` in protobuf or JSON. It never panics; a malformed answer counts as no
/// rejection.
pub(super) fn partial_success(content_type: &str, body: &[u8]) -> PartialSuccess {
    if is_json(content_type) {
        let json = String::from_utf8_lossy(body);
        let rejected = ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"];
        return PartialSuccess {
            rejected: rejected.iter().find_map(|name| find_number(&json, name)).unwrap_or(0),
            message: find_text(&json, "errorMessage").unwrap_or_default(),
        };
    }
    let mut result = PartialSuccess::default();
    for (field, value) in Fields(body) {
        if let (1, Wire::Bytes(inner)) = (field, value) {
            for (field, value) in Fields(inner) {
                match (field, value) {
                    // A negative number rejects nothing.
                    (1, Wire::Varint(n)) => result.rejected = i64::try_from(n).unwrap_or(0) as u64,
                    (2, Wire::Bytes(text)) => result.message = String::from_utf8_lossy(text).into_owned(),
                    _ => {}
                }
            }
        }
    }
    result
}

/// The reason in the body of a refusal: the message of a `google.rpc.Status`, or the text itself, as [`said`] shows it. `without_own` takes
/// out what the request had in its headers.
pub(super) fn refusal(content_type: &str, body: &[u8], without_own: impl Fn(&str) -> String) -> String {
    if content_type.starts_with("application/x-protobuf") {
        let message = Fields(body).find_map(|(field, value)| match (field, value) {
            (2, Wire::Bytes(text)) => Some(text),
            _ => None,
        });
        return said(&without_own(&String::from_utf8_lossy(message.unwrap_or_default())));
    }
    let text = String::from_utf8_lossy(body);
    let message = is_json(content_type).then(|| find_text(&text, "message")).flatten();
    said(&without_own(message.as_deref().unwrap_or(&text)))
}

fn is_json(content_type: &str) -> bool {
    content_type.starts_with("application/json")
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
        assert_eq!(partial_success("application/x-protobuf", &response.encode_to_vec()), expected);
        assert_eq!(partial_success("", &[]), PartialSuccess::default());
    }

    #[test]
    fn reads_json() {
        let json = br#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}"#;
        let expected = PartialSuccess { rejected: 3, message: "too old".into() };
        assert_eq!(partial_success("application/json", json), expected);
        assert_eq!(partial_success("application/json", b"{}"), PartialSuccess::default());
    }

    #[test]
    fn survives_any_bytes() {
        for b in 0..=255u8 {
            for len in 0..16 {
                for content_type in ["application/x-protobuf", "application/json"] {
                    partial_success(content_type, &vec![b; len]);
                    refusal(content_type, &vec![b; len], str::to_owned);
                }
            }
        }
        let json = br#"{"code":3,"message":"not a body"}"#;
        assert_eq!(refusal("application/json", json, str::to_owned), "not a body");
        assert_eq!(refusal("text/plain", b" no such\npath ", str::to_owned), r"no such\npath");
        assert_eq!(refusal("application/x-protobuf", &[0x08, 3, 0x12, 2, b'n', b'o'], str::to_owned), "no");
    }
}
