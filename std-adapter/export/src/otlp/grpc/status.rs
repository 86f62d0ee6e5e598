//! The status of a gRPC call: code, message, and when another attempt may be made. Sources:
//! <https://grpc.io/docs/guides/status-codes/>, <https://opentelemetry.io/docs/specs/otlp/#failures>.

use crate::otlp::protobuf::{Fields, Wire};
use crate::text::percent_decode_lossy;
use std::fmt;
use std::time::Duration;
use ureq::http::HeaderMap;

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const RESOURCE_EXHAUSTED: u32 = 8;
/// The codes after which OTLP retries. RESOURCE_EXHAUSTED is retried only if it says when.
const RETRYABLE: [u32; 6] = [1, 4, 10, 11, 14, 15];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    code: u32,
    pub(super) message: String,
    /// The delay from a `google.rpc.RetryInfo` in the details.
    pub(super) retry_after: Option<Duration>,
}

impl Status {
    /// The status in the trailers, or in the headers of a call that failed at once.
    pub(super) fn of_headers(headers: &HeaderMap) -> Option<Status> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let code = text("grpc-status")?.trim().parse().unwrap_or(2);
        let details = text("grpc-status-details-bin").and_then(unbase64).unwrap_or_default();
        let message = percent_decode_lossy(text("grpc-message").unwrap_or_default());
        Some(Status { code, message, retry_after: retry_delay(&details) })
    }

    /// The status for an HTTP answer that has no gRPC status.
    pub(super) fn of_http(status: u16) -> Status {
        let code = match status {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        };
        Status { code, message: format!("HTTP status {status}"), retry_after: None }
    }

    pub(super) fn is_ok(&self) -> bool {
        self.code == 0
    }

    pub(super) fn is_retryable(&self) -> bool {
        RETRYABLE.contains(&self.code) || self.code == RESOURCE_EXHAUSTED && self.retry_after.is_some()
    }

    /// Whether the collector does not accept the credentials: PERMISSION_DENIED or UNAUTHENTICATED.
    pub(super) fn is_about_credentials(&self) -> bool {
        matches!(self.code, 7 | 16)
    }

    /// The name of the code in the specification.
    pub(super) fn name(&self) -> String {
        let name = usize::try_from(self.code).ok().and_then(|code| NAMES.get(code));
        name.map_or_else(|| format!("gRPC status {}", self.code), |name| (*name).to_owned())
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self.code {
            3 => "it holds the body for malformed; compare the versions of collector and exporter",
            7 | 16 => "set the credentials it wants, with OTEL_EXPORTER_OTLP_HEADERS for one",
            8 => "make batches smaller, or raise the receiver's limit",
            12 => "OTLP over gRPC is not served there; check the port (usually 4317)",
            _ => "see the collector's log",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), crate::text::said(&self.message))
    }
}

/// Finds the delay of the first `RetryInfo` in a `google.rpc.Status`.
fn retry_delay(status: &[u8]) -> Option<Duration> {
    let field = |message, number| {
        Fields(message).find_map(move |(field, value)| match value {
            Wire::Bytes(bytes) if field == number => Some(bytes),
            _ => None,
        })
    };
    let number = |message, number| {
        Fields(message)
            .find_map(move |(field, value)| match value {
                Wire::Varint(n) if field == number => i64::try_from(n).ok(),
                _ => None,
            })
            .unwrap_or(0)
    };
    let mut details = Fields(status).filter_map(|(field, value)| match value {
        Wire::Bytes(detail) if field == 3 => Some(detail),
        _ => None,
    });
    let info =
        details.find(|detail| field(detail, 1).is_some_and(|url| url.ends_with(b"google.rpc.RetryInfo")))?;
    let delay = field(field(info, 2)?, 1).unwrap_or_default();
    let (seconds, nanos) = (u64::try_from(number(delay, 1)).ok()?, u32::try_from(number(delay, 2)).ok()?);
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
}

/// Decodes standard base64, with or without padding.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(headers: &[(&'static str, &str)]) -> Status {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| _ = map.insert(*name, value.parse().unwrap()));
        Status::of_headers(&map).unwrap()
    }

    #[test]
    fn messages_are_decoded() {
        let status = status(&[("grpc-status", "8"), ("grpc-message", "zu gro%C3%9F, 100% voll")]);
        assert_eq!((status.name().as_str(), &*status.message), ("RESOURCE_EXHAUSTED", "zu groß, 100% voll"));
        assert!(!status.is_retryable(), "it does not say when");
    }

    #[test]
    fn retry_info_is_found_among_the_details() {
        // { 1: 8, 3: { 1: "type.googleapis.com/google.rpc.RetryInfo", 2: { 1: { 1: 3, 2: 500000000 } } } }
        let mut delay = vec![0x08, 3, 0x10];
        delay.extend([0x80, 0xca, 0xb5, 0xee, 0x01]);
        let wrap = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8], bytes].concat();
        let url = wrap(0x0a, b"type.googleapis.com/google.rpc.RetryInfo");
        let detail = [url, wrap(0x12, &wrap(0x0a, &delay))].concat();
        let other = wrap(0x0a, b"type.googleapis.com/google.rpc.DebugInfo");
        let details = [vec![0x08, 8], wrap(0x1a, &other), wrap(0x1a, &detail)].concat();
        assert_eq!(retry_delay(&details), Some(Duration::from_millis(3500)));
        for end in 0..details.len() {
            let _ = retry_delay(&details[..end]);
        }
        assert_eq!(unbase64("CAgaAA"), Some(vec![8, 8, 0x1a, 0]));
        assert_eq!(unbase64("CAgaAA=="), unbase64("CAgaAA"));
    }

    #[test]
    fn what_is_retried_is_what_otlp_says() {
        let retried = (0..17u32).filter(|code| Status { code: *code, ..Status::default() }.is_retryable());
        let retried: Vec<_> = retried.map(|code| NAMES[code as usize]).collect();
        let expected =
            ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"];
        assert_eq!(retried, expected);
        let when = Some(Duration::ZERO);
        assert!(Status { code: RESOURCE_EXHAUSTED, retry_after: when, ..Status::default() }.is_retryable());
        assert!(Status::of_http(503).is_retryable() && !Status::of_http(404).is_retryable());
    }
}
