//! What gRPC says of a call: in headers, in trailers, and in its status.

use http::HeaderMap;
use throughline::Status;

/// The status codes by their numbers.
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

/// A status of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(u8);

impl Code {
    pub(super) const CANCELLED: Code = Code(1);
    pub(super) const UNKNOWN: Code = Code(2);
    pub(super) const FAILED_PRECONDITION: Code = Code(9);
    pub(super) const UNIMPLEMENTED: Code = Code(12);
    pub(super) const INTERNAL: Code = Code(13);

    /// The status in headers or trailers; `None` if they have none. One that is no number of the protocol is UNKNOWN.
    pub(super) fn of(headers: &HeaderMap) -> Option<Code> {
        let text = headers.get("grpc-status")?.to_str().ok();
        let number = text.and_then(|text| text.trim().parse().ok());
        Some(number.filter(|number| usize::from(*number) < NAMES.len()).map_or(Code::UNKNOWN, Code))
    }

    /// What a response means that has no status of gRPC, by the mapping of its specification.
    pub(super) fn of_http(status: http::StatusCode) -> Code {
        Code(match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        })
    }

    pub(super) fn number(self) -> u8 {
        self.0
    }

    pub(super) fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// The status of a server's span. Codes that say that the caller is wrong are no errors of the server.
    pub(super) fn of_server(self) -> Status {
        match self.name() {
            "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE" | "DATA_LOSS" => {
                Status::Error
            }
            _ => Status::Unset,
        }
    }

    /// The status of a client's span.
    pub(super) fn of_client(self) -> Status {
        if self == Code(0) { Status::Unset } else { Status::Error }
    }
}

/// Whether the request is a call of gRPC. In gRPC-Web the status is in the body, so that it is a request of HTTP here.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes) else {
        return false;
    };
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// The name of the method, `package.Service/Method`, and that of its service. A path of another form is `None`.
pub(super) fn method(path: &str) -> Option<(&str, &str)> {
    let method = path.strip_prefix('/')?;
    let (service, name) = method.split_once('/')?;
    let is_valid = !service.is_empty() && !name.is_empty() && !name.contains('/');
    is_valid.then_some((method, service))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_and_mapped_by_the_conventions() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", text.parse().unwrap());
            Code::of(&headers).unwrap()
        };
        assert_eq!(Code::of(&HeaderMap::new()), None);
        assert_eq!(
            (of("0").name(), of("14").name(), of("16").name()),
            ("OK", "UNAVAILABLE", "UNAUTHENTICATED")
        );
        for odd in ["17", "255", "256", "-1", "x", ""] {
            assert_eq!(of(odd), Code::UNKNOWN, "{odd:?}");
        }
        let errors: Vec<u8> = (0..17).filter(|n| Code(*n).of_server() == Status::Error).collect();
        assert_eq!(errors, [2, 4, 12, 13, 14, 15]);
        assert!((1..17).all(|n| Code(n).of_client() == Status::Error));
        assert_eq!(Code(0).of_client(), Status::Unset);
    }

    #[test]
    fn calls_are_told_from_other_requests() {
        let is = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", kind.parse().unwrap());
            is_call(&headers)
        };
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc; charset=x"));
        assert!(!is("application/grpc-web") && !is("application/json") && !is_call(&HeaderMap::new()));
        assert_eq!(method("/shop.Warehouse/Reserve"), Some(("shop.Warehouse/Reserve", "shop.Warehouse")));
        for odd in ["", "/", "/a", "/a/", "//b", "/a/b/c", "a/b"] {
            assert_eq!(method(odd), None, "{odd:?}");
        }
    }
}
