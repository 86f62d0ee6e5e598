//! What all HTTP clients of this crate have in common.

use crate::otlp::{ConfigError, Tls};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};
use ureq::config::ConfigBuilder;
use ureq::http::Response;
use ureq::typestate::AgentScope;

/// The HTTP library adds the timeout to the current time; a longer one could overflow.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The longest time for which a server is left alone when it asks for that.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// A shorter pause that a server asks for is no pause: the growing one holds, as if it had asked for none. Otherwise a server whose clock is behind
/// would be asked again without any pause.
const SHORTEST_ASKED: Duration = Duration::from_secs(1);

/// The pause that is kept for a server that asks for this one; `None` if the ordinary, growing one is.
pub(crate) fn asked_pause(asked: Option<Duration>) -> Option<Duration> {
    asked.filter(|asked| *asked >= SHORTEST_ASKED).map(|asked| asked.min(LONGEST_ASKED))
}

/// Settings of a client that follows no redirect and reads the answer of every status.
pub(crate) fn client() -> ConfigBuilder<AgentScope> {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("throughline-export/", env!("CARGO_PKG_VERSION")))
}

/// Reads the body of an answer, at most this many bytes. With an error, the bytes are those that came before it.
///
/// A body that ends before its length or its last chunk makes the answer incomplete (RFC 9112, section 8). Such an answer is no success, whatever its status:
/// what is missing may be that records were rejected.
pub(crate) fn read_body(response: &mut Response<ureq::Body>, most: u64) -> (Vec<u8>, Result<(), String>) {
    let mut bytes = Vec::new();
    let read = response.body_mut().as_reader().take(most).read_to_end(&mut bytes);
    (bytes, read.map(drop).map_err(|error| format!("its answer was cut off: {error}")))
}

/// [`client`], with these authorities and this certificate.
pub(crate) fn client_with(tls: &Tls) -> ConfigBuilder<AgentScope> {
    #[cfg(feature = "tls")]
    return client().tls_config(tls.of_ureq());
    #[cfg(not(feature = "tls"))]
    {
        let _ = tls;
        client()
    }
}

/// A client that trusts the authorities in this PEM file, instead of those in Mozilla's list.
pub(crate) fn trusting(path: &Path) -> Result<ureq::Agent, ConfigError> {
    let mut tls = Tls::default();
    tls.trust_file(path)?;
    Ok(client_with(&tls).build().new_agent())
}

/// What to do about a request that `peer` did not answer, for this reason.
pub(crate) fn hint_of_failure(why: &str, peer: &str) -> String {
    match why.contains("certificate") {
        true => "check the certificate's name and dates, or name the authority that signed it (`certificate`, ca_certificate)".into(),
        false => format!("check that {peer} listens there"),
    }
}

/// Why an answer with a good status cannot be that of a receiver of records: it is a page for people, such as that of a proxy that asks for a login.
pub(crate) fn page_for_people(content_type: &str, body: &[u8]) -> Option<&'static str> {
    let begin = body.trim_ascii_start();
    let is_page = content_type.starts_with("text/html") && !begin.is_empty()
        || [&b"<!doctype"[..], b"<html"]
            .iter()
            .any(|tag| begin.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag)));
    is_page.then_some(
        "it answered with a page of HTML, so it takes no records; check the host, the port and the path",
    )
}

/// Reads `Retry-After`, which is a number of seconds or an HTTP date.
pub(crate) fn parse_retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number that is too large does not fit.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_less_than_a_second_is_the_ordinary_one() {
        for asked in [None, Some(Duration::ZERO), Some(Duration::from_millis(999))] {
            assert_eq!(asked_pause(asked), None);
        }
        assert_eq!(asked_pause(Some(SHORTEST_ASKED)), Some(SHORTEST_ASKED));
        assert_eq!(asked_pause(Some(Duration::MAX)), Some(LONGEST_ASKED));
    }

    #[test]
    fn a_page_of_html_is_no_answer() {
        for (content_type, body) in [
            ("text/html; charset=utf-8", "Please log in"),
            ("", " \n<!DOCTYPE html><title>x</title>"),
            ("application/x-protobuf", "<HTML>"),
        ] {
            assert!(page_for_people(content_type, body.as_bytes()).is_some(), "{content_type} {body}");
        }
        for (content_type, body) in
            [("text/html", " "), ("text/plain", "OK"), ("", ""), ("application/json", "{}")]
        {
            assert!(page_for_people(content_type, body.as_bytes()).is_none(), "{content_type} {body}");
        }
    }

    #[test]
    fn retry_after_in_both_forms() {
        assert_eq!(parse_retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("99999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(
            (parse_retry_after("soon"), parse_retry_after("-1"), parse_retry_after(" ")),
            (None, None, None)
        );
        let ahead = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1000));
        assert!(parse_retry_after(&ahead).unwrap() > Duration::from_secs(900));
    }
}
