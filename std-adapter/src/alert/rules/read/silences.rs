//! Reads silences of the file, which hold until a time.

use super::mutes::offset;
use super::{Reader, place};
use crate::alert::Silence;
use crate::config::node::{Entry, Node};
use crate::outgoing::state_file::hash;
use std::time::{Duration, SystemTime};

impl Reader<'_> {
    pub(super) fn silence(&mut self, node: &Node, entries: &[Entry]) {
        let errors = self.errors.len();
        let (mut matchers, mut until, mut comment) = (Vec::new(), None, String::new());
        for entry in entries {
            match &*entry.key {
                "matchers" => matchers = self.matchers(&entry.node),
                "until" => {
                    let text = self.text(&entry.node);
                    until = time(&text);
                    if until.is_none() {
                        let text = format!(
                            "`{text}` is no time; write such as 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00"
                        );
                        self.error(place(&entry.node), text);
                    }
                }
                "comment" => comment = self.text(&entry.node),
                other => {
                    let text = format!("`{other}` is no key here; write matchers, until and comment");
                    self.error((entry.line, 1), text);
                }
            }
        }
        if self.errors.len() > errors {
            return;
        }
        if matchers.is_empty() {
            return self.error(
                place(node),
                "the silence takes no alerts; write such as matchers: [alertname=QueueGrows]",
            );
        }
        let Some(ends_at) = until else {
            let text = "the silence has no end; write until: and a time such as 2026-12-01T06:00:00Z";
            return self.error(place(node), text);
        };
        // It is the same silence in each process that reads it.
        let written: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        let seconds = ends_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let id = hash(format!("{}\n{seconds}\n{comment}", written.join("\n")).as_bytes());
        self.rules.silences.push(Silence {
            id: format!("{id:016x}").into(),
            matchers,
            starts_at: SystemTime::UNIX_EPOCH,
            ends_at,
            created_by: self.file.display().to_string(),
            comment,
        });
    }
}

/// The time of a text as in RFC 3339.
fn time(text: &str) -> Option<SystemTime> {
    if text.ends_with('Z') {
        return humantime::parse_rfc3339(text).ok();
    }
    let (local, ahead) = text.split_at_checked(text.len().checked_sub("+01:00".len())?)?;
    let minutes = offset(ahead)?;
    let local = humantime::parse_rfc3339(&format!("{local}Z")).ok()?;
    let apart = Duration::from_secs(60 * minutes.unsigned_abs());
    if minutes < 0 { local.checked_add(apart) } else { local.checked_sub(apart) }
}

#[cfg(test)]
mod tests {
    use super::super::super::Rules;
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000),
            ("2023-11-14T16:43:20-05:30", 1_700_000_000),
            ("2024-12-31T23:59:59Z", 1_735_689_599),
        ] {
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(time(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T22:13Z",
            "2023-11-14T22:13:20+1",
            "+2023-11-14T22:13:20Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let rules = "rules: [{name: A, condition: a > 1}]\n";
        for (text, expected) in [
            (
                "silences: [{until: 2026-12-01T06:00:00Z}]",
                "r.yaml:2:12: the silence takes no alerts; write such as",
            ),
            (
                "silences: [{matchers: [alertname=A]}]",
                "r.yaml:2:12: the silence has no end; write until: and a time",
            ),
            (
                "silences: [{matchers: [a=b], until: tomorrow}]",
                "r.yaml:2:37: `tomorrow` is no time; write such as",
            ),
            ("silences: [{matchers: [a], until: 2026-12-01T06:00:00Z}]", "r.yaml:2:23: "),
            ("silences: [{match: [a=b]}]", "`match` is no key here; write matchers, until and comment"),
        ] {
            let error = Rules::parse("r.yaml", &format!("{rules}{text}")).unwrap_err();
            let told = error.to_string();
            assert!(error.errors().len() == 1 && told.contains(expected), "{text}\n{told}");
        }
        let text = "silences: [{matchers: [alertname=A, 'host=~\"a.*\"'], until: 2026-12-01T06:00:00Z, comment: moved}]";
        let rules = Rules::parse("r.yaml", &format!("{rules}{text}")).unwrap();
        assert_eq!((rules.silences[0].matchers.len(), &*rules.silences[0].comment), (2, "moved"));
    }
}
