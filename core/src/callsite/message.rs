//! What the compiler checks of a callsite's texts: that a message shows only fields that are there, and how a field is called.

use super::Meta;

impl Meta {
    /// The same, if every `{name}` of the message is a field and there are fields enough for its `{}`; panics else, which is a compile error
    /// at the macro call.
    #[doc(hidden)]
    pub const fn with_checked_message(self) -> Meta {
        let message = self.name.as_bytes();
        let mut positional = 0;
        let mut at = 0;
        while at < message.len() {
            let doubled = at + 1 < message.len() && message[at] == message[at + 1];
            match message[at] {
                b'{' | b'}' if doubled => at += 2,
                b'{' => {
                    let end = end_of_placeholder(message, at + 1);
                    let (begin, end_of_name) = name_within(message, at + 1, end);
                    if begin == end_of_name {
                        positional += 1;
                    } else {
                        assert!(
                            self.has_field(message, begin, end_of_name),
                            "the message shows a `{{name}}` that is no field: give it after the message, as in `info!(\"took {{ms}} ms\", ms)`"
                        );
                    }
                    at = end + 1;
                }
                b'}' => panic!("the message has a `}}` without a `{{`: write `}}}}` for a brace"),
                _ => at += 1,
            }
        }
        assert!(
            positional <= self.fields.len(),
            "the message has more `{{}}` than there are fields: give their values after the message"
        );
        self
    }

    const fn has_field(&self, message: &[u8], begin: usize, end: usize) -> bool {
        let mut i = 0;
        while i < self.fields.len() {
            if is_at(message, begin, end, self.fields[i].as_bytes()) {
                return true;
            }
            i += 1;
        }
        false
    }
}

/// A field's name: that of a raw identifier is without its `r#`.
#[doc(hidden)]
pub const fn name(text: &'static str) -> &'static str {
    match text.as_bytes() {
        [b'r', b'#', rest @ ..] => match core::str::from_utf8(rest) {
            Ok(rest) => rest,
            Err(_) => unreachable!(),
        },
        _ => text,
    }
}

/// Where the `}` is.
const fn end_of_placeholder(message: &[u8], mut at: usize) -> usize {
    while at < message.len() {
        if message[at] == b'}' {
            return at;
        }
        at += 1;
    }
    panic!("the message has a `{{` without a `}}`: write `{{{{` for a brace")
}

/// What is between `{` and `}` without spaces around it and without a format spec, which readers pass over.
const fn name_within(message: &[u8], mut begin: usize, mut end: usize) -> (usize, usize) {
    let mut i = begin;
    while i < end {
        if message[i] == b':' {
            end = i;
        }
        i += 1;
    }
    while begin < end && message[begin] == b' ' {
        begin += 1;
    }
    while begin < end && message[end - 1] == b' ' {
        end -= 1;
    }
    (begin, end)
}

const fn is_at(message: &[u8], begin: usize, end: usize, name: &[u8]) -> bool {
    if end - begin != name.len() {
        return false;
    }
    let mut i = 0;
    while i < name.len() {
        if message[begin + i] != name[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &'static str, fields: &'static [&'static str]) {
        _ = Meta { name: message, fields, ..Meta::EMPTY }.with_checked_message();
    }

    #[test]
    fn messages_whose_fields_are_there_pass() {
        check("", &[]);
        check("{} of {n:>5}, {{braces}} {{{ n }}} {}", &["n", "m"]);
        check("{http.route} {:?}", &["http.route"]);
        check("°{a}°", &["a", "unused"]);
    }

    #[test]
    #[should_panic(expected = "that is no field")]
    fn a_name_that_is_no_field_does_not() {
        check("{a} {ab}", &["a", "abc"]);
    }

    #[test]
    #[should_panic(expected = "more `{}` than there are fields")]
    fn too_many_values_do_not() {
        check("{} {}", &["a"]);
    }

    #[test]
    #[should_panic(expected = "without a `}`")]
    fn an_open_brace_does_not() {
        check("a {", &[]);
    }

    #[test]
    #[should_panic(expected = "without a `{`")]
    fn a_closing_brace_does_not() {
        check("a } b", &[]);
    }

    #[test]
    fn raw_names_lose_their_mark() {
        assert_eq!(name("r#type"), "type");
        assert_eq!(name("r"), "r");
        assert_eq!(name("error.type"), "error.type");
    }
}
