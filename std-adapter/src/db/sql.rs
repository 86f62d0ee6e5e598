//! Reads as much of a statement of SQL as its span needs. It knows no dialect: what it does not know is left out, and
//! what could be a value is replaced.

/// The operation in capitals and the table of a statement; "" for what it does not have or what is not known. A
/// statement with several tables has none, as the conventions ask for.
pub(super) fn summary(text: &str) -> (String, &str) {
    let mut words = Words(text);
    let Some(first) = words.next() else { return (String::new(), "") };
    let operation = first.to_ascii_uppercase();
    let before: &[&str] = match &*operation {
        "SELECT" | "DELETE" => &["FROM"],
        "INSERT" | "REPLACE" | "MERGE" => &["INTO"],
        "UPDATE" => return (operation, words.next().filter(|word| is_name(word)).unwrap_or_default()),
        "CREATE" | "DROP" | "ALTER" | "TRUNCATE" => &["TABLE"],
        "BEGIN" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "PRAGMA" | "EXPLAIN" | "VACUUM" => {
            return (operation, "");
        }
        // Another word may be anything, a name of a command of another language included.
        _ => return (String::new(), ""),
    };
    let (mut table, mut is_next, mut is_after) = ("", false, false);
    for word in words {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        if is("JOIN") || is("UNION") || is("SELECT") || (is_after && word == ",") {
            return (operation, "");
        }
        is_after = false;
        if is_next && !["IF", "NOT", "EXISTS", "ONLY"].iter().any(|keyword| is(keyword)) {
            (table, is_next, is_after) = (if is_name(word) { word } else { "" }, false, true);
        } else if table.is_empty() && before.iter().any(|keyword| is(keyword)) {
            is_next = true;
        }
    }
    (operation, table.trim_matches(['"', '`', '[', ']']))
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || "_\"`[".contains(c)) && word.len() <= 64
}

/// The words, names and signs of a statement, without comments. Literals are left out.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.0 = self.0.trim_start();
            let (len, is_value) = token(self.0)?;
            let (word, rest) = self.0.split_at(len);
            self.0 = rest;
            if !is_value && !word.starts_with("--") && !word.starts_with("/*") {
                return Some(word);
            }
        }
    }
}

/// The statement with `?` in place of each literal: texts, numbers, and what is between `$…$`. Comments are left out,
/// because they may contain values too. Parameters stay as they are.
pub(crate) fn without_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((len, is_value)) = token(rest) {
        let (word, after) = rest.split_at(len);
        rest = after;
        if is_value {
            out.push('?');
        } else if !word.starts_with("--") && !word.starts_with("/*") {
            out.push_str(word);
        }
    }
    out
}

/// The length of the first token, and whether it is a literal; `None` at the end.
fn token(text: &str) -> Option<(usize, bool)> {
    let first = text.chars().next()?;
    let end_of =
        |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let while_ = |is: fn(char) -> bool| text.find(|c| !is(c)).unwrap_or(text.len());
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '$';
    Some(match first {
        '\'' => (quoted(text, '\''), true),
        '"' | '`' => (quoted(text, first), false),
        '[' => (end_of("]", 1), false),
        '-' if text.starts_with("--") => (text.find('\n').unwrap_or(text.len()), false),
        '/' if text.starts_with("/*") => (end_of("*/", 2), false),
        '$' if text[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            (1 + text[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - 1), false)
        }
        '$' => match text[1..].find('$') {
            // PostgreSQL's texts, `$tag$ … $tag$`.
            Some(at) if text[1..=at].chars().all(|c| c.is_alphanumeric() || c == '_') => {
                (end_of(&text[..at + 2], at + 2), true)
            }
            _ => (1, false),
        },
        // A parameter with a number or a name.
        '?' | ':' | '@' => (1 + text[1..].find(|c| !is_word(c)).unwrap_or(text.len() - 1), false),
        c if c.is_ascii_digit() => (while_(|c| c.is_alphanumeric() || c == '.' || c == '_'), true),
        c if is_word(c) => {
            let len = while_(|c| c.is_alphanumeric() || c == '_' || c == '.' || c == '$');
            // A text with a prefix, such as X'00' or E'\n'.
            match text[len..].chars().next() {
                Some('\'') if len <= 2 => (len + quoted(&text[len..], '\''), true),
                _ => (len, false),
            }
        }
        c => (c.len_utf8(), false),
    })
}

/// The length of a text in quotes, in which two of them or one after `\` stand for one. A text without its end reaches
/// to that of the statement.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '\'' => _ = chars.next(),
            c if c == quote => match chars.peek() {
                Some((_, next)) if *next == quote => _ = chars.next(),
                _ => return at + 1,
            },
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn operation_and_table_are_found() {
        for (text, operation, table) in [
            ("SELECT name FROM items WHERE id = ?", "SELECT", "items"),
            ("  select * from \"my items\"", "SELECT", "my items"),
            ("SELECT 'FROM x' FROM shop.items i", "SELECT", "shop.items"),
            ("insert into orders (item) values ($1)", "INSERT", "orders"),
            ("INSERT OR REPLACE INTO orders VALUES (1)", "INSERT", "orders"),
            ("UPDATE items SET n = n - 1", "UPDATE", "items"),
            ("DELETE FROM items", "DELETE", "items"),
            ("CREATE TABLE IF NOT EXISTS items (n INTEGER)", "CREATE", "items"),
            ("-- who\n/* why */ SELECT 1", "SELECT", ""),
            ("SELECT * FROM a JOIN b ON a.x = b.x", "SELECT", ""),
            ("SELECT * FROM a, b", "SELECT", ""),
            ("SELECT * FROM (SELECT 1)", "SELECT", ""),
            ("INSERT INTO a SELECT * FROM b", "INSERT", ""),
            ("COMMIT", "COMMIT", ""),
            ("HGETALL user:7", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(summary(text), (operation.to_owned(), table), "{text}");
        }
    }

    #[test]
    fn literals_are_replaced_and_parameters_kept() {
        for (text, without) in [
            ("SELECT * FROM t WHERE a = 'it''s' AND b = 12", "SELECT * FROM t WHERE a = ? AND b = ?"),
            ("SELECT $1, ?2, :name, @p FROM t1", "SELECT $1, ?2, :name, @p FROM t1"),
            ("VALUES (-1.5e3, 0xFF, X'00', E'a\\'b')", "VALUES (-?, ?, ?, ?)"),
            ("SELECT $tag$ it's $tag$, \"Name 7\"", "SELECT ?, \"Name 7\""),
            ("SELECT 1 -- the card 4711\n, 2 /* 4711 */", "SELECT ? \n, ? "),
            ("SELECT 'no end", "SELECT ?"),
        ] {
            assert_eq!(without_literals(text), without, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[a-z0-9'\"`$?:@\\[\\]/*\\\\, \\-\\né]{0,60}") {
            let (mut rest, mut read) = (&*text, 0);
            while let Some((len, _)) = token(rest) {
                prop_assert!(len > 0);
                read += len;
                rest = &rest[len..];
            }
            prop_assert_eq!(read, text.len());
            summary(&text);
        }

        #[test]
        fn a_secret_in_quotes_is_never_in_the_text(secret in "[A-Z]{8,12}", before in "[a-z =,]{0,20}") {
            let text = format!("SELECT {before} '{secret}'");
            prop_assert!(!without_literals(&text).contains(&secret));
        }
    }
}
