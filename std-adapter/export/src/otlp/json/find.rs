//! Finds single values in a collector's JSON answer, without parsing all of it. It never panics: a missing
//! value and invalid JSON give `None`.

/// The first string member with this name, with its escapes resolved.
pub(crate) fn find_text(json: &str, name: &str) -> Option<String> {
    members(json, name).find_map(|value| {
        let mut chars = value.strip_prefix('"')?.chars();
        let mut text = String::new();
        loop {
            match chars.next()? {
                '"' => return Some(text),
                '\\' => text.push(escape(&mut chars)?),
                c => text.push(c),
            }
        }
    })
}

/// The first member with this name that is a whole number, or a string with one, which is how JSON has 64-bit
/// numbers.
pub(crate) fn find_number(json: &str, name: &str) -> Option<u64> {
    members(json, name).find_map(|value| {
        let value = value.strip_prefix('"').unwrap_or(value);
        let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        value[..end].parse().ok()
    })
}

/// The text after each occurrence of `"name":`.
fn members<'j>(json: &'j str, name: &'j str) -> impl Iterator<Item = &'j str> {
    json.match_indices(name).filter_map(move |(at, _)| {
        let is_quoted = json[..at].ends_with('"');
        let rest = json[at + name.len()..].strip_prefix('"')?.trim_start().strip_prefix(':')?;
        is_quoted.then(|| rest.trim_start())
    })
}

fn escape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let mut unit = || (0..4).try_fold(0, |n, _| Some(n << 4 | chars.next()?.to_digit(16)?));
            match unit()? {
                high @ 0xd800..0xdc00 => {
                    let is_pair = chars.next() == Some('\\') && chars.next() == Some('u');
                    let mut unit = || (0..4).try_fold(0, |n, _| Some(n << 4 | chars.next()?.to_digit(16)?));
                    let low = if is_pair { unit()? } else { 0 };
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + low.checked_sub(0xdc00)?;
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                code => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_numbers_and_texts() {
        let json = r#"{"partialSuccess": {"rejectedSpans":"12", "errorMessage" : "too \"old\"\n\u00e4\ud83d\ude00"}}"#;
        assert_eq!(find_number(json, "rejectedSpans"), Some(12));
        assert_eq!(find_number(r#"{"rejectedSpans":7}"#, "rejectedSpans"), Some(7));
        assert_eq!(find_text(json, "errorMessage").as_deref(), Some("too \"old\"\nä😀"));
        assert_eq!((find_number(json, "errorMessage"), find_text(json, "rejected")), (None, None));
    }

    #[test]
    fn survives_any_text() {
        let json = r#"{"a":"b\u12"#;
        for end in 0..=json.len() {
            assert_eq!(find_text(&json[..end], "a"), None);
        }
        assert_eq!(find_text(r#"{"a":"\ud800\u0041"}"#, "a"), None);
    }
}
