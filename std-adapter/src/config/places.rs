//! Checks where local pages are served.

use super::Config;
use super::value::Value;
use throughline_export::text::is_page_path;

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
