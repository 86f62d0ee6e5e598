//! What a request says of itself, as the HTTP conventions write it.

use crate::published::Published;
use http::header::HOST;
use http::{HeaderMap, Method, Uri, Version};
use std::sync::{Arc, LazyLock};
use throughline_export::text::percent_decode_lossy;
use throughline_export::{REDACTED, Redaction};

/// What stands for a method that is not one of the standard, so that nobody can invent labels.
pub(super) const OTHER: &str = "_OTHER";

/// The method as a label: one of RFC 9110 and 5789, or [`OTHER`].
pub(super) fn method_label(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}

/// The labels of methods.
pub(super) const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "CONNECT", "TRACE", OTHER];

/// `network.protocol.version`.
pub(super) fn version_label(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// Host and port that the request is for, from its URI or its header `Host`.
pub(super) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<(&'a str, Option<u16>)> {
    if let Some(host) = uri.host() {
        return Some((host, uri.port_u16()));
    }
    let host = headers.get(HOST)?.to_str().ok()?;
    // Not the last colon of an IPv6 address.
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
        _ => (host, None),
    };
    (!name.is_empty()).then_some((name, port))
}

/// The port that is meant without one.
pub(super) fn default_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

static REDACTION: Published<Arc<Redaction>> = Published::new();
/// In its place before the first `init`.
static DEFAULT: LazyLock<Redaction> = LazyLock::new(Redaction::default);

/// Makes these names of parameters secret from now on.
pub(crate) fn configure(redaction: Arc<Redaction>) {
    REDACTION.set(redaction);
}

/// The parameters that the conventions name beside those of the configuration: signatures of AWS, Azure and Google.
const SIGNATURES: [&str; 5] =
    ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "sig", "X-Goog-Signature"];

/// A query with [`REDACTED`] in place of the values of secret parameters.
pub(super) fn redacted(query: &str) -> String {
    let redaction: &Redaction = match REDACTION.get() {
        Some(redaction) => redaction,
        None => &DEFAULT,
    };
    let mut out = String::with_capacity(query.len());
    for (i, parameter) in query.split('&').enumerate() {
        out += if i == 0 { "" } else { "&" };
        match parameter.split_once('=') {
            Some((name, _)) if SIGNATURES.contains(&name) || redaction.hides(&percent_decode_lossy(name)) => {
                out += name;
                out += "=";
                out += REDACTED;
            }
            _ => out += parameter,
        }
    }
    out
}

/// `url.full` of a request for `uri` at `origin`: without user and password, and with a redacted query. `None` if neither the
/// origin nor the header `Host` says which server it is for.
pub(super) fn full(origin: &Uri, headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let authority = match origin.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(HOST)?.to_str().ok()?,
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut out = format!("{}://{host}{}", origin.scheme_str().unwrap_or("http"), uri.path());
    if let Some(query) = uri.query() {
        out += "?";
        out += &redacted(query);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_invent_a_method() {
        assert_eq!(method_label(&Method::PATCH), "PATCH");
        assert_eq!(method_label(&Method::from_bytes(b"get").unwrap()), OTHER);
        assert_eq!(method_label(&Method::from_bytes(b"X-1").unwrap()), OTHER);
    }

    #[test]
    fn the_host_is_that_of_the_uri_or_the_header() {
        let of = |uri: &'static str, header: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, header.parse().unwrap());
            host(&Uri::from_static(uri), &headers).map(|(name, port)| format!("{name} {port:?}"))
        };
        assert_eq!(of("/x", "shop:8080").unwrap(), "shop Some(8080)");
        assert_eq!(of("/x", "shop").unwrap(), "shop None");
        assert_eq!(of("/x", "[::1]:80").unwrap(), "[::1] Some(80)");
        assert_eq!(of("/x", "[::1]").unwrap(), "[::1] None");
        assert_eq!(of("/x", ""), None);
        assert_eq!(of("http://a:1/x", "b:2").unwrap(), "a Some(1)");
    }

    #[test]
    fn the_full_url_needs_a_server() {
        let mut headers = HeaderMap::new();
        let path = Uri::from_static("/a?n=1");
        assert_eq!(full(&path, &headers, &path), None);
        assert_eq!(full(&Uri::from_static("https://shop"), &headers, &path).unwrap(), "https://shop/a?n=1");
        headers.insert(HOST, "shop:81".parse().unwrap());
        assert_eq!(full(&path, &headers, &path).unwrap(), "http://shop:81/a?n=1");
    }

    #[test]
    fn secrets_of_urls_are_not_told() {
        assert_eq!(redacted("q=1&tok%65n=x&sig=y&Sig=z&a"), "q=1&tok%65n=[REDACTED]&sig=[REDACTED]&Sig=z&a");
        let full = |origin, uri| full(&Uri::from_static(origin), &HeaderMap::new(), &Uri::from_static(uri));
        let uri = "https://ann:pw@shop:444/a?api_key=k&n=1";
        assert_eq!(full(uri, uri).unwrap(), "https://shop:444/a?api_key=[REDACTED]&n=1");
        assert_eq!(full("http://shop/", "http://shop/").unwrap(), "http://shop/");
    }
}
