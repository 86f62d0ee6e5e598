//! Levels and span kinds as a user may write them.

use proc_macro2::{Ident, Span};
use syn::parse::ParseStream;
use syn::{Error, LitStr, Path, Result};

pub(crate) const LEVELS: [&str; 5] = ["Trace", "Debug", "Info", "Warn", "Error"];
pub(crate) const KINDS: [&str; 5] = ["Internal", "Server", "Client", "Producer", "Consumer"];

/// Parses `"debug"`, `Debug`, `DEBUG` or `Level::DEBUG` as one of `known`.
pub(crate) fn variant(input: ParseStream<'_>, what: &str, known: &[&str]) -> Result<Ident> {
    let (given, span) = if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        (text.value(), text.span())
    } else {
        let path: Path = input.parse()?;
        let last = &path.segments[path.segments.len() - 1].ident;
        (last.to_string(), last.span())
    };
    match known.iter().find(|name| name.eq_ignore_ascii_case(&given)) {
        Some(name) => Ok(Ident::new(name, Span::mixed_site())),
        None => {
            let known = known.join("`, `");
            Err(Error::new(span, format!("unknown {what} `{given}`; expected one of `{known}`")))
        }
    }
}

/// Whether the next tokens are a path that ends in a level: `Level::INFO`, `throughline::Level::Info` or, if
/// `bare`, `INFO` alone.
pub(crate) fn is_level(input: ParseStream<'_>, bare: bool) -> bool {
    let ahead = input.fork();
    let Ok(path) = ahead.call(Path::parse_mod_style) else { return false };
    let segments = &path.segments;
    let is_known = |name: &Ident| LEVELS.iter().any(|known| name == *known || *name == known.to_uppercase());
    match segments.len() {
        0 => false,
        1 => bare && is_known(&segments[0].ident),
        n => segments[n - 2].ident == "Level",
    }
}
