//! What all HTTP clients of this crate have in common.

use std::time::{Duration, SystemTime};
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// The HTTP library adds the timeout to the current time; a longer one could overflow.
pub(crate) const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The longest time for which a server is left alone when it asks for that.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Settings of a client that follows no redirect and reads the answer of every status.
pub(crate) fn client() -> ConfigBuilder<AgentScope> {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("throughline-export/", env!("CARGO_PKG_VERSION")))
}

/// Reads `Retry-After`, which is a number of seconds or an HTTP date.
pub(crate) fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text.trim()).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        assert_eq!(parse_retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon"), None);
        let ahead = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1000));
        assert!(parse_retry_after(&ahead).unwrap() > Duration::from_secs(900));
    }
}
