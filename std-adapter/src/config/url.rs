//! Checks addresses, and says what to write instead of one that no longer works.

use throughline_export::text::with_small_scheme;

/// Returns the address, with its scheme in small letters, if requests can be sent to it.
pub(super) fn check(url: &str) -> Result<String, String> {
    let url = &*with_small_scheme(url);
    if let Some(instead) = retired(url) {
        return Err(instead);
    }
    match host(url) {
        None => Err("is not an http:// URL; give one such as http://localhost:4318".into()),
        Some(host) if !has_good_port(host) => Err("has a port that is not a number from 0 to 65535".into()),
        Some(_) => Ok(url.into()),
    }
}

/// Whether a request can be sent to this URL, whose scheme may be in capitals.
pub(super) fn has_host(url: &str) -> bool {
    host(&with_small_scheme(url)).is_some_and(has_good_port)
}

/// The host and port of a URL of HTTP.
fn host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.map(without_user);
    host.filter(|host| !host.is_empty() && !host.starts_with(':') && !url.contains(char::is_whitespace))
}

fn has_good_port(host: &str) -> bool {
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// The error for a port of Jaeger's own protocols, which Jaeger has replaced by OTLP. It says what to write
/// instead.
fn retired(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, port) = without_user(rest).rsplit_once(':')?;
    let port_of = match port {
        "14250" => ("gRPC", format!("http://{host}:4317 with protocol grpc, or http://{host}:4318")),
        "14268" => ("HTTP", format!("http://{host}:4318")),
        "6831" | "6832" | "5778" => ("agent", format!("http://{host}:4318")),
        _ => return None,
    };
    let (protocol, instead) = port_of;
    Some(format!(
        "is a port of Jaeger's old {protocol} protocol, which Jaeger no longer takes; Jaeger takes OTLP, so write {instead}"
    ))
}

/// The part of `rest` before the path. `rest` is the URL after its scheme.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// The host and port, without the user and password before them.
fn without_user(rest: &str) -> &str {
    let authority = authority(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// Whether nothing follows the host and port.
pub(super) fn has_no_path(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority(rest).len() == rest.len()
}

/// Converts an address from OpenTelemetry's variable for one signal, which is used as it is, to the notation
/// of a key. A key without a path would have one appended, so `/` is added.
pub(super) fn as_it_is(url: &str) -> Result<String, String> {
    Ok(if has_no_path(url) { format!("{url}/") } else { url.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_what_is_none() {
        for good in ["http://a", "https://a:1/x?y=1", "http://[::1]:4318", "http://[::1]", "http://u:p@h:80/"]
        {
            assert_eq!(check(good).as_deref(), Ok(good));
        }
        assert_eq!(check("HTTP://Host:4318/X").as_deref(), Ok("http://Host:4318/X"));
        assert_eq!(check("Https://a").as_deref(), Ok("https://a"));
        for bad in
            ["a:4318", "http://", "http://:80", "ftp://a", "http://a b", "http://a:99999", "http://a:x", ""]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check("jaeger:14250").unwrap_err().contains("http://jaeger:4317 with protocol grpc"));
        assert!(check("http://j:14268/api/traces").unwrap_err().ends_with("write http://j:4318"));
        assert!(has_no_path("http://a:1") && !has_no_path("http://a/") && !has_no_path("http://a?x"));
        assert!(check("http://u:hunter2@j:14268").unwrap_err().ends_with("write http://j:4318"));
    }
}
