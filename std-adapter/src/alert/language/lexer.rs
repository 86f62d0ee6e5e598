//! Splits an expression into words and signs.

use super::{SyntaxError, duration};

/// A word or sign.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name, which may have colons and dots.
    Name(String),
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    Text(String),
    Sign(&'static str),
    End,
}

/// The longest signs first.
const SIGNS: [&str; 25] = [
    "==", "!=", ">=", "<=", "=~", "!~", ">", "<", "=", "+", "-", "*", "/", "%", "^", "(", ")", "{", "}", "[",
    "]", ",", "@", ":", "!",
];

/// The tokens with the bytes at which they begin. The last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>, SyntaxError> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let begin = at;
        let token = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if c == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if c.is_ascii_digit() || c == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            let (token, len) = number(rest).map_err(|why| SyntaxError::new(at, why))?;
            at += len;
            token
        } else if c.is_ascii_alphabetic() || c == '_' {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
            let len = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
            at += len;
            let name = &rest[..len];
            if name.ends_with('.') {
                return Err(SyntaxError::new(begin, format!("the name `{name}` ends with a dot; remove it")));
            }
            match name.to_ascii_lowercase().as_str() {
                "inf" => Token::Number(f64::INFINITY),
                "nan" => Token::Number(f64::NAN),
                _ => Token::Name(name.into()),
            }
        } else if matches!(c, '"' | '\'' | '`') {
            let (text, len) = quoted(rest, c).map_err(|why| SyntaxError::new(begin, why))?;
            at += len;
            Token::Text(text)
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            at += sign.len();
            Token::Sign(sign)
        } else {
            let text = format!(
                "`{}` has no meaning here; remove it",
                throughline_export::text::escaped(&c.to_string())
            );
            return Err(SyntaxError::new(at, text));
        };
        out.push((token, begin));
    }
    out.push((Token::End, text.len()));
    Ok(out)
}

/// A number such as `0.5`, `1e3` or `0x1f`, or a duration such as `5m`.
fn number(text: &str) -> Result<(Token, usize), String> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let len = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let number = u64::from_str_radix(&hex[..len], 16);
        return Ok((
            Token::Number(number.map_err(|_| "0x needs 1 to 16 hexadecimal digits".to_owned())? as f64),
            len + 2,
        ));
    }
    let bytes = text.as_bytes();
    let mut len = 0;
    while let Some(b) = bytes.get(len) {
        let is_exponent = matches!(b, b'e' | b'E')
            && bytes.get(len + 1).is_some_and(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-'));
        if is_exponent {
            len += 2;
        } else if b.is_ascii_alphanumeric() || *b == b'.' || *b == b'_' {
            len += 1;
        } else {
            break;
        }
    }
    let word = &text[..len];
    if let Ok(number) = word.parse() {
        return Ok((Token::Number(number), len));
    }
    match duration(word).and_then(|time| i64::try_from(time.as_millis()).ok()) {
        Some(ms) => Ok((Token::Duration(ms), len)),
        None => Err(format!("`{word}` is no number and no duration; write such as 0.5, 5m or 1h30m")),
    }
}

/// A text in quotes, and its length with them. In backquotes, a backslash stands for itself.
fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((out, at + c.len_utf8())),
            '\\' if quote != '`' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, 'r')) => out.push('\r'),
                Some((_, c @ ('\\' | '"' | '\''))) => out.push(c),
                other => {
                    let c = other.map_or(String::new(), |(_, c)| c.to_string());
                    return Err(format!("`\\{c}` in a text has no meaning; write \\\\ for a backslash"));
                }
            },
            c => out.push(c),
        }
    }
    Err(format!("a text begins here and has no end; close it with {quote}"))
}
