//! What an observer has found.

use crate::outgoing::state_file::{escaped, unescaped};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throughline::Value;
use throughline_export::message;
use throughline_export::text::json;

/// The record for which an observer's actions run: of a sequence or a window, the last one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Match {
    /// The name of the observer.
    pub observer: Arc<str>,
    /// The record's time, in nanoseconds since 1970: the end of a span.
    pub time_unix_ns: u64,
    /// `span`, `event` or `metric`.
    pub record: &'static str,
    /// The name of the span or the metric, or the event's name if it has one.
    pub name: String,
    /// The message of an event.
    pub message: String,
    /// The status of a span: `unset`, `ok`, `error` or `cancelled`.
    pub status: String,
    /// The trace in hexadecimal digits; empty without one.
    pub trace_id: String,
    /// The span in hexadecimal digits; empty without one.
    pub span_id: String,
    /// A span's duration in milliseconds, or a metric's value.
    pub value: f64,
    /// How many records were needed: those of the window, or of the sequence.
    pub count: u64,
    /// The names that the observer tells records apart by, with their values.
    pub key: Vec<(String, String)>,
    /// Names and texts of the attributes, or the labels of the metric, and whether the value is a text and not a number or a truth.
    pub(super) fields: Vec<(String, String, bool)>,
}

impl Match {
    /// The text of an attribute or a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().rfind(|(known, ..)| known == name).map(|(_, text, _)| &**text)
    }

    /// The attributes or labels, with their texts.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, text, _)| (&**name, &**text))
    }

    /// When the record was complete.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.time_unix_ns)
    }

    /// The text with its placeholders filled in: `{name}`, `{http.route}`, `{value:.1}`. Its attributes and its own properties have these names, the
    /// attributes first.
    pub fn render(&self, text: &str) -> String {
        let str = |text| Value::Str { text, truncated: false };
        let own = [
            ("observer", str(&*self.observer)),
            ("name", str(&self.name)),
            ("message", str(&self.message)),
            ("status", str(&self.status)),
            ("trace_id", str(&self.trace_id)),
            ("span_id", str(&self.span_id)),
            ("value", Value::F64(self.value)),
            ("duration_ms", Value::F64(self.value)),
            ("count", Value::U64(self.count)),
        ];
        let key = self.key.iter().map(|(name, value)| (&**name, str(value)));
        let fields = self.fields.iter().map(|(name, value, _)| (&**name, str(value)));
        message::render(text, fields.chain(own).chain(key)).into_owned()
    }

    /// As a JSON object: `observer`, `time` (nanoseconds since 1970), `type`, `name`, `message`, `status`, `trace_id`, `span_id`, `value`, `count`,
    /// `key` and `attributes`. What is empty is left out.
    pub fn json(&self) -> String {
        let mut out = format!(
            "{{\"observer\":{},\"time\":{},\"type\":\"{}\"",
            json(&self.observer),
            self.time_unix_ns,
            self.record
        );
        let texts = [
            ("name", &self.name),
            ("message", &self.message),
            ("status", &self.status),
            ("trace_id", &self.trace_id),
            ("span_id", &self.span_id),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            out += &format!(",\"{name}\":{}", json(text));
        }
        let value = if self.value.is_finite() { self.value.to_string() } else { "null".into() };
        let object = |pairs: Vec<String>| format!("{{{}}}", pairs.join(","));
        let key = self.key.iter().map(|(name, text)| format!("{}:{}", json(name), json(text)));
        let fields = self.fields.iter().map(|(name, text, is_text)| match *is_text || !is_json(text) {
            true => format!("{}:{}", json(name), json(text)),
            false => format!("{}:{text}", json(name)),
        });
        out + &format!(
            ",\"value\":{value},\"count\":{},\"key\":{},\"attributes\":{}}}",
            self.count,
            object(key.collect()),
            object(fields.collect())
        )
    }

    /// As fields of a line in the state file.
    pub(super) fn packed(&self) -> Vec<String> {
        let key = self.key.iter().map(|(name, text)| format!("{}\t{}", escaped(name), escaped(text)));
        let fields = self.fields.iter().map(|(name, text, is_text)| {
            format!("{}\t{}\t{}", escaped(name), escaped(text), u8::from(*is_text))
        });
        vec![
            self.time_unix_ns.to_string(),
            self.record.to_owned(),
            self.name.clone(),
            self.message.clone(),
            self.status.clone(),
            self.trace_id.clone(),
            self.span_id.clone(),
            self.value.to_string(),
            self.count.to_string(),
            key.collect::<Vec<_>>().join("\n"),
            fields.collect::<Vec<_>>().join("\n"),
        ]
    }

    /// The reverse of [`packed`](Match::packed).
    pub(super) fn unpacked(observer: &Arc<str>, fields: &[String]) -> Option<Match> {
        let [time, record, name, message, status, trace_id, span_id, value, count, key, all] = fields else {
            return None;
        };
        let pair = |line: &str| {
            let (name, text) = line.split_once('\t')?;
            Some((unescaped(name), unescaped(text)))
        };
        let field = |line: &str| {
            let (rest, is_text) = line.rsplit_once('\t')?;
            let (name, text) = pair(rest)?;
            Some((name, text, is_text == "1"))
        };
        Some(Match {
            observer: Arc::clone(observer),
            time_unix_ns: time.parse().ok()?,
            record: ["span", "event", "metric"].into_iter().find(|known| known == record)?,
            name: name.clone(),
            message: message.clone(),
            status: status.clone(),
            trace_id: trace_id.clone(),
            span_id: span_id.clone(),
            value: value.parse().ok()?,
            count: count.parse().ok()?,
            key: key.lines().map(pair).collect::<Option<_>>()?,
            fields: all.lines().map(field).collect::<Option<_>>()?,
        })
    }
}

/// Whether the text of a number or a truth is JSON too; that of an infinite number is not.
fn is_json(text: &str) -> bool {
    matches!(text, "true" | "false") || text.parse().is_ok_and(f64::is_finite)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::observers) fn found() -> Match {
        let text = |text: &str| text.to_owned();
        Match {
            observer: "slow".into(),
            time_unix_ns: 1_700_000_000_000_000_000,
            record: "span",
            name: text("checkout"),
            message: String::new(),
            status: text("error"),
            trace_id: text("0a"),
            span_id: text("0b"),
            value: 750.5,
            count: 3,
            key: vec![(text("user"), text("a\tb\n\\"))],
            fields: vec![
                (text("http.route"), text("/cart \"x\"\t\n"), true),
                (text("items"), text("3"), false),
                (text("ratio"), text("inf"), false),
            ],
        }
    }

    #[test]
    fn a_match_survives_the_state_file() {
        let found = found();
        assert_eq!(Match::unpacked(&found.observer, &found.packed()), Some(found.clone()));
        assert_eq!(Match::unpacked(&found.observer, &found.packed()[1..]), None);
        let bare = Match { key: Vec::new(), fields: Vec::new(), ..found };
        assert_eq!(Match::unpacked(&bare.observer, &bare.packed()), Some(bare.clone()));
    }

    #[test]
    fn a_match_is_json_and_fills_texts() {
        let json: serde_json::Value = serde_json::from_str(&found().json()).unwrap();
        assert_eq!(json["attributes"]["items"], 3);
        assert_eq!(json["attributes"]["http.route"], "/cart \"x\"\t\n");
        assert_eq!(json["attributes"]["ratio"], "inf");
        assert_eq!(
            (json["value"].as_f64(), &json["type"], json.get("message")),
            (Some(750.5), &"span".into(), None)
        );
        assert_eq!(
            found().render("{name} took {duration_ms:.0} ms for {items}, {none}"),
            "checkout took 750 ms for 3, {none}"
        );
    }
}
