//! The message of an event: its text and its placeholders, in the syntax of `format!`.
//!
//! The message stays in the binary with its format specs, and the reader of a record applies them to the
//! values. This module rejects placeholders that the reader could not format.

use proc_macro2::Span;
use syn::{Error, LitStr, Result};

/// A parsed message.
pub(crate) struct Message {
    pub(crate) pieces: Vec<Piece>,
    /// The span of the message's literal. Variables that the message names are resolved with its hygiene, in
    /// the scope of the author.
    pub(crate) span: Span,
}

pub(crate) enum Piece {
    /// Text between placeholders. Its braces are still doubled.
    Text(String),
    Placeholder(Placeholder),
}

/// A placeholder.
pub(crate) struct Placeholder {
    pub(crate) value: Reference,
    pub(crate) spec: Spec,
}

/// Which value a placeholder shows.
pub(crate) enum Reference {
    /// `{}`
    Next,
    /// `{0}`
    Index(usize),
    /// `{name}` or `{dotted.name}`
    Name(String),
}

/// How a placeholder shows its value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The text after the colon, without spaces at its end; empty when there is none.
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// The trait of `core::fmt` that a format spec asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    Display,
    Debug,
    /// `x?` or `X?`: `Debug` with integers in hexadecimal.
    HexDebug,
    /// `x`, `X`, `o` or `b`.
    Bits,
    /// `e` or `E`.
    Exponent,
    /// `p`
    Pointer,
}

impl Message {
    pub(crate) fn parse(literal: &LitStr) -> Result<Message> {
        let text = literal.value();
        let fail = |message: String| Error::new(literal.span(), message);
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, tail) = rest.split_at(at);
            plain.push_str(before);
            if tail.starts_with("{{") || tail.starts_with("}}") {
                plain.push_str(&tail[..2]);
                rest = &tail[2..];
                continue;
            }
            if tail.starts_with('}') {
                return Err(fail("the message has a `}` without a `{`: write `}}` for a brace".into()));
            }
            // A fill character may be a brace, as in `{:}>4}`, which `format!` accepts as well.
            let Some(end) = end_of_placeholder(tail) else {
                return Err(fail("the message has a `{` without a `}`: write `{{` for a brace".into()));
            };
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Placeholder(Placeholder::parse(&tail[1..end]).map_err(fail)?));
            rest = &tail[end + 1..];
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Message { pieces, span: literal.span() })
    }

    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder),
            Piece::Text(_) => None,
        })
    }
}

/// The index of the `}` that ends the placeholder at the start of `tail`.
fn end_of_placeholder(tail: &str) -> Option<usize> {
    let end = tail.find('}')?;
    let is_fill = tail[..end].ends_with(':') && tail[end + 1..].starts_with(['<', '^', '>']);
    if is_fill { tail[end + 1..].find('}').map(|more| end + 1 + more) } else { Some(end) }
}

impl Placeholder {
    fn parse(inner: &str) -> std::result::Result<Placeholder, String> {
        let (name, spec) = inner.split_once(':').unwrap_or((inner, ""));
        let name = name.trim();
        let value = if name.is_empty() {
            Reference::Next
        } else if name.bytes().all(|b| b.is_ascii_digit()) {
            Reference::Index(name.parse().map_err(|_| format!("there is no value number {name}"))?)
        } else if name.split('.').all(is_word) {
            Reference::Name(name.into())
        } else {
            return Err(format!(
                "`{{{inner}}}` does not name a value: a placeholder holds a variable, the name of a field or a number, as in `{{ms}}`, `{{http.route}}` or `{{0}}`; give an expression after the message, as in `\"{{}}\", a + b`"
            ));
        };
        Ok(Placeholder { value, spec: Spec::parse(spec.trim_end())? })
    }
}

fn is_word(text: &str) -> bool {
    let text = text.strip_prefix("r#").unwrap_or(text);
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}

impl Spec {
    fn parse(text: &str) -> std::result::Result<Spec, String> {
        let mut rest = text;
        let mut chars = text.chars();
        let align = |c: Option<char>| matches!(c, Some('<' | '^' | '>'));
        let first = chars.next();
        if align(chars.next()) {
            rest = &rest[first.map_or(0, char::len_utf8) + 1..];
        } else if align(first) {
            rest = &rest[1..];
        }
        rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        rest = rest.strip_prefix('#').unwrap_or(rest);
        rest = width(rest, text)?;
        if let Some(precision) = rest.strip_prefix('.') {
            let after = width(precision, text)?;
            if after.len() == precision.len() {
                return Err(dynamic(text));
            }
            rest = after;
        }
        let style = match rest {
            "" => Style::Display,
            "?" => Style::Debug,
            "x?" | "X?" => Style::HexDebug,
            "x" | "X" | "o" | "b" => Style::Bits,
            "e" | "E" => Style::Exponent,
            "p" => Style::Pointer,
            _ if rest.contains(['$', '*']) => return Err(dynamic(text)),
            _ => {
                return Err(format!(
                    "unknown format `{rest}` in `{{:{text}}}`; the formats are `?`, `x?`, `X?`, `x`, `X`, `o`, `b`, `e`, `E` and `p`"
                ));
            }
        };
        Ok(Spec { text: text.into(), style })
    }
}

/// Skips a number.
fn width<'a>(rest: &'a str, spec: &str) -> std::result::Result<&'a str, String> {
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &rest[..rest.len() - after.len()];
    if digits.parse::<u16>().is_err() && !digits.is_empty() {
        return Err(format!(
            "`{digits}` in `{{:{spec}}}` is too large: a width or a precision is at most {}",
            u16::MAX
        ));
    }
    if after.starts_with(['$', '*']) { Err(dynamic(spec)) } else { Ok(after) }
}

fn dynamic(spec: &str) -> String {
    format!(
        "`{{:{spec}}}` takes its width or precision from a value, which the reader of a record cannot do: write the number, or record the finished text, as in `\"{{}}\", format_args!(\"{{:{spec}}}\", …)`"
    )
}
