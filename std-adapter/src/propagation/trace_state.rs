//! W3C `tracestate`: what each tracing system on the way adds to a trace, and OpenTelemetry's part of it, which says
//! with what probability the trace was sampled.

use std::fmt;

/// Most members of a trace state.
const MEMBERS: usize = 32;
/// The member of OpenTelemetry.
const OTEL: &str = "ot";

/// The header `tracestate`: at most 32 members, each a key and a value of at most 256 characters. The newest comes
/// first.
///
/// ```
/// use throughline_std::propagation::TraceState;
/// let mut state = TraceState::parse("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").unwrap();
/// state.set("congo", "ucfJifl5GOE");
/// assert_eq!(state.to_string(), "congo=ucfJifl5GOE,rojo=00f067aa0ba902b7");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceState(Vec<(String, String)>);

impl TraceState {
    /// Reads the header, or several joined by commas. `None` if it breaks a rule of W3C Trace Context: a key or value
    /// with a forbidden character or length, a key that comes twice, or more than 32 members. Empty members are
    /// skipped, and so are a `th` and an `rv` of the member `ot` that are none, as OpenTelemetry's specification of
    /// sampling by probability wants it.
    pub fn parse(header: &str) -> Option<TraceState> {
        let mut members: Vec<(String, String)> = Vec::new();
        for member in header.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            let is_known = members.iter().any(|(known, _)| known == key);
            if is_known || !is_key(key) || !is_value(value) || members.len() == MEMBERS {
                return None;
            }
            let value = if key == OTEL { valid_parts(value) } else { value.into() };
            if !value.is_empty() {
                members.push((key.into(), value));
            }
        }
        Some(TraceState(members))
    }

    /// The value of a member.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| &**value)
    }

    /// Sets a member and moves it to the front. If there are then more than 32 members, the last one is removed.
    /// Returns false, and changes nothing, if the key or the value is not allowed.
    pub fn set(&mut self, key: &str, value: &str) -> bool {
        if !is_key(key) || !is_value(value) {
            return false;
        }
        self.remove(key);
        self.0.truncate(MEMBERS - 1);
        self.0.insert(0, (key.into(), value.into()));
        true
    }

    /// Removes a member.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(known, _)| known != key);
    }

    /// All members, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The probability with which the trace was sampled, from `ot=th:…`; `None` if the sender does not say.
    pub fn probability(&self) -> Option<f64> {
        let threshold = self.get(OTEL)?.split(';').find_map(|part| part.strip_prefix("th:"))?;
        if !is_hex(threshold, 1..=14) {
            return None;
        }
        let rejected = u64::from_str_radix(threshold, 16).ok()? << (4 * (14 - threshold.len()));
        Some(1.0 - rejected as f64 / (1u64 << 56) as f64)
    }

    /// The random number of 56 bits that decides about the trace in place of its id, from `ot=rv:…`; `None` if the id
    /// decides.
    pub fn randomness(&self) -> Option<u64> {
        let digits = self.get(OTEL)?.split(';').find_map(|part| part.strip_prefix("rv:"))?;
        is_hex(digits, 14..=14).then(|| u64::from_str_radix(digits, 16).ok())?
    }

    /// Says with what probability the trace was sampled, in `ot=th:…`; `None` removes that. Other parts of `ot` stay.
    pub fn set_probability(&mut self, probability: Option<f64>) {
        let kept = self.get(OTEL).unwrap_or_default().split(';');
        let mut parts: Vec<String> =
            kept.filter(|part| !part.is_empty() && !part.starts_with("th:")).map(str::to_owned).collect();
        if let Some(probability) = probability.filter(|p| *p > 0.0) {
            // The cast saturates.
            let rejected = ((1.0 - probability.min(1.0)) * (1u64 << 56) as f64) as u64;
            let digits = format!("{rejected:014x}");
            let digits = match digits.trim_end_matches('0') {
                "" => "0",
                digits => digits,
            };
            parts.insert(0, format!("th:{digits}"));
        }
        let value = parts.join(";");
        if value.is_empty() || !self.set(OTEL, &value) {
            self.remove(OTEL);
        }
    }
}

/// Writes the header.
impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (key, value)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

/// The member `ot` without a threshold and a random number that break their rules.
fn valid_parts(value: &str) -> String {
    let is_valid = |part: &&str| match part.split_once(':') {
        Some(("th", digits)) => is_hex(digits, 1..=14),
        Some(("rv", digits)) => is_hex(digits, 14..=14),
        _ => true,
    };
    value.split(';').filter(is_valid).collect::<Vec<_>>().join(";")
}

/// Whether the text is this many lower-case hexadecimal digits.
fn is_hex(text: &str, len: std::ops::RangeInclusive<usize>) -> bool {
    len.contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A key is a name of at most 256 characters, or `tenant@system` with at most 241 and 14.
fn is_key(key: &str) -> bool {
    let is_name = |name: &str, most: usize| {
        let is_first = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let allowed = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
        is_first && name.len() <= most && name.bytes().all(allowed)
    };
    match key.split_once('@') {
        None => is_name(key, 256),
        Some((tenant, system)) => is_name(tenant, 241) && is_name(system, 14),
    }
}

/// A value has at most 256 printable characters without `,` and `=`, and does not end with a space.
fn is_value(value: &str) -> bool {
    let allowed = |b| matches!(b, b' '..=b'~') && b != b',' && b != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(allowed) && !value.ends_with(' ')
}
