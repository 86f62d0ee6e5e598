//! A file that keeps what is known from one run to the next.
//!
//! It is text: a line for each thing, fields separated by tabs. The first line names the format, the second one when it was saved, and the last one has the
//! number of lines and their hash, so that a file that was cut off or written by someone else is noticed. It is written beside its place and then renamed,
//! so that it is always whole.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

/// Longest file that is read.
const MOST_BYTES: u64 = 64 << 20;

/// The text of the file; `None` if there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Why a state file that another process uses is not used. When that ends, as one that this one replaces does, the file is taken over.
pub(crate) const TAKEN: &str =
    "is not used as long as another program uses it; if both are to go on, give each a file of its own";
/// That it is used from now on.
pub(crate) const FREE: &str = "is taken over, as no other program uses it any more";

/// Takes the file for this process, until what is returned is dropped. Two processes would write over each other's state. Its folder is created if it does
/// not exist.
///
/// A file beside it is locked, because the file itself is another one after each time that it was written.
pub(crate) fn lock(path: &Path) -> Result<File, TryLockError> {
    make_folder(path).map_err(TryLockError::Error)?;
    throughline_export::lock_file(&path.with_added_extension("lock"))
}

/// Replaces the file. Its folder is created if it does not exist.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(path)?;
    let new = path.with_added_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(new, path)
}

fn make_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// A line of these fields.
pub(crate) fn push_line(out: &mut String, fields: &[&str]) {
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.push('\t');
        }
        out.push_str(&escaped(field));
    }
    out.push('\n');
}

/// The whole text of a file of this format with these lines, saved at this time.
pub(crate) fn whole(format: &str, body: &str, now: i64) -> String {
    let head = format!("{format}\nsaved\t{now}\n{body}");
    let (lines, hash) = (head.lines().count(), hash(head.as_bytes()));
    format!("{head}end\t{lines}\t{hash:016x}\n")
}

/// The time at which the text was saved, if it says so, and its lines. The error says what is wrong with it.
pub(crate) fn lines(format: &str, text: &str) -> Result<(Option<i64>, Vec<Vec<String>>), &'static str> {
    let Some(rest) = text.strip_prefix(format).and_then(|rest| rest.strip_prefix('\n')) else {
        return Err("is not a state file of this version");
    };
    let (head, end) = text.rsplit_once("end\t").ok_or("has no end: it was cut off")?;
    if end != format!("{}\t{:016x}\n", head.lines().count(), hash(head.as_bytes())) {
        return Err("is damaged: its contents do not fit its last line");
    }
    let mut lines: Vec<Vec<String>> = rest[..head.len() - format.len() - 1]
        .lines()
        .map(|line| line.split('\t').map(unescaped).collect())
        .collect();
    let saved = lines.first().and_then(|line| line.get(1)?.parse().ok());
    lines.drain(..lines.len().min(1));
    Ok((saved, lines))
}

/// By which a file is checked: the first bytes of its SHA-256, which is the same whatever has built the program.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// The text without tabs and line breaks.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
        out
    })
}

pub(crate) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(c)) => out.push(c),
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        for text in ["", "a\tb\nc\\n\r", "\\", "ä=\"x\""] {
            assert_eq!(unescaped(&escaped(text)), text);
            assert!(!escaped(text).contains(['\t', '\n', '\r']));
        }
    }

    #[test]
    fn a_file_of_another_build_has_the_same_hash() {
        // The example of FIPS 180-2.
        assert_eq!(hash(b"abc"), 0xba78_16bf_8f01_cfea);
    }

    #[test]
    fn lines_come_back_and_damage_is_noticed() {
        let mut body = String::new();
        push_line(&mut body, &["a", "x\ty", ""]);
        push_line(&mut body, &["end", "\n"]);
        let text = whole("format 1", &body, 7);
        let expected =
            vec![vec!["a".to_owned(), "x\ty".into(), String::new()], vec!["end".into(), "\n".into()]];
        assert_eq!(lines("format 1", &text), Ok((Some(7), expected)));
        assert!(lines("format 2", &text).is_err());
        for cut in 0..text.len() {
            assert!(lines("format 1", &text[..cut]).is_err(), "{cut}");
        }
        assert!(lines("format 1", &text.replace('x', "z")).is_err());
        assert_eq!(lines("format 1", &whole("format 1", "", 7)), Ok((Some(7), Vec::new())));
    }
}
