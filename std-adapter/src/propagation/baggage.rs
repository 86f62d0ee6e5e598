//! W3C Baggage: names and values that travel with a request through all processes.

use std::fmt::{self, Write};
use throughline_export::text::percent_decode_lossy;

/// Most entries.
const ENTRIES: usize = 64;
/// Most bytes of the header.
const BYTES: usize = 8192;

/// The header `baggage`: at most 64 entries and 8192 bytes, as the specification requires of every process. What is
/// beyond is refused.
///
/// ```
/// use throughline_std::propagation::Baggage;
/// let mut baggage = Baggage::default();
/// baggage.set("user.id", "ada & co");
/// assert_eq!(baggage.to_string(), "user.id=ada%20&%20co");
/// assert_eq!(Baggage::parse("user.id=ada%20%26%20co").get("user.id"), Some("ada & co"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    entries: Vec<Entry>,
    /// Bytes of the header.
    size: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    value: String,
    /// The properties, as they came.
    properties: String,
}

impl Baggage {
    /// Reads the header, or several joined by commas. Entries that break a rule, and those beyond the limits, are left
    /// out. If a name comes twice, the last value counts.
    pub fn parse(header: &str) -> Baggage {
        let mut baggage = Baggage::default();
        for member in header.split(',').take(4 * ENTRIES) {
            let (member, properties) = member.split_once(';').unwrap_or((member, ""));
            let Some((name, value)) = member.split_once('=') else { continue };
            let value = value.trim_matches([' ', '\t']);
            if value.bytes().all(|b| b == b'%' || is_plain(b)) {
                baggage.put(
                    name.trim_matches([' ', '\t']),
                    &percent_decode_lossy(value),
                    properties.trim_matches([' ', '\t']),
                );
            }
        }
        baggage
    }

    /// The value of an entry.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| &*entry.value)
    }

    /// Sets an entry. Returns false, and changes nothing, if the name is not a token of HTTP, or if the baggage would
    /// exceed 64 entries or 8192 bytes.
    pub fn set(&mut self, name: &str, value: &str) -> bool {
        self.put(name, value, "")
    }

    fn put(&mut self, name: &str, value: &str, properties: &str) -> bool {
        if name.is_empty() || !name.bytes().all(is_token) || !properties.bytes().all(is_property) {
            return false;
        }
        let entry = Entry { name: name.into(), value: value.into(), properties: properties.into() };
        let known = self.entries.iter().position(|entry| entry.name == name);
        let freed = known.map_or(0, |at| self.entries[at].size());
        let size = self.size - freed + entry.size();
        // The comma before the first entry is counted but not written.
        if size > BYTES + 1 || (known.is_none() && self.entries.len() == ENTRIES) {
            return false;
        }
        self.size = size;
        match known {
            Some(at) => self.entries[at] = entry,
            None => self.entries.push(entry),
        }
        true
    }

    /// Removes an entry.
    pub fn remove(&mut self, name: &str) {
        self.retain(|known| known != name);
    }

    /// Keeps only the entries whose names `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.entries.retain(|entry| keep(&entry.name));
        self.size = self.entries.iter().map(Entry::size).sum();
    }

    /// Adds entries; entries that are known get the new value. What exceeds the limits is left out.
    pub(crate) fn add(&mut self, more: Baggage) {
        if self.is_empty() {
            *self = more;
            return;
        }
        for Entry { name, value, properties } in &more.entries {
            self.put(name, value, properties);
        }
    }

    /// Keeps only the entries that `other` has too, with the same value and properties.
    pub(crate) fn retain_common(&mut self, other: &Baggage) {
        self.entries.retain(|entry| other.entries.contains(entry));
        self.size = self.entries.iter().map(Entry::size).sum();
    }

    /// All names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (&*entry.name, &*entry.value))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Writes the header.
impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Entry { name, value, properties }) in self.entries.iter().enumerate() {
            let (comma, semicolon) =
                (if i == 0 { "" } else { "," }, if properties.is_empty() { "" } else { ";" });
            write!(f, "{comma}{name}={}{semicolon}{properties}", encoded(value))?;
        }
        Ok(())
    }
}

impl Entry {
    /// Bytes in the header, with the comma before it.
    fn size(&self) -> usize {
        let value: usize = self.value.bytes().map(|b| if is_plain(b) { 1 } else { 3 }).sum();
        let properties = if self.properties.is_empty() { 0 } else { 1 + self.properties.len() };
        2 + self.name.len() + value + properties
    }
}

/// A character of a token in RFC 7230.
pub(crate) fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// A character that a value contains as itself: a `baggage-octet` but `%`.
fn is_plain(b: u8) -> bool {
    matches!(b, b'!' | b'#'..=b'+' | b'-'..=b':' | b'<'..=b'[' | b']'..=b'~') && b != b'%'
}

fn is_property(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'!'..=b'~') && b != b','
}

/// Percent-encodes a value.
pub(super) fn encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for b in value.bytes() {
        if is_plain(b) {
            out.push(char::from(b));
        } else {
            // Writing to a string cannot fail.
            _ = write!(out, "%{b:02X}");
        }
    }
    out
}
