//! The URLs of collectors.

use super::config::ConfigError;
use crate::text::masked_url;

/// Appends a path to the base URL, before its query.
pub(super) fn appended(base: &str, more: &str) -> String {
    let (path, query) = base.split_at(base.find(['?', '#']).unwrap_or(base.len()));
    format!("{}/{more}{query}", path.trim_end_matches('/'))
}

/// Scheme, host and port of a URL.
pub(super) fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    &url[..end]
}

/// Fails if requests cannot be sent to the URL.
pub(super) fn check_url(url: &str) -> Result<(), ConfigError> {
    let shown = || masked_url(url);
    let bad = |reason| ConfigError::Url { url: shown(), reason };
    let no_url = "is not an http:// URL";
    let uri: ureq::http::Uri = url.parse().map_err(|_| bad(no_url))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") if cfg!(feature = "tls") => {}
        Some("https") => return Err(ConfigError::NoTls { url: shown() }),
        _ => return Err(bad(no_url)),
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(bad("has a user or a password in it: give credentials as a header"));
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(bad(no_url));
    }
    // Search for the port after the bracket of an IPv6 address, if there is one.
    let port = authority.rsplit(']').next().unwrap_or_default().split_once(':').map(|(_, port)| port);
    match port {
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
        None => Ok(()),
        Some(_) => Err(bad("has a port that is none: ports are 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClientConfig, Signal};
    use super::*;

    #[test]
    fn paths_go_before_the_query() {
        let url = |base: &str| ClientConfig::new(base).unwrap().url(Signal::Logs).to_owned();
        assert_eq!(url("http://a:4318"), "http://a:4318/v1/logs");
        assert_eq!(url("http://a:4318/x/?key=1/2"), "http://a:4318/x/v1/logs?key=1/2");
        assert_eq!(url("http://[::1]:4318"), "http://[::1]:4318/v1/logs");
        let exact = ClientConfig::at("http://a/in?k=v").unwrap();
        assert_eq!(exact.url(Signal::Logs), "http://a/in?k=v");
        assert_eq!(origin("http://a:4317/x?y"), "http://a:4317");
    }

    #[test]
    fn urls_that_cannot_work_are_refused() {
        let error = |url: &str| ClientConfig::new(url).unwrap_err().to_string();
        assert_eq!(
            error("a:4318"),
            "OTLP endpoint `a:4318` is not an http:// URL; give one such as http://localhost:4318"
        );
        #[cfg(not(feature = "tls"))]
        assert_eq!(
            error("https://a"),
            "OTLP endpoint `https://a` wants TLS; build throughline-std with the feature `tls`, or use http://"
        );
        for port in ["0", "65536", "99999", ""] {
            let error = error(&format!("http://a:{port}/v1"));
            assert!(error.contains("ports are 1 to 65535") || error.contains("is not an"), "{error}");
        }
        let error = error("http://user:hunter2@a:1/?k=hunter3");
        assert!(error.contains("as a header") && !error.contains("hunter"), "{error}");
    }
}
