//! Replaces variables in the texts of a file: `${NAME}`, or `${NAME:-default}` with a default for a variable
//! that is not set or empty. `$${` stands for `${` itself.

use super::variables::Variables;

/// A text whose variables have been replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Whether the text contained a variable, and so may be read as any type.
    pub(super) has_variable: bool,
    /// Whether the name of a variable suggests that it holds a secret.
    pub(super) secret: bool,
}

/// Words in the name of a variable that suggest a secret.
const SECRETS: [&str; 7] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH"];

/// Replaces the variables. The error names a variable that is not set.
pub(super) fn expand(text: &str, variables: &Variables) -> Result<Expanded, String> {
    let mut expanded =
        Expanded { text: String::with_capacity(text.len()), has_variable: false, secret: false };
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            expanded.text.push_str(before);
            expanded.text.push_str("${");
            rest = &from[2..];
            continue;
        }
        expanded.text.push_str(before);
        let Some(end) = from.find('}') else {
            return Err("has `${` without `}`; write $${ for the characters themselves".into());
        };
        let (name, default) = match from[2..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&from[2..end], None),
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(format!(
                "has `${{{name}}}`, which names no variable; write $${{ for the characters themselves"
            ));
        }
        match (variables.get(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => expanded.text.push_str(value),
            (None, Some(default)) => expanded.text.push_str(default),
            (None, None) if variables.get(name).is_some() => {}
            (None, None) => {
                return Err(format!(
                    "needs the variable {name}, which is not set; set it, or write ${{{name}:-default}}"
                ));
            }
        }
        expanded.has_variable = true;
        let upper = name.to_ascii_uppercase();
        expanded.secret |= SECRETS.iter().any(|word| upper.contains(word));
        rest = &from[end + 1..];
    }
    expanded.text.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let variables = Variables::of([("HOST", "a"), ("EMPTY", ""), ("API_KEY", "s3cret")]);
        let text = |text: &str| expand(text, &variables).map(|expanded| expanded.text);
        assert_eq!(text("http://${HOST}:${PORT:-4318}/").as_deref(), Ok("http://a:4318/"));
        assert_eq!(text("${EMPTY}|${EMPTY:-x}|$HOST|$|{}").as_deref(), Ok("|x|$HOST|$|{}"));
        assert_eq!(text("$${HOST} and $${").as_deref(), Ok("${HOST} and ${"));
        assert!(text("${NONE}").unwrap_err().contains("NONE, which is not set"));
        assert!(text("${HOST").is_err() && text("${}").is_err() && text("${a b}").is_err());
        assert!(expand("x ${API_KEY}", &variables).unwrap().secret);
        assert!(!expand("${HOST}", &variables).unwrap().secret);
        // The value of a variable is not expanded again.
        let variables = Variables::of([("A", "${B}")]);
        assert_eq!(expand("${A}", &variables).unwrap().text, "${B}");
    }
}
