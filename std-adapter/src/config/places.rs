//! Checks where local pages are served and to whom, and the targets of checks of health.

use super::value::Value;
use super::{Config, url};
use throughline_export::text::{is_page_path, masked_url};

/// Finds a text that is no host to listen on.
pub(super) fn host(_: &mut Config, value: &Value) -> Result<(), String> {
    let text = value.text();
    let is_good = |c: char| c.is_ascii_alphanumeric() || ".-_:[]%".contains(c);
    if !text.is_empty() && text.chars().all(is_good) {
        return Ok(());
    }
    Err(format!(
        "= `{text}` is not an address to listen on; write one such as 127.0.0.1, or 0.0.0.0 for all networks"
    ))
}

/// Finds a text that is no path of a page.
pub(super) fn path(_: &mut Config, value: &Value) -> Result<(), String> {
    let text = value.text();
    if is_page_path(text) {
        return Ok(());
    }
    Err(format!("= `{text}` is not the path of a page; write one that begins with a slash, such as /metrics"))
}

/// Finds a token that no request could have.
pub(super) fn token(_: &mut Config, value: &Value) -> Result<(), String> {
    match value.text().bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(
            "has a space or a character beyond ASCII, which no token has; give one such as `openssl rand -hex 32` prints"
                .into(),
        ),
    }
}

/// Finds a target of a check over HTTP that is no URL.
pub(super) fn urls(_: &mut Config, value: &Value) -> Result<(), String> {
    let instead = "which is no URL; write http:// or https:// and a host, such as http://stock:8080/healthz";
    each(value, instead, url::has_host)
}

/// Finds a target of a check over TCP without a host or a port.
pub(super) fn hosts_and_ports(_: &mut Config, value: &Value) -> Result<(), String> {
    each(value, "which is no host and port; write both, such as db:5432", |target| {
        let Some((host, port)) = target.rsplit_once(':') else { return false };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host =
            bare.map_or_else(|| is_name(host), |address| address.parse::<std::net::Ipv6Addr>().is_ok());
        is_host && port.parse::<u16>().is_ok()
    })
}

/// Finds a target of a check of a name that is none.
pub(super) fn names(_: &mut Config, value: &Value) -> Result<(), String> {
    each(value, "which is no name of a host; write one such as mail.example", is_name)
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || "/:@?#[]".contains(c))
}

/// The error for the first target that is not good.
fn each(value: &Value, instead: &str, is_good: impl Fn(&str) -> bool) -> Result<(), String> {
    match value.pairs().iter().find(|(_, target)| !is_good(target)) {
        None => Ok(()),
        Some((name, target)) => Err(format!("has {name} = `{}`, {instead}", masked_url(target))),
    }
}
